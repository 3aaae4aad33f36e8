package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry/acl"
)

// fakeStore is a line of changes and the records they tell of.
type fakeStore struct {
	mu      sync.Mutex
	records map[UserID]Record
	changes []Change
	reads   int
	down    error
	onRead  func() // called after a record was taken, before it is handed out
}

func newFakeStore() *fakeStore { return &fakeStore{records: make(map[UserID]Record)} }

// put commits a user under the next number.
func (f *fakeStore) put(id UserID, name, topic string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := uint64(len(f.changes) + 1)
	f.records[id] = Record{
		User:   User{ID: id, Username: name, Active: true, Version: n},
		Grants: []acl.Grant{{Context: acl.MQTT, Operation: acl.Write, Resource: topic}},
	}
	f.changes = append(f.changes, Change{Number: n, Kind: UserChange, ID: string(id), Time: time.Unix(int64(n), 0)})
	return n
}

func (f *fakeStore) remove(id UserID) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.records, id)
	n := uint64(len(f.changes) + 1)
	f.changes = append(f.changes, Change{Number: n, Kind: UserChange, ID: string(id)})
	return n
}

func (f *fakeStore) find(match func(User) bool) (Record, error) {
	f.mu.Lock()
	f.reads++
	rec, err := Record{}, Errorf(NotFound, "", "no such user")
	for _, r := range f.records {
		if match(r.User) {
			rec, err = r, nil
		}
	}
	if f.down != nil {
		rec, err = Record{}, f.down
	}
	onRead := f.onRead
	f.mu.Unlock()
	if onRead != nil {
		onRead()
	}
	return rec, err
}

func (f *fakeStore) RecordByID(_ context.Context, id UserID) (Record, error) {
	return f.find(func(u User) bool { return u.ID == id })
}

func (f *fakeStore) RecordByName(_ context.Context, name string) (Record, error) {
	return f.find(func(u User) bool { return u.Username == name })
}

func (f *fakeStore) RecordByFingerprint(_ context.Context, fp string) (Record, error) {
	return f.find(func(u User) bool { return u.FingerprintValid(fp, time.Time{}) })
}

func (f *fakeStore) Changes(_ context.Context, after uint64, limit int) ([]Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	rest := f.changes[min(after, uint64(len(f.changes))):]
	return append([]Change(nil), rest[:min(limit, len(rest))]...), nil
}

func (f *fakeStore) ChangesSince(context.Context, time.Time) ([]Change, error) { return nil, nil }

func (f *fakeStore) LastChange(context.Context) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return uint64(len(f.changes)), nil
}

func always() bool { return true }

func name(s *Subject) string {
	if p := s.Principal(); p != nil {
		return p.User.Username
	}
	return "gone"
}

func TestPrincipalsAnswerFromMemoryOnceAsked(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	p := NewPrincipals(f, 10, always)
	first, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := p.ByName(t.Context(), "alice")
		if err != nil || again != first {
			t.Fatalf("got %v, %v: want the same subject again", again, err)
		}
	}
	byID, err := p.ByID(t.Context(), "1")
	if err != nil || byID != first {
		t.Errorf("by id: got %v, %v: want the same subject", byID, err)
	}
	if f.reads != 1 {
		t.Errorf("the store was read %d times, want once", f.reads)
	}
}

func TestPrincipalsSayUnavailableForAStoreThatFails(t *testing.T) {
	f := newFakeStore()
	f.down = Errorf(Unavailable, "", "disk on fire")
	_, err := NewPrincipals(f, 10, always).ByName(t.Context(), "alice")
	if !errors.Is(err, Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
}

func TestPrincipalsDoNotTrustMemoryThatIsNotFresh(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	fresh := true
	p := NewPrincipals(f, 10, func() bool { return fresh })
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	fresh, f.down = false, Errorf(Unavailable, "", "unreachable")
	if _, err := p.ByName(t.Context(), "alice"); !errors.Is(err, Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
	if name(s) != "alice" {
		t.Error("a session that is connected lost its principal")
	}
}

func TestPrincipalsForgetWhatNobodyHolds(t *testing.T) {
	f := newFakeStore()
	p := NewPrincipals(f, 4, always)
	for i := range 50 {
		id := UserID(fmt.Sprint(i))
		f.put(id, "user-"+string(id), "a")
		if _, err := p.ByName(t.Context(), "user-"+string(id)); err != nil {
			t.Fatal(err)
		}
	}
	held := 50
	for range 100 { // cleanups run some time after a collection
		runtime.GC()
		if _, _, held = p.Stats(); held <= 4 {
			break
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	if held > 4 {
		t.Errorf("%d subjects are held, want at most 4", held)
	}
}

func TestPrincipalsKeepTheSubjectThatASessionHolds(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	p := NewPrincipals(f, 1, always)
	alice, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 { // push alice out of what is remembered
		id := UserID(fmt.Sprint("x", i))
		f.put(id, "other-"+string(id), "a")
		if _, err := p.ByName(t.Context(), "other-"+string(id)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	again, err := p.ByName(t.Context(), "alice")
	if err != nil || again != alice {
		t.Errorf("got another subject (%v): changes would not reach the session", err)
	}
}

func TestPrincipalsReadAgainWhenAChangeOvertakesTheRead(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "old")
	p := NewPrincipals(f, 10, always)
	once := sync.Once{}
	f.onRead = func() {
		once.Do(func() { // the record was read; now it changes, before it is kept
			n := f.put("1", "alice", "new")
			p.changed("1", n)
		})
	}
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Principal().Grants[0].Resource; got != "new" {
		t.Errorf("kept the grants from before the change: %q", got)
	}
}

func TestPrincipalsNeverGoBackToAnOlderPrincipal(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "one")
	old := f.records["1"]
	f.put("1", "alice", "two")
	p := NewPrincipals(f, 10, always)
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, after := p.swap("1", old.Principal()); after.User.Version != 2 {
		t.Errorf("swap put number %d in", after.User.Version)
	}
	if got := s.Principal().User.Version; got != 2 {
		t.Errorf("the subject stands at number %d, want 2", got)
	}
}

func TestANameThatGoesToAnotherUserIsThatUser(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	p := NewPrincipals(f, 10, always)
	first, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	f.put("1", "alicia", "a")
	p.swap("1", f.records["1"].Principal())
	f.put("2", "alice", "b")
	second, err := p.ByName(t.Context(), "alice")
	if err != nil || second.ID() != "2" {
		t.Fatalf("got user %v, %v: want the new one", second, err)
	}
	renamed, err := p.ByName(t.Context(), "alicia")
	if err != nil || renamed != first {
		t.Errorf("got %v, %v: want the first user under its new name", renamed, err)
	}
}

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

func (h *heard) Enforce(_ context.Context, id UserID, before, after *Principal) {
	number := func(p *Principal) any {
		if p == nil {
			return "gone"
		}
		return p.User.Version
	}
	h.add("enforce %s %v->%v", id, number(before), number(after))
}

func (h *heard) Changed(c Change)         { h.add("changed %s %d", c.User(), c.Number) }
func (h *heard) Put(r Record)             { h.add("put %s %d", r.User.ID, r.User.Version) }
func (h *heard) Bury(id UserID, n uint64) { h.add("bury %s %d", id, n) }

func following(t *testing.T, f *fakeStore, cache RecordCache, e ...Enforcer) (*Follower, *Principals) {
	t.Helper()
	fo := NewFollower(FollowerConfig{Poll: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, f)
	p := NewPrincipals(f, 10, fo.Fresh)
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
	if got := s.Principal().Grants[0].Resource; got != "new" {
		t.Errorf("after the change the subject has %q", got)
	}
	waitEnforced(t, fo, f.remove("1"))
	if s.Principal() != nil {
		t.Error("a deleted user still has a principal")
	}
	want := "[changed 1 2 enforce 1 1->2 put 1 2 changed 1 3 enforce 1 2->gone bury 1 3]"
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
	if got := s.Principal().Grants[0].Resource; got != "new" {
		t.Errorf("after the store came back the subject has %q", got)
	}
}

func TestFollowerIsNotFreshAfterMaxStaleOfSilence(t *testing.T) {
	f := newFakeStore()
	now := time.Unix(1000, 0)
	fo := NewFollower(FollowerConfig{MaxStale: time.Minute, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, f)
	if err := fo.Start(t.Context(), NewPrincipals(f, 1, fo.Fresh), nil); err != nil {
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
