package registry_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
)

// connect is a CONNECT with a name and a password.
func (r *rig) connect(name, password string) error {
	_, err := r.signIn.In(r.t.Context(), registry.Attempt{
		Username: name, Password: password, HasPassword: true, TokenAsPassword: true,
		ClientID: "sensor-7", Remote: netip.MustParseAddr("192.0.2.9"),
	})
	return err
}

func TestTheImplicitLadder(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	wantCode(t, "locked", r.connect("sensor", "sensor-secret"), registry.Unauthenticated)
	r.openWindow(time.Minute)
	if got := r.pending(); len(got) != 0 {
		t.Errorf("pending from while it was locked: %v", got)
	}
	wantCode(t, "open", r.connect("sensor", "sensor-secret"), registry.Unauthenticated)
	wantCode(t, "open, again", r.connect("sensor", "sensor-secret"), registry.Unauthenticated)
	wantCode(t, "open, another password", r.connect("sensor", "other-secret"), registry.Unauthenticated)
	list, err := r.service.Pending(ctx)
	must(t, err)
	if len(list) != 1 {
		t.Fatalf("pending: %+v", list)
	}
	p := list[0]
	if p.Username != "sensor" || p.Source != registry.SourceMQTT || p.ClientID != "sensor-7" || p.Remote.String() != "192.0.2.9" ||
		!strings.Contains(p.Context, "sensor-7") || !strings.Contains(p.Context, "192.0.2.9") || p.HasCSR() || p.PairingCode == "" {
		t.Errorf("pending: %+v", p)
	}
	u := r.confirm("sensor")
	if len(u.Roles) != 0 {
		t.Errorf("the user has roles: %v", u.Roles)
	}
	must(t, r.connect("sensor", "sensor-secret"))
	wantCode(t, "another password", r.connect("sensor", "other-secret"), registry.Unauthenticated)
}

func TestADeniedKnockStaysDenied(t *testing.T) {
	r := newRig(t)
	r.openWindow(time.Minute)
	wantCode(t, "connect", r.connect("sensor", "sensor-secret"), registry.Unauthenticated)
	must(t, r.service.Deny(t.Context(), r.admin, registry.RegistrationRef{Username: "sensor"}))
	wantCode(t, "connect", r.connect("sensor", "sensor-secret"), registry.Unauthenticated)
	if got := r.pending(); len(got) != 0 {
		t.Errorf("pending: %v", got)
	}
}

func TestWhatIsNoKnock(t *testing.T) {
	r := newRig(t)
	r.user("existing")
	_, _, err := r.service.CreateUser(t.Context(), r.admin, registry.UserSpec{Username: "no-password", Provider: registry.ProviderLocal})
	must(t, err)
	r.openWindow(time.Minute)
	attempt := func(change func(*registry.Attempt)) registry.Attempt {
		a := registry.Attempt{Username: "sensor", Password: "sensor-secret", HasPassword: true, ClientID: "sensor-7"}
		change(&a)
		return a
	}
	for _, tt := range []struct {
		name string
		a    registry.Attempt
	}{
		{"a login over HTTP", attempt(func(a *registry.Attempt) { a.ClientID = "" })},
		{"no password", attempt(func(a *registry.Attempt) { a.Password, a.HasPassword = "", false })},
		{"an empty password", attempt(func(a *registry.Attempt) { a.Password = "" })},
		{"a password below the policy", attempt(func(a *registry.Attempt) { a.Password = "1234" })},
		{"a password beyond the limit", attempt(func(a *registry.Attempt) { a.Password = strings.Repeat("x", registry.MaxPassword+1) })},
		{"a token", attempt(func(a *registry.Attempt) { a.Password = "eyJhbGciOi.eyJzdWIi.c2ln" })},
		{"a short name", attempt(func(a *registry.Attempt) { a.Username = "ab" })},
		{"no name", attempt(func(a *registry.Attempt) { a.Username = "" })},
		{"a name of the system's", attempt(func(a *registry.Attempt) { a.Username = "__sys-x" })},
		{"a user with a wrong password", attempt(func(a *registry.Attempt) { a.Username = "existing" })},
		{"a user without a password", attempt(func(a *registry.Attempt) { a.Username = "no-password" })},
		{"a user in another case", attempt(func(a *registry.Attempt) { a.Username = "Existing" })},
		{"a certificate of nobody", registry.Attempt{Certificate: cert(r, printC(), "sensor", true), ClientID: "sensor-7"}},
	} {
		if _, err := r.signIn.In(t.Context(), tt.a); err == nil {
			t.Errorf("%s: signed in", tt.name)
		}
		if got := r.pending(); len(got) != 0 {
			t.Fatalf("%s: pending is %v", tt.name, got)
		}
	}
}

func TestAKnockIsSeenAtOnceHereAndSoonElsewhere(t *testing.T) {
	r := newRig(t)
	other := r.node()
	for _, n := range []*rig{r, other} { // both have seen it locked
		wantCode(t, "locked", n.connect("early-bird", "some-secret"), registry.Unauthenticated)
	}
	r.openWindow(time.Minute)
	wantCode(t, "here", r.connect("sensor-a", "sensor-secret"), registry.Unauthenticated)
	if got := r.pending(); len(got) != 1 {
		t.Errorf("here: pending %v", got)
	}
	other.turn(time.Second)
	wantCode(t, "elsewhere", other.connect("sensor-b", "sensor-secret"), registry.Unauthenticated)
	if got := r.pending(); len(got) != 2 {
		t.Errorf("elsewhere: pending %v", got)
	}
	must(t, r.service.LockWindow(t.Context(), r.admin))
	for _, n := range []*rig{r, other} {
		wantCode(t, "locked again", n.connect("sensor-c", "sensor-secret"), registry.Unauthenticated)
	}
	r.openWindow(time.Minute)
	if got := r.pending(); len(got) != 0 {
		t.Errorf("pending from while it was locked: %v", got)
	}
}

// TestAKnockWhileLockedAsksNobody counts on a closed store: whoever asks it
// fails.
func TestAKnockWhileLockedAsksNobody(t *testing.T) {
	r := newRig(t)
	a := registry.Attempt{Username: "sensor", Password: "sensor-secret", HasPassword: true, ClientID: "sensor-7"}
	r.service.Knock(t.Context(), a) // sees that it is locked
	before := r.pool.Stats().Done
	if n := testing.AllocsPerRun(100, func() { r.service.Knock(t.Context(), a) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if n := r.pool.Stats().Done - before; n != 0 {
		t.Errorf("%d hashes", n)
	}
}

func TestAKnockNeverFailsTheClientOtherwise(t *testing.T) {
	r := newRig(t, func(_ *rig, cfg *registry.ServiceConfig) { cfg.Registration.Max = 1 })
	r.openWindow(time.Minute)
	for _, name := range []string{"sensor-a", "sensor-b", "sensor-c"} {
		if err := r.connect(name, "sensor-secret"); !errors.Is(err, registry.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
}

func TestOneNetworkKnocksOnlySoOften(t *testing.T) {
	r := newRig(t, func(_ *rig, cfg *registry.ServiceConfig) { cfg.Registration.Rate, cfg.Registration.Burst = 0.001, 2 })
	r.openWindow(time.Minute)
	for _, name := range []string{"sensor-a", "sensor-b", "sensor-c"} {
		wantCode(t, name, r.connect(name, "sensor-secret"), registry.Unauthenticated)
	}
	if got := r.pending(); len(got) != 2 {
		t.Errorf("pending: %v", got)
	}
}
