package storetest

import (
	"context"
	"slices"
	"testing"

	"mqttwarden/registry"
)

func userNameCases() []testCase {
	return []testCase{
		{"usernames are exact", userNameExact},
		{"IDs are exact", userIDExact},
		{"a taken username is Conflict, in another case too", userNameTaken},
		{"a taken user ID is Conflict", userIDTaken},
		{"a user may write its own name in another case", userNameRecased},
		{"a name that was given up is free", userNameFreed},
	}
}

func userNameExact(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice())
	for _, name := range []string{"Alice", "ALICE", "alice ", " alice", "alic", "alice%", "a_ice", ""} {
		_, err := s.UserByName(t.Context(), name)
		notFound(t, "UserByName "+name, err)
		_, err = s.RecordByName(t.Context(), name)
		notFound(t, "RecordByName "+name, err)
		users, total, err := s.Users(t.Context(), registry.UserQuery{Names: []string{name}})
		if err != nil || len(users) != 0 || total != 0 {
			t.Errorf("Users with the name %q: got %d of %d, %v", name, len(users), total, err)
		}
	}
}

func userIDExact(t *testing.T, s registry.Store) {
	lower, upper := bob(), bob()
	lower.ID, upper.ID, upper.Username = "id-a", "ID-A", "carol"
	given(t, s, lower, upper)
	for _, u := range []registry.User{lower, upper} {
		if got := must(s.User(t.Context(), u.ID))(t).Username; got != u.Username {
			t.Errorf("user %s is %s, want %s", u.ID, got, u.Username)
		}
	}
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.DeleteUser(ctx, lower.ID) })
	if ids := must(s.UserIDs(t.Context()))(t); !slices.Equal(ids, []registry.UserID{upper.ID}) {
		t.Errorf("deleting %s left %v", lower.ID, ids)
	}
	_, err := s.User(t.Context(), "iD-a")
	notFound(t, "User", err)
}

func userNameTaken(t *testing.T, s registry.Store) {
	for _, name := range []string{"straſse", "Σίσυφος", "kelvin"} {
		given(t, s, registry.User{ID: registry.UserID("u-" + name), Username: name})
	}
	given(t, s, bob())
	for _, name := range []string{
		"bob", "Bob", "BOB", "strasse", "STRASSE", "straſse", "σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ", "\u212aelvin", "KELVIN",
	} {
		refused(t, s, registry.Conflict, "username", func(ctx context.Context, tx registry.Tx) error {
			return tx.CreateUser(ctx, registry.User{ID: "u-9", Username: name})
		})
	}
	given(t, s, registry.User{ID: "u-9", Username: "carol"})
	refused(t, s, registry.Conflict, "username", func(ctx context.Context, tx registry.Tx) error {
		return tx.UpdateUser(ctx, registry.User{ID: "u-9", Username: "BoB"})
	})
}

func userIDTaken(t *testing.T, s registry.Store) {
	given(t, s, bob())
	refused(t, s, registry.Conflict, "id", func(ctx context.Context, tx registry.Tx) error {
		return tx.CreateUser(ctx, registry.User{ID: bob().ID, Username: "carol"})
	})
}

func userNameRecased(t *testing.T, s registry.Store) {
	u := bob()
	given(t, s, u)
	u.Username = "BOB"
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.UpdateUser(ctx, u) })
	if got := must(s.UserByName(t.Context(), "BOB"))(t).ID; got != u.ID {
		t.Errorf("BOB is %s, want %s", got, u.ID)
	}
	_, err := s.UserByName(t.Context(), "bob")
	notFound(t, "the old name", err)
}

func userNameFreed(t *testing.T, s registry.Store) {
	u := bob()
	given(t, s, u)
	u.Username = "robert"
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		if err := tx.UpdateUser(ctx, u); err != nil {
			return err
		}
		return tx.CreateUser(ctx, registry.User{ID: "u-3", Username: "Bob"})
	})
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		if err := tx.DeleteUser(ctx, u.ID); err != nil {
			return err
		}
		return tx.CreateUser(ctx, registry.User{ID: "u-4", Username: "ROBERT"})
	})
	if names := must(s.Usernames(t.Context()))(t); !slices.Equal(names, []string{"Bob", "ROBERT"}) {
		t.Errorf("got %v", names)
	}
}
