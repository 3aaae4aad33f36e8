package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

func updateCases() []testCase {
	return []testCase{
		{"a transaction sees what it wrote, others see it after the commit", updateIsolated},
		{"parallel updates all count", updatesInParallel},
		{"of many that create one name at once, one succeeds", updatesRace},
		{"a transaction that is over does nothing more", updateOver},
		{"a large change is one change", updateLarge},
		{"the store answers that it can be read and written", ping},
	}
}

func updateIsolated(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice(), session())
	before := contents(t, s)
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		b := bob()
		b.Roles = []registry.RoleID{"r-9"}
		for _, err := range []error{
			tx.CreateRole(ctx, registry.Role{ID: "r-9", Name: "New"}),
			tx.PutPermission(ctx, "r-9", registry.Permission{ID: "p", Resource: "#", Operation: acl.Read, Context: acl.HTTP}),
			tx.CreateUser(ctx, b),
			tx.CreateToken(ctx, registry.Token{ID: "t-9", User: b.ID}),
			tx.DeleteToken(ctx, "t-1"),
			tx.DeleteRole(ctx, "r-2"),
		} {
			if err != nil {
				return err
			}
		}
		if rec, err := tx.RecordByName(ctx, "bob"); err != nil || len(rec.RoleVersions) != 1 {
			t.Errorf("within, the new user is %+v, %v", rec, err)
		}
		if names, err := tx.Usernames(ctx); err != nil || !slices.Equal(names, []string{"alice", "bob"}) {
			t.Errorf("within, the users are %v, %v", names, err)
		}
		if _, total, err := tx.Roles(ctx, registry.RoleQuery{}); err != nil || total != 2 {
			t.Errorf("within, there are %d roles, %v", total, err)
		}
		if held, err := tx.RolesOf(ctx, "u-1"); err != nil || len(held) != 1 {
			t.Errorf("within, alice holds %v, %v", held, err)
		}
		_, err := tx.Token(ctx, "t-1")
		notFound(t, "within, the deleted token", err)

		if diff := compare(before, contents(t, s)); diff != "" {
			t.Errorf("others see it before the commit (-before +now):\n%s", diff)
		}
		return nil
	})
	if got := must(s.RecordByName(t.Context(), "bob"))(t); len(got.RoleVersions) != 1 {
		t.Errorf("after the commit the new user has %v", got.User.Roles)
	}
}

func updatesInParallel(t *testing.T, s registry.Store) {
	const workers, each = 8, 10
	given(t, s, bob())
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				_, err := s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
					u, err := tx.User(ctx, "u-2")
					if err != nil {
						return err
					}
					u.PublishPrefix += "x"
					touchAll(tx, u.ID)
					return tx.UpdateUser(ctx, u)
				})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(must(s.User(t.Context(), "u-2"))(t).PublishPrefix); got != workers*each {
		t.Errorf("%d of %d updates count", got, workers*each)
	}
}

func updatesRace(t *testing.T, s registry.Store) {
	const racers = 20
	errs := make(chan error, racers)
	for i := range racers {
		go func() {
			name := []string{"carol", "Carol", "CAROL"}[i%3]
			_, err := s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
				tx.Touch(registry.RoleChange, "r-1")
				return tx.CreateUser(ctx, registry.User{ID: registry.UserID(fmt.Sprint("u-", i)), Username: name})
			})
			errs <- err
		}()
	}
	var won, conflicts int
	for range racers {
		switch err := <-errs; {
		case err == nil:
			won++
		case errors.Is(err, registry.Conflict):
			conflicts++
		default:
			t.Errorf("got %v, want Conflict", err)
		}
	}
	if won != 1 || conflicts != racers-1 {
		t.Errorf("%d succeeded and %d got Conflict, want 1 and %d", won, conflicts, racers-1)
	}
	if n := len(must(s.Usernames(t.Context()))(t)); n != 1 {
		t.Errorf("there are %d users, want 1", n)
	}
	if last := must(s.Position(t.Context()))(t).Number; last != 1 {
		t.Errorf("the last number is %d, want 1", last)
	}
}

func updateOver(t *testing.T, s registry.Store) {
	var kept registry.Tx
	update(t, s, func(_ context.Context, tx registry.Tx) error { kept = tx; return nil })
	if err := kept.CreateUser(t.Context(), bob()); err == nil {
		t.Errorf("a transaction that is over wrote")
	}
	if names := must(s.Usernames(t.Context()))(t); len(names) != 0 {
		t.Errorf("it stored %v", names)
	}
}

func updateLarge(t *testing.T, s registry.Store) {
	const n = 1000
	var ids []registry.UserID
	last := update(t, s, func(ctx context.Context, tx registry.Tx) error {
		ids = nil
		for i := range n {
			u := registry.User{ID: registry.UserID(fmt.Sprintf("u-%04d", i)), Username: fmt.Sprintf("user-%d", i)}
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			touchAll(tx, u.ID)
			tx.Audit(registry.AuditEntry{Target: registry.Target{ID: string(u.ID)}})
			ids = append(ids, u.ID)
		}
		return nil
	})
	if last != n {
		t.Errorf("the number is %d, want %d", last, n)
	}
	if got := must(s.UserIDs(t.Context()))(t); !slices.Equal(slices.Sorted(slices.Values(got)), ids) {
		t.Errorf("got %d users, want %d", len(got), n)
	}
	if got := must(s.Audit(t.Context(), n+1))(t); len(got) != n || got[0].Target.ID != string(ids[n-1]) {
		t.Errorf("got %d entries, want %d, the last one first", len(got), n)
	}
	for i, c := range must(s.Changes(t.Context(), 0, n+1))(t) {
		if c.Number != uint64(i+1) || c.User() != ids[i] {
			t.Fatalf("row %d is %+v, want %s", i, c, ids[i])
		}
	}
}

func ping(t *testing.T, s registry.Store) {
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	if n := must(s.Position(t.Context()))(t).Number; n != 0 {
		t.Errorf("Ping took the number %d", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ping too late: got %v, want the context's error", err)
	}
}
