package sqlstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"mqttwarden/registry"
)

// ack is a change that was acknowledged while the log had so many bytes.
type ack struct {
	number uint64
	log    int64
}

// TestCutLog opens copies of a store that was never closed, with its write-ahead
// log cut at all kinds of places, as a crash may leave it. Each must hold every
// change that was acknowledged while the log was that long, and nothing of the
// others.
func TestCutLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := openAt(t, path)
	keepLog(t, s)
	role(t, s, 3)
	var acks []ack
	for i := range 40 {
		create(t, s, i, 1)
		acks = append(acks, ack{number: uint64(i + 1), log: size(t, path+"-wal")})
	}
	whole := acks[len(acks)-1].log
	cuts := []int64{0, 1, 32, 4096, whole - 1, whole}
	for _, a := range acks[len(acks)-3:] { // just at a commit, and a little off
		cuts = append(cuts, a.log-1, a.log, a.log+1)
	}
	for range 10 {
		cuts = append(cuts, rand.Int64N(whole))
	}
	for _, cut := range cuts {
		var want uint64
		for _, a := range acks {
			if a.log <= cut {
				want = a.number
			}
		}
		n := openCopy(t, path, cut)
		if n < want {
			t.Errorf("log cut at %d of %d: %d changes, want the %d that were acknowledged by then", cut, whole, n, want)
		}
		if int(n) < len(acks) && acks[n].log <= cut {
			t.Errorf("log cut at %d of %d: change %d is missing", cut, whole, n+1)
		}
	}
}

// TestCopyWhileWriting copies the files again and again while changes are being
// made: what was acknowledged before a copy was begun is in it.
func TestCopyWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := openAt(t, path)
	keepLog(t, s)
	role(t, s, 3)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				create(t, s, i, 1)
			}
		}
	}()
	for range 8 {
		end, err := s.Position(t.Context())
		if err != nil {
			t.Error(err)
		}
		if n := openCopy(t, path, size(t, path+"-wal")); n < end.Number {
			t.Errorf("the copy has %d changes, want at least the %d that were acknowledged before", n, end.Number)
		}
	}
	close(stop)
	<-done
}

// keepLog keeps all that is written in the log, so that the database file does
// not change and a copy of the two is a state that a crash may leave.
func keepLog(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.write.db.ExecContext(t.Context(), "PRAGMA wal_autocheckpoint = 0"); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// openCopy opens a copy of the store at path with the first bytes of its log,
// checks that it is whole, and returns its last number.
func openCopy(t *testing.T, path string, log int64) uint64 {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if suffix == "-wal" {
			b = b[:min(log, int64(len(b)))]
		}
		if err := os.WriteFile(to+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), Config{Path: to})
	if err != nil {
		t.Fatalf("log cut at %d: %v", log, err)
	}
	defer s.Close()
	var sound string
	if err := s.read.db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Fatalf("log cut at %d: integrity check: %s, %v", log, sound, err)
	}
	c := read(t, s)
	n := len(c.Changes)
	if len(c.Users) != n || len(c.Audit) != n {
		t.Errorf("log cut at %d: %d users, %d changes, %d audit entries: want the same", log, len(c.Users), n, len(c.Audit))
	}
	for _, u := range c.Users {
		if want := fmt.Sprintf("user-%d", u.Version-1); u.Username != want || len(u.Roles) != 1 {
			t.Errorf("log cut at %d: version %d is %s with roles %v, want %s with one", log, u.Version, u.Username, u.Roles, want)
		}
	}
	// It goes on where it stands.
	next := update(t, s, func(_ context.Context, tx registry.Tx) error { tx.Touch(registry.RoleChange, "r-1"); return nil })
	if next != uint64(n)+1 {
		t.Errorf("log cut at %d: the next number is %d after %d", log, next, n)
	}
	return uint64(n)
}
