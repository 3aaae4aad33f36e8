package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

func TestBootstrapMakesTheTwoRolesAndAdminOnce(t *testing.T) {
	r := newRig(t)
	if made, err := r.service.Bootstrap(t.Context(), "another-secret"); err != nil || made {
		t.Errorf("second bootstrap: %v, %v: want nothing done", made, err)
	}
	login, err := r.login("admin", "admin-secret")
	if err != nil {
		t.Fatal(err)
	}
	if !login.Subject.Principal().Policy.AllRights() {
		t.Error("admin does not have all rights")
	}
	role, err := r.store.RoleByName(t.Context(), registry.RoleMinimumAccess)
	if err != nil || len(role.Permissions) != 4 {
		t.Errorf("minimum-access: %d permissions, %v: want 4", len(role.Permissions), err)
	}
	if ok, err := r.service.Bootstrapped(t.Context()); err != nil || !ok {
		t.Errorf("bootstrapped: %v, %v", ok, err)
	}
}

func TestBootstrapRefusesAWeakPassword(t *testing.T) {
	r := newRig(t)
	_, err := r.service.Bootstrap(t.Context(), "four")
	wantCode(t, "four characters", err, registry.WeakPassword)
}

func TestCreateUserNamesTheFieldThatIsWrong(t *testing.T) {
	r := newRig(t)
	many := make([]registry.RoleID, registry.MaxRolesPerUser+1)
	for i := range many {
		many[i] = registry.RoleID(strings.Repeat("r", i+1))
	}
	tests := []struct {
		name  string
		edit  func(*registry.UserSpec)
		code  registry.Code
		field string
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
		{"unknown provider", func(n *registry.UserSpec) { n.Provider = "nis" }, registry.Invalid, "identityProvider"},
		{"prefix with a wildcard", func(n *registry.UserSpec) { n.PublishPrefix = "a/#" }, registry.Invalid, "mqttPublishPrefix"},
		{"prefix beginning with $", func(n *registry.UserSpec) { n.PublishPrefix = "$SYS/" }, registry.Invalid, "mqttPublishPrefix"},
		{"prefix that is too long", func(n *registry.UserSpec) { n.PublishPrefix = strings.Repeat("p", 513) }, registry.Invalid, "mqttPublishPrefix"},
		{"prefix with too many levels", func(n *registry.UserSpec) { n.PublishPrefix = strings.Repeat("p/", 40) }, registry.Invalid, "mqttPublishPrefix"},
		{"unknown grant type", func(n *registry.UserSpec) { n.GrantTypes = []registry.GrantType{{Method: "magic"}} }, registry.Invalid, "grantTypes"},
		{"grant type twice", func(n *registry.UserSpec) {
			n.GrantTypes = []registry.GrantType{{Method: "password"}, {Method: "password", Required: true}}
		}, registry.Invalid, "grantTypes"},
		{"fingerprint too short", func(n *registry.UserSpec) { n.Certificates = []registry.FingerprintSpec{{Fingerprint: "ab:cd"}} }, registry.Invalid, "fingerprint"},
		{"client id pattern with #", func(n *registry.UserSpec) { n.ClientIDs = []string{"a#"} }, registry.Invalid, "clientIds"},
		{"role that does not exist", func(n *registry.UserSpec) { n.Roles = []registry.RoleID{"nope"} }, registry.Invalid, "roles"},
		{"too many roles", func(n *registry.UserSpec) { n.Roles = many }, registry.Invalid, "roles"},
		{"bad permission", func(n *registry.UserSpec) { n.Permissions = []registry.PermissionSpec{mqtt(acl.Read, "a/#/b")} }, registry.Invalid, "resource"},
		{"name taken in another case", func(n *registry.UserSpec) { n.Username = "ADMIN" }, registry.Conflict, "username"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := registry.UserSpec{Username: "gateway", Provider: registry.ProviderLocal, Password: "secret"}
			tt.edit(&n)
			_, _, err := r.service.CreateUser(t.Context(), r.admin, n)
			wantField(t, tt.name, err, tt.code, tt.field)
			if _, _, detail := registry.Public(err); n.Password != "" && strings.Contains(detail, n.Password) {
				t.Errorf("the message holds the password: %q", detail)
			}
			if _, err := r.store.UserByName(t.Context(), "gateway"); !errors.Is(err, registry.NotFound) {
				t.Errorf("something was stored: %v", err)
			}
		})
	}
}

func TestAUserKnowsOnlyTheTableOfTheContract(t *testing.T) {
	r := newRig(t)
	u, n, err := r.service.CreateUser(t.Context(), r.admin, registry.UserSpec{Username: "bare", Provider: registry.ProviderLocal})
	if err != nil || n == 0 {
		t.Fatalf("number %d, %v", n, err)
	}
	if len(u.GrantTypes) != 0 {
		t.Errorf("grant types %v, want none: it has no credential", u.GrantTypes)
	}
	_, err = r.login("bare", "")
	wantCode(t, "sign-in without a credential", err, registry.Unauthenticated)
	_, _, err = r.service.UpdateUser(t.Context(), r.admin, u.ID, registry.UserUpdate{Password: ptr("now-it-has")})
	wantCode(t, "set a password", err, "")
	_, err = r.login("bare", "now-it-has")
	wantCode(t, "sign-in with it", err, "")
}

func TestAUsersOwnPermissionsLiveInAPrivateRole(t *testing.T) {
	r := newRig(t)
	u, _, err := r.service.CreateUser(t.Context(), r.admin, registry.UserSpec{
		Username: "gateway", Provider: registry.ProviderLocal, Password: "secret",
		Permissions: []registry.PermissionSpec{mqtt(acl.Write, "own/#")},
	})
	if err != nil {
		t.Fatal(err)
	}
	roles, err := r.service.RolesOf(t.Context(), u.ID)
	if err != nil || len(roles) != 1 {
		t.Fatalf("%d roles, %v: want the private one", len(roles), err)
	}
	private := roles[0]
	if private.Shared || !private.AutoGenerated || private.Owner != u.ID {
		t.Errorf("the role is %+v", private)
	}
	other := r.user("other")
	_, err = r.service.AssignRole(t.Context(), r.admin, other.ID, private.ID)
	wantCode(t, "give it to another", err, registry.Conflict)
	_, err = r.service.TakeRole(t.Context(), r.admin, u.ID, private.ID)
	wantCode(t, "take it away", err, registry.Conflict)
	_, _, err = r.service.UpdateRole(t.Context(), r.admin, private.ID, registry.RoleUpdate{Shared: ptr(true)})
	wantCode(t, "share it", err, registry.Conflict)

	after, _, err := r.service.UpdateUser(t.Context(), r.admin, u.ID, registry.UserUpdate{Roles: &[]registry.RoleID{}})
	wantCode(t, "replace the roles", err, "")
	if !hasRole(after, private.ID) {
		t.Error("replacing the roles took the private one")
	}
	_, err = r.service.DeleteUser(t.Context(), r.admin, u.ID)
	wantCode(t, "delete the user", err, "")
	_, err = r.service.Role(t.Context(), private.ID)
	wantCode(t, "the private role afterwards", err, registry.NotFound)
}

func TestARoleThatIsNotSharedHasOneUser(t *testing.T) {
	r := newRig(t)
	role, _, err := r.service.CreateRole(t.Context(), r.admin, registry.RoleSpec{Name: "single"})
	if err != nil {
		t.Fatal(err)
	}
	one, two := r.user("one"), r.user("two")
	_, err = r.service.AssignRole(t.Context(), r.admin, one.ID, role.ID)
	wantCode(t, "first user", err, "")
	_, err = r.service.AssignRole(t.Context(), r.admin, one.ID, role.ID)
	wantCode(t, "first user again", err, "")
	_, err = r.service.AssignRole(t.Context(), r.admin, two.ID, role.ID)
	wantCode(t, "second user", err, registry.Conflict)
	shared := r.role("shared")
	for _, u := range []registry.User{one, two} {
		_, err := r.service.AssignRole(t.Context(), r.admin, u.ID, shared)
		wantCode(t, "shared role", err, "")
	}
	_, _, err = r.service.UpdateRole(t.Context(), r.admin, shared, registry.RoleUpdate{Shared: ptr(false)})
	wantCode(t, "stop sharing with two users", err, registry.Conflict)
}

func TestDefaultRolesStay(t *testing.T) {
	r := newRig(t)
	_, err := r.service.DeleteRole(t.Context(), r.admin, r.adminRole())
	wantCode(t, "delete", err, registry.Conflict)
	_, _, err = r.service.UpdateRole(t.Context(), r.admin, r.adminRole(), registry.RoleUpdate{Name: ptr("boss")})
	wantCode(t, "rename", err, registry.Conflict)
}

func TestTheLastAdminStays(t *testing.T) {
	r := newRig(t)
	admin := r.admin.ID
	role, err := r.store.Role(t.Context(), r.adminRole())
	if err != nil {
		t.Fatal(err)
	}
	system := registry.System("test") // even the program itself can't
	tests := []struct {
		name string
		do   func() error
	}{
		{"deleted", func() error { _, err := r.service.DeleteUser(t.Context(), system, admin); return err }},
		{"disabled", func() error {
			_, _, err := r.service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{Active: ptr(false)})
			return err
		}},
		{"moved to a directory", func() error {
			_, _, err := r.service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{Provider: ptr(registry.ProviderLDAP)})
			return err
		}},
		{"without its role", func() error { _, err := r.service.TakeRole(t.Context(), system, admin, role.ID); return err }},
		{"with no roles", func() error {
			_, _, err := r.service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{Roles: &[]registry.RoleID{}})
			return err
		}},
		{"without the password grant", func() error {
			_, _, err := r.service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{GrantTypes: &[]registry.GrantType{{Method: "certificate"}}})
			return err
		}},
		{"made to show a certificate too", func() error {
			_, _, err := r.service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{
				GrantTypes: &[]registry.GrantType{{Method: "password"}, {Method: "certificate", Required: true}},
			})
			return err
		}},
		{"its role without a permission", func() error {
			_, err := r.service.DeletePermission(t.Context(), system, role.ID, role.Permissions[0].ID)
			return err
		}},
		{"its role with a deny", func() error {
			_, _, err := r.service.AddPermission(t.Context(), system, role.ID, deny(mqtt(acl.Read, "secret/#")))
			return err
		}},
		{"its role narrowed", func() error {
			for _, p := range role.Permissions {
				if p.Resource == "#" {
					_, _, err := r.service.UpdatePermission(t.Context(), system, role.ID, p.ID, registry.PermissionUpdate{Resource: ptr("plant/#")})
					return err
				}
			}
			return nil
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantCode(t, tt.name, tt.do(), registry.LastAdmin)
			login, err := r.login("admin", "admin-secret")
			if err != nil || !login.Subject.Principal().Policy.AllRights() {
				t.Errorf("admin afterwards: %v", err)
			}
		})
	}
	second := r.user("second", role.ID)
	_, _, err = r.service.UpdateUser(t.Context(), r.admin, admin, registry.UserUpdate{Active: ptr(false)})
	wantCode(t, "disabled beside a second one", err, "")
	_, err = r.service.DeleteUser(t.Context(), system, second.ID)
	wantCode(t, "delete the second, the first being disabled", err, registry.LastAdmin)
}

func TestNobodyDeletesHimself(t *testing.T) {
	r := newRig(t)
	r.user("second", r.adminRole())
	_, err := r.service.DeleteUser(t.Context(), r.admin, r.admin.ID)
	wantCode(t, "own user", err, registry.Conflict)
}

// TestNoLadder has an operator who may manage users and roles and has the rights
// of one plant: whatever he does, nobody gets more than that through him.
func TestNoLadder(t *testing.T) {
	r := newRig(t)
	opRole := r.role("operators",
		http(acl.ReadWrite, "/api/users/#"), http(acl.ReadWrite, "/api/roles/#"),
		mqtt(acl.ReadWrite, "plant/#"), deny(mqtt(acl.ReadWrite, "plant/safety/#")))
	r.user("operator", opRole)
	operator := r.callerNamed("operator")
	within := r.role("within", mqtt(acl.Write, "plant/line1/#"))
	beyond := r.role("beyond", mqtt(acl.Write, "offices/#"))
	forbidden := r.role("forbidden", mqtt(acl.Read, "plant/safety/x"))
	overlapping := r.role("overlapping", mqtt(acl.Read, "plant/+/x"))
	restricted := r.role("restricted", mqtt(acl.Read, "plant/line2/#"), deny(mqtt(acl.Read, "plant/line2/secret")))
	fenced := r.role("fenced", deny(mqtt(acl.Read, "offices/#")))

	device := r.user("device", within)
	boss := r.user("boss", r.adminRole())
	clerk := r.user("clerk", beyond)
	visitor := r.user("visitor", fenced)
	svc, ctx := r.service, t.Context()
	permission := func(role registry.RoleID, i int) registry.PermissionID {
		got, err := r.store.Role(ctx, role)
		if err != nil {
			t.Fatal(err)
		}
		return got.Permissions[i].ID
	}

	tests := []struct {
		name string
		do   func() error
		code registry.Code
	}{
		{"makes a user within his rights", func() error {
			_, _, err := svc.CreateUser(ctx, operator, registry.UserSpec{Username: "dev2", Provider: "local", Roles: []registry.RoleID{within}})
			return err
		}, ""},
		{"makes a user with rights beyond", func() error {
			_, _, err := svc.CreateUser(ctx, operator, registry.UserSpec{Username: "dev3", Provider: "local", Roles: []registry.RoleID{beyond}})
			return err
		}, registry.Forbidden},
		{"makes a user with permissions of its own beyond", func() error {
			_, _, err := svc.CreateUser(ctx, operator, registry.UserSpec{Username: "dev4", Provider: "local", Permissions: []registry.PermissionSpec{http(acl.Read, "/api/#")}})
			return err
		}, registry.Forbidden},
		{"gives what is denied to himself", func() error { _, err := svc.AssignRole(ctx, operator, device.ID, forbidden); return err }, registry.Forbidden},
		{"gives what overlaps his deny", func() error { _, err := svc.AssignRole(ctx, operator, device.ID, overlapping); return err }, registry.Forbidden},
		{"gives what he has, with a deny within it", func() error { _, err := svc.AssignRole(ctx, operator, device.ID, restricted); return err }, ""},
		{"gives himself more", func() error { _, err := svc.AssignRole(ctx, operator, operator.ID, beyond); return err }, registry.Forbidden},
		{"sets the password of one above him", func() error {
			_, _, err := svc.UpdateUser(ctx, operator, boss.ID, registry.UserUpdate{Password: ptr("mine-now")})
			return err
		}, registry.Forbidden},
		{"sets the password of one beside him", func() error {
			_, _, err := svc.UpdateUser(ctx, operator, clerk.ID, registry.UserUpdate{Password: ptr("mine-now")})
			return err
		}, registry.Forbidden},
		{"deletes one above him", func() error { _, err := svc.DeleteUser(ctx, operator, boss.ID); return err }, registry.Forbidden},
		{"ends the tokens of one above him", func() error { _, err := svc.DeleteTokens(ctx, operator, boss.ID); return err }, registry.Forbidden},
		{"registers a certificate for one above him", func() error {
			_, err := svc.AddFingerprint(ctx, operator, boss.ID, registry.FingerprintSpec{Fingerprint: strings.Repeat("ab", 32)})
			return err
		}, registry.Forbidden},
		{"disables one above him", func() error {
			_, _, err := svc.UpdateUser(ctx, operator, boss.ID, registry.UserUpdate{Active: ptr(false)})
			return err
		}, registry.Forbidden},
		{"lifts a deny that he could not grant", func() error { _, err := svc.TakeRole(ctx, operator, visitor.ID, fenced); return err }, registry.Forbidden},
		{"lifts his own deny", func() error {
			_, err := svc.DeletePermission(ctx, operator, opRole, permission(opRole, 3))
			return err
		}, registry.Forbidden},
		{"adds a right beyond to a role", func() error {
			_, _, err := svc.AddPermission(ctx, operator, within, mqtt(acl.Read, "#"))
			return err
		}, registry.Forbidden},
		{"widens a permission", func() error {
			_, _, err := svc.UpdatePermission(ctx, operator, within, permission(within, 0), registry.PermissionUpdate{Resource: ptr("#")})
			return err
		}, registry.Forbidden},
		{"turns a foreign permission into one of his", func() error {
			_, _, err := svc.UpdatePermission(ctx, operator, beyond, permission(beyond, 0), registry.PermissionUpdate{Resource: ptr("plant/a")})
			return err
		}, registry.Forbidden},
		{"moves a right to the http context", func() error {
			_, _, err := svc.UpdatePermission(ctx, operator, within, permission(within, 0), registry.PermissionUpdate{Context: ptr(acl.HTTP), Resource: ptr("/#")})
			return err
		}, registry.Forbidden},
		{"maps a group to a role beyond", func() error {
			_, _, err := svc.UpdateRole(ctx, operator, beyond, registry.RoleUpdate{LDAPGroupDN: ptr("cn=all")})
			return err
		}, registry.Forbidden},
		{"deletes a role beyond", func() error { _, err := svc.DeleteRole(ctx, operator, beyond); return err }, registry.Forbidden},
		{"makes a role beyond", func() error {
			_, _, err := svc.CreateRole(ctx, operator, registry.RoleSpec{Name: "sly", Shared: true, Permissions: []registry.PermissionSpec{mqtt(acl.Read, "$SYS/#")}})
			return err
		}, registry.Forbidden},
		{"adds a right within to a role", func() error {
			_, _, err := svc.AddPermission(ctx, operator, within, mqtt(acl.Read, "plant/line1/+"))
			return err
		}, ""},
		{"grants a placeholder that his wildcard covers", func() error {
			_, _, err := svc.AddPermission(ctx, operator, within, mqtt(acl.Read, "plant/line1/${username}"))
			return err
		}, ""},
		{"changes the prefix of a device within", func() error {
			_, _, err := svc.UpdateUser(ctx, operator, device.ID, registry.UserUpdate{PublishPrefix: ptr("plant/")})
			return err
		}, ""},
		{"deletes a role within", func() error { _, err := svc.DeleteRole(ctx, operator, within); return err }, ""},
		{"deletes a device within", func() error { _, err := svc.DeleteUser(ctx, operator, device.ID); return err }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantCode(t, tt.name, tt.do(), tt.code) })
	}
}

func TestACallerWhoLostHisAccountChangesNothing(t *testing.T) {
	r := newRig(t)
	r.user("second", r.adminRole())
	second := r.callerNamed("second")
	if _, err := r.service.DeleteUser(t.Context(), r.admin, second.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.service.CreateRole(t.Context(), second, registry.RoleSpec{Name: "late"})
	wantCode(t, "create a role", err, registry.Unauthenticated)
}

func TestEveryChangeIsAuditedWithoutSecrets(t *testing.T) {
	r := newRig(t)
	u := r.user("gateway", r.role("some", mqtt(acl.Read, "a")))
	if _, err := r.service.DeleteUser(t.Context(), r.admin, u.ID); err != nil {
		t.Fatal(err)
	}
	entries, err := r.store.Audit(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Action)
		if strings.Contains(e.Detail, "secret") || strings.Contains(e.Detail, "argon2") {
			t.Errorf("an entry holds a secret: %+v", e)
		}
		if e.Change == 0 || e.Time.IsZero() || e.Actor == "" {
			t.Errorf("an entry is not complete: %+v", e)
		}
	}
	if got := strings.Join(actions, " "); got != "user.delete user.create role.create user.create" {
		t.Errorf("audited, the newest first: %s", got)
	}
}

func TestARoleTouchesEveryUserWhoHasIt(t *testing.T) {
	r := newRig(t)
	role := r.role("many", mqtt(acl.Read, "a"))
	one, two, three := r.user("one", role), r.user("two", role), r.user("three")
	_, n, err := r.service.AddPermission(t.Context(), r.admin, role, mqtt(acl.Read, "b"))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := r.store.Changes(t.Context(), n-2, 10)
	if err != nil {
		t.Fatal(err)
	}
	touched := map[registry.UserID]bool{}
	for _, c := range changes {
		touched[c.User] = true
	}
	if len(changes) != 2 || !touched[one.ID] || !touched[two.ID] || touched[three.ID] {
		t.Errorf("touched %v, want users one and two", changes)
	}
}

func TestPasswordPolicyCountsUnicodeCategories(t *testing.T) {
	tests := []struct {
		name     string
		policy   registry.PasswordPolicy
		password string
		code     registry.Code
	}{
		{"five characters", registry.PasswordPolicy{Min: 5}, "äöüß€", ""},
		{"four characters of many bytes", registry.PasswordPolicy{Min: 5}, "äöü€", registry.WeakPassword},
		{"ö is lower case", registry.PasswordPolicy{Lower: 1}, "ö", ""},
		{"Ö is not", registry.PasswordPolicy{Lower: 1}, "Ö", registry.WeakPassword},
		{"Ö is upper case", registry.PasswordPolicy{Upper: 1}, "Ö", ""},
		{"digits of any script", registry.PasswordPolicy{Numeric: 2}, "1٢", ""},
		{"a symbol is no letter", registry.PasswordPolicy{Symbol: 1}, "abc", registry.WeakPassword},
		{"a blank is a symbol", registry.PasswordPolicy{Symbol: 1}, "a b", ""},
		{"no rule at all", registry.PasswordPolicy{}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantCode(t, tt.name, tt.policy.Check("password", tt.password), tt.code) })
	}
}

func TestParseFingerprint(t *testing.T) {
	plain := strings.Repeat("0123456789abcdef", 4)
	colons := strings.ToUpper(plain[:2])
	for i := 2; i < len(plain); i += 2 {
		colons += ":" + strings.ToUpper(plain[i:i+2])
	}
	for name, tt := range map[string]struct {
		in string
		ok bool
	}{
		"plain":                     {plain, true},
		"upper case with colons":    {colons, true},
		"one digit short":           {plain[1:], false},
		"one byte long":             {plain + "00", false},
		"not hexadecimal":           {strings.Repeat("xy", 32), false},
		"empty":                     {"", false},
		"very long":                 {strings.Repeat(":", 1<<20), false},
		"a SHA-1":                   {plain[:40], false},
		"white space":               {" " + plain, false},
		"openssl's label before it": {"sha256 Fingerprint=" + colons, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := registry.ParseFingerprint(tt.in)
			if tt.ok && (err != nil || got != plain) {
				t.Errorf("got %q, %v", got, err)
			}
			if !tt.ok {
				wantField(t, name, err, registry.Invalid, "fingerprint")
			}
		})
	}
}

func TestTokensEndWhenTheirTimeIsUp(t *testing.T) {
	r := newRig(t)
	r.user("gateway")
	login, err := r.login("gateway", "gateway-secret")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = r.service.IssueToken(t.Context(), login, -time.Second, "")
	wantField(t, "negative life", err, registry.Invalid, "expireTimeInHours")
	_, _, err = r.service.IssueToken(t.Context(), login, 876_001*time.Hour, "")
	wantField(t, "life beyond the limit", err, registry.Invalid, "expireTimeInHours")
	_, _, err = r.service.IssueToken(t.Context(), login, 0, strings.Repeat("l", 256))
	wantField(t, "label too long", err, registry.Invalid, "label")

	raw, tok, err := r.service.IssueToken(t.Context(), login, 30*time.Minute, "script")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.signIn.Token(t.Context(), raw); err != nil {
		t.Errorf("fresh token: %v", err)
	}
	r.offset.Store(int64(31 * time.Minute))
	_, err = r.signIn.Token(t.Context(), raw)
	wantCode(t, "past its time", err, registry.Unauthenticated)
	if n, err := r.service.SweepTokens(t.Context()); err != nil || n != 1 {
		t.Errorf("swept %d, %v: want 1", n, err)
	}
	if alive, err := r.service.TokenAlive(t.Context(), tok.ID); err != nil || alive {
		t.Errorf("alive %v, %v", alive, err)
	}
}
