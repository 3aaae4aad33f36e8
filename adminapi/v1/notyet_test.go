package v1_test

import (
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi/internal/apitest"
)

// A setting that would do nothing is refused; the same field is taken while it asks for
// nothing.
func TestSettingsThatDoNothing(t *testing.T) {
	api := apitest.New(t)
	id := api.User("alice")
	role := apitest.ID(t, api.Must(http.StatusCreated, "POST", "/api/roles", `{"name": "ops", "isShared": true}`))
	user := `{"username": "bob", "identityProvider": "local"`
	for _, tt := range []struct{ endpoint, body, field string }{
		{"POST /api/users", `{"username": "bob", "identityProvider": "ldap"}`, "identityProvider"},
		{"POST /api/users", `{"username": "bob", "identityProvider": "msentraid"}`, "identityProvider"},
		{"POST /api/users", user + `, "grantTypes": [{"method": "password"}, {"method": "scram"}]}`, "grantTypes"},
		{"POST /api/users", user + `, "enforceMFAEnrollment": true}`, "enforceMFAEnrollment"},
		{"PUT /api/users/" + id, `{"identityProvider": "ldap"}`, "identityProvider"},
		{"PUT /api/users/" + id, `{"grantTypes": [{"method": "scram"}]}`, "grantTypes"},
		{"PUT /api/users/" + id, `{"enforceMFAEnrollment": true}`, "enforceMFAEnrollment"},
		{"POST /api/roles", `{"name": "r", "isShared": true, "ldapGroupDn": "cn=x"}`, "ldapGroupDn"},
		{"POST /api/roles", `{"name": "r", "isShared": true, "msEntraIdGroupIds": "x"}`, "msEntraIdGroupIds"},
		{"PUT /api/roles/" + role, `{"name": "ops", "ldapGroupDn": "cn=x"}`, "ldapGroupDn"},
		{"PUT /api/roles/" + role, `{"name": "ops", "msEntraIdGroupIds": "x"}`, "msEntraIdGroupIds"},
	} {
		method, path, _ := strings.Cut(tt.endpoint, " ")
		if m := apitest.Message(t, api.Do(method, path, tt.body), http.StatusBadRequest); m != tt.field+": not part of this version" {
			t.Errorf("%s %s: got %q", tt.endpoint, tt.body, m)
		}
	}
	for endpoint, body := range map[string]string{
		"POST /api/users":        user + `, "grantTypes": [], "enforceMFAEnrollment": false}`,
		"PUT /api/users/" + id:   `{"identityProvider": "local", "grantTypes": [{"method": "password"}], "enforceMFAEnrollment": false, "disableMfa": false}`,
		"POST /api/roles":        `{"name": "r", "isShared": true, "ldapGroupDn": "", "msEntraIdGroupIds": ""}`,
		"PUT /api/roles/" + role: `{"name": "ops", "ldapGroupDn": "", "msEntraIdGroupIds": ""}`,
	} {
		method, path, _ := strings.Cut(endpoint, " ")
		if a := api.Do(method, path, body); a.Status/100 != 2 {
			t.Errorf("%s %s: got %d %s", endpoint, body, a.Status, a.Body)
		}
	}
}
