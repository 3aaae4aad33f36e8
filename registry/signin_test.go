package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
)

var (
	printA = strings.Repeat("aa", 32)
	printB = strings.Repeat("bb", 32)
)

// cert is a certificate in its time.
func cert(r *rig, fp, cn string, trusted bool) *registry.Certificate {
	return &registry.Certificate{
		SHA256: fp, CommonName: cn, Trusted: trusted,
		NotBefore: r.now().Add(-time.Hour), NotAfter: r.now().Add(time.Hour),
	}
}

func TestSignIn(t *testing.T) {
	r := newRig(t)
	grants := func(gs ...registry.GrantType) []registry.GrantType { return gs }
	password := registry.GrantType{Method: registry.MethodPassword}
	certificate := registry.GrantType{Method: registry.MethodCertificate}
	require := func(g registry.GrantType) registry.GrantType { g.Required = true; return g }
	for _, n := range []registry.UserSpec{
		{Username: "plain", Password: "plain-secret"},
		{Username: "disabled", Password: "disabled-secret", Inactive: true},
		{Username: "by-name", GrantTypes: grants(certificate)},
		{Username: "pinned", GrantTypes: grants(certificate), Certificates: []registry.FingerprintSpec{{Fingerprint: printA}}},
		{Username: "expired", GrantTypes: grants(certificate), Certificates: []registry.FingerprintSpec{{Fingerprint: printB, Expires: r.now().Add(-time.Minute)}}},
		{Username: "both", Password: "both-secret", GrantTypes: grants(require(password), require(certificate))},
		{Username: "either", Password: "either-secret", GrantTypes: grants(password, certificate)},
		{Username: "cert-only", Password: "cert-only-secret", GrantTypes: grants(certificate)},
		{Username: "nothing", GrantTypes: grants()},
	} {
		n.Provider = registry.ProviderLocal
		if _, _, err := r.service.CreateUser(t.Context(), r.admin, n); err != nil {
			t.Fatalf("%s: %v", n.Username, err)
		}
	}
	old := cert(r, strings.Repeat("cc", 32), "by-name", true)
	old.NotAfter = r.now().Add(-time.Second)
	early := cert(r, strings.Repeat("cc", 32), "by-name", true)
	early.NotBefore = r.now().Add(time.Minute)

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

		{"trusted certificate by common name", registry.Attempt{Certificate: cert(r, printC(), "by-name", true)}, "", "by-name"},
		{"trusted certificate and the same name", registry.Attempt{Username: "by-name", Certificate: cert(r, printC(), "by-name", true)}, "", "by-name"},
		{"trusted certificate and another name", registry.Attempt{Username: "pinned", Certificate: cert(r, printC(), "by-name", true)}, registry.Forbidden, ""},
		{"trusted certificate of nobody", registry.Attempt{Certificate: cert(r, printC(), "nobody", true)}, registry.Forbidden, ""},
		{"trusted certificate, user without that grant type", registry.Attempt{Certificate: cert(r, printC(), "plain", true)}, registry.Forbidden, ""},
		{"trusted certificate with an empty common name", registry.Attempt{Certificate: cert(r, printC(), "", true)}, registry.Forbidden, ""},
		{"untrusted certificate with the right common name", registry.Attempt{Certificate: cert(r, printC(), "by-name", false)}, registry.Forbidden, ""},
		{"untrusted certificate and the name", registry.Attempt{Username: "by-name", Certificate: cert(r, printC(), "by-name", false)}, registry.Forbidden, ""},
		{"certificate past its time", registry.Attempt{Username: "by-name", Certificate: old}, registry.Forbidden, ""},
		{"certificate before its time", registry.Attempt{Username: "by-name", Certificate: early}, registry.Forbidden, ""},

		{"registered certificate, trusted by nobody else", registry.Attempt{Certificate: cert(r, printA, "whatever", false)}, "", "pinned"},
		{"registered certificate with its name", registry.Attempt{Username: "pinned", Certificate: cert(r, printA, "whatever", false)}, "", "pinned"},
		{"registered certificate with another's name", registry.Attempt{Username: "plain", Password: "plain-secret", HasPassword: true, Certificate: cert(r, printA, "x", false)}, registry.Forbidden, ""},
		{"pinned user, other trusted certificate with its name", registry.Attempt{Certificate: cert(r, printC(), "pinned", true)}, registry.Forbidden, ""},
		{"registered certificate past its registration", registry.Attempt{Certificate: cert(r, printB, "expired", true)}, registry.Forbidden, ""},

		{"both required, both given", registry.Attempt{Username: "both", Password: "both-secret", HasPassword: true, Certificate: cert(r, printC(), "both", true)}, "", "both"},
		{"both required, certificate only", registry.Attempt{Username: "both", Certificate: cert(r, printC(), "both", true)}, registry.Forbidden, ""},
		{"both required, password only", registry.Attempt{Username: "both", Password: "both-secret", HasPassword: true}, registry.Forbidden, ""},
		{"both required, wrong password", registry.Attempt{Username: "both", Password: "guess", HasPassword: true, Certificate: cert(r, printC(), "both", true)}, registry.Unauthenticated, ""},
		{"either will do: password", registry.Attempt{Username: "either", Password: "either-secret", HasPassword: true}, "", "either"},
		{"either will do: certificate", registry.Attempt{Certificate: cert(r, printC(), "either", true)}, "", "either"},
		{"either will do, but a wrong password refuses", registry.Attempt{Username: "either", Password: "guess", HasPassword: true, Certificate: cert(r, printC(), "either", true)}, registry.Unauthenticated, ""},
		{"a password beside the only granted certificate is not looked at", registry.Attempt{Username: "cert-only", Password: "guess", HasPassword: true, Certificate: cert(r, printC(), "cert-only", true)}, "", "cert-only"},
		{"right password beside a stranger's certificate", registry.Attempt{Username: "plain", Password: "plain-secret", HasPassword: true, Certificate: cert(r, printC(), "stranger", true)}, "", "plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			login, err := r.signIn.In(t.Context(), tt.a)
			wantCode(t, tt.name, err, tt.code)
			if err == nil && login.Subject.Principal().User.Username != tt.as {
				t.Errorf("signed in as %s, want %s", login.Subject.Principal().User.Username, tt.as)
			}
			if err == nil && !login.Proof.Holds(login.Subject.Principal(), r.now()) {
				t.Error("the proof does not hold right after the sign-in")
			}
		})
	}
}

func printC() string { return strings.Repeat("cd", 32) }

// TestUnknownNamesCostAHash guards against telling by the time it takes which
// users exist.
func TestUnknownNamesCostAHash(t *testing.T) {
	r := newRig(t)
	r.user("known")
	if _, _, err := r.service.CreateUser(t.Context(), r.admin, registry.UserSpec{Username: "no-password", Provider: registry.ProviderLocal}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"known", "unknown", "no-password", "a b", ""} {
		before := r.pool.Stats().Done
		if _, err := r.login(name, "guess"); !errors.Is(err, registry.Unauthenticated) {
			t.Fatalf("%q: %v", name, err)
		}
		if got := r.pool.Stats().Done - before; got != 1 {
			t.Errorf("%q: %d hashes, want 1", name, got)
		}
		before = r.pool.Stats().Done
		if _, err := r.login(name, "guess"); !errors.Is(err, registry.Unauthenticated) {
			t.Fatalf("%q again: %v", name, err)
		}
		if got := r.pool.Stats().Done - before; got != 0 {
			t.Errorf("%q again: %d hashes, want 0", name, got)
		}
	}
}

func TestAProofEndsWithWhatItRestsOn(t *testing.T) {
	r := newRig(t)
	svc, ctx := r.service, t.Context()
	tests := []struct {
		name   string
		change func(u registry.User) error
		holds  bool
	}{
		{"nothing changes", func(registry.User) error { return nil }, true},
		{"a role is given", func(u registry.User) error {
			_, err := svc.AssignRole(ctx, r.admin, u.ID, r.adminRole())
			return err
		}, true},
		{"the prefix changes", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{PublishPrefix: ptr("x/")})
			return err
		}, true},
		{"the password changes", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{Password: ptr("another-one")})
			return err
		}, false},
		{"the same password is set again", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{Password: ptr(u.Username + "-secret")})
			return err
		}, false},
		{"the user is renamed", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{Username: ptr(u.Username + "-x")})
			return err
		}, false},
		{"the user is disabled", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{Active: ptr(false)})
			return err
		}, false},
		{"the user moves to a directory", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{Provider: ptr(registry.ProviderLDAP)})
			return err
		}, false},
		{"the grant type goes", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{GrantTypes: &[]registry.GrantType{{Method: "certificate"}}})
			return err
		}, false},
		{"another grant type becomes required", func(u registry.User) error {
			_, _, err := svc.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{GrantTypes: &[]registry.GrantType{{Method: "password"}, {Method: "certificate", Required: true}}})
			return err
		}, false},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := r.user("gateway" + string(rune('a'+i)))
			login, err := r.login(u.Username, u.Username+"-secret")
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.change(u); err != nil {
				t.Fatal(err)
			}
			rec, err := r.store.RecordByID(ctx, u.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := login.Proof.Holds(rec.Principal(), r.now()); got != tt.holds {
				t.Errorf("holds: %v, want %v", got, tt.holds)
			}
		})
	}
	var gone registry.Proof
	if gone.Holds(nil, r.now()) {
		t.Error("a proof holds for a user that is gone")
	}
}

func TestACertificateProofEndsWithItsRegistration(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	u, _, err := r.service.CreateUser(ctx, r.admin, registry.UserSpec{
		Username: "pinned", Provider: registry.ProviderLocal,
		Certificates: []registry.FingerprintSpec{{Fingerprint: printA, Expires: r.now().Add(30 * time.Minute)}, {Fingerprint: printB}},
	})
	if err != nil {
		t.Fatal(err)
	}
	login, err := r.signIn.In(ctx, registry.Attempt{Certificate: cert(r, printA, "x", false)})
	if err != nil {
		t.Fatal(err)
	}
	if login.Proof.Expired(r.now()) || !login.Proof.Expired(r.now().Add(31*time.Minute)) {
		t.Errorf("the proof expires at %v", login.Proof.Expires)
	}
	if _, err := r.service.RemoveFingerprint(ctx, r.admin, u.ID, printA); err != nil {
		t.Fatal(err)
	}
	rec, err := r.store.RecordByID(ctx, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if login.Proof.Holds(rec.Principal(), r.now()) {
		t.Error("the proof holds after the certificate was removed")
	}
	if _, err := r.service.RemoveFingerprint(ctx, r.admin, u.ID, printB); err != nil {
		t.Fatal(err)
	}
	rec, err = r.store.RecordByID(ctx, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if login.Proof.Holds(rec.Principal(), r.now()) {
		t.Error("the proof holds once no certificate is registered, though its common name is another")
	}
}

func TestTokens(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	u := r.user("gateway")
	login, err := r.login("gateway", "gateway-secret")
	if err != nil {
		t.Fatal(err)
	}
	issue := func() (string, registry.Token) {
		raw, tok, err := r.service.IssueToken(ctx, login, time.Hour, "label")
		if err != nil {
			t.Fatal(err)
		}
		return raw, tok
	}
	refused := func(what, raw string) {
		t.Helper()
		_, err := r.signIn.Token(ctx, raw)
		wantCode(t, what, err, registry.Unauthenticated)
	}
	raw, tok := issue()
	got, err := r.signIn.Token(ctx, raw)
	if err != nil || got.Subject.ID() != u.ID {
		t.Fatalf("fresh token: %v", err)
	}
	parts := strings.Split(raw, ".")
	refused("no token", "")
	refused("garbage", "a.b.c")
	refused("unsigned", parts[0]+"."+parts[1]+".")
	refused("cut", raw[:len(raw)-4])
	refused("alg none", "eyJhbGciOiJub25lIn0."+parts[1]+".")
	refused("very long", strings.Repeat("x", 1<<20))

	other, _ := issue()
	if _, err := r.service.DeleteToken(ctx, r.admin, u.ID, tok.Fingerprint); err != nil {
		t.Fatal(err)
	}
	refused("deleted by fingerprint", raw)
	if _, err := r.signIn.Token(ctx, other); err != nil {
		t.Errorf("the other token: %v", err)
	}
	_, err = r.service.DeleteToken(ctx, r.admin, u.ID, string(tok.ID))
	wantCode(t, "delete it again", err, registry.NotFound)
	if _, err := r.service.Logout(ctx, other); err != nil {
		t.Fatal(err)
	}
	refused("logged out", other)
	if n, err := r.service.Logout(ctx, other); err != nil || n != 0 {
		t.Errorf("log out twice: %d, %v", n, err)
	}
	if _, err := r.service.Logout(ctx, "nonsense"); err != nil {
		t.Errorf("log out nonsense: %v", err)
	}
	raw, _ = issue()
	if _, _, err := r.service.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{Active: ptr(false)}); err != nil {
		t.Fatal(err)
	}
	refused("of a disabled user", raw)
	if _, _, err := r.service.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{Active: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.signIn.Token(ctx, raw); err != nil {
		t.Errorf("of a user that is active again: %v", err)
	}
	if _, err := r.service.DeleteTokens(ctx, r.admin, u.ID); err != nil {
		t.Fatal(err)
	}
	refused("after all were deleted", raw)
	raw, _ = issue()
	if _, err := r.service.DeleteUser(ctx, r.admin, u.ID); err != nil {
		t.Fatal(err)
	}
	refused("of a deleted user", raw)
}

func TestATokenIsAPasswordOnlyWithThatGrantType(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	u := r.user("gateway")
	r.user("other")
	login, err := r.login("gateway", "gateway-secret")
	if err != nil {
		t.Fatal(err)
	}
	raw, tok, err := r.service.IssueToken(ctx, login, time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	attempt := registry.Attempt{Username: "gateway", Password: raw, HasPassword: true, TokenAsPassword: true}
	_, err = r.signIn.In(ctx, attempt)
	wantCode(t, "without the grant type", err, registry.Unauthenticated)
	grants := []registry.GrantType{{Method: registry.MethodToken}, {Method: registry.MethodPassword}}
	if _, _, err := r.service.UpdateUser(ctx, r.admin, u.ID, registry.UserUpdate{GrantTypes: &grants}); err != nil {
		t.Fatal(err)
	}
	got, err := r.signIn.In(ctx, attempt)
	if err != nil || got.Proof.Token != tok.ID || !got.Proof.Expires.Equal(tok.Expires) {
		t.Errorf("with it: %+v, %v", got.Proof, err)
	}
	if _, err := r.login("gateway", "gateway-secret"); err != nil {
		t.Errorf("the password still counts: %v", err)
	}
	attempt.Username = "other"
	_, err = r.signIn.In(ctx, attempt)
	wantCode(t, "another's token", err, registry.Unauthenticated)
	attempt.Username, attempt.TokenAsPassword = "gateway", false
	_, err = r.signIn.In(ctx, attempt)
	wantCode(t, "at a door that takes no tokens for passwords", err, registry.Unauthenticated)
}

func TestChangePassword(t *testing.T) {
	r := newRig(t)
	r.user("gateway")
	caller := r.callerNamed("gateway")
	_, err := r.service.ChangePassword(t.Context(), caller, "wrong", "brand-new")
	wantField(t, "wrong current password", err, registry.Forbidden, "password")
	_, err = r.service.ChangePassword(t.Context(), caller, "gateway-secret", "new")
	wantField(t, "weak new password", err, registry.WeakPassword, "newPassword")
	if _, err := r.service.ChangePassword(t.Context(), caller, "gateway-secret", "brand-new"); err != nil {
		t.Fatal(err)
	}
	_, err = r.login("gateway", "gateway-secret")
	wantCode(t, "old password", err, registry.Unauthenticated)
	_, err = r.login("gateway", "brand-new")
	wantCode(t, "new password", err, "")
}

func TestSetPasswordIsTheWayBackIn(t *testing.T) {
	r := newRig(t)
	r.user("second", r.adminRole())
	if _, _, err := r.service.UpdateUser(t.Context(), r.callerNamed("second"), r.admin.ID, registry.UserUpdate{
		Active: ptr(false), GrantTypes: &[]registry.GrantType{{Method: registry.MethodCertificate}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.service.SetPassword(t.Context(), registry.System("cli"), "admin", "found-again"); err != nil {
		t.Fatal(err)
	}
	_, err := r.login("admin", "found-again")
	wantCode(t, "sign-in", err, "")
	_, err = r.service.SetPassword(t.Context(), registry.System("cli"), "nobody", "found-again")
	wantCode(t, "nobody", err, registry.NotFound)
}
