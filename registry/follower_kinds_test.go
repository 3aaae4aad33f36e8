package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// changed adds a change of a kind.
func (f *fakeStore) changed(kind ChangeKind) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, Change{Number: uint64(len(f.changes) + 1), Kind: kind, Time: time.Now()})
	return uint64(len(f.changes))
}

// followed is a follower with two listeners for anchors and one for the window,
// and what they heard since it was last asked.
type followed struct {
	*Follower
	t     *testing.T
	store *fakeStore
	calls []string
	fails error // what the second one for anchors returns
}

func newFollowed(t *testing.T) *followed {
	t.Helper()
	f := &followed{t: t, store: newFakeStore()}
	f.Follower = NewFollower(FollowerConfig{Poll: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, f.store)
	call := func(name string) { f.calls = append(f.calls, name) }
	f.OnChange(AnchorChange, func(context.Context, []string) error { call("anchors"); return nil })
	f.OnChange(AnchorChange, func(context.Context, []string) error { call("anchors, too"); return f.fails })
	f.OnChange(WindowChange, func(context.Context, []string) error { call("window"); return nil })
	if err := f.Start(t.Context(), f.store.near(10, f.Fresh), nil); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *followed) heard(what, want string) {
	f.t.Helper()
	if got := fmt.Sprint(f.calls); got != want {
		f.t.Errorf("%s: heard %s, want %s", what, got, want)
	}
	f.calls = nil
}

func (f *followed) follow() {
	f.t.Helper()
	if err := f.catchUp(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func TestAChangeIsHeardByThoseWhoListenForItsKind(t *testing.T) {
	f := newFollowed(t)
	f.heard("at the start", "[anchors anchors, too window]") // what changed since they read it is not lost
	for _, tt := range []struct {
		what string
		kind ChangeKind
		want string
	}{
		{"an anchor", AnchorChange, "[anchors anchors, too]"},
		{"the window", WindowChange, "[window]"},
		{"a role", RoleChange, "[]"},
		{"the authority", AuthorityChange, "[]"},
		{"a kind that a newer program has", "weather", "[anchors anchors, too window]"},
	} {
		f.store.changed(tt.kind)
		f.follow()
		f.heard(tt.what, tt.want)
	}
	f.store.put("1", "alice", "b")
	f.follow()
	f.heard("a user", "[]")
}

func TestAChangeIsEnforcedOnceAllHaveHeardIt(t *testing.T) {
	f := newFollowed(t)
	f.heard("at the start", "[anchors anchors, too window]")
	f.store.put("1", "alice", "a")
	n := f.store.changed(AnchorChange)
	f.store.changed(AnchorChange)
	last := f.store.changed(AnchorChange)
	f.fails = errors.New("unreachable")
	if err := f.catchUp(t.Context()); !errors.Is(err, f.fails) || f.Enforced() >= n {
		t.Errorf("while one fails: %v, enforced is %d, want less than %d", err, f.Enforced(), n)
	}
	f.heard("while one fails", "[anchors anchors, too]")
	f.fails = nil
	f.follow()
	if f.Enforced() != last {
		t.Errorf("then: enforced is %d, want %d", f.Enforced(), last)
	}
	f.heard("all three, once", "[anchors anchors, too]")
}
