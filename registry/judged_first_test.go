package registry_test

import (
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

// What the caller may do is judged before a password is hashed for them: hashing is
// work that others wait for.
func TestNobodyIsHashedForWithoutTheRight(t *testing.T) {
	r := registrytest.New(t)
	caller, svc, ctx := operator(r), r.Service, t.Context()
	boss := r.User("boss", r.AdminRole())
	beyond := r.Role("beyond", registrytest.MQTT(acl.Read, "offices/#"))
	before := r.Hashes.Stats().Done
	_, _, err := svc.CreateUser(ctx, caller, registry.UserSpec{Username: "sly-1", Provider: "local", Password: "long-enough", Roles: []registry.RoleID{beyond}})
	registrytest.WantCode(t, "make a user beyond", err, registry.Forbidden)
	_, _, err = svc.UpdateUser(ctx, caller, boss.ID, registry.UserUpdate{Password: new("long-enough")})
	registrytest.WantCode(t, "set a password of somebody beyond", err, registry.Forbidden)
	_, _, err = svc.UpdateUser(ctx, caller, "nobody", registry.UserUpdate{Password: new("long-enough")})
	registrytest.WantCode(t, "set a password of nobody", err, registry.NotFound)
	if n := r.Hashes.Stats().Done - before; n != 0 {
		t.Errorf("%d passwords were hashed", n)
	}
	_, _, err = svc.CreateUser(ctx, caller, registry.UserSpec{Username: "within", Provider: "local", Password: "long-enough"})
	registrytest.WantCode(t, "make a user within", err, "")
}

// The name of the program itself is nobody else's.
func TestNobodyIsCalledSystem(t *testing.T) {
	r := registrytest.New(t)
	for _, name := range []string{"system", "System", "SYSTEM"} {
		_, _, err := r.Service.CreateUser(t.Context(), r.Admin, registry.UserSpec{Username: name, Provider: "local"})
		registrytest.WantField(t, name, err, registry.Invalid, registry.FieldUsername)
		_, _, err = r.Service.UpdateUser(t.Context(), r.Admin, r.Admin.ID, registry.UserUpdate{Username: &name})
		registrytest.WantField(t, name, err, registry.Invalid, registry.FieldUsername)
	}
}
