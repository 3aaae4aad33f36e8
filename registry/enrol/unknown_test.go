package enrol_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
)

// connect is a CONNECT with a name and a password.
func connect(r *registrytest.Rig, name, password string) error {
	_, err := r.SignIn.In(r.T.Context(), registry.Attempt{
		Username: name, Password: password, HasPassword: true, TokenAsPassword: true,
		ClientID: "sensor-7", Remote: netip.MustParseAddr("192.0.2.9"),
	})
	return err
}

func TestTheImplicitLadder(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	registrytest.WantCode(t, "locked", connect(r, "sensor", "sensor-secret"), registry.Unauthenticated)
	r.OpenWindow(time.Minute)
	if got := r.Pending(); len(got) != 0 {
		t.Errorf("pending from while it was locked: %v", got)
	}
	registrytest.WantCode(t, "open", connect(r, "sensor", "sensor-secret"), registry.Unauthenticated)
	registrytest.WantCode(t, "open, again", connect(r, "sensor", "sensor-secret"), registry.Unauthenticated)
	registrytest.WantCode(t, "open, another password", connect(r, "sensor", "other-secret"), registry.Unauthenticated)
	list, err := r.Enrolment.Pending(ctx)
	registrytest.Must(t, err)
	if len(list) != 1 {
		t.Fatalf("pending: %+v", list)
	}
	p := list[0]
	if p.Username != "sensor" || p.Source != registry.SourceMQTT || p.ClientID != "sensor-7" || p.Remote.String() != "192.0.2.9" ||
		!strings.Contains(p.Context, "sensor-7") || !strings.Contains(p.Context, "192.0.2.9") || p.HasCSR() || p.PairingCode == "" {
		t.Errorf("pending: %+v", p)
	}
	u := r.Confirm("sensor")
	if len(u.Roles) != 0 {
		t.Errorf("the user has roles: %v", u.Roles)
	}
	registrytest.Must(t, connect(r, "sensor", "sensor-secret"))
	registrytest.WantCode(t, "another password", connect(r, "sensor", "other-secret"), registry.Unauthenticated)
}

func TestADeniedKnockStaysDenied(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Minute)
	registrytest.WantCode(t, "connect", connect(r, "sensor", "sensor-secret"), registry.Unauthenticated)
	registrytest.Must(t, r.Enrolment.Deny(t.Context(), r.Admin, enrol.Ref{Username: "sensor"}))
	registrytest.WantCode(t, "connect", connect(r, "sensor", "sensor-secret"), registry.Unauthenticated)
	if got := r.Pending(); len(got) != 0 {
		t.Errorf("pending: %v", got)
	}
}

func TestWhatIsNoKnock(t *testing.T) {
	r := registrytest.New(t)
	r.User("existing")
	_, _, err := r.Service.CreateUser(t.Context(), r.Admin, registry.UserSpec{Username: "no-password", Provider: registry.ProviderLocal})
	registrytest.Must(t, err)
	r.OpenWindow(time.Minute)
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
		{"a certificate of nobody", registry.Attempt{Certificate: r.Certificate(strings.Repeat("cd", 32), "sensor", true), ClientID: "sensor-7"}},
	} {
		if _, err := r.SignIn.In(t.Context(), tt.a); err == nil {
			t.Errorf("%s: signed in", tt.name)
		}
		if got := r.Pending(); len(got) != 0 {
			t.Fatalf("%s: pending is %v", tt.name, got)
		}
	}
}

func TestAWindowIsSeenHereAtOnceAndElsewhereWithTheChange(t *testing.T) {
	r := registrytest.New(t)
	other := r.Another()
	other.Follow()
	for _, n := range []*registrytest.Rig{r, other} { // both have seen it locked
		registrytest.WantCode(t, "locked", connect(n, "early-bird", "some-secret"), registry.Unauthenticated)
	}
	r.OpenWindow(time.Minute)
	registrytest.WantCode(t, "here", connect(r, "sensor-a", "sensor-secret"), registry.Unauthenticated)
	if got := r.Pending(); len(got) != 1 {
		t.Errorf("here: pending %v", got)
	}
	other.CatchUp()
	registrytest.WantCode(t, "elsewhere", connect(other, "sensor-b", "sensor-secret"), registry.Unauthenticated)
	if got := r.Pending(); len(got) != 2 {
		t.Errorf("elsewhere: pending %v", got)
	}
	r.LockWindow()
	other.CatchUp()
	for _, n := range []*registrytest.Rig{r, other} {
		registrytest.WantCode(t, "locked again", connect(n, "sensor-c", "sensor-secret"), registry.Unauthenticated)
	}
	r.OpenWindow(time.Minute)
	if got := r.Pending(); len(got) != 0 {
		t.Errorf("pending from while it was locked: %v", got)
	}
}

// TestAKnockWhileLockedAsksNobody counts on a closed store: whoever asks it
// fails.
func TestAKnockWhileLockedAsksNobody(t *testing.T) {
	r := registrytest.New(t)
	a := registry.Attempt{Username: "sensor", Password: "sensor-secret", HasPassword: true, ClientID: "sensor-7"}
	r.Enrolment.UnknownUser(t.Context(), a) // sees that it is locked
	before := r.Hashes.Stats().Done
	if n := testing.AllocsPerRun(100, func() { r.Enrolment.UnknownUser(t.Context(), a) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if n := r.Hashes.Stats().Done - before; n != 0 {
		t.Errorf("%d hashes", n)
	}
}

func TestAKnockNeverFailsTheClientOtherwise(t *testing.T) {
	r := registrytest.New(t, func(cfg *node.Config) { cfg.Enrolment.Max = 1 })
	r.OpenWindow(time.Minute)
	for _, name := range []string{"sensor-a", "sensor-b", "sensor-c"} {
		if err := connect(r, name, "sensor-secret"); !errors.Is(err, registry.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.Pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
}

func TestOneNetworkKnocksOnlySoOften(t *testing.T) {
	r := registrytest.New(t, func(cfg *node.Config) { cfg.Enrolment.Rate, cfg.Enrolment.Burst = 0.001, 2 })
	r.OpenWindow(time.Minute)
	for _, name := range []string{"sensor-a", "sensor-b", "sensor-c"} {
		registrytest.WantCode(t, name, connect(r, name, "sensor-secret"), registry.Unauthenticated)
	}
	if got := r.Pending(); len(got) != 2 {
		t.Errorf("pending: %v", got)
	}
}
