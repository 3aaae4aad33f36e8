package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"mqttwarden/registry"
	"mqttwarden/registry/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) registry.Store { return openTemp(t) })
}

// openAt opens the store at path; the test's end closes it, if the test did not.
func openAt(tb testing.TB, path string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Config{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// migrated is the file of a store that has had its migrations, which take seconds
// under the race detector.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sqlstore")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "made.db")
	s, err := Open(context.Background(), Config{Path: path})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path) // #nosec G304 -- ours
})

func openTemp(tb testing.TB) *Store {
	tb.Helper()
	file, err := migrated()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "test.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		tb.Fatal(err)
	}
	return openAt(tb, path)
}

// update runs change and returns its number.
func update(tb testing.TB, s *Store, change func(ctx context.Context, tx registry.Tx) error) uint64 {
	tb.Helper()
	n, err := s.Update(tb.Context(), change)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// contents is what must outlast everything.
type contents struct {
	Users    []registry.User
	Roles    []registry.Role
	Changes  []registry.Change
	Audit    []registry.AuditEntry
	Identity registry.Identity
	Setting  []byte
}

func read(tb testing.TB, s *Store) (c contents) {
	tb.Helper()
	ctx := tb.Context()
	var errs [6]error
	c.Users, _, errs[0] = s.Users(ctx, registry.UserQuery{})
	c.Roles, _, errs[1] = s.Roles(ctx, registry.RoleQuery{})
	c.Changes, errs[2] = s.Changes(ctx, 0, 1<<20)
	c.Audit, errs[3] = s.Audit(ctx, 1<<20)
	c.Identity, errs[4] = s.Identity(ctx)
	c.Setting, errs[5] = s.SetOnce(ctx, "key", []byte(c.Identity.StoreID))
	for _, err := range errs {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

func TestReopenKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := openAt(t, path)
	fill(t, s, 10, 3)
	before := read(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	if diff := cmp.Diff(before, read(t, s), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("reopened it differs (-before +after):\n%s", diff)
	}
	if n := update(t, s, func(_ context.Context, tx registry.Tx) error { tx.Touch(registry.RoleChange, "r-1"); return nil }); n != 11 {
		t.Errorf("the next number is %d, want 11", n)
	}
}

func TestStoresDiffer(t *testing.T) {
	one, err := openAt(t, filepath.Join(t.TempDir(), "new.db")).Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := openAt(t, filepath.Join(t.TempDir(), "new.db")).Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if one.StoreID == two.StoreID {
		t.Errorf("two stores are both %s", one.StoreID)
	}
}

func TestTimesAreTheClocks(t *testing.T) {
	now := time.Date(2026, 5, 6, 7, 8, 9, 123_456_789, time.FixedZone("CET", 3600))
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "test.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	update(t, s, func(_ context.Context, tx registry.Tx) error {
		tx.Touch(registry.UserChange, "u-1")
		tx.Audit(registry.AuditEntry{Action: "look"})
		return nil
	})
	want := time.Date(2026, 5, 6, 6, 8, 9, 123_456_000, time.UTC)
	c := read(t, s)
	if got := c.Changes[0].Time; !got.Equal(want) {
		t.Errorf("the change has the time %v, want %v", got, want)
	}
	if got := c.Audit[0].Time; !got.Equal(want) {
		t.Errorf("the audit entry has the time %v, want %v", got, want)
	}
	// What was committed at this very moment is found by the moment itself,
	// though the store keeps only its microseconds.
	for since, want := range map[time.Time]int{now: 1, now.Add(time.Microsecond): 0} {
		if got, err := s.ChangesSince(t.Context(), since); err != nil || len(got) != want {
			t.Errorf("since %v: got %v, %v, want %d rows", since, got, err, want)
		}
	}
}

// TestTwoStoresOnOneFile is what a command does while a server runs.
func TestTwoStoresOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	stores := []*Store{openAt(t, path), openAt(t, path)}
	create := func(ctx context.Context, tx registry.Tx) error {
		return tx.CreateUser(ctx, registry.User{ID: "u", Username: "user"})
	}
	update(t, stores[0], create)
	const each = 20
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() {
			for range each {
				_, err := s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
					u, err := tx.User(ctx, "u")
					if err != nil {
						return err
					}
					u.PublishPrefix += "x"
					tx.Touch(registry.UserChange, string(u.ID))
					return tx.UpdateUser(ctx, u)
				})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range stores {
		c := read(t, s)
		if n := len(c.Users[0].PublishPrefix); n != 2*each || len(c.Changes) != n || c.Changes[n-1].Number != uint64(n) {
			t.Errorf("%d updates count and %d have a number, want %d and no gap", n, len(c.Changes), 2*each)
		}
	}
}

// TestOftenUsedStatementsStayPrepared fails when the text of a statement and the
// list of those that stay prepared drift apart.
func TestOftenUsedStatementsStayPrepared(t *testing.T) {
	s := openTemp(t)
	fill(t, s, 1, 1)
	u := registry.User{ID: "u", Username: "with everything", Roles: []registry.RoleID{"role"}}
	for i := range 2 {
		u.Fingerprints = append(u.Fingerprints, registry.Fingerprint{SHA256: fmt.Sprint(i)})
	}
	check := func(used *sqlTx) {
		t.Helper()
		for query := range used.prepared {
			if used.pool.prepared[query] == nil {
				t.Errorf("prepared anew: %s", query)
			}
		}
	}
	update(t, s, func(ctx context.Context, rtx registry.Tx) error {
		tx := rtx.(*tx)
		tx.Touch(registry.UserChange, string(u.ID))
		tx.Touch(registry.RoleChange, "role")
		tx.Audit(registry.AuditEntry{})
		err := errors.Join(
			tx.CreateUser(ctx, u),
			tx.UpdateUser(ctx, u),
			tx.CreateToken(ctx, registry.Token{ID: "t", User: u.ID}),
		)
		if err != nil {
			return err
		}
		if _, err := tx.RecordByName(ctx, u.Username); err != nil {
			return err
		}
		_, err = tx.finish(ctx, time.Now())
		check(tx.t)
		return err
	})
	err := s.read.view(t.Context(), func(used *sqlTx) error {
		within := func(_ context.Context, read func(*sqlTx) error) error { return read(used) }
		r := reader{within, within}
		_, err1 := r.RecordByName(t.Context(), u.Username)
		_, err2 := r.RecordByID(t.Context(), u.ID)
		_, err3 := r.RecordByFingerprint(t.Context(), "1")
		_, err4 := r.User(t.Context(), u.ID)
		_, err5 := r.Token(t.Context(), "t")
		_, err6 := r.RolesByID(t.Context(), u.Roles)
		check(used)
		return errors.Join(err1, err2, err3, err4, err5, err6)
	})
	if err != nil {
		t.Error(err)
	}
}
