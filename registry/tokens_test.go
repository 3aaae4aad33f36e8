package registry_test

import (
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
)

func TestTokens(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	u := r.User("gateway")
	login, err := r.Login("gateway", "gateway-secret")
	if err != nil {
		t.Fatal(err)
	}
	issue := func() (string, registry.Token) {
		raw, tok, err := r.Service.IssueToken(ctx, login, time.Hour, "label")
		if err != nil {
			t.Fatal(err)
		}
		return raw, tok
	}
	refused := func(what, raw string) {
		t.Helper()
		_, err := r.SignIn.Token(ctx, raw)
		registrytest.WantCode(t, what, err, registry.Unauthenticated)
	}
	raw, tok := issue()
	got, err := r.SignIn.Token(ctx, raw)
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
	if _, err := r.Service.DeleteToken(ctx, r.Admin, u.ID, tok.Fingerprint); err != nil {
		t.Fatal(err)
	}
	refused("deleted by fingerprint", raw)
	if _, err := r.SignIn.Token(ctx, other); err != nil {
		t.Errorf("the other token: %v", err)
	}
	_, err = r.Service.DeleteToken(ctx, r.Admin, u.ID, string(tok.ID))
	registrytest.WantCode(t, "delete it again", err, registry.NotFound)
	if _, err := r.Service.Logout(ctx, other); err != nil {
		t.Fatal(err)
	}
	refused("logged out", other)
	if n, err := r.Service.Logout(ctx, other); err != nil || n != 0 {
		t.Errorf("log out twice: %d, %v", n, err)
	}
	if _, err := r.Service.Logout(ctx, "nonsense"); err != nil {
		t.Errorf("log out nonsense: %v", err)
	}
	raw, _ = issue()
	if _, _, err := r.Service.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{Active: new(false)}); err != nil {
		t.Fatal(err)
	}
	refused("of a disabled user", raw)
	if _, _, err := r.Service.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{Active: new(true)}); err != nil {
		t.Fatal(err)
	}
	refused("of a user that is active again", raw)
	raw, _ = issue()
	if _, err := r.Service.DeleteTokens(ctx, r.Admin, u.ID); err != nil {
		t.Fatal(err)
	}
	refused("after all were deleted", raw)
	raw, _ = issue()
	if _, err := r.Service.DeleteUser(ctx, r.Admin, u.ID); err != nil {
		t.Fatal(err)
	}
	refused("of a deleted user", raw)
}

func TestATokenIsAPasswordOnlyWithThatGrantType(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	u := r.User("gateway")
	r.User("other")
	login, err := r.Login("gateway", "gateway-secret")
	if err != nil {
		t.Fatal(err)
	}
	raw, tok, err := r.Service.IssueToken(ctx, login, time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	attempt := registry.Attempt{Username: "gateway", Password: raw, HasPassword: true, TokenAsPassword: true}
	_, err = r.SignIn.In(ctx, attempt)
	registrytest.WantCode(t, "without the grant type", err, registry.Unauthenticated)
	grants := []registry.GrantType{{Method: registry.MethodToken}, {Method: registry.MethodPassword}}
	if _, _, err := r.Service.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{GrantTypes: &grants}); err != nil {
		t.Fatal(err)
	}
	got, err := r.SignIn.In(ctx, attempt)
	if err != nil || got.Proof.Token != tok.ID || !got.Proof.Expires.Equal(tok.Expires) {
		t.Errorf("with it: %+v, %v", got.Proof, err)
	}
	if _, err := r.Login("gateway", "gateway-secret"); err != nil {
		t.Errorf("the password still counts: %v", err)
	}
	attempt.Username = "other"
	_, err = r.SignIn.In(ctx, attempt)
	registrytest.WantCode(t, "another's token", err, registry.Unauthenticated)
	attempt.Username, attempt.TokenAsPassword = "gateway", false
	_, err = r.SignIn.In(ctx, attempt)
	registrytest.WantCode(t, "at a door that takes no tokens for passwords", err, registry.Unauthenticated)
}

// A user has so many tokens at once; those that have expired are not counted, nor are
// those of others.
func TestTokensOfOneUser(t *testing.T) {
	r := registrytest.New(t, func(cfg *node.Config) { cfg.Tokens.PerUser = 3 })
	r.User("gateway")
	r.User("another")
	issue := func(name string, life time.Duration) error {
		login, err := r.Login(name, name+"-secret")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = r.Service.IssueToken(t.Context(), login, life, "")
		return err
	}
	for range 3 {
		registrytest.WantCode(t, "within the limit", issue("gateway", time.Hour), "")
	}
	registrytest.WantCode(t, "one more", issue("gateway", time.Hour), registry.Conflict)
	registrytest.WantCode(t, "another user's", issue("another", time.Hour), "")
	r.Turn(2 * time.Hour)
	registrytest.WantCode(t, "when they have expired", issue("gateway", time.Hour), "")
}

// Between a sign-in and the token that it is for, the user may have changed.
func TestASignInOfBeforeMakesNoToken(t *testing.T) {
	r := registrytest.New(t)
	for name, upd := range map[string]registry.UserUpdate{
		"the password is another": {Password: new("quite-another")},
		"the user is disabled":    {Active: new(false)},
		"no grant types are left": {GrantTypes: &[]registry.GrantType{}},
		"the user is renamed":     {Username: new("renamed")},
	} {
		t.Run(name, func(t *testing.T) {
			u := r.User("gateway")
			login, err := r.Login("gateway", "gateway-secret")
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Service.UpdateUser(t.Context(), r.Admin, u.ID, upd); err != nil {
				t.Fatal(err)
			}
			_, _, err = r.Service.IssueToken(t.Context(), login, time.Hour, "")
			registrytest.WantCode(t, name, err, registry.Unauthenticated)
			if _, err := r.Service.DeleteUser(t.Context(), r.Admin, u.ID); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What the API does not offer yet ends tokens too, and does not revive them.
func TestATokenEndsWithTheProviderAndWithMFA(t *testing.T) {
	r := registrytest.New(t)
	for _, tt := range []struct {
		name    string
		changes []registry.UserUpdate
	}{
		{"MFA is demanded", []registry.UserUpdate{{EnforceMFA: new(true)}}},
		{"MFA is demanded for a while", []registry.UserUpdate{{EnforceMFA: new(true)}, {EnforceMFA: new(false)}}},
		{"another provider", []registry.UserUpdate{{Provider: new(registry.ProviderLDAP)}}},
		{"another provider for a while", []registry.UserUpdate{{Provider: new(registry.ProviderLDAP)}, {Provider: new(registry.ProviderLocal)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := r.User("gateway")
			login, err := r.Login("gateway", "gateway-secret")
			registrytest.Must(t, err)
			raw, tok, err := r.Service.IssueToken(t.Context(), login, time.Hour, "")
			registrytest.Must(t, err)
			for _, upd := range tt.changes {
				_, _, err := r.Service.UpdateUser(t.Context(), r.Admin, u.ID, upd)
				registrytest.Must(t, err)
			}
			_, err = r.SignIn.Token(t.Context(), raw)
			registrytest.WantCode(t, tt.name, err, registry.Unauthenticated)
			if alive, err := r.Service.TokenAlive(t.Context(), tok.ID); err != nil || alive {
				t.Errorf("alive for sessions: %v, %v", alive, err)
			}
			_, err = r.Service.DeleteUser(t.Context(), r.Admin, u.ID)
			registrytest.Must(t, err)
		})
	}
}

// To log in and out leaves the user as it is for everybody else.
func TestTheEndOfATokenIsNoChangeOfItsUser(t *testing.T) {
	r := registrytest.New(t)
	u := r.User("gateway")
	login, err := r.Login("gateway", "gateway-secret")
	registrytest.Must(t, err)
	before, err := r.Service.User(t.Context(), u.ID)
	registrytest.Must(t, err)
	for name, end := range map[string]func(raw string, tok registry.Token) (uint64, error){
		"logout": func(raw string, _ registry.Token) (uint64, error) { return r.Service.Logout(t.Context(), raw) },
		"one is deleted": func(_ string, tok registry.Token) (uint64, error) {
			return r.Service.DeleteToken(t.Context(), r.Admin, u.ID, string(tok.ID))
		},
		"all are deleted": func(string, registry.Token) (uint64, error) {
			return r.Service.DeleteTokens(t.Context(), r.Admin, u.ID)
		},
	} {
		raw, tok, err := r.Service.IssueToken(t.Context(), login, time.Hour, "")
		registrytest.Must(t, err)
		n, err := end(raw, tok)
		if err != nil || n == 0 {
			t.Errorf("%s: number %d, %v", name, n, err)
		}
		changes, err := r.Store.Changes(t.Context(), n-1, 1)
		registrytest.Must(t, err)
		ended, ok := changes[0].Tokens()
		if !ok || ended.User != u.ID || ended.Token != "" && ended.Token != tok.ID {
			t.Errorf("%s: change %+v", name, changes[0])
		}
	}
	if after, err := r.Service.User(t.Context(), u.ID); err != nil || after.Version != before.Version {
		t.Errorf("version %d, want %d; %v", after.Version, before.Version, err)
	}
}
