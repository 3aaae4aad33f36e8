package v1_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi/internal/apitest"
)

func TestRightsOnPaths(t *testing.T) {
	api := apitest.New(t)
	bob, eve := api.User("bob-1"), api.User("eve-1")
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
			token := api.Token(fmt.Sprintf("user-%d", i), tt.permissions...)
			for _, endpoint := range tt.allowed {
				method, path, _ := strings.Cut(endpoint, " ")
				if a := api.As(token, method, path, ""); a.Status == http.StatusForbidden || a.Status == http.StatusUnauthorized {
					t.Errorf("%s: got %d %s", endpoint, a.Status, a.Body)
				}
			}
			for _, endpoint := range tt.denied {
				method, path, _ := strings.Cut(endpoint, " ")
				if a := api.As(token, method, path, ""); a.Status != http.StatusForbidden {
					t.Errorf("%s: got %d %s, want 403", endpoint, a.Status, a.Body)
				}
			}
		})
	}
}

// Nobody gains rights by what they may change.
func TestNoEscalation(t *testing.T) {
	api := apitest.New(t)
	admin := apitest.Fields(t, api.Must(http.StatusOK, "GET", "/api/session", "").Body)["user"].(map[string]any)["id"].(string)
	adminRole, weakRole := api.RoleID("connectware-admin"), api.RoleID("minimum-access")
	operator := api.Token("operator", "readWrite /api/users/#", "readWrite /api/roles/#", "mqtt read site1/#")
	me := apitest.Fields(t, api.As(operator, "GET", "/api/session", "").Body)["user"].(map[string]any)
	mine := me["roles"].([]any)[0].(string)
	strong := api.User("strong", "read /api/changes/#")
	certificate := `{"fingerprint": "` + fingerprint + `"}`
	const beyond = `"permissions": [{"resource": "site2/#", "operation": "read", "context": "mqtt"}]`
	const within = `"permissions": [{"resource": "site1/a", "operation": "read", "context": "mqtt"}]`

	for _, r := range []struct{ name, endpoint, body string }{
		{"make a user with the admin's role", "POST /api/users", `{"username": "new-1", "identityProvider": "local", "roles": ["` + adminRole + `"]}`},
		{"make a user with a right they lack", "POST /api/users", `{"username": "new-2", "identityProvider": "local", ` + beyond + `}`},
		{"make a role with a right they lack", "POST /api/roles", `{"name": "new-3", "isShared": true, ` + beyond + `}`},
		{"take the admin's role for themselves", "POST /api/users/" + me["id"].(string) + "/roles", `{"roleId": "` + adminRole + `"}`},
		{"take it by changing themselves", "PUT /api/users/" + me["id"].(string), `{"roles": ["` + adminRole + `"]}`},
		{"widen their own role", "POST /api/roles/" + mine + "/permissions", `{"resource": "#", "operation": "readWrite", "context": "mqtt"}`},
		{"set the admin's password", "PUT /api/users/" + admin, `{"password": "hunter2-hunter2"}`},
		{"disable the admin", "PUT /api/users/" + admin, `{"isActive": false}`},
		{"rename the admin", "PUT /api/users/" + admin, `{"username": "root"}`},
		{"delete the admin", "DELETE /api/users/" + admin, ""},
		{"end the admin's tokens", "DELETE /api/users/" + admin + "/tokens", ""},
		{"give the admin a certificate", "POST /api/users/" + admin + "/certificates", certificate},
		{"take the admin's role from the admin", "DELETE /api/users/" + admin + "/roles", `{"roleId": "` + adminRole + `"}`},
		{"rename the admin's role", "PUT /api/roles/" + adminRole, `{"name": "other"}`},
		{"set the password of a user with a right they lack", "PUT /api/users/" + strong, `{"password": "hunter2-hunter2"}`},
		{"delete a user with a right they lack", "DELETE /api/users/" + strong, ""},
		{"give a right they lack through another role", "POST /api/roles/" + weakRole + "/permissions", `{"resource": "/api/changes/#", "operation": "read", "context": "http"}`},
	} {
		method, path, _ := strings.Cut(r.endpoint, " ")
		if a := api.As(operator, method, path, r.body); a.Status != http.StatusForbidden && a.Status != http.StatusConflict {
			t.Errorf("an operator may %s: got %d %s", r.name, a.Status, a.Body)
		}
	}
	a := api.As(operator, "POST", "/api/users", `{"username": "new-4", "identityProvider": "local", `+within+`}`)
	if a.Status != http.StatusCreated {
		t.Fatalf("they may not even give what they have: got %d %s", a.Status, a.Body)
	}
	if a := api.As(operator, "DELETE", "/api/users/"+apitest.ID(t, a), ""); a.Status != http.StatusOK {
		t.Errorf("they may not delete it again: got %d %s", a.Status, a.Body)
	}
	api.Must(http.StatusOK, "GET", "/api/users/"+admin, "")
}

func TestTheLastDoorStaysOpen(t *testing.T) {
	api := apitest.New(t)
	adminRole := api.RoleID("connectware-admin")
	me := apitest.Fields(t, api.Must(http.StatusOK, "GET", "/api/session", "").Body)["user"].(map[string]any)["id"].(string)
	var role struct{ Permissions []struct{ ID string } }
	api.Must(http.StatusOK, "GET", "/api/roles/"+adminRole, "").DecodeLoosely(t, &role)
	for _, r := range []struct{ name, endpoint, body string }{
		{"delete their own user", "DELETE /api/users/" + me, ""},
		{"disable the last one", "PUT /api/users/" + me, `{"isActive": false}`},
		{"replace the last one's roles", "PUT /api/users/" + me, `{"roles": []}`},
		{"take the last one's role away", "DELETE /api/users/" + me + "/roles", `{"roleId": "` + adminRole + `"}`},
		{"take the last one's way to sign in", "PUT /api/users/" + me, `{"grantTypes": [{"method": "certificate"}]}`},
		{"take a right from the last one's role", "DELETE /api/roles/" + adminRole + "/permissions/" + role.Permissions[0].ID, ""},
		{"narrow a right of the last one's role", "PUT /api/roles/" + adminRole + "/permissions/" + role.Permissions[0].ID, `{"operation": "read"}`},
		{"add a deny to the last one's role", "POST /api/roles/" + adminRole + "/permissions", `{"resource": "/api/x", "operation": "read", "context": "http", "effect": "deny"}`},
	} {
		method, path, _ := strings.Cut(r.endpoint, " ")
		if a := api.Do(method, path, r.body); a.Status != http.StatusConflict {
			t.Errorf("%s: got %d %s, want 409", r.name, a.Status, a.Body)
		}
	}
	if other := api.Login("admin", apitest.AdminPassword); other == "" {
		t.Error("the admin can't sign in any more")
	}
	// With a second holder of all rights, the first may go.
	second := apitest.ID(t, api.Must(http.StatusCreated, "POST", "/api/users", `{"username": "second", "identityProvider": "local", "password": "password-2", "roles": ["`+adminRole+`"]}`))
	api.Must(http.StatusOK, "PUT", "/api/users/"+second, `{"enforceMFAEnrollment": false}`)
	if a := api.As(api.Login("second", "password-2"), "DELETE", "/api/users/"+me, ""); a.Status != http.StatusOK {
		t.Errorf("got %d %s", a.Status, a.Body)
	}
}
