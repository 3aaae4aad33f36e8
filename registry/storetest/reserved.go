package storetest

import (
	"context"
	"maps"
	"testing"

	"mqttwarden/registry"
)

func reservedCases() []testCase {
	return []testCase{
		{"client IDs that a user names exactly are reserved with it", reservedWithUser},
		{"a client ID is reserved for one user", reservedOnce},
		{"of two who reserve a client ID at once one is refused", reservedAtOnce},
	}
}

// reserved is which user each client ID is reserved for.
func reserved(t *testing.T, s registry.Store, want map[string]registry.UserID) {
	t.Helper()
	got := make(map[string]registry.UserID)
	var ids []string
	for _, r := range must(s.Reservations(t.Context()))(t) {
		got[r.ClientID] = r.User
		ids = append(ids, r.ClientID)
	}
	if !maps.Equal(got, want) {
		t.Errorf("reserved: got %v, want %v", got, want)
	}
	for _, r := range must(s.ReservationsOf(t.Context(), append(ids, "nobody's")))(t) {
		if got[r.ClientID] != r.User {
			t.Errorf("%s by itself is reserved for %q, want %q", r.ClientID, r.User, got[r.ClientID])
		}
		delete(got, r.ClientID)
	}
	if len(got) != 0 {
		t.Errorf("not found by themselves: %v", got)
	}
}

func reservedWithUser(t *testing.T, s registry.Store) {
	u := bob()
	u.ClientIDs = []string{"dev-1", "dev-1", "gw-+", "${username}", "x/${username}", "${clientid}", ""}
	given(t, s, u)
	reserved(t, s, map[string]registry.UserID{"dev-1": u.ID, "bob": u.ID, "x/bob": u.ID})

	write := func(u registry.User) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.UpdateUser(ctx, u) })
	}
	u.Username = "robert"
	write(u)
	reserved(t, s, map[string]registry.UserID{"dev-1": u.ID, "robert": u.ID, "x/robert": u.ID})
	u.ClientIDs = []string{"dev-2"}
	write(u)
	reserved(t, s, map[string]registry.UserID{"dev-2": u.ID})
	u.ClientIDs = nil
	write(u)
	reserved(t, s, nil)

	u.ClientIDs = []string{"dev-2", "dev-3"}
	write(u)
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.DeleteUser(ctx, u.ID) })
	reserved(t, s, nil)
}

func reservedOnce(t *testing.T, s registry.Store) {
	u := bob()
	u.ClientIDs = []string{"dev-1"}
	carol := registry.User{ID: "u-3", Username: "carol", ClientIDs: []string{"${username}"}}
	given(t, s, u, carol)
	refused(t, s, registry.Conflict, registry.FieldClientIDs, func(ctx context.Context, tx registry.Tx) error {
		return tx.CreateUser(ctx, registry.User{ID: "u-4", Username: "dave", ClientIDs: []string{"d", "dev-1"}})
	})
	for _, theirs := range []string{"dev-1", "dev-${username}"} {
		refused(t, s, registry.Conflict, registry.FieldClientIDs, func(ctx context.Context, tx registry.Tx) error {
			taker := carol
			taker.Username, taker.ClientIDs = "1", []string{theirs}
			return tx.UpdateUser(ctx, taker)
		})
	}
	reserved(t, s, map[string]registry.UserID{"dev-1": u.ID, "carol": "u-3"})

	update(t, s, func(ctx context.Context, tx registry.Tx) error { // given up and taken in one change
		u.ClientIDs, carol.ClientIDs = nil, []string{"dev-1"}
		if err := tx.UpdateUser(ctx, u); err != nil {
			return err
		}
		return tx.UpdateUser(ctx, carol)
	})
	reserved(t, s, map[string]registry.UserID{"dev-1": "u-3"})
}

func reservedAtOnce(t *testing.T, s registry.Store) {
	given(t, s, bob(), registry.User{ID: "u-3", Username: "carol"})
	results := make(chan error)
	for _, u := range []registry.User{{ID: "u-2", Username: "bob"}, {ID: "u-3", Username: "carol"}} {
		u.ClientIDs = []string{"dev-1"}
		go func() {
			_, err := s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error { return tx.UpdateUser(ctx, u) })
			results <- err
		}()
	}
	conflicts := 0
	for range 2 {
		if err := <-results; err != nil {
			if code, field, _ := registry.Public(err); code != registry.Conflict || field != registry.FieldClientIDs {
				t.Errorf("got %v, want Conflict", err)
			}
			conflicts++
		}
	}
	if conflicts != 1 {
		t.Errorf("%d were refused, want one", conflicts)
	}
}
