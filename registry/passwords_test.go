package registry_test

import (
	"fmt"
	"slices"
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

// A user whose grant types nobody chose gets what its first credential calls for; one
// that was given none, or others, keeps them. Users give themselves none.
func TestACredentialGivesAGrantTypeOnlyIfNobodyChose(t *testing.T) {
	r := registrytest.New(t)
	svc, ctx := r.Service, t.Context()
	none, certificate := []registry.GrantType{}, []registry.GrantType{{Method: registry.MethodCertificate}}
	for _, tt := range []struct {
		name           string
		given          []registry.GrantType
		password, cert []registry.GrantType // after the first of each
	}{
		{"nobody-chose", nil, []registry.GrantType{{Method: registry.MethodPassword}}, certificate},
		{"none", none, none, none},
		{"password-left-out", certificate, certificate, certificate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			create := func(name string) registry.UserID {
				u, _, err := svc.CreateUser(ctx, r.Admin, registry.UserSpec{Username: name, Provider: registry.ProviderLocal, GrantTypes: tt.given})
				registrytest.Must(t, err)
				return u.ID
			}
			has := func(what string, id registry.UserID, want []registry.GrantType) {
				t.Helper()
				u, err := svc.User(ctx, id)
				registrytest.Must(t, err)
				if !slices.Equal(u.GrantTypes, want) {
					t.Errorf("%s: %v, want %v", what, u.GrantTypes, want)
				}
			}
			id := create(tt.name)
			_, _, err := svc.UpdateUser(ctx, r.Admin, id, registry.UserUpdate{Password: new("first-secret")})
			registrytest.Must(t, err)
			has("with a password", id, tt.password)
			_, _, err = svc.UpdateUser(ctx, r.Admin, id, registry.UserUpdate{GrantTypes: &none})
			registrytest.Must(t, err)
			_, err = svc.ChangePassword(ctx, r.CallerNamed(tt.name), "first-secret", "second-secret")
			registrytest.Must(t, err)
			has("after the user changed it", id, none)
			id = create(tt.name + "-2")
			_, err = svc.AddFingerprint(ctx, r.Admin, id, registry.FingerprintSpec{Fingerprint: fmt.Sprintf("%064x", len(tt.name))})
			registrytest.Must(t, err)
			has("with a certificate", id, tt.cert)
		})
	}
}
