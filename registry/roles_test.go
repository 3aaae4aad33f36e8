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

func TestARoleTouchesEveryUserWhoHasIt(t *testing.T) {
	r := registrytest.New(t)
	role := r.Role("many", registrytest.MQTT(acl.Read, "a"))
	one, two, three := r.User("one", role), r.User("two", role), r.User("three")
	_, n, err := r.Service.AddPermission(t.Context(), r.Admin, role, registrytest.MQTT(acl.Read, "b"))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := r.Store.Changes(t.Context(), n-2, 10)
	if err != nil {
		t.Fatal(err)
	}
	touched := map[registry.UserID]bool{}
	for _, c := range changes {
		touched[c.User()] = true
	}
	if len(changes) != 2 || !touched[one.ID] || !touched[two.ID] || touched[three.ID] {
		t.Errorf("touched %v, want users one and two", changes)
	}
}
