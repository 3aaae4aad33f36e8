package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mqttwarden/registry"
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
	r := newRig(t)
	r.openWindow(time.Minute)
	answers := make([]registry.RegistrationAnswer, 50)
	many(len(answers), func(i int) {
		var err error
		if answers[i], err = r.service.Register(t.Context(), request("gateway")); err != nil {
			t.Error(err)
		}
	})
	for _, a := range answers {
		if a != answers[0] || a.Status != registry.RegistrationPending {
			t.Fatalf("answers differ: %+v and %+v", a, answers[0])
		}
	}
	if got := r.pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
}

func TestOfFiftySecretsForOneNameOneWins(t *testing.T) {
	r := newRig(t)
	r.openWindow(time.Minute)
	var won, lost atomic.Int32
	many(50, func(i int) {
		req := request("gateway")
		req.Password = fmt.Sprintf("secret-%d", i)
		switch _, err := r.service.Register(t.Context(), req); {
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
	r := newRig(t, withCertificates)
	r.openWindow(time.Minute)
	req := request("gateway")
	req.Password, req.CSR = "", newCSR(t, "gateway")
	r.register(req, registry.RegistrationPending)
	var won, lost atomic.Int32
	many(8, func(int) {
		switch _, _, err := r.service.Confirm(t.Context(), r.admin, registry.Confirmation{Username: "gateway"}); {
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
	if _, n, err := r.service.IssuedCertificates(t.Context(), registry.IssuedQuery{}); err != nil || n != 1 {
		t.Errorf("%d certificates are recorded, %v", n, err)
	}
	got := parse(t, r.register(req, registry.RegistrationGranted).Certificate)
	if _, err := r.loginWith(got); err != nil {
		t.Errorf("the certificate that was handed out does not sign in: %v", err)
	}
}

func TestAUserMadeMeanwhileIsAConflictAndDropsTheRegistration(t *testing.T) {
	for _, name := range []string{"gateway", "GateWay"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.openWindow(time.Minute)
			r.register(request("gateway"), registry.RegistrationPending)
			made := r.user(name)
			_, _, err := r.service.Confirm(t.Context(), r.admin, registry.Confirmation{Username: "gateway"})
			wantCode(t, "confirm", err, registry.Conflict)
			if got := r.pending(); len(got) != 0 {
				t.Errorf("pending: %v", got)
			}
			_, _, err = r.service.Confirm(t.Context(), r.admin, registry.Confirmation{Username: "gateway"})
			wantCode(t, "confirm again", err, registry.NotFound)
			if u, err := r.store.User(t.Context(), made.ID); err != nil || u.Version != made.Version {
				t.Errorf("the user that was there is %+v, %v", u, err)
			}
		})
	}
}

// TestConfirmAgainstCreate lets the two race: one user results, and who lost
// heard of it.
func TestConfirmAgainstCreate(t *testing.T) {
	r := newRig(t)
	r.openWindow(time.Hour)
	for i := range 20 {
		name := fmt.Sprintf("gateway-%d", i)
		req := request(name)
		req.Remote = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		r.register(req, registry.RegistrationPending)
		var confirmed, created error
		many(2, func(i int) {
			if i == 0 {
				_, _, confirmed = r.service.Confirm(t.Context(), r.admin, registry.Confirmation{Username: name})
			} else {
				_, _, created = r.service.CreateUser(t.Context(), r.admin, registry.UserSpec{Username: name, Provider: registry.ProviderLocal})
			}
		})
		switch {
		case confirmed == nil && errors.Is(created, registry.Conflict):
			r.register(req, registry.RegistrationGranted)
		case created == nil && errors.Is(confirmed, registry.Conflict):
			r.registerRefused("dropped", req, registry.Conflict)
		default:
			t.Errorf("confirm: %v, create: %v", confirmed, created)
		}
	}
}

// TestConfirmAgainstLock lets the two race: a registration is granted or gone.
func TestConfirmAgainstLock(t *testing.T) {
	r := newRig(t)
	for i := range 20 {
		r.openWindow(time.Hour)
		name := fmt.Sprintf("gateway-%d", i)
		r.register(request(name), registry.RegistrationPending)
		var confirmed error
		many(2, func(i int) {
			if i == 0 {
				_, _, confirmed = r.service.Confirm(t.Context(), r.admin, registry.Confirmation{Username: name})
			} else if err := r.service.LockWindow(t.Context(), r.admin); err != nil {
				t.Error(err)
			}
		})
		want := registry.RegistrationGranted
		if confirmed != nil {
			wantCode(t, name, confirmed, registry.NotFound)
			want = registry.RegistrationLocked
		}
		r.register(request(name), want)
	}
}

// TestAFloodOfRegistrationsStaysBounded floods an open window from many
// addresses: what is kept, and what is hashed, has a limit.
func TestAFloodOfRegistrationsStaysBounded(t *testing.T) {
	const limit, flood, workers = 100, 10_000, 8
	r := newRig(t, func(_ *rig, cfg *registry.ServiceConfig) { cfg.Registration.Max = limit })
	r.openWindow(time.Hour)
	var pending, busy atomic.Int32
	many(workers, func(w int) {
		for i := w; i < flood; i += workers {
			req := request(fmt.Sprintf("gateway-%d", i))
			req.Remote = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			switch _, err := r.service.Register(context.Background(), req); {
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
	if n := len(r.pending()); n != limit {
		t.Errorf("%d are kept", n)
	}
	if n := r.pool.Stats().Done; n > limit+workers+1 { // one is the bootstrap's
		t.Errorf("%d passwords were hashed for %d places", n, limit)
	}
	must(t, r.service.Deny(t.Context(), r.admin, registry.RegistrationRef{Username: r.pending()[0]}))
	late := request("latecomer")
	late.Remote = netip.MustParseAddr("198.51.100.1")
	r.registerRefused("a denied one keeps its place until the window closes", late, registry.Busy)
	r.confirm(r.pending()[0])
	r.register(late, registry.RegistrationPending)
}

func TestOneNetworkAsksOnlySoOften(t *testing.T) {
	r := newRig(t, func(_ *rig, cfg *registry.ServiceConfig) { cfg.Registration.Rate, cfg.Registration.Burst = 1, 3 })
	from := func(addr string) registry.RegistrationRequest {
		req := request("gateway")
		req.Remote = netip.MustParseAddr(addr)
		return req
	}
	for range 3 {
		r.register(from("2001:db8::1"), registry.RegistrationLocked)
	}
	r.registerRefused("the fourth", from("2001:db8::1"), registry.Busy)
	r.registerRefused("from the same /64", from("2001:db8::ffff:2"), registry.Busy)
	invalid := from("2001:db8::1")
	invalid.Username = ""
	r.registerRefused("an invalid one counts too", invalid, registry.Busy)
	r.register(from("2001:db8:0:1::1"), registry.RegistrationLocked)
	r.register(from("192.0.2.1"), registry.RegistrationLocked)
	r.turn(time.Second)
	r.register(from("2001:db8::1"), registry.RegistrationLocked)
	r.registerRefused("after one more", from("2001:db8::1"), registry.Busy)
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
func newMeanwhile(t *testing.T) (r *rig, then func(f func())) {
	m := &meanwhile{}
	r = newRig(t, func(_ *rig, cfg *registry.ServiceConfig) { m.Store, cfg.Store = cfg.Store, m })
	r.openWindow(time.Minute)
	return r, func(f func()) { m.next.Store(&f) }
}

func TestWhatHappensWhileAPasswordIsHashed(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(r *rig)
		want registry.RegistrationStatus // empty: Conflict
		kept int
	}{
		{"the window is locked", func(r *rig) { must(r.t, r.service.LockWindow(r.t.Context(), r.admin)) }, registry.RegistrationLocked, 0},
		{"the window closes", func(r *rig) { r.turn(time.Hour) }, registry.RegistrationLocked, 0},
		{"a user of that name is made", func(r *rig) { r.user("gateway") }, "", 0},
		{"a user of that name is made, in another case", func(r *rig) { r.user("GATEWAY") }, "", 0},
		{"the same request comes first", func(r *rig) { r.register(request("gateway"), registry.RegistrationPending) }, registry.RegistrationPending, 1},
		{"and is denied", func(r *rig) {
			r.register(request("gateway"), registry.RegistrationPending)
			must(r.t, r.service.Deny(r.t.Context(), r.admin, registry.RegistrationRef{Username: "gateway"}))
		}, registry.RegistrationDenied, 0},
		{"and is granted", func(r *rig) {
			r.register(request("gateway"), registry.RegistrationPending)
			r.confirm("gateway")
		}, registry.RegistrationGranted, 0},
		{"another request comes first", func(r *rig) {
			req := request("gateway")
			req.Password = "another-secret"
			r.register(req, registry.RegistrationPending)
		}, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, then := newMeanwhile(t)
			then(func() { tt.then(r) })
			if tt.want == "" {
				r.registerRefused("register", request("gateway"), registry.Conflict)
			} else {
				r.register(request("gateway"), tt.want)
			}
			if got := r.pending(); len(got) != tt.kept {
				t.Errorf("pending: %v", got)
			}
		})
	}
}

func TestAConfirmationGrantsOnlyWhatWasLookedAt(t *testing.T) {
	r, then := newMeanwhile(t)
	r.register(request("gateway"), registry.RegistrationPending)
	then(func() { // another device takes the name
		must(t, r.service.LockWindow(t.Context(), r.admin))
		r.openWindow(time.Minute)
		req := request("gateway")
		req.Password = "another-secret"
		r.register(req, registry.RegistrationPending)
	})
	_, _, err := r.service.Confirm(t.Context(), r.admin, registry.Confirmation{Username: "gateway"})
	wantCode(t, "confirm", err, registry.Conflict)
	if _, err := r.login("gateway", "another-secret"); err == nil {
		t.Error("the other one was granted")
	}
}

func TestOfTwoThatCollectAPasswordBothMaySignIn(t *testing.T) {
	r, then := newMeanwhile(t)
	r.register(request("gateway"), registry.RegistrationPending)
	r.confirm("gateway")
	then(func() { r.register(request("gateway"), registry.RegistrationGranted) })
	r.registerRefused("the later one", request("gateway"), registry.Conflict)
	if _, err := r.login("gateway", "gateway-secret"); err != nil {
		t.Error(err)
	}
}
