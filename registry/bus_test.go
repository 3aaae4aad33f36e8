package registry

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// wire is a bus between two nodes of a test.
type wire struct {
	name  string
	other *wire
	said  chan Progress
	lost  chan struct{}
}

func newWires() (a, b *wire) {
	a = &wire{name: "a", said: make(chan Progress, 100), lost: make(chan struct{})}
	b = &wire{name: "b", said: make(chan Progress, 100), lost: make(chan struct{})}
	a.other, b.other = b, a
	return a, b
}

func (w *wire) Tell(p Progress) { w.said <- p }

func (w *wire) Listen(ctx context.Context, hear func(string, Progress)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.lost:
			hear("", Progress{})
		case p := <-w.other.said:
			hear(w.other.name, p)
		}
	}
}

// joined is a follower that never looks unasked.
func joined(t *testing.T, f *fakeStore, bus Bus, now func() time.Time) *Follower {
	t.Helper()
	fo := NewFollower(FollowerConfig{Poll: time.Hour, Now: now, Log: slog.New(slog.DiscardHandler)}, f)
	fo.Join(bus)
	if err := fo.Start(t.Context(), f.near(10, fo.Fresh), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { fo.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return fo
}

func enforces(t *testing.T, fo *Follower, n uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := fo.WaitEnforced(ctx, n); err != nil {
		t.Fatalf("change %d: %v; enforced is %d", n, err, fo.Enforced())
	}
}

func TestWhatOneNodeCommitsAnotherEnforces(t *testing.T) {
	f := newFakeStore()
	atA, atB := newWires()
	a, b := joined(t, f, atA, time.Now), joined(t, f, atB, time.Now)
	n := f.put("1", "alice", "old")
	a.Committed(n)
	enforces(t, a, n)
	enforces(t, b, n)

	n = f.put("1", "alice", "new") // by a node that was gone before it told
	atB.lost <- struct{}{}
	enforces(t, b, n)
	enforces(t, a, n) // since b knows of it
}

func TestPeersAreThoseThatWereHeardLately(t *testing.T) {
	f := newFakeStore()
	atA, atB := newWires()
	start := time.Now()
	var mu sync.Mutex
	now := start
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	move := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	a, b := joined(t, f, atA, clock), joined(t, f, atB, clock)
	n := f.put("1", "alice", "old")
	b.Committed(n)
	enforces(t, a, n)
	enforces(t, b, n)
	for late := time.Now().Add(10 * time.Second); ; {
		peers := a.Peers()
		if len(peers) == 1 && peers[0].Node == "b" && peers[0].Enforced.Number == n && peers[0].Heard.Equal(start) {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("got %+v", peers)
		}
		time.Sleep(time.Millisecond)
	}
	move(peerSilence)
	if got := a.Peers(); len(got) != 1 {
		t.Errorf("got %+v, want b still", got)
	}
	move(1)
	if got := a.Peers(); len(got) != 0 {
		t.Errorf("got %+v, want nobody", got)
	}
}
