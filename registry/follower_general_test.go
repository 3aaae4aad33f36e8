package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// general adds a change that touches nobody.
func (f *fakeStore) general() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, Change{Number: uint64(len(f.changes) + 1), Time: time.Now()})
	return uint64(len(f.changes))
}

func TestAGeneralChangeIsEnforcedOnceAllHaveHeardIt(t *testing.T) {
	f := newFakeStore()
	fo := NewFollower(FollowerConfig{Poll: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, f)
	var calls []string
	var fails error
	fo.OnGeneral(func(context.Context) error { calls = append(calls, "first"); return nil })
	fo.OnGeneral(func(context.Context) error { calls = append(calls, "second"); return fails })
	heard := func(want string) {
		t.Helper()
		if got := fmt.Sprint(calls); got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
		calls = nil
	}
	if err := fo.Start(t.Context(), NewPrincipals(f, 10, fo.Fresh), nil); err != nil {
		t.Fatal(err)
	}
	heard("[first second]") // what changed since they read it is not lost

	f.put("1", "alice", "a")
	n := f.general()
	f.general()
	last := f.general()
	fails = errors.New("unreachable")
	if err := fo.catchUp(t.Context()); !errors.Is(err, fails) || fo.Enforced() != n-1 {
		t.Errorf("while one fails: %v, enforced is %d, want %d", err, fo.Enforced(), n-1)
	}
	heard("[first second]")
	fails = nil
	if err := fo.catchUp(t.Context()); err != nil || fo.Enforced() != last {
		t.Errorf("then: %v, enforced is %d, want %d", err, fo.Enforced(), last)
	}
	heard("[first second]") // once for all three
	f.put("1", "alice", "b")
	if err := fo.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard("[]")
}
