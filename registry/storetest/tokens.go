package storetest

import (
	"context"
	"slices"
	"testing"

	"mqttwarden/registry"
)

func tokenCases() []testCase {
	return []testCase{
		{"a token keeps every field", tokenRoundTrip},
		{"tokens of a user come the oldest first", tokensOldestFirst},
		{"a token that is missing is NotFound", tokenMissing},
		{"a taken token ID is Conflict", tokenTaken},
		{"a token of nobody is NotFound", tokenOfNobody},
		{"all tokens of a user end at once", tokensOfUserDeleted},
		{"tokens that expired before a moment are removed", tokensExpired},
	}
}

func tokenRoundTrip(t *testing.T, s registry.Store) {
	want := session()
	complete(t, want)
	given(t, s, operators(), auditors(), alice(), want)
	same(t, "Token", must(s.Token(t.Context(), want.ID))(t), want)
	same(t, "TokensOf", must(s.TokensOf(t.Context(), want.User))(t), []registry.Token{want})
}

// tokenIDs returns the ids of the user's tokens, in their order.
func tokenIDs(t *testing.T, s registry.Store, user registry.UserID) (ids []registry.TokenID) {
	t.Helper()
	for _, tok := range must(s.TokensOf(t.Context(), user))(t) {
		ids = append(ids, tok.ID)
	}
	return ids
}

func tokensOldestFirst(t *testing.T, s registry.Store) {
	given(t, s, bob(), registry.User{ID: "u-3", Username: "carol"},
		registry.Token{ID: "c", User: "u-2", Created: at(2), Expires: at(9)},
		registry.Token{ID: "x", User: "u-3", Created: at(2), Expires: at(9)},
		registry.Token{ID: "a", User: "u-2", Created: at(3), Expires: at(8)},
		registry.Token{ID: "b", User: "u-2", Created: at(1), Expires: at(7)},
	)
	if got := tokenIDs(t, s, "u-2"); !slices.Equal(got, []registry.TokenID{"b", "c", "a"}) {
		t.Errorf("got %v, want b c a", got)
	}
	for hour, want := range map[int]int{6: 3, 7: 2, 9: 0} {
		if got := must(s.CountTokens(t.Context(), "u-2", at(hour)))(t); got != want {
			t.Errorf("%d end after %d o'clock, want %d", got, hour, want)
		}
	}
}

func tokenMissing(t *testing.T, s registry.Store) {
	given(t, s, bob(), registry.Token{ID: "t-1", User: "u-2"})
	for _, id := range []registry.TokenID{"t-9", "T-1", ""} {
		_, err := s.Token(t.Context(), id)
		notFound(t, "Token "+string(id), err)
		refused(t, s, registry.NotFound, "", func(ctx context.Context, tx registry.Tx) error {
			return tx.DeleteToken(ctx, id)
		})
	}
	if got := must(s.TokensOf(t.Context(), "u-9"))(t); len(got) != 0 {
		t.Errorf("a user that does not exist has %v", got)
	}
}

func tokenTaken(t *testing.T, s registry.Store) {
	given(t, s, bob(), registry.Token{ID: "t-1", User: "u-2"})
	refused(t, s, registry.Conflict, "id", func(ctx context.Context, tx registry.Tx) error {
		return tx.CreateToken(ctx, registry.Token{ID: "t-1", User: "u-2", Label: "another"})
	})
}

func tokenOfNobody(t *testing.T, s registry.Store) {
	refused(t, s, registry.NotFound, "", func(ctx context.Context, tx registry.Tx) error {
		return tx.CreateToken(ctx, session())
	})
}

func tokensOfUserDeleted(t *testing.T, s registry.Store) {
	given(t, s, bob(), registry.User{ID: "u-3", Username: "carol"},
		registry.Token{ID: "a", User: "u-2"}, registry.Token{ID: "b", User: "u-2"}, registry.Token{ID: "c", User: "u-3"})
	for _, tt := range []struct {
		but  registry.TokenID
		want int
	}{{"b", 1}, {"", 1}, {"", 0}} {
		update(t, s, func(ctx context.Context, tx registry.Tx) error {
			n, err := tx.DeleteTokensOf(ctx, "u-2", tt.but)
			if n != tt.want {
				t.Errorf("removed %d, want %d", n, tt.want)
			}
			return err
		})
	}
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.DeleteToken(ctx, "c") })
	if got := slices.Concat(tokenIDs(t, s, "u-2"), tokenIDs(t, s, "u-3")); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func tokensExpired(t *testing.T, s registry.Store) {
	given(t, s, bob(),
		registry.Token{ID: "a", User: "u-2", Created: at(1), Expires: at(8)},
		registry.Token{ID: "b", User: "u-2", Created: at(2), Expires: at(9)},
		registry.Token{ID: "c", User: "u-2", Created: at(3), Expires: at(10)},
	)
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		n, err := tx.DeleteExpiredTokens(ctx, at(9))
		if n != 1 {
			t.Errorf("removed %d, want 1", n)
		}
		return err
	})
	if got := tokenIDs(t, s, "u-2"); !slices.Equal(got, []registry.TokenID{"b", "c"}) {
		t.Errorf("left %v, want b, which expires at that very moment, and c", got)
	}
}
