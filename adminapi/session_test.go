package adminapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// signIn sends a login.
func (w *world) signIn(body string) answer {
	return w.send("POST", "/api/login", body, "Content-Type", "application/json")
}

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

func TestLogin(t *testing.T) {
	w := newWorld(t, nil)
	role := w.roleID("minimum-access")
	alice := w.user("alice", "mqtt read site1/#")
	w.must(http.StatusCreated, "POST", "/api/users/"+alice+"/roles", `{"roleId": "`+role+`"}`)
	w.settle()

	a := w.signIn(`{"username": "alice", "password": "password-of-alice"}`)
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %s %v", a.status, a.body, a.header)
	}
	var got struct {
		Token       string           `json:"token"`
		ExpiresAt   string           `json:"expiresAt"`
		Permissions []map[string]any `json:"permissions"`
	}
	a.decode(t, &got)
	if len(got.Permissions) != 5 {
		t.Errorf("permissions are %v, want the own one and the four of the role", got.Permissions)
	}
	for _, p := range got.Permissions {
		if len(p) != 5 || p["id"] == "" {
			t.Errorf("permission is %v, want id, resource, operation, context and effect", p)
		}
	}
	life(t, got.ExpiresAt, time.Hour)
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", got.ExpiresAt); err != nil {
		t.Errorf("expiresAt is %s, want milliseconds and Z", got.ExpiresAt)
	}
	parts := strings.Split(got.Token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(parts) != 3 {
		t.Fatalf("%s is no JWT: %v", got.Token, err)
	}
	var c map[string]any
	if err := json.Unmarshal(claims, &c); err != nil || c["sub"] != alice || c["iss"] != "mqttwarden" || c["jti"] == nil {
		t.Errorf("claims are %s", claims)
	}
}

// life checks that a time is so far from now, give or take.
func life(t *testing.T, expires string, want time.Duration) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, expires)
	if err != nil {
		t.Fatal(err)
	}
	if got := time.Until(at); got > want || got < want-time.Minute {
		t.Errorf("it lives for %v, want %v", got, want)
	}
}

func TestTokensLiveAsLongAsAsked(t *testing.T) {
	w := newWorld(t, nil)
	for hours, want := range map[string]time.Duration{
		"0.5": 30 * time.Minute, "2": 2 * time.Hour, "99999": 99999 * time.Hour, "876000": 876000 * time.Hour,
		"1e-9": time.Second, "null": time.Hour, // never more than a second longer than asked, and never no time at all
	} {
		a := w.signIn(fmt.Sprintf(`{"username": "admin", "password": %q, "expireTimeInHours": %s}`, adminPassword, hours))
		if a.status != http.StatusOK {
			t.Errorf("%s hours: got %d %s", hours, a.status, a.body)
			continue
		}
		life(t, fields(t, a.body)["expiresAt"].(string), want)
	}
}

func TestLoginRefusals(t *testing.T) {
	w := newWorld(t, nil)
	disabled, certificate := w.user("disabled"), w.user("certificate")
	w.must(http.StatusOK, "PUT", "/api/users/"+disabled, `{"isActive": false}`)
	w.must(http.StatusOK, "PUT", "/api/users/"+certificate, `{"grantTypes": [{"method": "certificate"}]}`)
	w.settle()
	for _, tt := range []struct {
		name, username, password string
		want                     int
	}{
		{"a wrong password", "admin", "wrong", http.StatusUnauthorized},
		{"no such user", "nobody", "wrong", http.StatusUnauthorized},
		{"no password", "admin", "", http.StatusUnauthorized},
		{"no name", "", adminPassword, http.StatusUnauthorized},
		{"the name in another case", "Admin", adminPassword, http.StatusUnauthorized},
		{"a disabled user with a wrong password", "disabled", "wrong", http.StatusUnauthorized},
		{"a disabled user", "disabled", "password-of-disabled", http.StatusForbidden},
		{"a user without that grant type", "certificate", "password-of-certificate", http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.signIn(mustJSON(t, map[string]string{"username": tt.username, "password": tt.password}))
			message(t, a, tt.want)
			if got := a.header.Get("WWW-Authenticate"); (got == "Bearer") != (tt.want == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		})
	}
	wrong := w.signIn(`{"username": "admin", "password": "wrong"}`)
	if nobody := w.signIn(`{"username": "nobody", "password": "wrong"}`); nobody.body != wrong.body {
		t.Errorf("%s and %s tell who exists", nobody.body, wrong.body)
	}
}

func TestSession(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.user("alice", "mqtt read site1/#")
	token := w.login("alice", "password-of-alice")
	a := w.as(token, "GET", "/api/session", "")
	if a.status != http.StatusOK || strings.Contains(a.body, token) {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	got := fields(t, a.body)
	life(t, got["expiresAt"].(string), time.Hour)
	if user := got["user"].(map[string]any); user["id"] != alice || len(user["tokens"].([]any)) != 1 {
		t.Errorf("user is %v", user)
	}
	var own []any
	w.as(token, "GET", "/api/permissions", "").decode(t, &own)
	if diff := cmp.Diff(own, got["permissions"]); diff != "" || len(own) != 1 {
		t.Errorf("permissions of /session and /permissions: %v %s", own, diff)
	}
	a = w.send("GET", "/api/session", "", "Authorization", basic("alice", "password-of-alice"))
	if got := fields(t, a.body); a.status != http.StatusOK || got["expiresAt"] != nil {
		t.Errorf("with a password it is %d %s, want no end", a.status, a.body)
	}
}

func TestWaysToShowACredential(t *testing.T) {
	w := newWorld(t, nil)
	token := w.token("alice", "read /api/users")
	for _, tt := range []struct {
		name, query string
		headers     []string
		want        int
	}{
		{"a bearer token", "", []string{"Authorization", "Bearer " + token}, http.StatusOK},
		{"a bearer token, in lower case", "", []string{"Authorization", "bearer " + token}, http.StatusOK},
		{"a name and password", "", []string{"Authorization", basic("alice", "password-of-alice")}, http.StatusOK},
		{"a token in the query", "?apiToken=" + token, nil, http.StatusOK},
		{"a token in the query among others", "?rowsPerPage=5&apiToken=" + token + "&pageNumber=1", nil, http.StatusOK},
		{"nothing", "", nil, http.StatusUnauthorized},
		{"an empty token", "", []string{"Authorization", "Bearer "}, http.StatusUnauthorized},
		{"an empty token in the query", "?apiToken=", nil, http.StatusUnauthorized},
		{"a token that is none", "", []string{"Authorization", "Bearer abc"}, http.StatusUnauthorized},
		{"a token with another signature", "", []string{"Authorization", "Bearer " + token[:len(token)-4] + "AAAA"}, http.StatusUnauthorized},
		{"a wrong password", "", []string{"Authorization", basic("alice", "wrong")}, http.StatusUnauthorized},
		{"a Basic header that is none", "", []string{"Authorization", "Basic ???"}, http.StatusUnauthorized},
		{"another scheme", "", []string{"Authorization", "Digest abc"}, http.StatusUnauthorized},
		{"a token without a scheme", "", []string{"Authorization", token}, http.StatusUnauthorized},
		{"two headers", "", []string{"Authorization", "Bearer " + token, "Authorization", "Bearer " + token}, http.StatusUnauthorized},
		{"two tokens in the query", "?apiToken=" + token + "&apiToken=" + token, nil, http.StatusUnauthorized},
		{"a bad header beside a good query", "?apiToken=" + token, []string{"Authorization", "Bearer abc"}, http.StatusUnauthorized},
		{"a token that is too long", "", []string{"Authorization", "Bearer " + strings.Repeat("a", 5000)}, http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.send("GET", "/api/users"+tt.query, "", tt.headers...)
			if a.status != tt.want {
				t.Fatalf("got %d %s, want %d", a.status, a.body, tt.want)
			}
			if tt.want == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
	if log := w.log.String(); strings.Contains(log, token[:20]) || strings.Contains(log, "apiToken") || strings.Contains(log, "password-of-alice") {
		t.Error("a credential or a query is in the log")
	}
}

func TestTokensInTheQueryCanBeSwitchedOff(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.AllowQueryToken = false })
	message(t, w.send("GET", "/api/session?apiToken="+w.admin, ""), http.StatusUnauthorized)
	if a := w.do("GET", "/api/session?apiToken=abc", ""); a.status != http.StatusOK {
		t.Errorf("beside a header it is not looked at: got %d", a.status)
	}
}

func TestTokensOfAUser(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.user("alice")
	path := "/api/users/" + alice + "/tokens"
	if got := w.must(http.StatusOK, "GET", path, "").body; got != "[]\n" {
		t.Errorf("no token is %q, want []", got)
	}
	var tokens [4]string
	for i := range tokens {
		a := w.signIn(fmt.Sprintf(`{"username": "alice", "password": "password-of-alice", "label": "token %d"}`, i))
		tokens[i] = fields(t, a.body)["token"].(string)
	}
	alive := func() string {
		s := ""
		for _, token := range tokens {
			a := w.as(token, "GET", "/api/session", "")
			s += fmt.Sprintf("%d ", a.status)
		}
		return s
	}
	var list []map[string]any
	w.must(http.StatusOK, "GET", path, "").decode(t, &list)
	if len(list) != 4 || list[0]["label"] != "token 0" || len(list[0]) != 5 || strings.Contains(fmt.Sprint(list), tokens[0]) {
		t.Fatalf("tokens are %v", list)
	}
	id := func(i int) string { return list[i]["id"].(string) }

	for name, query := range map[string]string{
		"an empty id":     "?tokenId=",
		"two ids":         "?tokenId=" + id(0) + "&tokenId=" + id(1),
		"a misspelt name": "?tokenID=" + id(0),
	} {
		message(t, w.do("DELETE", path+query, ""), http.StatusBadRequest)
		if got := alive(); got != "200 200 200 200 " {
			t.Fatalf("%s: %s", name, got)
		}
	}
	message(t, w.do("DELETE", path+"?tokenId=nobody", ""), http.StatusNotFound)

	if a := w.must(http.StatusOK, "DELETE", path+"?tokenId="+id(0), ""); a.body != "" {
		t.Errorf("body is %q, want none", a.body)
	}
	if got := alive(); got != "401 200 200 200 " {
		t.Errorf("after one was deleted by its id: %s", got)
	}
	w.must(http.StatusOK, "DELETE", path+"?tokenId="+list[1]["fingerprint"].(string), "")
	if got := alive(); got != "401 401 200 200 " {
		t.Errorf("after one was deleted by its fingerprint: %s", got)
	}
	w.must(http.StatusOK, "DELETE", path+"?apiToken=x", "")
	if got := alive(); got != "401 401 401 401 " {
		t.Errorf("after all were deleted: %s", got)
	}
	message(t, w.do("GET", "/api/users/nobody/tokens", ""), http.StatusNotFound)
	message(t, w.do("DELETE", "/api/users/nobody/tokens", ""), http.StatusNotFound)
}

func TestLogout(t *testing.T) {
	w := newWorld(t, nil)
	token := w.token("alice")
	out := func(token string) answer {
		return w.send("POST", "/api/logout", mustJSON(t, map[string]string{"token": token}), "Content-Type", "application/json")
	}
	a := out(token)
	if a.status != http.StatusOK || a.body != "" || a.header.Get("X-Change") == "" {
		t.Errorf("got %d %q, X-Change %q", a.status, a.body, a.header.Get("X-Change"))
	}
	message(t, w.as(token, "GET", "/api/session", ""), http.StatusUnauthorized)
	for name, token := range map[string]string{
		"the same again": token, "no token": "", "another text": "abc", "a long text": strings.Repeat("x", 10_000),
	} {
		if a := out(token); a.status != http.StatusOK || a.body != "" || a.header.Get("X-Change") != "" {
			t.Errorf("%s: got %d %q, X-Change %q", name, a.status, a.body, a.header.Get("X-Change"))
		}
	}
	w.must(http.StatusOK, "GET", "/api/session", "") // others' tokens stay
}

func TestTokensEndWithTheirUser(t *testing.T) {
	w := newWorld(t, nil)
	for name, end := range map[string]func(id string){
		"disabled": func(id string) { w.must(http.StatusOK, "PUT", "/api/users/"+id, `{"isActive": false}`) },
		"deleted":  func(id string) { w.must(http.StatusOK, "DELETE", "/api/users/"+id, "") },
		"moved":    func(id string) { w.must(http.StatusOK, "PUT", "/api/users/"+id, `{"identityProvider": "ldap"}`) },
	} {
		id := w.user("user-" + name)
		token := w.login("user-"+name, "password-of-user-"+name)
		end(id)
		w.settle()
		message(t, w.as(token, "GET", "/api/session", ""), http.StatusUnauthorized)
		if a := w.send("GET", "/api/session", "", "Authorization", basic("user-"+name, "password-of-user-"+name)); a.status < 401 || a.status > 403 {
			t.Errorf("%s: with the password: got %d", name, a.status)
		}
	}
}
