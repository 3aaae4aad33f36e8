package v1_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/apitest"
)

func TestUpdateUser(t *testing.T) {
	api := apitest.New(t)
	id := api.User("alice", "read /api/roles")
	role := api.RoleID("minimum-access")
	before := apitest.Fields(t, api.Must(http.StatusOK, "GET", "/api/users/"+id, "").Body)

	api.Must(http.StatusOK, "PUT", "/api/users/"+id, `{}`)
	api.Must(http.StatusOK, "PUT", "/api/users/"+id, `{"mqttPublishPrefix": null, "roles": null}`)
	after := apitest.Fields(t, api.Must(http.StatusOK, "GET", "/api/users/"+id, "").Body)
	before["updatedAt"], after["updatedAt"] = nil, nil
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("an empty change changed %s", diff)
	}

	a := api.Must(http.StatusOK, "PUT", "/api/users/"+id, `{"username": "bob", "password": "another-one", "isActive": false,
		"mqttPublishPrefix": "p/", "clientIds": ["c-1"], "grantTypes": [{"method": "token"}], "roles": ["`+role+`"], "disableMfa": true, "enforceMFAEnrollment": false}`)
	got := apitest.Fields(t, a.Body)
	for name, want := range map[string]any{
		"username": "bob", "isActive": false, "mqttPublishPrefix": "p/", "clientIds": []any{"c-1"}, "enforceMFAEnrollment": false,
		"grantTypes": []any{map[string]any{"method": "token", "isRequired": false}}, "permissions": before["permissions"],
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if roles := got["roles"].([]any); len(roles) != 2 {
		t.Errorf("roles are %v, want the new one and the private one, which stays", roles)
	}
	got = apitest.Fields(t, api.Must(http.StatusOK, "PUT", "/api/users/"+id, `{"clientIds": [], "grantTypes": [], "identityProvider": "local"}`).Body)
	for _, name := range []string{"clientIds", "grantTypes"} {
		if diff := cmp.Diff([]any{}, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if a := api.Do("PUT", "/api/users/nobody", `{}`); a.Status != http.StatusNotFound {
		t.Errorf("a user that is not there: got %d", a.Status)
	}
}

func TestDeleteUser(t *testing.T) {
	api := apitest.New(t)
	id := api.User("alice")
	if a := api.Must(http.StatusOK, "DELETE", "/api/users/"+id, ""); a.Body != "" {
		t.Errorf("body is %q, want none", a.Body)
	}
	for _, method := range []string{"GET", "DELETE"} {
		apitest.Message(t, api.Do(method, "/api/users/"+id, ""), http.StatusNotFound)
	}
}

func TestChangePassword(t *testing.T) {
	api := apitest.New(t)
	alice := api.Token("alice", "write /api/users/change-password")
	change := func(body string) apitest.Answer {
		return api.As(alice, "PUT", "/api/users/change-password", body)
	}
	for _, tt := range []struct {
		name, body, field string
		status            int
	}{
		{"a wrong current one", `{"password": "wrong", "newPassword": "new-password"}`, "password", http.StatusForbidden},
		{"no current one", `{"newPassword": "new-password"}`, "password", http.StatusForbidden},
		{"no new one", `{"password": "password-of-alice"}`, "newPassword", http.StatusBadRequest},
		{"too short a new one", `{"password": "password-of-alice", "newPassword": "1234"}`, "newPassword", http.StatusBadRequest},
	} {
		if m := apitest.Message(t, change(tt.body), tt.status); !strings.Contains(m, tt.field) || strings.Contains(m, "1234") {
			t.Errorf("%s: message is %q", tt.name, m)
		}
	}
	a := change(`{"password": "password-of-alice", "newPassword": "new-password"}`)
	if a.Status != http.StatusNoContent || a.Body != "" || a.Header.Get("X-Change") == "" {
		t.Errorf("got %d %q, X-Change %q", a.Status, a.Body, a.Header.Get("X-Change"))
	}
	api.Settle()
	if a := api.Send("POST", "/api/login", `{"username": "alice", "password": "password-of-alice"}`, "Content-Type", "application/json"); a.Status != http.StatusUnauthorized {
		t.Errorf("the old password: got %d", a.Status)
	}
	api.Login("alice", "new-password")
}
