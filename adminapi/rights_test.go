package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// endpoints returns every route of the document as "METHOD /path", its
// parameters filled with ids that nobody has.
func (w *world) endpoints() []string {
	w.Helper()
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	w.must(http.StatusOK, "GET", "/openapi.json", "").decodeLoosely(w, &document)
	var list []string
	for path, methods := range document.Paths {
		path = strings.NewReplacer("{id}", "nobody", "{pemId}", "nothing", "{n}", "999999", "{serial}", "01", "{generation}", "1", "{request}", "MAA").Replace(path)
		for method := range methods {
			list = append(list, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(list)
	if len(list) != 51 {
		w.Fatalf("the document has %d routes, want 51: %q", len(list), list)
	}
	return list
}

// Who has no credential learns that, and who has no right learns that, whatever
// else is wrong with the request, and whether or not the thing is there.
func TestWhoAsksIsJudgedBeforeWhatIsAsked(t *testing.T) {
	w := newWorld(t, nil)
	nobody := w.token("no-rights")
	open := []string{
		"POST /api/login", "POST /api/logout", "POST /api/client-registry/register",
		"GET /pki/ca.pem", "GET /pki/crl", "GET /pki/crl/1", "GET /pki/ocsp/MAA", "POST /pki/ocsp",
	}
	signedIn := []string{"GET /api/session", "GET /api/permissions", "POST /api/client-registry/renew"}
	requests := []struct {
		name, body string
		headers    []string
	}{
		{"no body", "", nil},
		{"a body of another type", "x", []string{"Content-Type", "text/plain"}},
		{"a broken body", "{", []string{"Content-Type", "application/json"}},
		{"a body that is too large", strings.Repeat(" ", 1<<20+1), []string{"Content-Type", "application/json"}},
		{"an unknown parameter", "", []string{"Prefer", strings.Repeat("x", 300)}},
	}
	for _, endpoint := range w.endpoints() {
		if slices.Contains(open, endpoint) {
			continue
		}
		method, path, _ := strings.Cut(endpoint, " ")
		for _, r := range requests {
			a := w.send(method, path, r.body, r.headers...)
			message(t, a, http.StatusUnauthorized)
			if a.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with %s: WWW-Authenticate is %q", endpoint, r.name, a.header.Get("WWW-Authenticate"))
			}
			if slices.Contains(signedIn, endpoint) {
				continue
			}
			headers := append([]string{"Authorization", "Bearer " + nobody}, r.headers...)
			message(t, w.send(method, path, r.body, headers...), http.StatusForbidden)
		}
	}
	for _, endpoint := range signedIn {
		method, path, _ := strings.Cut(endpoint, " ")
		if a := w.as(nobody, method, path, ""); a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
			t.Errorf("%s: got %d %s", endpoint, a.status, a.body)
		}
	}
}

func TestRightsOnPaths(t *testing.T) {
	w := newWorld(t, nil)
	bob, eve := w.user("bob-1"), w.user("eve-1")
	for i, tt := range []struct {
		name        string
		permissions []string
		allowed     []string
		denied      []string
	}{
		{
			"reading is GET and HEAD",
			[]string{"read /api/users/#"},
			[]string{"GET /api/users", "HEAD /api/users", "GET /api/users/" + bob, "GET /api/users/ids", "GET /api/users/" + bob + "/tokens", "GET /api/users/"},
			[]string{"POST /api/users", "PUT /api/users/" + bob, "DELETE /api/users/" + bob, "GET /api/listUsers", "GET /api/roles"},
		},
		{
			"writing is the rest",
			[]string{"write /api/users/#"},
			[]string{"POST /api/users", "PUT /api/users/" + bob, "PUT /api/users/change-password"},
			[]string{"GET /api/users", "HEAD /api/users", "GET /api/users/" + bob, "POST /api/roles"},
		},
		{
			"a right may be about one thing",
			[]string{"read /api/users/" + bob},
			[]string{"GET /api/users/" + bob, "GET /api/users/" + bob + "/"},
			[]string{"GET /api/users", "GET /api/users/" + eve, "GET /api/users/" + bob + "/tokens"},
		},
		{
			"a wildcard takes one level",
			[]string{"read /api/users/+/tokens"},
			[]string{"GET /api/users/" + bob + "/tokens", "GET /api/users/" + eve + "/tokens"},
			[]string{"GET /api/users/" + bob, "GET /api/users"},
		},
		{
			"without the prefix it is nothing", []string{"read /users/#"}, nil, []string{"GET /api/users", "GET /api/users/" + bob},
		},
		{
			"a deny beats an allow",
			[]string{"readWrite /api/users/#", "http read /api/users/" + eve + " deny"},
			[]string{"GET /api/users/" + bob},
			[]string{"GET /api/users/" + eve, "GET /api/users/" + eve + "/", "HEAD /api/users/" + eve},
		},
		{
			"case matters", []string{"read /api/Users/#"}, nil, []string{"GET /api/users", "GET /api/users/" + bob},
		},
		{
			"changes have a right of their own", []string{"read /api/changes/1"}, []string{"GET /api/changes/1"}, []string{"GET /api/changes/2"},
		},
		{
			"mqtt rights are none here", []string{"mqtt readWrite #", "mqtt readWrite /api/#"}, nil, []string{"GET /api/users"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := w.denyingToken(fmt.Sprintf("user-%d", i), tt.permissions)
			for _, endpoint := range tt.allowed {
				method, path, _ := strings.Cut(endpoint, " ")
				if a := w.as(token, method, path, ""); a.status == http.StatusForbidden || a.status == http.StatusUnauthorized {
					t.Errorf("%s: got %d %s", endpoint, a.status, a.body)
				}
			}
			for _, endpoint := range tt.denied {
				method, path, _ := strings.Cut(endpoint, " ")
				if a := w.as(token, method, path, ""); a.status != http.StatusForbidden {
					t.Errorf("%s: got %d %s, want 403", endpoint, a.status, a.body)
				}
			}
		})
	}
}

// denyingToken is token for permissions that may be denies: a fourth word.
func (w *world) denyingToken(name string, permissions []string) string {
	w.Helper()
	var allows []string
	for _, p := range permissions {
		if !strings.HasSuffix(p, " deny") {
			allows = append(allows, p)
		}
	}
	id := w.user(name, allows...)
	for _, p := range permissions {
		if f := strings.Fields(p); len(f) == 4 {
			private := fields(w, w.must(http.StatusOK, "GET", "/api/users/"+id, "").body)["roles"].([]any)[0].(string)
			w.must(http.StatusCreated, "POST", "/api/roles/"+private+"/permissions",
				mustJSON(w, map[string]string{"context": f[0], "operation": f[1], "resource": f[2], "effect": f[3]}))
		}
	}
	w.settle()
	return w.login(name, "password-of-"+name)
}

// No spelling of a path reaches what its plain spelling may not.
func TestPathTricks(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.user("bob-1")
	mine := w.user("carol", "readWrite /api/users/mine/#", "read /api/users")
	token := w.login("carol", "password-of-carol")
	for _, path := range []string{
		"/api/users/mine/../" + bob, "/api/users/mine/%2e%2e/" + bob, "/api/users/mine/%2E%2e/" + bob, "/api/users/mine/.%2e/" + bob,
		"/api/users/./" + bob, "/api/users/%2e/" + bob, "/api/users/mine/..", "/api/users/mine/.",
		"/api/users/mine%2f..%2f" + bob, "/api/users/mine%2F" + bob, "/api/users/" + bob + "%2ftokens", "/api%2fusers",
		"/api/users/mine\\" + bob, "/api/users/mine%5c" + bob, "/api/users/mine%5C..%5C" + bob,
		"/api/users/" + bob + "%00", "/api/users/mine%00/" + bob, "/api/users/%00",
		"//api/users", "/api//users", "/api/users//" + bob, "/api/users//", "/api/users/" + bob + "//", "//",
		"/api/users/" + bob + "%0a", "/api/users/%7f", "/api/users/%ff", "/api/users/a%0d%0ab",
		"/api/users?x=%00", "/api/users?x=%ff", "/api/users?x=%zz", "/api/users?a;b", "/api/users?%00=x",
	} {
		for _, token := range []string{token, w.admin} {
			if a := w.as(token, "GET", path, ""); a.status != http.StatusBadRequest {
				t.Errorf("%q: got %d %s, want 400", path, a.status, a.body)
			}
		}
		message(t, w.send("GET", path, ""), http.StatusBadRequest)
	}
	for path, want := range map[string]int{
		"/api/users/" + bob:                http.StatusForbidden,
		"/api/users/" + bob + "/":          http.StatusForbidden,
		"/api/users/%62ob":                 http.StatusForbidden, // an encoded letter is the letter
		"/api/users/%252e%252e":            http.StatusForbidden, // encoded twice it is a name like others
		"/api/users/mine/%252e%252e":       http.StatusNotFound,  // no such route
		"/api/users/mine":                  http.StatusNotFound,  // his to ask for, but nobody
		"/api/users/%6dine":                http.StatusNotFound,
		"/api/users/mine/":                 http.StatusNotFound,
		"/api/users/mine/tokens":           http.StatusNotFound,
		"/api/users/+":                     http.StatusForbidden, // a wildcard asked for is no wildcard
		"/api/users/%23":                   http.StatusForbidden,
		"/api/users/":                      http.StatusOK,
		"/api/%75sers":                     http.StatusOK,
		"/api/users/...":                   http.StatusForbidden,
		"/api/users/" + mine:               http.StatusForbidden,
		"/API/users":                       http.StatusNotFound,
		"/api/users/mine;x=/" + bob:        http.StatusNotFound,
		"/api/users;x":                     http.StatusNotFound,
		"http://other.example/api/users/":  http.StatusOK, // the form for proxies
		"http://other.example//api/users/": http.StatusBadRequest,
	} {
		if a := w.as(token, "GET", path, ""); a.status != want {
			t.Errorf("%q: got %d %s, want %d", path, a.status, a.body, want)
		}
	}
}

// What a method may be called does not change what is judged.
func TestMethodTricks(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.user("bob-1")
	reader := w.token("reader", "read /api/#")
	for _, headers := range [][]string{
		{"X-HTTP-Method-Override", "DELETE"},
		{"X-Method-Override", "DELETE"},
		{"X-HTTP-Method", "DELETE"},
		{"X-Original-URL", "/api/login"},
		{"X-Rewrite-URL", "/api/login"},
	} {
		w.as(reader, "GET", "/api/users/"+bob+"?_method=DELETE", "", headers...)
		w.must(http.StatusOK, "GET", "/api/users/"+bob, "")
		if a := w.as(reader, "DELETE", "/api/users/"+bob, "", headers...); a.status != http.StatusForbidden {
			t.Errorf("%v: got %d", headers, a.status)
		}
	}
	for _, method := range []string{"get", "Delete", "FOO"} {
		if a := w.do(method, "/api/users/"+bob, ""); a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: got %d", method, a.status)
		}
	}
	w.must(http.StatusOK, "GET", "/api/users/"+bob, "")
}

// Rule 8 over HTTP: nobody climbs by what he may change.
func TestNoLadder(t *testing.T) {
	w := newWorld(t, nil)
	admin := fields(t, w.must(http.StatusOK, "GET", "/api/session", "").body)["user"].(map[string]any)["id"].(string)
	adminRole, weakRole := w.roleID("connectware-admin"), w.roleID("minimum-access")
	operator := w.token("operator", "readWrite /api/users/#", "readWrite /api/roles/#", "mqtt read site1/#")
	me := fields(t, w.as(operator, "GET", "/api/session", "").body)["user"].(map[string]any)
	mine := me["roles"].([]any)[0].(string)
	strong := w.user("strong", "read /api/changes/#")
	certificate := `{"fingerprint": "` + fingerprint + `"}`
	const beyond = `"permissions": [{"resource": "site2/#", "operation": "read", "context": "mqtt"}]`
	const within = `"permissions": [{"resource": "site1/a", "operation": "read", "context": "mqtt"}]`

	for _, r := range []struct{ name, endpoint, body string }{
		{"make a user with the admin's role", "POST /api/users", `{"username": "new-1", "identityProvider": "local", "roles": ["` + adminRole + `"]}`},
		{"make a user with a right he lacks", "POST /api/users", `{"username": "new-2", "identityProvider": "local", ` + beyond + `}`},
		{"make a role with a right he lacks", "POST /api/roles", `{"name": "new-3", "isShared": true, ` + beyond + `}`},
		{"take the admin's role himself", "POST /api/users/" + me["id"].(string) + "/roles", `{"roleId": "` + adminRole + `"}`},
		{"take it by changing himself", "PUT /api/users/" + me["id"].(string), `{"roles": ["` + adminRole + `"]}`},
		{"widen his own role", "POST /api/roles/" + mine + "/permissions", `{"resource": "#", "operation": "readWrite", "context": "mqtt"}`},
		{"set the admin's password", "PUT /api/users/" + admin, `{"password": "hunter2-hunter2"}`},
		{"disable the admin", "PUT /api/users/" + admin, `{"isActive": false}`},
		{"rename the admin", "PUT /api/users/" + admin, `{"username": "root"}`},
		{"delete the admin", "DELETE /api/users/" + admin, ""},
		{"end the admin's tokens", "DELETE /api/users/" + admin + "/tokens", ""},
		{"give the admin a certificate", "POST /api/users/" + admin + "/certificates", certificate},
		{"take the admin's role from him", "DELETE /api/users/" + admin + "/roles", `{"roleId": "` + adminRole + `"}`},
		{"rename the admin's role", "PUT /api/roles/" + adminRole, `{"name": "other"}`},
		{"map a group to the admin's role", "PUT /api/roles/" + adminRole, `{"name": "connectware-admin", "ldapGroupDn": "cn=me"}`},
		{"set the password of a user with a right he lacks", "PUT /api/users/" + strong, `{"password": "hunter2-hunter2"}`},
		{"delete a user with a right he lacks", "DELETE /api/users/" + strong, ""},
		{"give a right he lacks through another role", "POST /api/roles/" + weakRole + "/permissions", `{"resource": "/api/changes/#", "operation": "read", "context": "http"}`},
	} {
		method, path, _ := strings.Cut(r.endpoint, " ")
		if a := w.as(operator, method, path, r.body); a.status != http.StatusForbidden && a.status != http.StatusConflict {
			t.Errorf("an operator may %s: got %d %s", r.name, a.status, a.body)
		}
	}
	a := w.as(operator, "POST", "/api/users", `{"username": "new-4", "identityProvider": "local", `+within+`}`)
	if a.status != http.StatusCreated {
		t.Fatalf("he may not even give what he has: got %d %s", a.status, a.body)
	}
	if a := w.as(operator, "DELETE", "/api/users/"+idOf(t, a), ""); a.status != http.StatusOK {
		t.Errorf("he may not delete it again: got %d %s", a.status, a.body)
	}
	w.must(http.StatusOK, "GET", "/api/users/"+admin, "")
}

func TestTheLastDoorStaysOpen(t *testing.T) {
	w := newWorld(t, nil)
	adminRole := w.roleID("connectware-admin")
	me := fields(t, w.must(http.StatusOK, "GET", "/api/session", "").body)["user"].(map[string]any)["id"].(string)
	var role struct{ Permissions []struct{ ID string } }
	w.must(http.StatusOK, "GET", "/api/roles/"+adminRole, "").decodeLoosely(t, &role)
	for _, r := range []struct{ name, endpoint, body string }{
		{"his own user", "DELETE /api/users/" + me, ""},
		{"disable the last one", "PUT /api/users/" + me, `{"isActive": false}`},
		{"take his role", "PUT /api/users/" + me, `{"roles": []}`},
		{"take his role away", "DELETE /api/users/" + me + "/roles", `{"roleId": "` + adminRole + `"}`},
		{"move him to a directory", "PUT /api/users/" + me, `{"identityProvider": "ldap"}`},
		{"take his way to sign in", "PUT /api/users/" + me, `{"grantTypes": [{"method": "certificate"}]}`},
		{"take a right from his role", "DELETE /api/roles/" + adminRole + "/permissions/" + role.Permissions[0].ID, ""},
		{"narrow a right of his role", "PUT /api/roles/" + adminRole + "/permissions/" + role.Permissions[0].ID, `{"operation": "read"}`},
		{"add a deny to his role", "POST /api/roles/" + adminRole + "/permissions", `{"resource": "/api/x", "operation": "read", "context": "http", "effect": "deny"}`},
	} {
		method, path, _ := strings.Cut(r.endpoint, " ")
		if a := w.do(method, path, r.body); a.status != http.StatusConflict {
			t.Errorf("%s: got %d %s, want 409", r.name, a.status, a.body)
		}
	}
	if other := w.login("admin", adminPassword); other == "" {
		t.Error("the admin can't sign in any more")
	}
	// With a second holder of all rights, the first may go.
	second := idOf(t, w.must(http.StatusCreated, "POST", "/api/users", `{"username": "second", "identityProvider": "local", "password": "password-2", "roles": ["`+adminRole+`"]}`))
	w.must(http.StatusOK, "PUT", "/api/users/"+second, `{"enforceMFAEnrollment": false}`)
	if a := w.as(w.login("second", "password-2"), "DELETE", "/api/users/"+me, ""); a.status != http.StatusOK {
		t.Errorf("got %d %s", a.status, a.body)
	}
}
