package adminapi_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry"
)

// watched notes where attempts to sign in come from.
type watched struct {
	adminapi.SignIn

	mu   sync.Mutex
	from []netip.Addr
}

// In implements adminapi.SignIn.
func (w *watched) In(ctx context.Context, a registry.Attempt) (registry.Login, error) {
	w.mu.Lock()
	w.from = append(w.from, a.Remote)
	w.mu.Unlock()
	return w.SignIn.In(ctx, a)
}

// Each attempt to sign in says where it comes from, past the proxies that are trusted.
func TestAttemptsSayWhereTheyComeFrom(t *testing.T) {
	signIn := &watched{}
	api := apitest.New(t, func(cfg *adminapi.Config) {
		signIn.SignIn, cfg.SignIn = cfg.SignIn, signIn
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
	})
	signIn.from = nil
	forwarded := []string{"X-Forwarded-For", "203.0.113.7", "Content-Type", "application/json"}
	api.Send("POST", "/api/login", `{"username": "admin", "password": "wrong-one"}`, forwarded...)
	api.Send("GET", "/api/session", "", append(forwarded, "Authorization", apitest.Basic("admin", apitest.AdminPassword))...)
	api.Send("GET", "/api/session", "", append(forwarded, "Authorization", apitest.Basic("admin", "wrong-one"))...)
	want := netip.MustParseAddr("203.0.113.7")
	if len(signIn.from) != 3 {
		t.Fatalf("%d attempts", len(signIn.from))
	}
	for _, from := range signIn.from {
		if from != want {
			t.Errorf("from %v, want %v", from, want)
		}
	}
}
