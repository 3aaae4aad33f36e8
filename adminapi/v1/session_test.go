package v1_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry"
)

func TestLogin(t *testing.T) {
	api := apitest.New(t)
	role := api.RoleID("minimum-access")
	alice := api.User("alice", "mqtt read site1/#")
	api.Must(http.StatusCreated, "POST", "/api/users/"+alice+"/roles", `{"roleId": "`+role+`"}`)
	api.Settle()

	a := api.PostLogin(`{"username": "alice", "password": "password-of-alice"}`)
	if a.Status != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %s %v", a.Status, a.Body, a.Header)
	}
	var got struct {
		Token       string           `json:"token"`
		ExpiresAt   string           `json:"expiresAt"`
		Permissions []map[string]any `json:"permissions"`
	}
	a.Decode(t, &got)
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
	api := apitest.New(t)
	for hours, want := range map[string]time.Duration{
		"0.5": 30 * time.Minute, "2": 2 * time.Hour, "99999": 99999 * time.Hour, "876000": 876000 * time.Hour,
		"1e-9": time.Second, "null": time.Hour, // never more than a second longer than asked, and never no time at all
	} {
		a := api.PostLogin(fmt.Sprintf(`{"username": "admin", "password": %q, "expireTimeInHours": %s}`, apitest.AdminPassword, hours))
		if a.Status != http.StatusOK {
			t.Errorf("%s hours: got %d %s", hours, a.Status, a.Body)
			continue
		}
		life(t, apitest.Fields(t, a.Body)["expiresAt"].(string), want)
	}
}

func TestLoginRefusals(t *testing.T) {
	api := apitest.New(t)
	disabled, certificate := api.User("disabled"), api.User("certificate")
	api.Must(http.StatusOK, "PUT", "/api/users/"+disabled, `{"isActive": false}`)
	api.Must(http.StatusOK, "PUT", "/api/users/"+certificate, `{"grantTypes": [{"method": "certificate"}]}`)
	api.Settle()
	for _, tt := range []struct {
		name, username, password string
		want                     int
	}{
		{"a wrong password", "admin", "wrong", http.StatusUnauthorized},
		{"no such user", "nobody", "wrong", http.StatusUnauthorized},
		{"no password", "admin", "", http.StatusUnauthorized},
		{"no name", "", apitest.AdminPassword, http.StatusUnauthorized},
		{"the name in another case", "Admin", apitest.AdminPassword, http.StatusUnauthorized},
		{"a disabled user with a wrong password", "disabled", "wrong", http.StatusUnauthorized},
		{"a disabled user", "disabled", "password-of-disabled", http.StatusForbidden},
		{"a user without that grant type", "certificate", "password-of-certificate", http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := api.PostLogin(apitest.JSON(t, map[string]string{"username": tt.username, "password": tt.password}))
			apitest.Message(t, a, tt.want)
			if got := a.Header.Get("WWW-Authenticate"); (got == "Bearer") != (tt.want == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		})
	}
	wrong := api.PostLogin(`{"username": "admin", "password": "wrong"}`)
	if nobody := api.PostLogin(`{"username": "nobody", "password": "wrong"}`); nobody.Body != wrong.Body {
		t.Errorf("%s and %s tell who exists", nobody.Body, wrong.Body)
	}
}

func TestSession(t *testing.T) {
	api := apitest.New(t)
	alice := api.User("alice", "mqtt read site1/#")
	token := api.Login("alice", "password-of-alice")
	a := api.As(token, "GET", "/api/session", "")
	if a.Status != http.StatusOK || strings.Contains(a.Body, token) {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	got := apitest.Fields(t, a.Body)
	life(t, got["expiresAt"].(string), time.Hour)
	if user := got["user"].(map[string]any); user["id"] != alice || len(user["tokens"].([]any)) != 1 {
		t.Errorf("user is %v", user)
	}
	var own []any
	api.As(token, "GET", "/api/permissions", "").Decode(t, &own)
	if diff := cmp.Diff(own, got["permissions"]); diff != "" || len(own) != 1 {
		t.Errorf("permissions of /session and /permissions: %v %s", own, diff)
	}
	a = api.Send("GET", "/api/session", "", "Authorization", apitest.Basic("alice", "password-of-alice"))
	if got := apitest.Fields(t, a.Body); a.Status != http.StatusOK || got["expiresAt"] != nil {
		t.Errorf("with a password it is %d %s, want no end", a.Status, a.Body)
	}
}

func TestTokensOfAUser(t *testing.T) {
	api := apitest.New(t)
	alice := api.User("alice")
	path := "/api/users/" + alice + "/tokens"
	if got := api.Must(http.StatusOK, "GET", path, "").Body; got != "[]\n" {
		t.Errorf("no token is %q, want []", got)
	}
	var tokens [4]string
	for i := range tokens {
		a := api.PostLogin(fmt.Sprintf(`{"username": "alice", "password": "password-of-alice", "label": "token %d"}`, i))
		tokens[i] = apitest.Fields(t, a.Body)["token"].(string)
	}
	alive := func() string {
		s := ""
		for _, token := range tokens {
			a := api.As(token, "GET", "/api/session", "")
			s += fmt.Sprintf("%d ", a.Status)
		}
		return s
	}
	var list []map[string]any
	api.Must(http.StatusOK, "GET", path, "").Decode(t, &list)
	if len(list) != 4 || list[0]["label"] != "token 0" || len(list[0]) != 5 || strings.Contains(fmt.Sprint(list), tokens[0]) {
		t.Fatalf("tokens are %v", list)
	}
	id := func(i int) string { return list[i]["id"].(string) }

	for name, query := range map[string]string{
		"an empty id":     "?tokenId=",
		"two ids":         "?tokenId=" + id(0) + "&tokenId=" + id(1),
		"a misspelt name": "?tokenID=" + id(0),
	} {
		apitest.Message(t, api.Do("DELETE", path+query, ""), http.StatusBadRequest)
		if got := alive(); got != "200 200 200 200 " {
			t.Fatalf("%s: %s", name, got)
		}
	}
	apitest.Message(t, api.Do("DELETE", path+"?tokenId=nobody", ""), http.StatusNotFound)

	if a := api.Must(http.StatusOK, "DELETE", path+"?tokenId="+id(0), ""); a.Body != "" {
		t.Errorf("body is %q, want none", a.Body)
	}
	if got := alive(); got != "401 200 200 200 " {
		t.Errorf("after one was deleted by its id: %s", got)
	}
	api.Must(http.StatusOK, "DELETE", path+"?tokenId="+list[1]["fingerprint"].(string), "")
	if got := alive(); got != "401 401 200 200 " {
		t.Errorf("after one was deleted by its fingerprint: %s", got)
	}
	api.Must(http.StatusOK, "DELETE", path+"?apiToken=x", "")
	if got := alive(); got != "401 401 401 401 " {
		t.Errorf("after all were deleted: %s", got)
	}
	apitest.Message(t, api.Do("GET", "/api/users/nobody/tokens", ""), http.StatusNotFound)
	apitest.Message(t, api.Do("DELETE", "/api/users/nobody/tokens", ""), http.StatusNotFound)
}

func TestLogout(t *testing.T) {
	api := apitest.New(t)
	token := api.Token("alice")
	out := func(token string) apitest.Answer {
		return api.Send("POST", "/api/logout", apitest.JSON(t, map[string]string{"token": token}), "Content-Type", "application/json")
	}
	a := out(token)
	if a.Status != http.StatusOK || a.Body != "" || a.Header.Get("X-Change") == "" {
		t.Errorf("got %d %q, X-Change %q", a.Status, a.Body, a.Header.Get("X-Change"))
	}
	apitest.Message(t, api.As(token, "GET", "/api/session", ""), http.StatusUnauthorized)
	for name, token := range map[string]string{
		"the same again": token, "no token": "", "another text": "abc", "a long text": strings.Repeat("x", 10_000),
	} {
		if a := out(token); a.Status != http.StatusOK || a.Body != "" || a.Header.Get("X-Change") != "" {
			t.Errorf("%s: got %d %q, X-Change %q", name, a.Status, a.Body, a.Header.Get("X-Change"))
		}
	}
	api.Must(http.StatusOK, "GET", "/api/session", "") // others' tokens stay
}

func TestTokensEndWithTheirUser(t *testing.T) {
	api := apitest.New(t)
	for name, end := range map[string]func(id string){
		"disabled": func(id string) { api.Must(http.StatusOK, "PUT", "/api/users/"+id, `{"isActive": false}`) },
		"deleted":  func(id string) { api.Must(http.StatusOK, "DELETE", "/api/users/"+id, "") },
		"moved": func(id string) {
			ldap := registry.UserUpdate{Provider: new(registry.ProviderLDAP)} // no request does that yet
			if _, _, err := api.Service.UpdateUser(t.Context(), registry.System("test"), registry.UserID(id), ldap); err != nil {
				t.Fatal(err)
			}
		},
	} {
		id := api.User("user-" + name)
		token := api.Login("user-"+name, "password-of-user-"+name)
		end(id)
		api.Settle()
		apitest.Message(t, api.As(token, "GET", "/api/session", ""), http.StatusUnauthorized)
		if a := api.Send("GET", "/api/session", "", "Authorization", apitest.Basic("user-"+name, "password-of-user-"+name)); a.Status < 401 || a.Status > 403 {
			t.Errorf("%s: with the password: got %d", name, a.Status)
		}
	}
}

// The list of a user's tokens comes in pages.
func TestTokensArePaged(t *testing.T) {
	api := apitest.New(t)
	id := api.User("alice")
	for range 5 {
		api.Login("alice", "password-of-alice")
	}
	var all, page []struct{ ID string }
	api.Must(http.StatusOK, "GET", "/api/users/"+id+"/tokens", "").DecodeLoosely(t, &all)
	api.Must(http.StatusOK, "GET", "/api/users/"+id+"/tokens?rowsPerPage=2&pageNumber=2", "").DecodeLoosely(t, &page)
	if len(all) != 5 || len(page) != 2 || page[0] != all[2] || page[1] != all[3] {
		t.Errorf("got %v of %v", page, all)
	}
	if a := api.Must(http.StatusOK, "GET", "/api/users/"+id+"/tokens?pageNumber=2", ""); strings.TrimSpace(a.Body) != "[]" {
		t.Errorf("past the end: got %s", a.Body)
	}
}

// A user who logs in again and again is told to wait; others log in meanwhile, and the
// token that the user has works on.
func TestLoginsHaveARate(t *testing.T) {
	api := apitest.New(t)
	token := api.Token("alice")
	api.User("bob")
	var last apitest.Answer
	for range 100 { // a minute's worth would be more
		last = api.Send("POST", "/api/login", `{"username": "alice", "password": "password-of-alice"}`, "Content-Type", "application/json")
		if last.Status != http.StatusOK {
			break
		}
	}
	if m := apitest.Message(t, last, http.StatusTooManyRequests); !strings.Contains(m, "too often") || last.Header.Get("Retry-After") != "1" {
		t.Errorf("message %q, Retry-After %q", m, last.Header.Get("Retry-After"))
	}
	api.Login("bob", "password-of-bob")
	if a := api.As(token, "GET", "/api/session", ""); a.Status != http.StatusOK {
		t.Errorf("with the token: %d %s", a.Status, a.Body)
	}
}
