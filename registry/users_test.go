package registry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

func TestCreateUserNamesTheFieldThatIsWrong(t *testing.T) {
	r := registrytest.New(t)
	many := make([]registry.RoleID, registry.MaxRolesPerUser+1)
	for i := range many {
		many[i] = registry.RoleID(strings.Repeat("r", i+1))
	}
	tests := []struct {
		name  string
		edit  func(*registry.UserSpec)
		code  registry.Code
		field registry.Field
	}{
		{"name of two characters", func(n *registry.UserSpec) { n.Username = "ab" }, registry.Invalid, "username"},
		{"name of 256 characters", func(n *registry.UserSpec) { n.Username = strings.Repeat("é", 256) }, registry.Invalid, "username"},
		{"name with a slash", func(n *registry.UserSpec) { n.Username = "a/b/c" }, registry.Invalid, "username"},
		{"name with a wildcard", func(n *registry.UserSpec) { n.Username = "abc+" }, registry.Invalid, "username"},
		{"name with white space", func(n *registry.UserSpec) { n.Username = "a b c" }, registry.Invalid, "username"},
		{"name with NUL", func(n *registry.UserSpec) { n.Username = "abc\x00" }, registry.Invalid, "username"},
		{"name that is no UTF-8", func(n *registry.UserSpec) { n.Username = "abc\xff" }, registry.Invalid, "username"},
		{"name with an invisible character", func(n *registry.UserSpec) { n.Username = "abc\u200b" }, registry.Invalid, "username"},
		{"name of the system", func(n *registry.UserSpec) { n.Username = "__sys-bridge" }, registry.Invalid, "username"},
		{"name beginning with $", func(n *registry.UserSpec) { n.Username = "$SYS" }, registry.Invalid, "username"},
		{"password of four characters", func(n *registry.UserSpec) { n.Password = "four" }, registry.WeakPassword, "password"},
		{"password that is too long", func(n *registry.UserSpec) { n.Password = strings.Repeat("p", 1025) }, registry.Invalid, "password"},
		{"password with NUL", func(n *registry.UserSpec) { n.Password = "pass\x00word" }, registry.Invalid, "password"},
		{"password of an LDAP user", func(n *registry.UserSpec) { n.Password, n.Provider = "secret", registry.ProviderLDAP }, registry.Invalid, "password"},
		{"unknown provider", func(n *registry.UserSpec) { n.Provider = "nis" }, registry.Invalid, "provider"},
		{"prefix with a wildcard", func(n *registry.UserSpec) { n.PublishPrefix = "a/#" }, registry.Invalid, "publishPrefix"},
		{"prefix beginning with $", func(n *registry.UserSpec) { n.PublishPrefix = "$SYS/" }, registry.Invalid, "publishPrefix"},
		{"prefix that is too long", func(n *registry.UserSpec) { n.PublishPrefix = strings.Repeat("p", 513) }, registry.Invalid, "publishPrefix"},
		{"prefix with too many levels", func(n *registry.UserSpec) { n.PublishPrefix = strings.Repeat("p/", 40) }, registry.Invalid, "publishPrefix"},
		{"unknown grant type", func(n *registry.UserSpec) { n.GrantTypes = []registry.GrantType{{Method: "magic"}} }, registry.Invalid, "grantTypes"},
		{"grant type twice", func(n *registry.UserSpec) {
			n.GrantTypes = []registry.GrantType{{Method: "password"}, {Method: "password", Required: true}}
		}, registry.Invalid, "grantTypes"},
		{"fingerprint too short", func(n *registry.UserSpec) { n.Certificates = []registry.FingerprintSpec{{Fingerprint: "ab:cd"}} }, registry.Invalid, "fingerprint"},
		{"client id pattern with #", func(n *registry.UserSpec) { n.ClientIDs = []string{"a#"} }, registry.Invalid, "clientIDs"},
		{"role that does not exist", func(n *registry.UserSpec) { n.Roles = []registry.RoleID{"nope"} }, registry.Invalid, "roles"},
		{"too many roles", func(n *registry.UserSpec) { n.Roles = many }, registry.Invalid, "roles"},
		{"bad permission", func(n *registry.UserSpec) {
			n.Permissions = []registry.PermissionSpec{registrytest.MQTT(acl.Read, "a/#/b")}
		}, registry.Invalid, "permissions[0].resource"},
		{"name taken in another case", func(n *registry.UserSpec) { n.Username = "ADMIN" }, registry.Conflict, "username"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := registry.UserSpec{Username: "gateway", Provider: registry.ProviderLocal, Password: "secret"}
			tt.edit(&n)
			_, _, err := r.Service.CreateUser(t.Context(), r.Admin, n)
			registrytest.WantField(t, tt.name, err, tt.code, tt.field)
			if _, _, detail := registry.Public(err); n.Password != "" && strings.Contains(detail, n.Password) {
				t.Errorf("the message holds the password: %q", detail)
			}
			if _, err := r.Store.UserByName(t.Context(), "gateway"); !errors.Is(err, registry.NotFound) {
				t.Errorf("something was stored: %v", err)
			}
		})
	}
}

func TestAUserKnowsOnlyTheTableOfTheContract(t *testing.T) {
	r := registrytest.New(t)
	u, n, err := r.Service.CreateUser(t.Context(), r.Admin, registry.UserSpec{Username: "bare", Provider: registry.ProviderLocal})
	if err != nil || n == 0 {
		t.Fatalf("number %d, %v", n, err)
	}
	if len(u.GrantTypes) != 0 {
		t.Errorf("grant types %v, want none: it has no credential", u.GrantTypes)
	}
	_, err = r.Login("bare", "")
	registrytest.WantCode(t, "sign-in without a credential", err, registry.Unauthenticated)
	_, _, err = r.Service.UpdateUser(t.Context(), r.Admin, u.ID, registry.UserUpdate{Password: new("now-it-has")})
	registrytest.WantCode(t, "set a password", err, "")
	_, err = r.Login("bare", "now-it-has")
	registrytest.WantCode(t, "sign-in with it", err, "")
}

func TestAUsersOwnPermissionsLiveInAPrivateRole(t *testing.T) {
	r := registrytest.New(t)
	u, _, err := r.Service.CreateUser(t.Context(), r.Admin, registry.UserSpec{
		Username: "gateway", Provider: registry.ProviderLocal, Password: "secret",
		Permissions: []registry.PermissionSpec{registrytest.MQTT(acl.Write, "own/#")},
	})
	if err != nil {
		t.Fatal(err)
	}
	roles, err := r.Service.RolesOf(t.Context(), u.ID)
	if err != nil || len(roles) != 1 {
		t.Fatalf("%d roles, %v: want the private one", len(roles), err)
	}
	private := roles[0]
	if private.Shared || !private.AutoGenerated || private.Owner != u.ID {
		t.Errorf("the role is %+v", private)
	}
	other := r.User("other")
	_, err = r.Service.AssignRole(t.Context(), r.Admin, other.ID, private.ID)
	registrytest.WantCode(t, "give it to another", err, registry.Conflict)
	_, err = r.Service.TakeRole(t.Context(), r.Admin, u.ID, private.ID)
	registrytest.WantCode(t, "take it away", err, registry.Conflict)
	_, _, err = r.Service.UpdateRole(t.Context(), r.Admin, private.ID, registry.RoleUpdate{Shared: new(true)})
	registrytest.WantCode(t, "share it", err, registry.Conflict)

	after, _, err := r.Service.UpdateUser(t.Context(), r.Admin, u.ID, registry.UserUpdate{Roles: &[]registry.RoleID{}})
	registrytest.WantCode(t, "replace the roles", err, "")
	if !slices.Contains(after.Roles, private.ID) {
		t.Error("replacing the roles took the private one")
	}
	_, err = r.Service.DeleteUser(t.Context(), r.Admin, u.ID)
	registrytest.WantCode(t, "delete the user", err, "")
	_, err = r.Service.Role(t.Context(), private.ID)
	registrytest.WantCode(t, "the private role afterwards", err, registry.NotFound)
}

func TestNobodyDeletesTheirOwnUser(t *testing.T) {
	r := registrytest.New(t)
	r.User("second", r.AdminRole())
	_, err := r.Service.DeleteUser(t.Context(), r.Admin, r.Admin.ID)
	registrytest.WantCode(t, "own user", err, registry.Conflict)
}

func TestACallerWithoutAnAccountChangesNothing(t *testing.T) {
	r := registrytest.New(t)
	r.User("second", r.AdminRole())
	second := r.CallerNamed("second")
	if _, err := r.Service.DeleteUser(t.Context(), r.Admin, second.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Service.CreateRole(t.Context(), second, registry.RoleSpec{Name: "late"})
	registrytest.WantCode(t, "create a role", err, registry.Unauthenticated)
}

func TestEveryChangeIsAuditedWithoutSecrets(t *testing.T) {
	r := registrytest.New(t)
	u := r.User("gateway", r.Role("some", registrytest.MQTT(acl.Read, "a")))
	if _, err := r.Service.DeleteUser(t.Context(), r.Admin, u.ID); err != nil {
		t.Fatal(err)
	}
	entries, err := r.Store.Audit(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range entries {
		actions = append(actions, string(e.Action))
		registrytest.WantNoSecret(t, e)
		if e.Change == 0 || e.Time.IsZero() || e.Actor.Name == "" || e.Target.ID == "" || e.Target.Name == "" {
			t.Errorf("an entry is not complete: %+v", e)
		}
	}
	if got := strings.Join(actions, " "); got != "user.delete user.create role.create user.create role.create role.create authority.create" {
		t.Errorf("audited, the newest first: %s", got)
	}
}
