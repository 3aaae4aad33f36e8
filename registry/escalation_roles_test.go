package registry_test

import (
	"context"
	"strings"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

// operator returns a caller who may manage users and roles and has the rights of one
// plant.
func operator(r *registrytest.Rig) registry.Caller {
	r.User("operator", r.Role("operators",
		registrytest.HTTP(acl.ReadWrite, "/api/users/#"), registrytest.HTTP(acl.ReadWrite, "/api/roles/#"), registrytest.MQTT(acl.ReadWrite, "plant/#")))
	return r.CallerNamed("operator")
}

// A change of a role is a change of all its holders: who is beyond the caller is not
// changed by way of a role that is not.
func TestNobodyChangesTheirBettersThroughARole(t *testing.T) {
	r := registrytest.New(t)
	caller, svc, ctx := operator(r), r.Service, t.Context()
	shared := r.Role("shared", registrytest.MQTT(acl.Write, "plant/line1/#"))
	r.User("boss", r.AdminRole(), shared)
	within := r.Role("within", registrytest.MQTT(acl.Write, "plant/line2/#"))
	r.User("device", within)
	mixed := r.Role("mixed", registrytest.MQTT(acl.Write, "plant/line3/#"))
	r.User("clerk", mixed, r.Role("office", registrytest.MQTT(acl.Read, "offices/#")))
	own, err := r.Store.RoleByName(ctx, "operators")
	if err != nil {
		t.Fatal(err)
	}
	deny := registrytest.Deny(registrytest.MQTT(acl.ReadWrite, "plant/line9/#"))
	permission := func(id registry.RoleID) registry.PermissionID {
		role, err := r.Store.Role(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return role.Permissions[0].ID
	}
	for _, tt := range []struct {
		name string
		role registry.RoleID
		code registry.Code
	}{
		{"of the administrators", r.AdminRole(), registry.Forbidden},
		{"that an administrator holds, too", shared, registry.Forbidden},
		{"whose holder has another right elsewhere", mixed, registry.Forbidden},
		{"whose holders are within", within, ""},
		{"of their own", own.ID, ""},
	} {
		t.Run("a role "+tt.name, func(t *testing.T) {
			_, _, err := svc.AddPermission(ctx, caller, tt.role, registrytest.MQTT(acl.Read, "plant/line9/x"))
			registrytest.WantCode(t, "add a right", err, tt.code)
			_, _, err = svc.UpdateRole(ctx, caller, tt.role, registry.RoleUpdate{Shared: new(true)})
			registrytest.WantCode(t, "change it", err, tt.code)
			_, _, err = svc.AddPermission(ctx, caller, tt.role, deny)
			registrytest.WantCode(t, "add a deny", err, tt.code)
			if tt.role == own.ID {
				return
			}
			_, _, err = svc.UpdatePermission(ctx, caller, tt.role, permission(tt.role), registry.PermissionUpdate{Operation: new(acl.Write)})
			registrytest.WantCode(t, "change a permission", err, tt.code)
			_, err = svc.DeletePermission(ctx, caller, tt.role, permission(tt.role))
			registrytest.WantCode(t, "remove a permission", err, tt.code)
			if tt.role != r.AdminRole() {
				_, err = svc.DeleteRole(ctx, caller, tt.role)
				registrytest.WantCode(t, "delete it", err, tt.code)
			}
		})
	}
	// With all rights nobody is beyond.
	_, _, err = svc.AddPermission(ctx, r.Admin, shared, deny)
	registrytest.WantCode(t, "an administrator adds a deny", err, "")
}

// Nobody gets themselves, a group or a credential of theirs into a role that gives
// nothing yet, to wait there for what it will give.
func TestNobodyPlants(t *testing.T) {
	r := registrytest.New(t)
	caller, svc, ctx := operator(r), r.Service, t.Context()
	empty := r.Role("future-admins")
	filled := r.Role("filled", registrytest.MQTT(acl.Read, "plant/x"))
	waiting := r.User("waiting", empty)
	device := r.User("device", filled)
	plain := r.User("plain")
	for _, tt := range []struct {
		name string
		do   func() error
		code registry.Code
	}{
		{"themselves", func() error { _, err := svc.AssignRole(ctx, caller, caller.ID, empty); return err }, registry.Forbidden},
		{"another user", func() error { _, err := svc.AssignRole(ctx, caller, device.ID, empty); return err }, registry.Forbidden},
		{"another user, by an update", func() error {
			_, _, err := svc.UpdateUser(ctx, caller, device.ID, registry.UserUpdate{Roles: &[]registry.RoleID{filled, empty}})
			return err
		}, registry.Forbidden},
		{"a new user", func() error {
			_, _, err := svc.CreateUser(ctx, caller, registry.UserSpec{Username: "planted", Provider: "local", Roles: []registry.RoleID{empty}})
			return err
		}, registry.Forbidden},
		{"a group of LDAP", func() error {
			_, _, err := svc.UpdateRole(ctx, caller, empty, registry.RoleUpdate{LDAPGroupDN: new("cn=mine")})
			return err
		}, registry.Forbidden},
		{"a group of Entra ID", func() error {
			_, _, err := svc.UpdateRole(ctx, caller, empty, registry.RoleUpdate{EntraGroupIDs: &[]string{"mine"}})
			return err
		}, registry.Forbidden},
		{"a group, with a new role", func() error {
			_, _, err := svc.CreateRole(ctx, caller, registry.RoleSpec{Name: "planted", Shared: true, LDAPGroupDN: "cn=mine"})
			return err
		}, registry.Forbidden},
		{"a password of a holder", func() error {
			_, _, err := svc.UpdateUser(ctx, caller, waiting.ID, registry.UserUpdate{Password: new("mine-now")})
			return err
		}, registry.Forbidden},
		{"a certificate of a holder", func() error {
			_, err := svc.AddFingerprint(ctx, caller, waiting.ID, registry.FingerprintSpec{Fingerprint: strings.Repeat("ab", 32)})
			return err
		}, registry.Forbidden},
		{"the tokens of a holder", func() error { _, err := svc.DeleteTokens(ctx, caller, waiting.ID); return err }, registry.Forbidden},
		{"a password of who has no role", func() error {
			_, _, err := svc.UpdateUser(ctx, caller, plain.ID, registry.UserUpdate{Password: new("new-password")})
			return err
		}, ""},
		{"themselves into a role that gives what they have", func() error { _, err := svc.AssignRole(ctx, caller, caller.ID, filled); return err }, ""},
		{"a new role, first filled and then given", func() error {
			made, _, err := svc.CreateRole(ctx, caller, registry.RoleSpec{Name: "mine", Shared: true})
			if err != nil {
				return err
			}
			if _, _, err := svc.AddPermission(ctx, caller, made.ID, registrytest.MQTT(acl.Read, "plant/y")); err != nil {
				return err
			}
			_, err = svc.AssignRole(ctx, caller, device.ID, made.ID)
			return err
		}, ""},
		{"an administrator, whoever they like", func() error { _, err := svc.AssignRole(ctx, r.Admin, device.ID, empty); return err }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) { registrytest.WantCode(t, tt.name, tt.do(), tt.code) })
	}
}

// A role that goes in the same unit of work is weighed no more; the others are.
func TestARoleThatIsGoneHidesNoOther(t *testing.T) {
	r := registrytest.New(t)
	caller, ctx := operator(r), t.Context()
	first, second := r.Role("one"), r.Role("another")
	if second < first { // roles of a user stand in the order of their ids
		first, second = second, first
	}
	if _, _, err := r.Service.AddPermission(ctx, r.Admin, first, registrytest.MQTT(acl.Read, "plant/x")); err != nil {
		t.Fatal(err)
	}
	device := r.User("device", first, second)
	_, err := r.Editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		_, err := e.AmendUser(ctx, device.ID, registry.UserUpdated, func(u *registry.User) error {
			u.Roles, u.EnforceMFA = []registry.RoleID{second}, true
			return e.DeleteRole(ctx, first)
		})
		return err
	})
	registrytest.WantCode(t, "change a user of a role that gives nothing yet", err, registry.Forbidden)
}
