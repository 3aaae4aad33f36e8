package registry_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/peer"
	"mqttwarden/registry/registrytest"
	"mqttwarden/registry/secret"
)

// asked is a Verifier that notes on whose behalf it was asked.
type asked struct{ by []secret.Asker }

func (a *asked) Check(ctx context.Context, _, _, _ string) (bool, error) {
	return true, a.CheckNobody(ctx, "", "")
}

func (a *asked) CheckNobody(ctx context.Context, _, _ string) error {
	by, _ := secret.AskerOf(ctx)
	a.by = append(a.by, by)
	return nil
}

// Password work has its turn by who asks for it: names that exist apart from those that
// do not, and requests over HTTP, whatever the name, apart from both.
func TestPasswordWorkIsDoneOnBehalfOfTheAddress(t *testing.T) {
	r := registrytest.New(t)
	r.User("known")
	here := netip.MustParseAddr("2001:db8::7")
	network := peer.Network(here)
	over := secret.Asker{Kind: secret.Request, Network: network}
	for _, tt := range []struct {
		name, username string
		ctx            context.Context
		want           secret.Asker
	}{
		{"a name that exists", "known", t.Context(), secret.Asker{Kind: secret.KnownName, Network: network}},
		{"a name that does not", "unknown", t.Context(), secret.Asker{Kind: secret.UnknownName, Network: network}},
		{"a name that exists, over HTTP", "known", secret.For(t.Context(), over), over},
		{"a name that does not, over HTTP", "unknown", secret.For(t.Context(), over), over},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v asked
			signIn := registry.NewSignIn(registry.SignInConfig{
				Principals: r.Principals, Passwords: &registry.Passwords{Verifier: &v}, Now: r.Now,
			})
			_, err := signIn.In(tt.ctx, registry.Attempt{Username: tt.username, Password: "pass-word", HasPassword: true, Remote: here})
			if err != nil && !errors.Is(err, registry.Unauthenticated) {
				t.Fatal(err)
			}
			if len(v.by) != 1 || v.by[0] != tt.want {
				t.Errorf("got %+v, want %+v", v.by, tt.want)
			}
		})
	}
}
