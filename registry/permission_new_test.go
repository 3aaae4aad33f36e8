package registry_test

import (
	"errors"
	"strings"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

// What would never match is refused with what to write instead, wherever a permission
// is given.
func TestPermissionsThatNeverMatch(t *testing.T) {
	r := registrytest.New(t)
	role := r.Role("role", registrytest.MQTT(acl.Read, "a/b"))
	got, err := r.Store.Role(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	pid := got.Permissions[0].ID
	read, write, both := acl.Read, acl.Write, acl.ReadWrite
	for _, tt := range []struct {
		op       acl.Operation
		resource string
		want     string // in the message; empty: accepted
	}{
		{both, "cmnd/%u/#", "use ${username}"},
		{read, "cmnd/%c", "use ${clientid}"},
		{read, "%u", "use ${username}"},
		{read, "stat/$username/#", "use ${username}"},
		{read, "$username/x", "use ${username}"},
		{read, "a/$clientid", "use ${clientid}"},
		{read, "a/$client_id", "use ${clientid}"},
		{read, "a/{username}", "use ${username}"},
		{read, "a/{client_id}/b", "use ${clientid}"},
		{read, "a/{{clientId}}", "use ${clientid}"},
		{read, "a/<username>", "use ${username}"},
		{read, "a/%{username}", "use ${username}"},
		{read, "a/%USERNAME%", "use ${username}"},
		{read, "a/$common_name", "use ${cert.cn}"},
		{read, "%m/a", "mqttPublishPrefix"},
		{read, "a/${username", "must be a whole level and one of ${username}"},
		{read, "a/${{username}}", "must be a whole level and one of ${username}"},
		{read, "a/${user}", "must be a whole level and one of ${username}"},
		{write, "$SYS/#", "give read"},
		{write, "$SYS/broker/x", "give read"},
		{both, "$SYS/broker/x", "give read"},
		{both, "$aws/things", "give read"},
		{read, "$SYS/#", ""},
		{both, "$SYS/#", ""}, // a part of all rights
		{read, "a/${username}/%/50%/u%", ""},
		{read, "a/user/username/$x/{x}/<>/{}", ""},
		{write, "a/$b", ""},
		{write, "${username}/x", ""},
	} {
		spec := registrytest.MQTT(tt.op, tt.resource)
		_, _, created := r.Service.CreateRole(t.Context(), r.Admin, registry.RoleSpec{Name: "n", Permissions: []registry.PermissionSpec{registrytest.MQTT(read, "x"), spec}})
		_, _, added := r.Service.AddPermission(t.Context(), r.Admin, role, spec)
		_, _, changed := r.Service.UpdatePermission(t.Context(), r.Admin, role, pid, registry.PermissionUpdate{Resource: &tt.resource, Operation: &tt.op, Effect: new(acl.Allow)})
		if tt.want == "" {
			for _, err := range []error{created, added} {
				if errors.Is(err, registry.Invalid) {
					t.Errorf("%s on %s: got %v", tt.op, tt.resource, err)
				}
			}
			continue
		}
		for how, err := range map[string]error{"permissions[1].resource": created, "resource": added, "resource ": changed} {
			code, field, detail := registry.Public(err)
			if code != registry.Invalid || string(field) != strings.TrimSpace(how) || !strings.Contains(detail, tt.want) {
				t.Errorf("%s on %s: got %v, want it to say %s: %s", tt.op, tt.resource, err, how, tt.want)
			}
		}
	}
	_, _, err = r.Service.AddPermission(t.Context(), r.Admin, role, registrytest.Deny(registrytest.MQTT(both, "$SYS/#")))
	registrytest.WantCode(t, "a deny", err, "")
}

// A role has a permission once: of the second one it is told which stands.
func TestTheSamePermissionTwice(t *testing.T) {
	r := registrytest.New(t)
	svc, ctx := r.Service, t.Context()
	pump := registrytest.MQTT(acl.Write, "pump/set")
	role := r.Role("role", pump, registrytest.MQTT(acl.Read, "pump/set"))
	have, err := r.Store.Role(ctx, role)
	if err != nil {
		t.Fatal(err)
	}
	var first, second registry.PermissionID
	for _, p := range have.Permissions {
		if p.Operation == acl.Write {
			first = p.ID
		} else {
			second = p.ID
		}
	}
	twice := []registry.PermissionSpec{registrytest.MQTT(acl.Read, "a"), pump, registrytest.MQTT(acl.Read, "b"), pump}
	for _, tt := range []struct {
		name string
		do   func() error
		want string
	}{
		{"added", func() error { _, _, err := svc.AddPermission(ctx, r.Admin, role, pump); return err }, string(first)},
		{"by a change", func() error {
			_, _, err := svc.UpdatePermission(ctx, r.Admin, role, second, registry.PermissionUpdate{Operation: new(acl.Write)})
			return err
		}, string(first)},
		{"in a new role", func() error {
			_, _, err := svc.CreateRole(ctx, r.Admin, registry.RoleSpec{Name: "another", Permissions: twice})
			return err
		}, "permissions[3]: is the same as permissions[1]"},
		{"in a new user", func() error {
			_, _, err := svc.CreateUser(ctx, r.Admin, registry.UserSpec{Username: "user-1", Provider: "local", Permissions: twice})
			return err
		}, "permissions[3]: is the same as permissions[1]"},
	} {
		if err := tt.do(); !errors.Is(err, registry.Conflict) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want a conflict with %s", tt.name, err, tt.want)
		}
	}
	for name, spec := range map[string]registry.PermissionSpec{
		"a deny": registrytest.Deny(pump), "both": registrytest.MQTT(acl.ReadWrite, "pump/set"), "elsewhere": registrytest.MQTT(acl.Write, "pump/Set"),
	} {
		_, _, err := svc.AddPermission(ctx, r.Admin, role, spec)
		registrytest.WantCode(t, name, err, "")
	}
	_, _, err = svc.UpdatePermission(ctx, r.Admin, role, first, registry.PermissionUpdate{Operation: new(acl.Write)})
	registrytest.WantCode(t, "unchanged", err, "")
	// One is taken away: the right is gone.
	if _, err := svc.DeletePermission(ctx, r.Admin, role, first); err != nil {
		t.Fatal(err)
	}
	if _, _, err := svc.AddPermission(ctx, r.Admin, role, pump); err != nil {
		t.Errorf("again: got %v", err)
	}
}
