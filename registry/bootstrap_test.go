package registry_test

import (
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

func TestBootstrapMakesTheTwoRolesAndAdminOnce(t *testing.T) {
	r := registrytest.New(t)
	if made, err := r.Service.Bootstrap(t.Context(), "another-secret"); err != nil || made {
		t.Errorf("second bootstrap: %v, %v: want nothing done", made, err)
	}
	login, err := r.Login("admin", "admin-secret")
	if err != nil {
		t.Fatal(err)
	}
	if !login.Subject.Principal().Policy.AllRights() {
		t.Error("admin does not have all rights")
	}
	role, err := r.Store.RoleByName(t.Context(), registry.RoleMinimumAccess)
	if err != nil || len(role.Permissions) != 4 {
		t.Errorf("minimum-access: %d permissions, %v: want 4", len(role.Permissions), err)
	}
	if ok, err := r.Service.Bootstrapped(t.Context()); err != nil || !ok {
		t.Errorf("bootstrapped: %v, %v", ok, err)
	}
}

func TestBootstrapRefusesAWeakPassword(t *testing.T) {
	r := registrytest.New(t)
	_, err := r.Service.Bootstrap(t.Context(), "four")
	registrytest.WantCode(t, "four characters", err, registry.WeakPassword)
}

func TestTheLastAdminStays(t *testing.T) {
	r := registrytest.New(t)
	admin := r.Admin.ID
	role, err := r.Store.Role(t.Context(), r.AdminRole())
	if err != nil {
		t.Fatal(err)
	}
	system := registry.System("test") // even the program itself can't
	tests := []struct {
		name string
		do   func() error
	}{
		{"deleted", func() error { _, err := r.Service.DeleteUser(t.Context(), system, admin); return err }},
		{"disabled", func() error {
			_, _, err := r.Service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{Active: new(false)})
			return err
		}},
		{"moved to a directory", func() error {
			_, _, err := r.Service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{Provider: new(registry.ProviderLDAP)})
			return err
		}},
		{"without its role", func() error { _, err := r.Service.TakeRole(t.Context(), system, admin, role.ID); return err }},
		{"with no roles", func() error {
			_, _, err := r.Service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{Roles: &[]registry.RoleID{}})
			return err
		}},
		{"without the password grant", func() error {
			_, _, err := r.Service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{GrantTypes: &[]registry.GrantType{{Method: "certificate"}}})
			return err
		}},
		{"made to show a certificate too", func() error {
			_, _, err := r.Service.UpdateUser(t.Context(), system, admin, registry.UserUpdate{
				GrantTypes: &[]registry.GrantType{{Method: "password"}, {Method: "certificate", Required: true}},
			})
			return err
		}},
		{"its role without a permission", func() error {
			_, err := r.Service.DeletePermission(t.Context(), system, role.ID, role.Permissions[0].ID)
			return err
		}},
		{"its role with a deny", func() error {
			_, _, err := r.Service.AddPermission(t.Context(), system, role.ID, registrytest.Deny(registrytest.MQTT(acl.Read, "secret/#")))
			return err
		}},
		{"its role narrowed", func() error {
			for _, p := range role.Permissions {
				if p.Resource == "#" {
					_, _, err := r.Service.UpdatePermission(t.Context(), system, role.ID, p.ID, registry.PermissionUpdate{Resource: new("plant/#")})
					return err
				}
			}
			return nil
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			registrytest.WantCode(t, tt.name, tt.do(), registry.LastAdmin)
			login, err := r.Login("admin", "admin-secret")
			if err != nil || !login.Subject.Principal().Policy.AllRights() {
				t.Errorf("admin afterwards: %v", err)
			}
		})
	}
	second := r.User("second", role.ID)
	_, _, err = r.Service.UpdateUser(t.Context(), r.Admin, admin, registry.UserUpdate{Active: new(false)})
	registrytest.WantCode(t, "disabled beside a second one", err, "")
	_, err = r.Service.DeleteUser(t.Context(), system, second.ID)
	registrytest.WantCode(t, "delete the second, the first being disabled", err, registry.LastAdmin)
}
