package registry

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// asked is a cache that has nothing and counts how often it was asked.
type asked struct {
	*fakeStore
	n int
}

func (a *asked) RecordByName(ctx context.Context, name string) (Record, error) {
	a.n++
	return a.fakeStore.RecordByName(ctx, name)
}

func nobody(t *testing.T, p *Principals, name string) {
	t.Helper()
	if _, err := p.ByName(t.Context(), name); !errors.Is(err, NotFound) {
		t.Errorf("%s: %v, want NotFound", name, err)
	}
}

// Asking again for a name that no user has costs what it costs for one that a user has:
// neither store nor cache are asked. It can't be told by time who exists.
func TestKnownAndUnknownNamesCostTheSame(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	cache := &asked{fakeStore: f}
	p := NewPrincipals(PrincipalsConfig{Store: f, Cache: cache, Roles: NewHeldRoles(), Size: 20_000, Fresh: always})
	for _, name := range []string{"alice", "nobody"} {
		cache.n, f.reads = 0, 0
		for range 10 {
			if _, err := p.ByName(t.Context(), name); err != nil && !errors.Is(err, NotFound) {
				t.Fatal(err)
			}
		}
		if cache.n != 1 || f.reads != 1 {
			t.Errorf("%s: the cache was asked %d times, %d reads in all; want one", name, cache.n, f.reads)
		}
	}
}

func TestAnAbsentNameIsForgottenByTheNextChange(t *testing.T) {
	f := newFakeStore()
	fo, p := following(t, f, nil)
	nobody(t, p, "alice")
	nobody(t, p, "bob")
	waitEnforced(t, fo, f.put("1", "alice", "a"))
	if _, err := p.ByName(t.Context(), "alice"); err != nil {
		t.Errorf("after the change: %v", err)
	}
	nobody(t, p, "bob")
	f.put("2", "bob", "b")
	p.ForgetAbsent()
	if _, err := p.ByName(t.Context(), "bob"); err != nil {
		t.Errorf("on the node that changed it: %v", err)
	}
}

// A change that comes while a name is looked for may have made it a user's.
func TestAnAbsentNameIsNotRememberedFromBeforeAChange(t *testing.T) {
	f := newFakeStore()
	p := f.near(10, always)
	f.onRead = func() {
		f.onRead = nil
		f.put("1", "alice", "a")
		p.changed(map[UserID]uint64{"1": 1}, nil)
	}
	nobody(t, p, "alice")
	if _, err := p.ByName(t.Context(), "alice"); err != nil {
		t.Errorf("after the change: %v", err)
	}
}

func TestAbsentNamesAreBoundedAndTrustedWhileFreshOnly(t *testing.T) {
	f := newFakeStore()
	fresh := true
	p := f.near(10, func() bool { return fresh })
	for i := range mostAbsent + 100 {
		nobody(t, p, fmt.Sprint("nobody-", i))
	}
	if n := len(p.absent); n != mostAbsent {
		t.Errorf("%d are remembered, want %d", n, mostAbsent)
	}
	fresh, f.down = false, Errorf(Unavailable, "", "unreachable")
	for i := range 100 {
		if _, err := p.ByName(t.Context(), fmt.Sprint("nobody-", mostAbsent+i)); !errors.Is(err, Unavailable) {
			t.Fatalf("without news: %v, want Unavailable", err)
		}
	}
}
