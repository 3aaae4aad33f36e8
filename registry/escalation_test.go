package registry_test

import (
	"strings"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

// TestNoEscalation has an operator who may manage users and roles and has the
// rights of one plant: nothing they do gives anybody more than that.
func TestNoEscalation(t *testing.T) {
	r := registrytest.New(t)
	opRole := r.Role("operators",
		registrytest.HTTP(acl.ReadWrite, "/api/users/#"), registrytest.HTTP(acl.ReadWrite, "/api/roles/#"),
		registrytest.MQTT(acl.ReadWrite, "plant/#"), registrytest.Deny(registrytest.MQTT(acl.ReadWrite, "plant/safety/#")))
	r.User("operator", opRole)
	operator := r.CallerNamed("operator")
	within := r.Role("within", registrytest.MQTT(acl.Write, "plant/line1/#"))
	beyond := r.Role("beyond", registrytest.MQTT(acl.Write, "offices/#"))
	forbidden := r.Role("forbidden", registrytest.MQTT(acl.Read, "plant/safety/x"))
	overlapping := r.Role("overlapping", registrytest.MQTT(acl.Read, "plant/+/x"))
	restricted := r.Role("restricted", registrytest.MQTT(acl.Read, "plant/line2/#"), registrytest.Deny(registrytest.MQTT(acl.Read, "plant/line2/secret")))
	fenced := r.Role("fenced", registrytest.Deny(registrytest.MQTT(acl.Read, "offices/#")))

	device := r.User("device", within)
	boss := r.User("boss", r.AdminRole())
	clerk := r.User("clerk", beyond)
	visitor := r.User("visitor", fenced)
	svc, ctx := r.Service, t.Context()
	permission := func(role registry.RoleID, i int) registry.PermissionID {
		got, err := r.Store.Role(ctx, role)
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
		{"makes a user within their rights", func() error {
			_, _, err := svc.CreateUser(ctx, operator, registry.UserSpec{Username: "dev2", Provider: "local", Roles: []registry.RoleID{within}})
			return err
		}, ""},
		{"makes a user with rights beyond", func() error {
			_, _, err := svc.CreateUser(ctx, operator, registry.UserSpec{Username: "dev3", Provider: "local", Roles: []registry.RoleID{beyond}})
			return err
		}, registry.Forbidden},
		{"makes a user with permissions of its own beyond", func() error {
			_, _, err := svc.CreateUser(ctx, operator, registry.UserSpec{Username: "dev4", Provider: "local", Permissions: []registry.PermissionSpec{registrytest.HTTP(acl.Read, "/api/#")}})
			return err
		}, registry.Forbidden},
		{"gives what is denied to them", func() error { _, err := svc.AssignRole(ctx, operator, device.ID, forbidden); return err }, registry.Forbidden},
		{"gives what overlaps their deny", func() error { _, err := svc.AssignRole(ctx, operator, device.ID, overlapping); return err }, registry.Forbidden},
		{"gives what they have, with a deny within it", func() error { _, err := svc.AssignRole(ctx, operator, device.ID, restricted); return err }, ""},
		{"gives themselves more", func() error { _, err := svc.AssignRole(ctx, operator, operator.ID, beyond); return err }, registry.Forbidden},
		{"sets the password of somebody with more rights", func() error {
			_, _, err := svc.UpdateUser(ctx, operator, boss.ID, registry.UserUpdate{Password: new("mine-now")})
			return err
		}, registry.Forbidden},
		{"sets the password of somebody with other rights", func() error {
			_, _, err := svc.UpdateUser(ctx, operator, clerk.ID, registry.UserUpdate{Password: new("mine-now")})
			return err
		}, registry.Forbidden},
		{"deletes somebody with more rights", func() error { _, err := svc.DeleteUser(ctx, operator, boss.ID); return err }, registry.Forbidden},
		{"ends the tokens of somebody with more rights", func() error { _, err := svc.DeleteTokens(ctx, operator, boss.ID); return err }, registry.Forbidden},
		{"registers a certificate for somebody with more rights", func() error {
			_, err := svc.AddFingerprint(ctx, operator, boss.ID, registry.FingerprintSpec{Fingerprint: strings.Repeat("ab", 32)})
			return err
		}, registry.Forbidden},
		{"disables somebody with more rights", func() error {
			_, _, err := svc.UpdateUser(ctx, operator, boss.ID, registry.UserUpdate{Active: new(false)})
			return err
		}, registry.Forbidden},
		{"lifts a deny of what they could not grant", func() error { _, err := svc.TakeRole(ctx, operator, visitor.ID, fenced); return err }, registry.Forbidden},
		{"lifts their own deny", func() error {
			_, err := svc.DeletePermission(ctx, operator, opRole, permission(opRole, 3))
			return err
		}, registry.Forbidden},
		{"adds a right beyond to a role", func() error {
			_, _, err := svc.AddPermission(ctx, operator, within, registrytest.MQTT(acl.Read, "#"))
			return err
		}, registry.Forbidden},
		{"widens a permission", func() error {
			_, _, err := svc.UpdatePermission(ctx, operator, within, permission(within, 0), registry.PermissionUpdate{Resource: new("#")})
			return err
		}, registry.Forbidden},
		{"turns a permission beyond into one within", func() error {
			_, _, err := svc.UpdatePermission(ctx, operator, beyond, permission(beyond, 0), registry.PermissionUpdate{Resource: new("plant/a")})
			return err
		}, registry.Forbidden},
		{"moves a right to the http context", func() error {
			_, _, err := svc.UpdatePermission(ctx, operator, within, permission(within, 0), registry.PermissionUpdate{Context: new(acl.HTTP), Resource: new("/#")})
			return err
		}, registry.Forbidden},
		{"maps a group to a role beyond", func() error {
			_, _, err := svc.UpdateRole(ctx, operator, beyond, registry.RoleUpdate{LDAPGroupDN: new("cn=all")})
			return err
		}, registry.Forbidden},
		{"deletes a role beyond", func() error { _, err := svc.DeleteRole(ctx, operator, beyond); return err }, registry.Forbidden},
		{"makes a role beyond", func() error {
			_, _, err := svc.CreateRole(ctx, operator, registry.RoleSpec{Name: "sly", Shared: true, Permissions: []registry.PermissionSpec{registrytest.MQTT(acl.Read, "$SYS/#")}})
			return err
		}, registry.Forbidden},
		{"adds a right within to a role", func() error {
			_, _, err := svc.AddPermission(ctx, operator, within, registrytest.MQTT(acl.Read, "plant/line1/+"))
			return err
		}, ""},
		{"grants a placeholder that their wildcard covers", func() error {
			_, _, err := svc.AddPermission(ctx, operator, within, registrytest.MQTT(acl.Read, "plant/line1/${username}"))
			return err
		}, ""},
		{"changes the prefix of a device within", func() error {
			_, _, err := svc.UpdateUser(ctx, operator, device.ID, registry.UserUpdate{PublishPrefix: new("plant/")})
			return err
		}, ""},
		{"deletes a role within", func() error { _, err := svc.DeleteRole(ctx, operator, within); return err }, ""},
		{"deletes a device within", func() error { _, err := svc.DeleteUser(ctx, operator, device.ID); return err }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { registrytest.WantCode(t, tt.name, tt.do(), tt.code) })
	}
}
