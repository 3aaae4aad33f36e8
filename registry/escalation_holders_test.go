package registry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

// userOf makes a user as spec says, of the local provider.
func userOf(r *registrytest.Rig, spec registry.UserSpec) registry.User {
	r.T.Helper()
	spec.Provider = registry.ProviderLocal
	u, _, err := r.Service.CreateUser(r.T.Context(), r.Admin, spec)
	registrytest.Must(r.T, err)
	return u
}

// Who may change a role is judged by what the rights of its holders come to, as who may
// change a user is: see TestNobodyClimbsByAnotherName.
func TestARoleIsJudgedByWhatItsHoldersComeTo(t *testing.T) {
	api := []registry.PermissionSpec{registrytest.HTTP(acl.ReadWrite, "/api/users/#"), registrytest.HTTP(acl.ReadWrite, "/api/roles/#")}
	own := func(name, prefix string, perms ...registry.PermissionSpec) func(*registrytest.Rig) registry.Caller {
		return func(r *registrytest.Rig) registry.Caller {
			role := r.Role(name+"s", append(perms, api...)...)
			userOf(r, registry.UserSpec{Username: name, PublishPrefix: prefix, Roles: []registry.RoleID{role}})
			return r.CallerNamed(name)
		}
	}
	one := own("one", "", registrytest.MQTT(acl.ReadWrite, "devices/gw-1/#"), registrytest.MQTT(acl.Read, "x"))
	tenant := own("tenant", "t1/", registrytest.MQTT(acl.Write, "#"), registrytest.MQTT(acl.Read, "x"))
	type holders []registry.UserSpec
	for _, tt := range []struct {
		name    string
		caller  func(*registrytest.Rig) registry.Caller
		gives   registry.PermissionSpec
		ldap    string
		holders holders
		code    registry.Code
	}{
		{"one's name, which the caller has", one, registrytest.MQTT(acl.Read, "devices/${username}/#"), "", holders{{Username: "gw-1"}}, ""},
		{"another's name", one, registrytest.MQTT(acl.Read, "devices/${username}/#"), "", holders{{Username: "gw-2"}}, registry.Forbidden},
		{"one of two names", one, registrytest.MQTT(acl.Read, "devices/${username}/#"), "", holders{{Username: "gw-1"}, {Username: "gw-2"}}, registry.Forbidden},
		{"a name, and nobody holds it", one, registrytest.MQTT(acl.Read, "devices/${username}/#"), "", nil, registry.Forbidden},
		{"a name, and a group may come", one, registrytest.MQTT(acl.Read, "devices/${username}/#"), "cn=all", holders{{Username: "gw-1"}}, registry.Forbidden},
		{"a listed client ID", one, registrytest.MQTT(acl.Read, "devices/${clientid}/#"), "", holders{{Username: "any", ClientIDs: []string{"gw-1"}}}, ""},
		{"a pattern of client IDs", one, registrytest.MQTT(acl.Read, "devices/${clientid}/#"), "", holders{{Username: "any", ClientIDs: []string{"gw-+"}}}, registry.Forbidden},
		{"no client ID, for want of a list", one, registrytest.MQTT(acl.Read, "devices/${clientid}/#"), "", holders{{Username: "any"}}, ""},
		{"a right under the caller's prefix", tenant, registrytest.MQTT(acl.Write, "#"), "", holders{{Username: "sub", PublishPrefix: "t1/a/"}}, ""},
		{"a right under another prefix", tenant, registrytest.MQTT(acl.Write, "#"), "", holders{{Username: "sub", PublishPrefix: "t1/a/"}, {Username: "out", PublishPrefix: "t2/"}}, registry.Forbidden},
		{"a right under no prefix", tenant, registrytest.MQTT(acl.Write, "#"), "", holders{{Username: "out"}}, registry.Forbidden},
		{"a name under the caller's prefix", tenant, registrytest.MQTT(acl.Write, "a/${username}"), "", holders{{Username: "sub", PublishPrefix: "t1/"}}, ""},
		{"a right that others of the holder's go beyond", tenant, registrytest.MQTT(acl.Write, "a"), "", holders{
			{Username: "sub", PublishPrefix: "t1/", Permissions: []registry.PermissionSpec{registrytest.MQTT(acl.Read, "y")}},
		}, registry.Forbidden},
	} {
		t.Run("a role that gives "+tt.name, func(t *testing.T) {
			r := registrytest.New(t)
			caller := tt.caller(r)
			role := r.Role("role", tt.gives)
			if tt.ldap != "" {
				_, _, err := r.Service.UpdateRole(t.Context(), r.Admin, role, registry.RoleUpdate{LDAPGroupDN: &tt.ldap})
				registrytest.Must(t, err)
			}
			for _, spec := range tt.holders {
				spec.Roles = []registry.RoleID{role}
				userOf(r, spec)
			}
			_, _, err := r.Service.UpdateRole(t.Context(), caller, role, registry.RoleUpdate{Name: new("renamed")})
			registrytest.WantCode(t, "change it", err, tt.code)
			_, _, err = r.Service.AddPermission(t.Context(), caller, role, registrytest.MQTT(acl.Read, "x"))
			registrytest.WantCode(t, "add to it", err, tt.code)
			_, err = r.Service.DeleteRole(t.Context(), caller, role)
			registrytest.WantCode(t, "delete it", err, tt.code)
		})
	}
}

// What a role is to give in time to come is weighed as if anybody held it.
func TestWhatARoleWillGiveIsJudgedForWhoeverComesToHoldIt(t *testing.T) {
	r := registrytest.New(t)
	caller := operator(r)
	role := r.Role("role", registrytest.MQTT(acl.Read, "plant/x"))
	r.User("gw-1", role)
	_, _, err := r.Service.AddPermission(t.Context(), caller, r.Role("other"), registrytest.MQTT(acl.Read, "plant/${username}"))
	registrytest.WantCode(t, "a name within the caller's rights", err, "")
	_, _, err = r.Service.AddPermission(t.Context(), caller, role, registrytest.MQTT(acl.Read, "${username}/x"))
	registrytest.WantCode(t, "a name beyond them", err, registry.Forbidden)
	_, _, err = r.Service.UpdateRole(t.Context(), caller, r.Role("named", registrytest.MQTT(acl.Read, "gw/${username}")), registry.RoleUpdate{LDAPGroupDN: new("cn=mine")})
	registrytest.WantCode(t, "a group for a role beyond them", err, registry.Forbidden)
}

// Holders whose names matter are weighed one by one, so only so many.
func TestHoldersAreWeighedOneByOneUpToALimit(t *testing.T) {
	const limit = 1000
	r := registrytest.New(t)
	perms := []registry.PermissionSpec{registrytest.HTTP(acl.ReadWrite, "/api/roles/#")}
	for i := range limit + 1 {
		perms = append(perms, registrytest.MQTT(acl.Read, fmt.Sprintf("devices/gw-%d", i)))
	}
	r.User("caller", r.Role("callers", perms...))
	caller, role := r.CallerNamed("caller"), r.Role("devices", registrytest.MQTT(acl.Read, "devices/${username}"))
	plain := r.Role("plain", registrytest.MQTT(acl.Read, "devices/gw-0"))
	hold := func(from, to int) {
		_, err := r.Store.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
			for i := from; i < to; i++ {
				name := fmt.Sprintf("gw-%d", i)
				u := registry.User{ID: registry.UserID(name), Username: name, Provider: registry.ProviderLocal, Roles: []registry.RoleID{role, plain}}
				if err := tx.CreateUser(ctx, u); err != nil {
					return err
				}
			}
			return nil
		})
		registrytest.Must(t, err)
	}
	rename := func(name string) error {
		_, _, err := r.Service.UpdateRole(t.Context(), caller, role, registry.RoleUpdate{Name: &name})
		return err
	}
	hold(0, limit)
	registrytest.WantCode(t, "as many as are weighed", rename("as-many"), "")
	hold(limit, limit+1)
	err := rename("more")
	registrytest.WantCode(t, "one more", err, registry.Forbidden)
	if want := "held by 1001 users"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want it to say %q", err, want)
	}
}

// A change of a role that 100,000 devices hold, each with a private role, by a caller
// who is weighed against all of them.
func BenchmarkChangeOfARoleOfManyHolders(b *testing.B) {
	r := registrytest.New(b)
	role := r.Role("devices", registrytest.MQTT(acl.ReadWrite, "t1/${username}/#"))
	userOf(r, registry.UserSpec{Username: "tenant", PublishPrefix: "t1/", Roles: []registry.RoleID{r.Role("tenants",
		registrytest.HTTP(acl.ReadWrite, "/api/roles/#"), registrytest.MQTT(acl.ReadWrite, "t1/#"))}})
	caller := r.CallerNamed("tenant")
	for from := 0; from < 100_000; from += 10_000 {
		_, err := r.Store.Update(b.Context(), func(ctx context.Context, tx registry.Tx) error {
			for i := from; i < from+10_000; i++ {
				id := fmt.Sprintf("gw-%d", i)
				private := registry.Role{ID: registry.RoleID(id), Name: "private:" + id, Owner: registry.UserID(id), Permissions: []registry.Permission{
					{ID: "p", Context: acl.MQTT, Operation: acl.Read, Resource: "t1/" + id},
				}}
				u := registry.User{ID: registry.UserID(id), Username: id, Provider: registry.ProviderLocal, PublishPrefix: "t1/" + id + "/", Roles: []registry.RoleID{role, private.ID}}
				if err := tx.CreateRole(ctx, private); err != nil {
					return err
				}
				if err := tx.CreateUser(ctx, u); err != nil {
					return err
				}
			}
			return nil
		})
		registrytest.Must(b, err)
	}
	for i := 0; b.Loop(); i++ {
		_, _, err := r.Service.UpdateRole(b.Context(), caller, role, registry.RoleUpdate{Name: new(fmt.Sprint("devices-", i))})
		registrytest.Must(b, err)
	}
}
