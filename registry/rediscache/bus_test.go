package rediscache

import (
	"context"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/rediscache/redistest"
)

// told is one call of what a bus calls.
type told struct {
	node string
	registry.Progress
}

// patience is how long a test waits for what should take milliseconds.
const patience = 20 * time.Second

// listen has a node listen, and returns what it is told from then on.
func (r *rig) listen() <-chan told {
	r.t.Helper()
	all := make(chan told, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Bus().Listen(ctx, func(node string, p registry.Progress) { all <- told{node, p} })
	}()
	r.t.Cleanup(func() { cancel(); <-ended })
	return all
}

// expectTold waits until a node is told something.
func (r *rig) expectTold(all <-chan told, want told) {
	r.t.Helper()
	for late := time.After(patience); ; {
		select {
		case got := <-all:
			if got == want {
				return
			}
		case <-late:
			r.t.Fatalf("in vain: %+v", want)
		}
	}
}

// expectBus waits until what a bus counts is as wanted.
func (r *rig) expectBus(what string, holds func(BusStats) bool) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !holds(r.Bus().Stats()); {
		select {
		case <-tick.C:
		case <-late:
			r.t.Fatalf("in vain: %s: %+v", what, r.Bus().Stats())
		}
	}
}

// missed is what is told when something may have been missed.
var missed = told{}

func progress(n uint64) registry.Progress {
	return registry.Progress{Committed: n, Enforced: at(n - 1)}
}

func TestNodesTellEachOtherHowFarTheyAre(t *testing.T) {
	a := newRig(t)
	b := a.node()
	atA, atB := a.listen(), b.listen()
	a.expectTold(atA, missed)
	b.expectTold(atB, missed)

	a.Bus().Tell(registry.Progress{Committed: 7})
	b.expectTold(atB, told{a.cfg.Node, registry.Progress{Committed: 7}})
	b.Bus().Tell(registry.Progress{Enforced: at(7)})
	a.expectTold(atA, told{b.cfg.Node, registry.Progress{Enforced: at(7)}})
	a.Bus().Tell(registry.Progress{Enforced: at(6)})
	b.expectTold(atB, told{a.cfg.Node, registry.Progress{Committed: 7, Enforced: at(6)}})
	a.Bus().Tell(registry.Progress{Committed: 5, Enforced: at(5)}) // late, and no news
	a.Bus().Tell(registry.Progress{Committed: 8})
	b.expectTold(atB, told{a.cfg.Node, registry.Progress{Committed: 8, Enforced: at(6)}})

	for len(atA) > 0 {
		if got := <-atA; got.node == a.cfg.Node {
			t.Errorf("a node hears itself: %+v", got)
		}
	}
	if s := b.Bus().Stats(); !s.Connected || s.Received == 0 || s.Sent == 0 || !s.Heard.Equal(morning) {
		t.Errorf("%+v", s)
	}
}

func TestNodeThatComesLaterIsToldToo(t *testing.T) {
	a := newRig(t, func(c *Config) { c.Lease = 50 * time.Millisecond })
	a.Bus().Tell(progress(7)) // nobody listens, and there is no connection
	atA := a.listen()
	a.expectTold(atA, missed)
	b := a.node()
	b.expectTold(b.listen(), told{a.cfg.Node, progress(7)})
}

func TestMessagesThatNoNodeSendsNowAreDropped(t *testing.T) {
	a := newRig(t)
	b, stranger := a.node(), a.node(func(c *Config) { c.Store.Epoch = 2 })
	atB := b.listen()
	b.expectTold(atB, missed)
	publish := func(message string) {
		t.Helper()
		if n, err := a.raw.Publish(t.Context(), b.Bus().channel, message).Result(); err != nil || n != 1 {
			t.Fatalf("%d nodes hear it, %v", n, err)
		}
	}
	message := func(r *rig, n news) string {
		t.Helper()
		m, err := r.Bus().sealed(n)
		if err != nil {
			t.Fatal(err)
		}
		return string(m)
	}
	first := message(a, news{"a", 1, progress(7)})
	publish(first)
	publish(message(a, news{"a", 2, progress(8)}))
	b.expectTold(atB, told{"a", progress(8)})

	flipped := []byte(first)
	flipped[len(flipped)-1] ^= 1
	bad := []struct {
		name, message string
		why           Reason
	}{
		{"nothing", "", Forged},
		{"text", "changed 9", Forged},
		{"more than a message may hold", first + string(make([]byte, maxNews)), Forged},
		{"one bit is another", string(flipped), Forged},
		{"cut", first[:len(first)-1], Forged},
		{"from before a restore", message(stranger, news{"a", 9, progress(9)}), Forged},
		{"without a sender", message(a, news{"", 9, progress(9)}), Forged},
		{"what stands in the cache", "4" + first, Forged},
		{"once more", message(a, news{"a", 2, progress(9)}), Outdated},
		{"older", first, Outdated},
	}
	want := make(map[Reason]uint64)
	for _, m := range bad {
		publish(m.message)
		want[m.why]++
		b.expectBus(m.name, func(s BusStats) bool { return s.Refused[m.why] == want[m.why] })
	}
	publish(message(a, news{"a", 3, progress(10)}))
	if got := <-atB; got != (told{"a", progress(10)}) {
		t.Errorf("told %+v, want only what a node sends", got)
	}
	if got := b.log.lines("dropped"); len(got) != 2 {
		t.Errorf("logged %q, want one line a reason", got)
	}
}

// What is lost with a connection is made up for when there is one again.
func TestConnectionOfTheBusIsLost(t *testing.T) {
	breaks := []struct {
		name        string
		lose, again func(*testing.T, *rig, *redistest.Proxy)
	}{
		{
			"killed by the server",
			func(t *testing.T, r *rig, _ *redistest.Proxy) {
				if err := r.raw.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
					t.Fatal(err)
				}
			},
			func(*testing.T, *rig, *redistest.Proxy) {},
		},
		{
			"half open",
			func(_ *testing.T, _ *rig, p *redistest.Proxy) { p.Stall() },
			func(_ *testing.T, _ *rig, p *redistest.Proxy) { p.Heal() },
		},
		{
			"to a server that is frozen",
			func(_ *testing.T, r *rig, _ *redistest.Proxy) { r.redis.Freeze() },
			func(_ *testing.T, r *rig, _ *redistest.Proxy) { r.redis.Thaw() },
		},
		{
			"to a server that starts anew",
			func(_ *testing.T, r *rig, _ *redistest.Proxy) { r.redis.Stop() },
			func(_ *testing.T, r *rig, _ *redistest.Proxy) { r.redis.Restart() },
		},
	}
	for _, tt := range breaks {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := newRig(t)
			p := redistest.StartProxy(t, a.redis)
			b := a.node(func(c *Config) {
				c.URL, c.Lease, c.Timeout = "redis://"+p.Addr, 200*time.Millisecond, 100*time.Millisecond
			})
			atA, atB := a.listen(), b.listen()
			a.expectTold(atA, missed)
			b.expectTold(atB, missed)

			tt.lose(t, a, p)
			b.expectBus("it is noticed", func(s BusStats) bool { return s.Losses > 0 })
			a.Bus().Tell(progress(7))
			tt.again(t, a, p)
			b.expectTold(atB, missed)
			b.expectBus("it is connected", func(s BusStats) bool { return s.Connected })
			a.Bus().Tell(progress(8))
			b.expectTold(atB, told{a.cfg.Node, progress(8)})
			b.Bus().Tell(progress(9))
			a.expectTold(atA, told{b.cfg.Node, progress(9)})
			if got := b.log.lines("are not heard"); len(got) != 1 {
				t.Errorf("logged %q, want one line", got)
			}
		})
	}
}

func TestBusEndsAtOnce(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		r := newRig(t, func(c *Config) { c.Lease, c.Timeout = time.Minute, 500*time.Millisecond }) // what is being sent may take the time-out
		ctx, cancel := context.WithCancel(t.Context())
		ended, heard := make(chan struct{}), make(chan struct{}, 1)
		go func() {
			defer close(ended)
			r.Bus().Listen(ctx, func(string, registry.Progress) { heard <- struct{}{} })
		}()
		<-heard
		if frozen {
			r.redis.Freeze()
		}
		start := time.Now()
		cancel()
		<-ended
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("frozen %v: it took %v", frozen, took)
		}
	}
}
