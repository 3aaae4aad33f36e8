package registry_test

import (
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

func TestARoleThatIsNotSharedHasOneUser(t *testing.T) {
	r := registrytest.New(t)
	role, _, err := r.Service.CreateRole(t.Context(), r.Admin, registry.RoleSpec{Name: "single"})
	if err != nil {
		t.Fatal(err)
	}
	one, two := r.User("one"), r.User("two")
	_, err = r.Service.AssignRole(t.Context(), r.Admin, one.ID, role.ID)
	registrytest.WantCode(t, "first user", err, "")
	_, err = r.Service.AssignRole(t.Context(), r.Admin, one.ID, role.ID)
	registrytest.WantCode(t, "first user again", err, "")
	_, err = r.Service.AssignRole(t.Context(), r.Admin, two.ID, role.ID)
	registrytest.WantCode(t, "second user", err, registry.Conflict)
	shared := r.Role("shared")
	for _, u := range []registry.User{one, two} {
		_, err := r.Service.AssignRole(t.Context(), r.Admin, u.ID, shared)
		registrytest.WantCode(t, "shared role", err, "")
	}
	_, _, err = r.Service.UpdateRole(t.Context(), r.Admin, shared, registry.RoleUpdate{Shared: new(false)})
	registrytest.WantCode(t, "stop sharing with two users", err, registry.Conflict)
}

func TestDefaultRolesStay(t *testing.T) {
	r := registrytest.New(t)
	_, err := r.Service.DeleteRole(t.Context(), r.Admin, r.AdminRole())
	registrytest.WantCode(t, "delete", err, registry.Conflict)
	_, _, err = r.Service.UpdateRole(t.Context(), r.Admin, r.AdminRole(), registry.RoleUpdate{Name: new("boss")})
	registrytest.WantCode(t, "rename", err, registry.Conflict)
}

// TestAChangeOfARoleIsOneChange counts rows: a role may have a hundred thousand
// holders.
func TestAChangeOfARoleIsOneChange(t *testing.T) {
	r := registrytest.New(t)
	role := r.Role("many", registrytest.MQTT(acl.Read, "a"))
	one := r.User("one", role)
	r.User("two", role)
	before, err := r.Store.Position(t.Context())
	registrytest.Must(t, err)
	_, n, err := r.Service.AddPermission(t.Context(), r.Admin, role, registrytest.MQTT(acl.Read, "b"))
	registrytest.Must(t, err)
	changes, err := r.Store.Changes(t.Context(), before.Number, 9)
	registrytest.Must(t, err)
	if len(changes) != 1 || changes[0].Role() != role || n != changes[0].Number {
		t.Errorf("changed %+v with number %d, want the role", changes, n)
	}
	if n, err := r.Service.DeleteRole(t.Context(), r.Admin, role); err != nil || n != changes[0].Number+3 {
		t.Errorf("its end has number %d, %v; want one for the role and one for each holder", n, err)
	}
	if got := r.Principal(one.ID); len(got.User.Roles) != 0 {
		t.Errorf("still has %v", got.User.Roles)
	}
}
