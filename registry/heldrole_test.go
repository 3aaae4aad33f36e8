package registry

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
)

// shared has two users with one role in common.
func shared() *fakeStore {
	f := newFakeStore()
	f.put("1", "alice", "a")
	f.put("2", "bob", "b")
	f.putRole("both", "old")
	for id, u := range f.users {
		u.Roles = append(u.Roles, "both")
		f.users[id] = u
	}
	return f
}

func (f *fakeStore) may(s *Subject, topic string) bool {
	return s.Principal().Policy.MayPublish(nil, topic)
}

func TestARoleIsCompiledOnceForAllWhoHoldIt(t *testing.T) {
	f := shared()
	p := f.near(10, always)
	alice, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := p.ByName(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := alice.Principal().held.roles, bob.Principal().held.roles; a[1] != b[1] || a[0] == b[0] {
		t.Errorf("alice has %v, bob %v: want the second to be one", a, b)
	}
	if got := p.cfg.Roles.len(); got != 3 {
		t.Errorf("%d roles are held, want 3", got)
	}
}

func TestARoleThatNobodyHoldsIsForgotten(t *testing.T) {
	f := shared()
	p := NewPrincipals(PrincipalsConfig{Store: f, Roles: NewHeldRoles(), Size: 3000, Fresh: always}) // a user and two roles
	for _, name := range []string{"alice", "bob"} {                                                  // of whom only the second is remembered
		if _, err := p.ByName(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		runtime.GC()
		if p.cfg.Roles.len() == 2 {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d roles are held, want the two of bob", p.cfg.Roles.len())
}

func TestAChangedRoleReachesAllWhoHoldIt(t *testing.T) {
	f := shared()
	h := &heard{}
	fo, p := following(t, f, nil, h)
	var subjects []*Subject
	for _, name := range []string{"alice", "bob"} {
		s, err := p.ByName(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, s)
	}
	reads := f.reads
	waitEnforced(t, fo, f.putRole("both", "new"))
	for _, s := range subjects {
		if f.may(s, "old") || !f.may(s, "new") {
			t.Errorf("%s may still what the role gave", name(s))
		}
	}
	if len(h.lines) != 2 {
		t.Errorf("enforced: %v, want both", h.lines)
	}
	if f.reads != reads {
		t.Errorf("%d users were read for it", f.reads-reads)
	}
}

func TestAUserAndItsRolesAreReadAsTheyStoodTogether(t *testing.T) {
	f := shared()
	p := f.near(10, always)
	var once sync.Once
	f.onRead = func() { once.Do(func() { f.putRole("both", "new") }) } // between the user and its roles
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if got := numberOf(s.Principal()); !f.may(s, "new") || got != 4 {
		t.Errorf("number %d, new topic: %v", got, f.may(s, "new"))
	}
}

// remembering is a cache that knows one record.
type remembering struct {
	RecordReader
	record Record
}

func (r remembering) RecordByName(context.Context, string) (Record, error) {
	r.record.Cached = true
	return r.record, nil
}

func TestARecordFromACacheMeetsOnlyRolesThatAreInMemory(t *testing.T) {
	f := shared()
	cfg := PrincipalsConfig{
		Store: f, Cache: remembering{f, Record{User: f.users["1"], RoleVersions: []uint64{1, 3}}},
		Roles: NewHeldRoles(), Size: 10, Fresh: always,
	}
	first, err := NewPrincipals(cfg).ByName(t.Context(), "alice")
	if err != nil || f.reads != 1 {
		t.Fatalf("the store was read %d times, %v; want once: no role is in memory", f.reads, err)
	}
	// Another memory with the same roles, one of which has changed meanwhile.
	cfg.Roles.put(newHeldRole(new(roleFor("both", "new", f.putRole("both", "new")))))
	second, err := NewPrincipals(cfg).ByName(t.Context(), "alice")
	if err != nil || f.reads != 1 {
		t.Errorf("the store was read %d times, %v; want once", f.reads, err)
	}
	if !f.may(second, "new") || f.may(second, "old") {
		t.Error("the record brought an earlier version of the role along")
	}
	runtime.KeepAlive(first)
}

// numberOf returns the number of the last change that a principal reflects.
func numberOf(p *Principal) uint64 {
	n := p.User.Version
	for _, r := range p.held.roles {
		n = max(n, r.version)
	}
	return n
}

// waitingRoles is a store whose roles are read when a test says so.
type waitingRoles struct {
	*fakeStore
	asked chan struct{} // takes one for each question
	ready chan struct{}
}

func (w *waitingRoles) RolesByID(ctx context.Context, ids []RoleID) ([]Role, error) {
	w.asked <- struct{}{}
	<-w.ready
	return w.fakeStore.RolesByID(ctx, ids)
}

func TestRolesThatSeveralAskForAtOnceAreReadOnce(t *testing.T) {
	f := newFakeStore()
	f.putRole("both", "a")
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		f.users[UserID(name)] = User{ID: UserID(name), Username: name, Active: true, Roles: []RoleID{"both"}}
	}
	w := &waitingRoles{f, make(chan struct{}, 10), make(chan struct{})}
	p := NewPrincipals(PrincipalsConfig{Store: w, Roles: NewHeldRoles(), Size: 1 << 20, Fresh: always})
	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := p.ByName(impatient, "dave")
		left <- err
	}()
	<-w.asked
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up got %v", err)
	}
	var all sync.WaitGroup
	for _, name := range []string{"alice", "bob", "carol"} {
		all.Go(func() {
			if s, err := p.ByName(t.Context(), name); err != nil || !f.may(s, "a") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	close(w.ready)
	all.Wait()
	if more := len(w.asked); more > 1 { // one, if all were late
		t.Errorf("the roles were read %d times more", more)
	}
}
