package restart

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// swap puts a file of sessions in the place of another, or takes that away.
func swap(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(from, "sessions.db"))
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "sessions.db"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func stopped(t *testing.T, p *rig.Program) {
	t.Helper()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
}

// wantNone starts the program and wants alice to find no session.
func wantNone(t *testing.T, dir string) {
	t.Helper()
	p := rig.LaunchIn(t, dir)
	if ack := p.Dial(5).MustConnect(lasting("alice", "a")); ack.SessionPresent {
		t.Error("the session is there")
	}
	if !strings.Contains(p.Log.String(), "of another store, or of a state of it that is lost") {
		t.Errorf("the log says %s", p.Log)
	}
	aside, err := filepath.Glob(filepath.Join(dir, "sessions.db.broken-*"))
	if err != nil || len(aside) != 1 {
		t.Errorf("moved aside: %q, %v", aside, err)
	}
}

// TestSessionsOfALostFutureAreNotThere puts the store back from a copy, with the
// sessions of what came after it.
func TestSessionsOfALostFutureAreNotThere(t *testing.T) {
	t.Parallel()
	p := rig.LaunchIn(t, rig.UsedDir(t))
	p.User("alice", rig.Reads("a/#"))
	away(p, 5, lasting("alice", "a"), "a/#")
	stopped(t, p)
	copied := t.TempDir()
	rig.CopyData(t, copied, p.Dir)

	p = rig.LaunchIn(t, p.Dir)
	back(p, 5, lasting("alice", "a")).Disconnect() // the copy that is of the same state
	p.User("bob")
	stopped(t, p)
	swap(t, copied, p.Dir)
	wantNone(t, copied)
}

// TestSessionsOfAnotherStoreAreNotThere gives a store the sessions of another one that
// has the same master key and a user of the same name.
func TestSessionsOfAnotherStoreAreNotThere(t *testing.T) {
	t.Parallel()
	first := rig.LaunchIn(t, rig.UsedDir(t))
	first.User("alice", rig.Reads("a/#"))
	away(first, 5, lasting("alice", "a"), "a/#")
	stopped(t, first)
	other := t.TempDir()
	key, err := os.ReadFile(filepath.Join(first.Dir, "master.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(other, "master.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	second := rig.LaunchIn(t, other, "--admin-password", rig.AdminPassword)
	second.User("alice", rig.Reads("a/#"))
	stopped(t, second)
	swap(t, other, first.Dir)
	wantNone(t, other)
	if _, err := os.Stat(filepath.Join(other, "sessions.db")); errors.Is(err, fs.ErrNotExist) {
		t.Error("no new file was made")
	}
}
