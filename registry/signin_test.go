package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/registrytest"
)

var (
	printA = strings.Repeat("aa", 32)
	printB = strings.Repeat("bb", 32)
)

// withoutAnchors has the word of the TLS layer about certificates stand.
func withoutAnchors(r *registrytest.Rig) *registrytest.Rig {
	r.SignIn = registry.NewSignIn(registry.SignInConfig{
		Principals: r.Principals, Passwords: r.Passwords(), Tokens: r.Store, Now: r.Now,
	})
	return r
}

func TestSignIn(t *testing.T) {
	r := withoutAnchors(registrytest.New(t))
	grants := func(gs ...registry.GrantType) []registry.GrantType { return gs }
	password := registry.GrantType{Method: registry.MethodPassword}
	certificate := registry.GrantType{Method: registry.MethodCertificate}
	require := func(g registry.GrantType) registry.GrantType { g.Required = true; return g }
	for _, n := range []registry.UserSpec{
		{Username: "plain", Password: "plain-secret"},
		{Username: "disabled", Password: "disabled-secret", Inactive: true},
		{Username: "by-name", GrantTypes: grants(certificate)},
		{Username: "pinned", GrantTypes: grants(certificate), Certificates: []registry.FingerprintSpec{{Fingerprint: printA}}},
		{Username: "expired", GrantTypes: grants(certificate), Certificates: []registry.FingerprintSpec{{Fingerprint: printB, Expires: r.Now().Add(time.Minute)}}},
		{Username: "both", Password: "both-secret", GrantTypes: grants(require(password), require(certificate))},
		{Username: "either", Password: "either-secret", GrantTypes: grants(password, certificate)},
		{Username: "cert-only", Password: "cert-only-secret", GrantTypes: grants(certificate)},
		{Username: "nothing", GrantTypes: grants()},
	} {
		n.Provider = registry.ProviderLocal
		if _, _, err := r.Service.CreateUser(t.Context(), r.Admin, n); err != nil {
			t.Fatalf("%s: %v", n.Username, err)
		}
	}
	r.Turn(time.Minute)
	old := r.Certificate(strings.Repeat("cc", 32), "by-name", true)
	old.NotAfter = r.Now().Add(-time.Second)
	early := r.Certificate(strings.Repeat("cc", 32), "by-name", true)
	early.NotBefore = r.Now().Add(time.Minute)

	tests := []struct {
		name string
		a    registry.Attempt
		code registry.Code
		as   string
	}{
		{"right password", registry.Attempt{Username: "plain", Password: "plain-secret", HasPassword: true}, "", "plain"},
		{"wrong password", registry.Attempt{Username: "plain", Password: "plain-secreT", HasPassword: true}, registry.Unauthenticated, ""},
		{"empty password", registry.Attempt{Username: "plain", HasPassword: true}, registry.Unauthenticated, ""},
		{"no password", registry.Attempt{Username: "plain"}, registry.Unauthenticated, ""},
		{"password beyond the limit", registry.Attempt{Username: "plain", Password: strings.Repeat("p", 1<<16), HasPassword: true}, registry.Unauthenticated, ""},
		{"name in another case", registry.Attempt{Username: "Plain", Password: "plain-secret", HasPassword: true}, registry.Unauthenticated, ""},
		{"unknown name", registry.Attempt{Username: "nobody", Password: "plain-secret", HasPassword: true}, registry.Unauthenticated, ""},
		{"no name", registry.Attempt{Password: "plain-secret", HasPassword: true}, registry.Unauthenticated, ""},
		{"nothing at all", registry.Attempt{}, registry.Unauthenticated, ""},
		{"name with NUL", registry.Attempt{Username: "plain\x00", Password: "plain-secret", HasPassword: true}, registry.Unauthenticated, ""},
		{"disabled user, right password", registry.Attempt{Username: "disabled", Password: "disabled-secret", HasPassword: true}, registry.Forbidden, ""},
		{"disabled user, wrong password", registry.Attempt{Username: "disabled", Password: "guess", HasPassword: true}, registry.Unauthenticated, ""},
		{"user without credentials", registry.Attempt{Username: "nothing", Password: "guess", HasPassword: true}, registry.Unauthenticated, ""},
		{"right password without that grant type", registry.Attempt{Username: "cert-only", Password: "cert-only-secret", HasPassword: true}, registry.Forbidden, ""},
		{"wrong password without that grant type", registry.Attempt{Username: "cert-only", Password: "guess", HasPassword: true}, registry.Unauthenticated, ""},

		{"trusted certificate by common name", registry.Attempt{Certificate: r.Certificate(printC(), "by-name", true)}, "", "by-name"},
		{"trusted certificate and the same name", registry.Attempt{Username: "by-name", Certificate: r.Certificate(printC(), "by-name", true)}, "", "by-name"},
		{"trusted certificate and another name", registry.Attempt{Username: "pinned", Certificate: r.Certificate(printC(), "by-name", true)}, registry.Forbidden, ""},
		{"trusted certificate of nobody", registry.Attempt{Certificate: r.Certificate(printC(), "nobody", true)}, registry.Forbidden, ""},
		{"trusted certificate, user without that grant type", registry.Attempt{Certificate: r.Certificate(printC(), "plain", true)}, registry.Forbidden, ""},
		{"trusted certificate with an empty common name", registry.Attempt{Certificate: r.Certificate(printC(), "", true)}, registry.Forbidden, ""},
		{"untrusted certificate with the right common name", registry.Attempt{Certificate: r.Certificate(printC(), "by-name", false)}, registry.Forbidden, ""},
		{"untrusted certificate and the name", registry.Attempt{Username: "by-name", Certificate: r.Certificate(printC(), "by-name", false)}, registry.Forbidden, ""},
		{"certificate past its time", registry.Attempt{Username: "by-name", Certificate: old}, registry.Forbidden, ""},
		{"certificate before its time", registry.Attempt{Username: "by-name", Certificate: early}, registry.Forbidden, ""},

		{"registered certificate, trusted by nobody else", registry.Attempt{Certificate: r.Certificate(printA, "whatever", false)}, "", "pinned"},
		{"registered certificate with its name", registry.Attempt{Username: "pinned", Certificate: r.Certificate(printA, "whatever", false)}, "", "pinned"},
		{"registered certificate with another's name", registry.Attempt{Username: "plain", Password: "plain-secret", HasPassword: true, Certificate: r.Certificate(printA, "x", false)}, registry.Forbidden, ""},
		{"pinned user, other trusted certificate with its name", registry.Attempt{Certificate: r.Certificate(printC(), "pinned", true)}, registry.Forbidden, ""},
		{"registered certificate past its registration", registry.Attempt{Certificate: r.Certificate(printB, "expired", true)}, registry.Forbidden, ""},

		{"both required, both given", registry.Attempt{Username: "both", Password: "both-secret", HasPassword: true, Certificate: r.Certificate(printC(), "both", true)}, "", "both"},
		{"both required, certificate only", registry.Attempt{Username: "both", Certificate: r.Certificate(printC(), "both", true)}, registry.Forbidden, ""},
		{"both required, password only", registry.Attempt{Username: "both", Password: "both-secret", HasPassword: true}, registry.Forbidden, ""},
		{"both required, wrong password", registry.Attempt{Username: "both", Password: "guess", HasPassword: true, Certificate: r.Certificate(printC(), "both", true)}, registry.Unauthenticated, ""},
		{"either will do: password", registry.Attempt{Username: "either", Password: "either-secret", HasPassword: true}, "", "either"},
		{"either will do: certificate", registry.Attempt{Certificate: r.Certificate(printC(), "either", true)}, "", "either"},
		{"either will do, but a wrong password refuses", registry.Attempt{Username: "either", Password: "guess", HasPassword: true, Certificate: r.Certificate(printC(), "either", true)}, registry.Unauthenticated, ""},
		{"a password beside the only granted certificate is not looked at", registry.Attempt{Username: "cert-only", Password: "guess", HasPassword: true, Certificate: r.Certificate(printC(), "cert-only", true)}, "", "cert-only"},
		{"right password beside a stranger's certificate", registry.Attempt{Username: "plain", Password: "plain-secret", HasPassword: true, Certificate: r.Certificate(printC(), "stranger", true)}, "", "plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			login, err := r.SignIn.In(t.Context(), tt.a)
			registrytest.WantCode(t, tt.name, err, tt.code)
			if err == nil && login.Subject.Principal().User.Username != tt.as {
				t.Errorf("signed in as %s, want %s", login.Subject.Principal().User.Username, tt.as)
			}
			if err == nil && !login.Proof.Holds(login.Subject.Principal(), r.Now()) {
				t.Error("the proof does not hold right after the sign-in")
			}
		})
	}
}

func printC() string { return strings.Repeat("cd", 32) }

// TestUnknownNamesCostAHash guards against telling by the time it takes which
// users exist.
func TestUnknownNamesCostAHash(t *testing.T) {
	r := registrytest.New(t)
	r.User("known")
	if _, _, err := r.Service.CreateUser(t.Context(), r.Admin, registry.UserSpec{Username: "no-password", Provider: registry.ProviderLocal}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"known", "unknown", "no-password", "a b", ""} {
		before := r.Hashes.Stats().Done
		if _, err := r.Login(name, "guess"); !errors.Is(err, registry.Unauthenticated) {
			t.Fatalf("%q: %v", name, err)
		}
		if got := r.Hashes.Stats().Done - before; got != 1 {
			t.Errorf("%q: %d hashes, want 1", name, got)
		}
		before = r.Hashes.Stats().Done
		if _, err := r.Login(name, "guess"); !errors.Is(err, registry.Unauthenticated) {
			t.Fatalf("%q again: %v", name, err)
		}
		if got := r.Hashes.Stats().Done - before; got != 0 {
			t.Errorf("%q again: %d hashes, want 0", name, got)
		}
	}
}

// TestARegisteredCertificateDoesNotBecomeATrustedOne takes a certificate away
// that nobody vouches for, from the user whose name it carries.
func TestARegisteredCertificateDoesNotBecomeATrustedOne(t *testing.T) {
	r := withoutAnchors(registrytest.New(t))
	ctx := t.Context()
	u, _, err := r.Service.CreateUser(ctx, r.Admin, registry.UserSpec{
		Username: "pinned", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: printA}},
	})
	registrytest.Must(t, err)
	for trusted, want := range map[bool]bool{false: false, true: false} {
		login, err := r.SignIn.In(ctx, registry.Attempt{Certificate: r.Certificate(printA, "pinned", trusted)})
		registrytest.Must(t, err)
		_, err = r.Service.RemoveFingerprint(ctx, r.Admin, u.ID, printA)
		registrytest.Must(t, err)
		if got := r.Holds(login); got != want {
			t.Errorf("trusted %v: holds %v, want %v", trusted, got, want)
		}
		_, err = r.Service.AddFingerprint(ctx, r.Admin, u.ID, registry.FingerprintSpec{Fingerprint: printA})
		registrytest.Must(t, err)
	}
}
