package registry_test

import (
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/registrytest"
)

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
		t.Run(tt.name, func(t *testing.T) {
			registrytest.WantCode(t, tt.name, tt.policy.Check("password", tt.password), tt.code)
		})
	}
}

func TestChangePassword(t *testing.T) {
	r := registrytest.New(t)
	r.User("gateway")
	caller := r.CallerNamed("gateway")
	_, err := r.Service.ChangePassword(t.Context(), caller, "wrong", "brand-new")
	registrytest.WantField(t, "wrong current password", err, registry.Forbidden, "password")
	_, err = r.Service.ChangePassword(t.Context(), caller, "gateway-secret", "new")
	registrytest.WantField(t, "weak new password", err, registry.WeakPassword, "newPassword")
	if _, err := r.Service.ChangePassword(t.Context(), caller, "gateway-secret", "brand-new"); err != nil {
		t.Fatal(err)
	}
	_, err = r.Login("gateway", "gateway-secret")
	registrytest.WantCode(t, "old password", err, registry.Unauthenticated)
	_, err = r.Login("gateway", "brand-new")
	registrytest.WantCode(t, "new password", err, "")
}

func TestSetPasswordIsTheWayBackIn(t *testing.T) {
	r := registrytest.New(t)
	r.User("second", r.AdminRole())
	if _, _, err := r.Service.UpdateUser(t.Context(), r.CallerNamed("second"), r.Admin.ID, registry.UserUpdate{
		Active: new(false), GrantTypes: &[]registry.GrantType{{Method: registry.MethodCertificate}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Service.SetPassword(t.Context(), registry.System("cli"), "admin", "found-again"); err != nil {
		t.Fatal(err)
	}
	_, err := r.Login("admin", "found-again")
	registrytest.WantCode(t, "sign-in", err, "")
	_, err = r.Service.SetPassword(t.Context(), registry.System("cli"), "nobody", "found-again")
	registrytest.WantCode(t, "nobody", err, registry.NotFound)
}
