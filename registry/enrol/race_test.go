package enrol_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
)

// many runs f so many times at once and waits.
func many(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func TestFiftyRequestsAtOnceMakeOneRegistration(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Minute)
	answers := make([]enrol.Answer, 50)
	many(len(answers), func(i int) {
		var err error
		if answers[i], err = r.Enrolment.Register(t.Context(), registrytest.Request("gateway")); err != nil {
			t.Error(err)
		}
	})
	for _, a := range answers {
		if a != answers[0] || a.Status != registry.RegistrationPending {
			t.Fatalf("answers differ: %+v and %+v", a, answers[0])
		}
	}
	if got := r.Pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
}

func TestOfFiftySecretsForOneNameOneWins(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Minute)
	var won, lost atomic.Int32
	many(50, func(i int) {
		req := registrytest.Request("gateway")
		req.Password = fmt.Sprintf("secret-%d", i)
		switch _, err := r.Enrolment.Register(t.Context(), req); {
		case err == nil:
			won.Add(1)
		case errors.Is(err, registry.Conflict):
			lost.Add(1)
		default:
			t.Error(err)
		}
	})
	if won.Load() != 1 || lost.Load() != 49 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
}

func TestOfTwoConfirmationsOneIsNotFound(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Minute)
	req := registrytest.Request("gateway")
	req.Password, req.CSR = "", registrytest.NewCSR(t, "gateway")
	r.Register(req, registry.RegistrationPending)
	var won, lost atomic.Int32
	many(8, func(int) {
		switch _, _, err := r.Enrolment.Confirm(t.Context(), r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: "gateway"}}); {
		case err == nil:
			won.Add(1)
		case errors.Is(err, registry.NotFound):
			lost.Add(1)
		default:
			t.Error(err)
		}
	})
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	if _, n, err := r.PKI.IssuedCertificates(t.Context(), registry.IssuedQuery{}); err != nil || n != 1 {
		t.Errorf("%d certificates are recorded, %v", n, err)
	}
	got := registrytest.Parse(t, r.Register(req, registry.RegistrationGranted).Certificate)
	if _, err := r.LoginWith(got); err != nil {
		t.Errorf("the certificate that was handed out does not sign in: %v", err)
	}
}

func TestAUserMadeMeanwhileIsAConflictAndDropsTheRegistration(t *testing.T) {
	for _, name := range []string{"gateway", "GateWay"} {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			r.OpenWindow(time.Minute)
			r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
			made := r.User(name)
			_, _, err := r.Enrolment.Confirm(t.Context(), r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: "gateway"}})
			registrytest.WantCode(t, "confirm", err, registry.Conflict)
			if got := r.Pending(); len(got) != 0 {
				t.Errorf("pending: %v", got)
			}
			_, _, err = r.Enrolment.Confirm(t.Context(), r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: "gateway"}})
			registrytest.WantCode(t, "confirm again", err, registry.NotFound)
			if u, err := r.Store.User(t.Context(), made.ID); err != nil || u.Version != made.Version {
				t.Errorf("the user that was there is %+v, %v", u, err)
			}
		})
	}
}

// TestConfirmAgainstCreate lets the two race: one user results, and who lost
// heard of it.
func TestConfirmAgainstCreate(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Hour)
	for i := range 20 {
		name := fmt.Sprintf("gateway-%d", i)
		req := registrytest.Request(name)
		req.Remote = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		r.Register(req, registry.RegistrationPending)
		var confirmed, created error
		many(2, func(i int) {
			if i == 0 {
				_, _, confirmed = r.Enrolment.Confirm(t.Context(), r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: name}})
			} else {
				_, _, created = r.Service.CreateUser(t.Context(), r.Admin, registry.UserSpec{Username: name, Provider: registry.ProviderLocal})
			}
		})
		switch {
		case confirmed == nil && errors.Is(created, registry.Conflict):
			r.Register(req, registry.RegistrationGranted)
		case created == nil && errors.Is(confirmed, registry.Conflict):
			r.RegisterRefused("dropped", req, registry.Conflict)
		default:
			t.Errorf("confirm: %v, create: %v", confirmed, created)
		}
	}
}

// TestConfirmAgainstLock lets the two race: a registration is granted or gone.
func TestConfirmAgainstLock(t *testing.T) {
	r := registrytest.New(t)
	for i := range 20 {
		r.OpenWindow(time.Hour)
		name := fmt.Sprintf("gateway-%d", i)
		r.Register(registrytest.Request(name), registry.RegistrationPending)
		var confirmed error
		many(2, func(i int) {
			if i == 0 {
				_, _, confirmed = r.Enrolment.Confirm(t.Context(), r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: name}})
			} else if _, err := r.Enrolment.LockWindow(t.Context(), r.Admin); err != nil {
				t.Error(err)
			}
		})
		want := registry.RegistrationGranted
		if confirmed != nil {
			registrytest.WantCode(t, name, confirmed, registry.NotFound)
			want = registry.RegistrationLocked
		}
		r.Register(registrytest.Request(name), want)
	}
}

// TestAFloodOfRegistrationsStaysBounded floods an open window from many
// addresses: what is kept, and what is hashed, has a limit.
func TestAFloodOfRegistrationsStaysBounded(t *testing.T) {
	const limit, flood, workers = 100, 10_000, 8
	r := registrytest.New(t, func(cfg *node.Config) { cfg.Enrolment.Max = limit })
	r.OpenWindow(time.Hour)
	var pending, busy atomic.Int32
	many(workers, func(w int) {
		for i := w; i < flood; i += workers {
			req := registrytest.Request(fmt.Sprintf("gateway-%d", i))
			req.Remote = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			switch _, err := r.Enrolment.Register(context.Background(), req); {
			case err == nil:
				pending.Add(1)
			case errors.Is(err, registry.Busy):
				busy.Add(1)
			default:
				t.Error(err)
			}
		}
	})
	if pending.Load() != limit || busy.Load() != flood-limit {
		t.Errorf("%d pending, %d refused", pending.Load(), busy.Load())
	}
	if n := len(r.Pending()); n != limit {
		t.Errorf("%d are kept", n)
	}
	if n := r.Hashes.Stats().Done; n > limit+workers+1 { // one is the bootstrap's
		t.Errorf("%d passwords were hashed for %d places", n, limit)
	}
	registrytest.Must(t, r.Enrolment.Deny(t.Context(), r.Admin, enrol.Ref{Username: r.Pending()[0]}))
	late := registrytest.Request("latecomer")
	late.Remote = netip.MustParseAddr("198.51.100.1")
	r.Register(late, registry.RegistrationPending) // denying makes room
	r.Confirm(r.Pending()[0])
	late.Username = "last-comer"
	r.RegisterRefused("the last places are for others", late, registry.Busy)
	late.Remote = netip.MustParseAddr("198.51.100.2")
	r.Register(late, registry.RegistrationPending)
}

func TestOneNetworkAsksOnlySoOften(t *testing.T) {
	r := registrytest.New(t, func(cfg *node.Config) { cfg.Enrolment.Rate, cfg.Enrolment.Burst = 1, 3 })
	from := func(addr string) enrol.Request {
		req := registrytest.Request("gateway")
		req.Remote = netip.MustParseAddr(addr)
		return req
	}
	for range 3 {
		r.Register(from("2001:db8::1"), registry.RegistrationLocked)
	}
	r.RegisterRefused("the fourth", from("2001:db8::1"), registry.Busy)
	r.RegisterRefused("from the same /64", from("2001:db8::ffff:2"), registry.Busy)
	invalid := from("2001:db8::1")
	invalid.Username = ""
	r.RegisterRefused("an invalid one counts too", invalid, registry.Busy)
	r.Register(from("2001:db8:0:1::1"), registry.RegistrationLocked)
	r.Register(from("192.0.2.1"), registry.RegistrationLocked)
	r.Turn(time.Second)
	r.Register(from("2001:db8::1"), registry.RegistrationLocked)
	r.RegisterRefused("after one more", from("2001:db8::1"), registry.Busy)
}

// meanwhile is a store in which something happens between the reading and the
// writing of whoever writes next.
type meanwhile struct {
	registry.Store
	next atomic.Pointer[func()]
}

func (m *meanwhile) Update(ctx context.Context, change func(context.Context, registry.Tx) error) (uint64, error) {
	if f := m.next.Swap(nil); f != nil {
		(*f)()
	}
	return m.Store.Update(ctx, change)
}

// newMeanwhile returns a rig and what has f happen before its next write.
func newMeanwhile(t *testing.T) (r *registrytest.Rig, then func(f func())) {
	t.Helper()
	r = registrytest.New(t)
	m := &meanwhile{Store: r.Store}
	var err error
	r.Enrolment, err = enrol.Open(t.Context(), enrol.Config{
		Editor: registry.NewEditor(m, registry.NewHeldRoles(), r.Now, nil), Store: m, Passwords: r.Passwords(), Certificates: r.PKI,
		Now: r.Now, Log: slog.New(slog.DiscardHandler),
	})
	registrytest.Must(t, err)
	r.OpenWindow(time.Minute)
	return r, func(f func()) { m.next.Store(&f) }
}

func TestWhatHappensWhileAPasswordIsHashed(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(r *registrytest.Rig)
		want registry.RegistrationStatus // empty: Conflict
		kept int
	}{
		{"the window is locked", func(r *registrytest.Rig) { r.LockWindow() }, registry.RegistrationLocked, 0},
		{"the window closes", func(r *registrytest.Rig) { r.Turn(time.Hour) }, registry.RegistrationLocked, 0},
		{"a user of that name is made", func(r *registrytest.Rig) { r.User("gateway") }, "", 0},
		{"a user of that name is made, in another case", func(r *registrytest.Rig) { r.User("GATEWAY") }, "", 0},
		{"the same request comes first", func(r *registrytest.Rig) { r.Register(registrytest.Request("gateway"), registry.RegistrationPending) }, registry.RegistrationPending, 1},
		{"and is denied", func(r *registrytest.Rig) {
			r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
			registrytest.Must(r.T, r.Enrolment.Deny(r.T.Context(), r.Admin, enrol.Ref{Username: "gateway"}))
		}, registry.RegistrationDenied, 0},
		{"and is granted", func(r *registrytest.Rig) {
			r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
			r.Confirm("gateway")
		}, registry.RegistrationGranted, 0},
		{"another request comes first", func(r *registrytest.Rig) {
			req := registrytest.Request("gateway")
			req.Password = "another-secret"
			r.Register(req, registry.RegistrationPending)
		}, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, then := newMeanwhile(t)
			then(func() { tt.then(r) })
			if tt.want == "" {
				r.RegisterRefused("register", registrytest.Request("gateway"), registry.Conflict)
			} else {
				r.Register(registrytest.Request("gateway"), tt.want)
			}
			if got := r.Pending(); len(got) != tt.kept {
				t.Errorf("pending: %v", got)
			}
		})
	}
}

func TestAConfirmationGrantsOnlyWhatWasLookedAt(t *testing.T) {
	r, then := newMeanwhile(t)
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	then(func() { // another device takes the name
		r.LockWindow()
		r.OpenWindow(time.Minute)
		req := registrytest.Request("gateway")
		req.Password = "another-secret"
		r.Register(req, registry.RegistrationPending)
	})
	_, _, err := r.Enrolment.Confirm(t.Context(), r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: "gateway"}})
	registrytest.WantCode(t, "confirm", err, registry.Conflict)
	if _, err := r.Login("gateway", "another-secret"); err == nil {
		t.Error("the other one was granted")
	}
}

func TestOfTwoThatCollectAPasswordBothMaySignIn(t *testing.T) {
	r, then := newMeanwhile(t)
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	r.Confirm("gateway")
	then(func() { r.Register(registrytest.Request("gateway"), registry.RegistrationGranted) })
	r.RegisterRefused("the later one", registrytest.Request("gateway"), registry.Conflict)
	if _, err := r.Login("gateway", "gateway-secret"); err != nil {
		t.Error(err)
	}
}
