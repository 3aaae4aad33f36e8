package registry_test

import (
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/registrytest"
)

func TestAProofEndsWithWhatItRestsOn(t *testing.T) {
	r := registrytest.New(t)
	svc, ctx := r.Service, t.Context()
	tests := []struct {
		name   string
		change func(u registry.User) error
		holds  bool
	}{
		{"nothing changes", func(registry.User) error { return nil }, true},
		{"a role is given", func(u registry.User) error {
			_, err := svc.AssignRole(ctx, r.Admin, u.ID, r.AdminRole())
			return err
		}, true},
		{"the prefix changes", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{PublishPrefix: new("x/")})
			return err
		}, true},
		{"the password changes", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{Password: new("another-one")})
			return err
		}, false},
		{"the same password is set again", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{Password: new(u.Username + "-secret")})
			return err
		}, false},
		{"the user is renamed", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{Username: new(u.Username + "-x")})
			return err
		}, false},
		{"the user is disabled", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{Active: new(false)})
			return err
		}, false},
		{"the user moves to a directory", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{Provider: new(registry.ProviderLDAP)})
			return err
		}, false},
		{"the grant type goes", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{GrantTypes: &[]registry.GrantType{{Method: "certificate"}}})
			return err
		}, false},
		{"another grant type becomes required", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{GrantTypes: &[]registry.GrantType{{Method: "password"}, {Method: "certificate", Required: true}}})
			return err
		}, false},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := r.User("gateway" + string(rune('a'+i)))
			login, err := r.Login(u.Username, u.Username+"-secret")
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.change(u); err != nil {
				t.Fatal(err)
			}
			if got := r.Holds(login); got != tt.holds {
				t.Errorf("holds: %v, want %v", got, tt.holds)
			}
		})
	}
	var gone registry.Proof
	if gone.Holds(nil, r.Now()) {
		t.Error("a proof holds for a user that is gone")
	}
}

func TestACertificateProofEndsWithItsRegistration(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	u, _, err := r.Service.CreateUser(ctx, r.Admin, registry.UserSpec{
		Username: "pinned", Provider: registry.ProviderLocal,
		Certificates: []registry.FingerprintSpec{{Fingerprint: printA, Expires: r.Now().Add(30 * time.Minute)}, {Fingerprint: printB}},
	})
	if err != nil {
		t.Fatal(err)
	}
	login, err := r.SignIn.In(ctx, registry.Attempt{Certificate: r.Certificate(printA, "x", false)})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Holds(login) || !login.Proof.Ended(r.Principal(u.ID), r.Now().Add(31*time.Minute)) {
		t.Errorf("the proof ends at %v", login.Proof.Ends(r.Principal(u.ID)))
	}
	if _, err := r.Service.RemoveFingerprint(ctx, r.Admin, u.ID, printA); err != nil {
		t.Fatal(err)
	}
	if r.Holds(login) {
		t.Error("the proof holds after the certificate was removed")
	}
	if _, err := r.Service.RemoveFingerprint(ctx, r.Admin, u.ID, printB); err != nil {
		t.Fatal(err)
	}
	if r.Holds(login) {
		t.Error("the proof holds once no certificate is registered, though its common name is another")
	}
}
