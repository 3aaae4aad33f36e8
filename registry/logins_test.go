package registry_test

import (
	"net/netip"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
)

func TestLoginRates(t *testing.T) {
	now := time.Now()
	r := registrytest.New(t, func(cfg *node.Config) {
		cfg.Tokens.Rates = registry.LoginRates{User: 0.5, Address: 1}
		cfg.Now = func() time.Time { return now }
	})
	r.User("gateway")
	r.User("another")
	issue := func(name string) error {
		login, err := r.Login(name, name+"-secret")
		registrytest.Must(t, err)
		_, _, err = r.Service.IssueToken(t.Context(), login, time.Hour, "")
		return err
	}
	for range 5 {
		registrytest.WantCode(t, "at once", issue("gateway"), "")
	}
	registrytest.WantCode(t, "one more", issue("gateway"), registry.TooOften)
	registrytest.WantCode(t, "another user", issue("another"), "")
	now = now.Add(2 * time.Second)
	registrytest.WantCode(t, "two seconds later", issue("gateway"), "")
	registrytest.WantCode(t, "and one more", issue("gateway"), registry.TooOften)

	from := netip.MustParseAddr
	for range 10 {
		registrytest.WantCode(t, "from an address", r.Service.CountLogin(from("2001:db8::1")), "")
	}
	registrytest.WantCode(t, "from its neighbour", r.Service.CountLogin(from("2001:db8::2")), registry.TooOften)
	registrytest.WantCode(t, "from elsewhere", r.Service.CountLogin(from("192.0.2.1")), "")
	if got := r.Service.RefusedLogins(); got != 3 {
		t.Errorf("%d are counted as refused, want 3", got)
	}
}
