package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry"
)

func changeCases() []testCase {
	return []testCase{
		{"a change of each kind is kept with what it names", touchKinds},
		{"each commit has a mark of its own", marks},
		{"an id means another thing in another kind", touchSameID},
		{"a change that touches takes one number for each, in order and once", touchUsers},
		{"a change that touches nothing takes no number", touchNothing},
		{"a touched user has the number of its row as its version", touchVersions},
		{"who is deleted has a row and no version", touchDeleted},
		{"changes are read past a number, a few at a time", changesPaged},
		{"changes are read from a moment on", changesSince},
		{"numbers have no gaps and become visible in order", changesVisible},
		{"a transaction that is held open is not overtaken unseen", changesHeldOpen},
	}
}

func touch(users ...registry.UserID) func(context.Context, registry.Tx) error {
	return func(_ context.Context, tx registry.Tx) error { touchAll(tx, users...); return nil }
}

func touchAll(tx registry.Tx, users ...registry.UserID) {
	for _, id := range users {
		tx.Touch(registry.UserChange, string(id))
	}
}

// changed returns who was changed, after a number.
func changed(t *testing.T, s registry.Store, after uint64) (users []registry.UserID) {
	t.Helper()
	for i, c := range must(s.Changes(t.Context(), after, 1<<20))(t) {
		if want := after + uint64(i) + 1; c.Number != want {
			t.Errorf("row %d past %d has the number %d, want %d", i, after, c.Number, want)
		}
		users = append(users, c.User())
	}
	return users
}

// marks checks that the end of the line is a place that no other commit has had.
func marks(t *testing.T, s registry.Store) {
	seen := make(map[uint64]bool)
	for range 20 {
		n := update(t, s, func(_ context.Context, tx registry.Tx) error {
			touchAll(tx, "u-1", "u-2")
			return nil
		})
		rows := must(s.Changes(t.Context(), n-2, 9))(t)
		end := must(s.Position(t.Context()))(t)
		if len(rows) != 2 || end != rows[1].Position() || rows[0].Mark != rows[1].Mark {
			t.Fatalf("the end is %v after the rows %v: want the last one, and one mark for both", end, rows)
		}
		if seen[end.Mark] {
			t.Fatalf("the mark %d was given twice", end.Mark)
		}
		seen[end.Mark] = true
		update(t, s, func(_ context.Context, tx registry.Tx) error {
			tx.Audit(entry())
			return nil
		})
		if now := must(s.Position(t.Context()))(t); now != end {
			t.Errorf("the end is %v after a commit that changed nothing, want %v", now, end)
		}
	}
}

func touchKinds(t *testing.T, s registry.Store) {
	kinds := []registry.ChangeKind{
		registry.RoleChange, registry.TokenChange, registry.AnchorChange, registry.AuthorityChange, registry.CertificateChange,
		registry.WindowChange, "a kind of a newer program",
	}
	for i, kind := range kinds {
		id := fmt.Sprint("id-", i)
		if kind == registry.WindowChange {
			id = ""
		}
		n := update(t, s, func(_ context.Context, tx registry.Tx) error {
			tx.Touch(kind, id)
			tx.Touch(kind, id)
			return nil
		})
		got := must(s.Changes(t.Context(), uint64(i), 9))(t)
		if n != uint64(i+1) || len(got) != 1 {
			t.Fatalf("%s: the number %d, %d rows; want %d and one", kind, n, len(got), i+1)
		}
		same(t, string(kind), got[0], registry.Change{Number: n, Kind: kind, ID: id, Time: got[0].Time, Mark: got[0].Mark})
		if last := must(s.Position(t.Context()))(t).Number; last != n {
			t.Errorf("%s: the last number is %d, want %d", kind, last, n)
		}
	}
}

func touchSameID(t *testing.T, s registry.Store) {
	before := given(t, s, bob())
	n := update(t, s, func(_ context.Context, tx registry.Tx) error {
		tx.Touch(registry.RoleChange, "u-2")
		return nil
	})
	if n != before+1 {
		t.Errorf("got the number %d, want %d", n, before+1)
	}
	if got := must(s.User(t.Context(), "u-2"))(t).Version; got != before {
		t.Errorf("the user has the version %d, want %d: it is not touched", got, before)
	}
	n = update(t, s, func(_ context.Context, tx registry.Tx) error {
		tx.Touch(registry.UserChange, "u-2")
		tx.Touch(registry.RoleChange, "u-2")
		return nil
	})
	if got := must(s.User(t.Context(), "u-2"))(t).Version; n != before+3 || got != before+2 {
		t.Errorf("touched with a role of that id: number %d, version %d; want %d and %d", n, got, before+3, before+2)
	}
}

func touchUsers(t *testing.T, s registry.Store) {
	given(t, s, bob())
	before := must(s.Position(t.Context()))(t).Number
	n := update(t, s, func(_ context.Context, tx registry.Tx) error {
		touchAll(tx, "u-9", "u-2")
		touchAll(tx, "u-2")
		touchAll(tx, "u-1", "u-9", "u-1")
		return nil
	})
	if n != before+3 {
		t.Errorf("got the number %d, want %d", n, before+3)
	}
	if got := changed(t, s, before); !slices.Equal(got, []registry.UserID{"u-9", "u-2", "u-1"}) {
		t.Errorf("changed: %q, want u-9, u-2, u-1, as they were first touched", got)
	}
}

func touchNothing(t *testing.T, s registry.Store) {
	last := given(t, s, bob())
	n := update(t, s, func(ctx context.Context, tx registry.Tx) error {
		tx.Audit(entry())
		return tx.UpdateUser(ctx, registry.User{ID: "u-2", Username: "robert"})
	})
	if n != 0 {
		t.Errorf("got the number %d, want none", n)
	}
	if got := changed(t, s, last); len(got) != 0 || must(s.Position(t.Context()))(t).Number != last {
		t.Errorf("changed: %q, want nobody", got)
	}
	if got := must(s.UserByName(t.Context(), "robert"))(t).Version; got != last {
		t.Errorf("the version is %d, want the old one, %d", got, last)
	}
}

func touchVersions(t *testing.T, s registry.Store) {
	users := crowd("a", "b", "c", "d") // u-4, u-3, u-2, u-1
	givenUsers(t, s, users)
	before := must(s.Position(t.Context()))(t).Number
	update(t, s, touch("u-1", "u-3", "u-2"))
	for id, want := range map[registry.UserID]uint64{"u-1": before + 1, "u-3": before + 2, "u-2": before + 3, "u-4": 1} {
		if got := must(s.User(t.Context(), id))(t).Version; got != want {
			t.Errorf("%s has the version %d, want %d", id, got, want)
		}
		if got := must(s.RecordByID(t.Context(), id))(t).User.Version; got != want {
			t.Errorf("the record of %s has the version %d, want %d", id, got, want)
		}
	}
}

func touchDeleted(t *testing.T, s registry.Store) {
	before := given(t, s, bob())
	n := update(t, s, func(ctx context.Context, tx registry.Tx) error {
		touchAll(tx, "u-2", "u-9") // u-9 never was
		return tx.DeleteUser(ctx, "u-2")
	})
	if got := changed(t, s, before); !slices.Equal(got, []registry.UserID{"u-2", "u-9"}) || n != before+2 {
		t.Errorf("changed: %q up to %d, want u-2 and u-9", got, n)
	}
	_, err := s.User(t.Context(), "u-2")
	notFound(t, "User", err)
	u := bob()
	u.Version = given(t, s, u) // the same id again goes on in the line
	if got := must(s.User(t.Context(), "u-2"))(t).Version; got != n+1 {
		t.Errorf("made again it has the version %d, want %d", got, n+1)
	}
}

func changesPaged(t *testing.T, s registry.Store) {
	for i := range 7 {
		update(t, s, touch(registry.UserID(fmt.Sprint("u-", i))))
	}
	for _, tt := range []struct {
		after uint64
		limit int
		want  []uint64
	}{
		{0, 3, []uint64{1, 2, 3}},
		{3, 3, []uint64{4, 5, 6}},
		{6, 3, []uint64{7}},
		{7, 3, nil},
		{99, 3, nil},
		{0, 0, nil},
		{5, 99, []uint64{6, 7}},
	} {
		var got []uint64
		for _, c := range must(s.Changes(t.Context(), tt.after, tt.limit))(t) {
			got = append(got, c.Number)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("past %d, up to %d: got %v, want %v", tt.after, tt.limit, got, tt.want)
		}
	}
}

func changesSince(t *testing.T, s registry.Store) {
	for range 3 {
		update(t, s, touch("u-1", "u-2"))
	}
	all := must(s.Changes(t.Context(), 0, 99))(t)
	if len(all) != 6 {
		t.Fatalf("there are %d rows, want 6", len(all))
	}
	for _, c := range all {
		var want []registry.Change // those with this time or a later one
		for _, other := range all {
			if !other.Time.Before(c.Time) {
				want = append(want, other)
			}
		}
		same(t, fmt.Sprint("since number ", c.Number), must(s.ChangesSince(t.Context(), c.Time))(t), want)
	}
	same(t, "since ever", must(s.ChangesSince(t.Context(), time.Time{}))(t), all)
	if got := must(s.ChangesSince(t.Context(), all[5].Time.Add(time.Microsecond)))(t); len(got) != 0 {
		t.Errorf("since later: got %v, want nothing", got)
	}
	if all[0].Time.Location() != time.UTC {
		t.Errorf("times are in %v, want UTC", all[0].Time.Location())
	}
}

// changesVisible reads the line while many write it: what is past the last seen
// number must be the very next ones, each time.
func changesVisible(t *testing.T, s registry.Store) {
	const writers, each, users = 8, 10, 3
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				_, err := s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
					for u := range users {
						tx.Touch(registry.UserChange, fmt.Sprintf("u-%d-%d-%d", w, i, u))
					}
					return nil
				})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	var reading sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			var seen uint64
			for over := false; ; {
				rows, err := s.Changes(t.Context(), seen, 1<<20)
				if err != nil {
					t.Errorf("Changes: %v", err)
					return
				}
				for _, c := range rows {
					if seen++; c.Number != seen {
						t.Errorf("number %d came where %d was due", c.Number, seen)
						return
					}
				}
				if seen%users != 0 {
					t.Errorf("number %d is in the middle of a commit", seen)
				}
				if over {
					break
				}
				select {
				case <-done:
					over = true // and look once more
				default:
				}
			}
			if seen != writers*each*users {
				t.Errorf("saw %d numbers, want %d", seen, writers*each*users)
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
}

// changesHeldOpen holds one transaction open while another begins, and may end:
// who reads in between must find, past what he has seen, all the rest.
func changesHeldOpen(t *testing.T, s registry.Store) {
	begun, release := make(chan struct{}), make(chan struct{})
	hold := func(_ context.Context, tx registry.Tx) error {
		touchAll(tx, "u-held")
		close(begun)
		<-release
		return nil
	}
	var wg sync.WaitGroup
	run := func(change func(context.Context, registry.Tx) error) <-chan struct{} {
		done := make(chan struct{})
		wg.Go(func() {
			defer close(done)
			if _, err := s.Update(t.Context(), change); err != nil {
				t.Errorf("Update: %v", err)
			}
		})
		return done
	}
	run(hold)
	<-begun
	select {
	case <-run(touch("u-later")):
	case <-time.After(50 * time.Millisecond): // a store may make it wait; then there is nothing to see yet
	}
	seen := changed(t, s, 0)
	close(release)
	wg.Wait()
	seen = append(seen, changed(t, s, uint64(len(seen)))...)
	slices.Sort(seen)
	if !slices.Equal(seen, []registry.UserID{"u-held", "u-later"}) {
		t.Errorf("saw %v, want both", seen)
	}
}
