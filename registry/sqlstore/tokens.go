package sqlstore

import (
	"context"
	"time"

	"mqttwarden/registry"
)

const (
	tokenColumns = `id, user_id, fingerprint, label, created, expires` //nolint:gosec // names of columns
	tokenByID    = `SELECT ` + tokenColumns + ` FROM tokens WHERE id = $1`
	insertToken  = `INSERT INTO tokens (` + tokenColumns + `)
		SELECT $1, id, $3, $4, CAST($5 AS BIGINT), CAST($6 AS BIGINT) FROM users WHERE id = $2`
)

func scanToken(r row) (t registry.Token, err error) {
	err = r.Scan(&t.ID, &t.User, &t.Fingerprint, &t.Label, asTime{&t.Created}, asTime{&t.Expires})
	return t, err
}

func (r reader) Token(ctx context.Context, id registry.TokenID) (registry.Token, error) {
	return look(ctx, r, func(t *sqlTx) (registry.Token, error) {
		token, err := one(ctx, t, scanToken, tokenByID, id)
		return token, missing(err, "token")
	})
}

func (r reader) TokensOf(ctx context.Context, id registry.UserID) ([]registry.Token, error) {
	return look(ctx, r, func(t *sqlTx) ([]registry.Token, error) {
		return all(ctx, t, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE user_id = $1 ORDER BY created NULLS FIRST, id`, id)
	})
}

func (r reader) CountTokens(ctx context.Context, id registry.UserID, after time.Time) (int, error) {
	return look(ctx, r, func(t *sqlTx) (int, error) {
		return one(ctx, t, column[int], `SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND expires > $2`, id, micros(after))
	})
}

// CreateToken implements registry.TokenWriter: NotFound when its user is gone,
// Conflict when its id is taken.
func (tx *tx) CreateToken(ctx context.Context, t registry.Token) error {
	err := tx.one(ctx, "user", insertToken,
		t.ID, t.User, t.Fingerprint, t.Label, micros(t.Created), micros(t.Expires))
	return tx.taken(err, "")
}

func (tx *tx) DeleteToken(ctx context.Context, id registry.TokenID) error {
	return tx.one(ctx, "token", `DELETE FROM tokens WHERE id = $1`, id)
}

func (tx *tx) DeleteTokensOf(ctx context.Context, id registry.UserID, but registry.TokenID) (int, error) {
	return tx.t.exec(ctx, `DELETE FROM tokens WHERE user_id = $1 AND id <> $2`, id, but)
}

func (tx *tx) DeleteExpiredTokens(ctx context.Context, t time.Time) (int, error) {
	return tx.t.exec(ctx, `DELETE FROM tokens WHERE expires < $1`, t.UnixMicro())
}
