package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// heard notes what an enforcer and a cache were told, in order.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}

func (h *heard) Enforce(_ context.Context, users []Swapped) {
	number := func(p *Principal) any {
		if p == nil {
			return "gone"
		}
		return numberOf(p)
	}
	for _, u := range users {
		h.add("enforce %s %v->%v", u.ID, number(u.Before), number(u.After))
	}
}

func (h *heard) EndTokens(_ context.Context, ended []EndedTokens) {
	for _, t := range ended {
		h.add("end %s of %s", t.Token, t.User)
	}
}

func (h *heard) From(Position)            {}
func (h *heard) Changed(c Change)         { h.add("changed %s %d", c.User(), c.Number) }
func (h *heard) Put(r Record)             { h.add("put %s %d", r.User.ID, r.User.Version) }
func (h *heard) Bury(id UserID, n uint64) { h.add("bury %s %d", id, n) }

func following(t *testing.T, f *fakeStore, cache RecordCache, e ...Enforcer) (*Follower, *Principals) {
	t.Helper()
	fo := NewFollower(FollowerConfig{Poll: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, f)
	p := f.near(10, fo.Fresh)
	if err := fo.Start(t.Context(), p, cache, e...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { fo.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return fo, p
}

func waitEnforced(t *testing.T, fo *Follower, n uint64) {
	t.Helper()
	fo.Wake()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := fo.WaitEnforced(ctx, n); err != nil {
		t.Fatalf("change %d: %v; enforced is %d", n, err, fo.Enforced())
	}
}

func TestFollowerSwapsEnforcesAndThenTellsTheCache(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "old")
	h := &heard{}
	fo, p := following(t, f, h, h)
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	waitEnforced(t, fo, f.put("1", "alice", "new"))
	if got := s.Principal().Grants()[0].Resource; got != "new" {
		t.Errorf("after the change the subject has %q", got)
	}
	waitEnforced(t, fo, f.remove("1"))
	if s.Principal() != nil {
		t.Error("a deleted user still has a principal")
	}
	want := "[changed 1 2 put 1 2 enforce 1 1->2 changed 1 3 bury 1 3 enforce 1 2->gone]"
	if got := fmt.Sprint(h.lines); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFollowerDoesNotReadUsersThatNobodyHolds(t *testing.T) {
	f := newFakeStore()
	fo, _ := following(t, f, nil)
	var n uint64
	for i := range 1000 {
		n = f.put(UserID(fmt.Sprint(i)), fmt.Sprint("user-", i), "a")
	}
	waitEnforced(t, fo, n)
	if f.reads != 0 {
		t.Errorf("read %d records for nobody", f.reads)
	}
}

func TestFollowerDoesNotCallAChangeEnforcedThatItCouldNotRead(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "old")
	fo, p := following(t, f, nil)
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	n := f.put("1", "alice", "new")
	f.mu.Lock()
	f.down = errors.New("unreachable")
	f.mu.Unlock()
	if err := fo.catchUp(t.Context()); err == nil {
		t.Error("catchUp hides that the store fails")
	}
	if fo.Enforced() >= n {
		t.Error("the change is called enforced")
	}
	f.mu.Lock()
	f.down = nil
	f.mu.Unlock()
	waitEnforced(t, fo, n)
	if got := s.Principal().Grants()[0].Resource; got != "new" {
		t.Errorf("after the store came back the subject has %q", got)
	}
}

func TestFollowerIsNotFreshAfterMaxStaleOfSilence(t *testing.T) {
	f := newFakeStore()
	now := time.Unix(1000, 0)
	fo := NewFollower(FollowerConfig{MaxStale: time.Minute, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, f)
	if err := fo.Start(t.Context(), f.near(1, fo.Fresh), nil); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if !fo.Fresh() {
		t.Error("not fresh at the bound")
	}
	now = now.Add(time.Nanosecond)
	if fo.Fresh() {
		t.Error("fresh past the bound")
	}
	if err := fo.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !fo.Fresh() {
		t.Error("not fresh after the store answered")
	}
}

// The end of a token is told to who ends its sessions, and to nobody else: its user is
// not read, not compiled, and not another one in the cache.
func TestTheEndOfATokenTouchesNobody(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	h := &heard{}
	fo, p := following(t, f, h, h)
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	before, reads := s.Principal(), f.reads
	f.mu.Lock()
	n := uint64(len(f.changes))
	for _, id := range []string{"1/t1", "1/t2", "2/"} {
		n++
		f.changes = append(f.changes, Change{Number: n, Kind: TokenChange, ID: id})
	}
	f.mu.Unlock()
	waitEnforced(t, fo, n)
	if f.reads != reads || s.Principal() != before {
		t.Errorf("%d records were read; another principal: %v", f.reads-reads, s.Principal() != before)
	}
	want := "[changed  2 changed  3 changed  4 end t1 of 1 end t2 of 1 end  of 2]"
	if got := fmt.Sprint(h.lines); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// marks notes how far changes were enforced when an enforcer was called.
type marks struct {
	of   *Follower
	seen []uint64
}

func (m *marks) Enforce(context.Context, []Swapped)       { m.seen = append(m.seen, m.of.Enforced()) }
func (m *marks) EndTokens(context.Context, []EndedTokens) {}

// Who changed early does not wait for all who changed later.
func TestALongLineIsEnforcedInBatches(t *testing.T) {
	f := newFakeStore()
	var m marks
	m.of = NewFollower(FollowerConfig{Poll: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, f)
	if err := m.of.Start(t.Context(), f.near(10, m.of.Fresh), nil, &m); err != nil {
		t.Fatal(err)
	}
	const batch = page * pages
	for i := range 2*batch + 1 {
		f.put(UserID(fmt.Sprint(i)), fmt.Sprint("user-", i), "a")
	}
	if err := m.of.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(m.seen), fmt.Sprint([]uint64{0, batch, 2 * batch}); got != want || m.of.Enforced() != 2*batch+1 {
		t.Errorf("enforced when a batch came: %s, want %s; in the end %d", got, want, m.of.Enforced())
	}
}
