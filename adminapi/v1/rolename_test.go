package v1_test

import (
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi/internal/apitest"
)

// Wherever a role is meant, its name will do.
func TestARoleIsMeantByItsNameToo(t *testing.T) {
	api := apitest.New(t)
	const role = "/api/roles/name:line%203%20%2B%20%C3%B6fen"
	const named = `"name:line 3 + öfen"`
	id := apitest.ID(t, api.Must(http.StatusCreated, "POST", "/api/roles", `{"name": "line 3 + öfen", "isShared": true}`))
	for _, path := range []string{role, "/api/roles/name:line 3 + öfen", "/api/roles/name%3Aline%203%20+%20öfen"} {
		if a := api.Must(http.StatusOK, "GET", strings.ReplaceAll(path, " ", "%20"), ""); apitest.ID(t, a) != id {
			t.Errorf("%s is %s", path, a.Body)
		}
	}
	added := api.Must(http.StatusCreated, "POST", role+"/permissions", `{"resource": "a", "operation": "read", "context": "mqtt"}`)
	permission := added.Header.Get("Location")
	api.Must(http.StatusOK, "GET", permission, "")
	api.Must(http.StatusOK, "GET", role+"/permissions", "")
	api.Must(http.StatusOK, "PUT", permission, `{"operation": "write"}`)
	api.Must(http.StatusOK, "DELETE", permission, "")

	holds := func(what string, a apitest.Answer) {
		t.Helper()
		var got struct{ Roles []string }
		if a.DecodeLoosely(t, &got); len(got.Roles) != 1 || got.Roles[0] != id {
			t.Errorf("%s: its roles are %v, want %s", what, got.Roles, id)
		}
	}
	alice := api.Must(http.StatusCreated, "POST", "/api/users", `{"username": "alice", "identityProvider": "local", "roles": [`+named+`]}`)
	holds("a new user", alice)
	user := "/api/users/" + apitest.ID(t, alice)
	api.Must(http.StatusOK, "DELETE", user+"/roles", `{"roleId": `+named+`}`)
	api.Must(http.StatusCreated, "POST", user+"/roles", `{"roleId": `+named+`}`)
	holds("a user that was given it", api.Must(http.StatusOK, "GET", user, ""))
	holds("by its name and its id", api.Must(http.StatusOK, "PUT", user, `{"roles": [`+named+`, "`+id+`"]}`))
	api.Must(http.StatusNoContent, "POST", "/api/client-registry/open", "")
	api.Register(`{"username": "device", "password": "secret-of-it", "context": "a test"}`)
	holds("a device", api.Must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "device", "roles": [`+named+`]}`))

	renamed := api.Must(http.StatusOK, "PUT", role, `{"name": "name:ovens"}`)
	if apitest.ID(t, renamed) != id {
		t.Errorf("renamed is %s", renamed.Body)
	}
	apitest.Message(t, api.Do("GET", role, ""), http.StatusNotFound)
	api.Must(http.StatusOK, "DELETE", "/api/roles/name:name:ovens", "")
}

func TestWhatIsNoRoleIsToldBothWays(t *testing.T) {
	api := apitest.New(t)
	user := "/api/users/" + api.User("alice")
	api.Must(http.StatusNoContent, "POST", "/api/client-registry/open", "")
	api.Register(`{"username": "device", "password": "secret-of-it", "context": "a test"}`)
	for _, ref := range []string{"ops", "name:", "name:ops", "NAME:connectware-admin", "connectware-admin"} {
		for _, tt := range []struct {
			status             int
			method, path, body string
		}{
			{http.StatusNotFound, "GET", "/api/roles/" + ref, ""},
			{http.StatusNotFound, "PUT", "/api/roles/" + ref, `{"name": "x"}`},
			{http.StatusNotFound, "DELETE", "/api/roles/" + ref, ""},
			{http.StatusNotFound, "GET", "/api/roles/" + ref + "/permissions", ""},
			{http.StatusNotFound, "POST", "/api/roles/" + ref + "/permissions", `{"resource": "a", "operation": "read", "context": "mqtt"}`},
			{http.StatusNotFound, "DELETE", "/api/roles/" + ref + "/permissions/x", ""},
			{http.StatusBadRequest, "POST", user + "/roles", `{"roleId": "` + ref + `"}`},
			{http.StatusBadRequest, "DELETE", user + "/roles", `{"roleId": "` + ref + `"}`},
			{http.StatusBadRequest, "PUT", user, `{"roles": ["` + ref + `"]}`},
			{http.StatusBadRequest, "POST", "/api/users", `{"username": "bob", "identityProvider": "local", "roles": ["` + ref + `"]}`},
			{http.StatusBadRequest, "POST", "/api/client-registry/confirm", `{"username": "device", "roles": ["` + ref + `"]}`},
		} {
			message := apitest.Message(t, api.Do(tt.method, tt.path, tt.body), tt.status)
			if !strings.Contains(message, "there is no role "+ref) || !strings.Contains(message, "its id, or name: and its name") {
				t.Errorf("%s %s: %s", tt.method, tt.path, message)
			}
		}
	}
}

// Who may not reach a role by its id does not reach it by its name.
func TestANameIsNoWayRoundAPermission(t *testing.T) {
	api := apitest.New(t)
	ids := make(map[string]string)
	for _, name := range []string{"open", "secret"} {
		ids[name] = apitest.ID(t, api.Must(http.StatusCreated, "POST", "/api/roles", `{"name": "`+name+`", "isShared": true}`))
	}
	token := api.Token("operator", "readWrite /api/roles/#", "http readWrite /api/roles/"+ids["secret"]+"/# deny", "http write /api/roles/"+ids["open"]+" deny")
	const permission = `{"resource": "/api/roles/a", "operation": "read", "context": "http"}`
	for endpoint, body := range map[string]string{
		"GET /api/roles/name:secret":                  "",
		"PUT /api/roles/name:secret":                  `{"name": "other"}`,
		"DELETE /api/roles/name:secret":               "",
		"GET /api/roles/name:secret/permissions":      "",
		"POST /api/roles/name:secret/permissions":     permission,
		"GET /api/roles/name:secret/permissions/x":    "",
		"PUT /api/roles/name:secret/permissions/x":    `{"operation": "write"}`,
		"DELETE /api/roles/name:secret/permissions/x": "",
		"PUT /api/roles/name:open":                    `{"name": "other"}`,
		"DELETE /api/roles/name:open":                 "",
	} {
		method, path, _ := strings.Cut(endpoint, " ")
		message := apitest.Message(t, api.As(token, method, path, body), http.StatusForbidden)
		if message != "you lack the permission for this" {
			t.Errorf("%s: %s", endpoint, message)
		}
	}
	if a := api.As(token, "GET", "/api/roles/name:open", ""); a.Status != http.StatusOK {
		t.Errorf("got %d %s", a.Status, a.Body)
	}
}
