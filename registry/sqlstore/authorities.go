package sqlstore

import (
	"context"

	"mqttwarden/registry"
)

func scanAuthority(r row) (a registry.SealedAuthority, err error) {
	err = r.Scan(&a.Generation, &a.Chain, &a.Key, &a.RootKey, asTime{&a.Created})
	if len(a.RootKey) == 0 {
		a.RootKey = nil
	}
	return a, err
}

func (r reader) Authorities(ctx context.Context) ([]registry.SealedAuthority, error) {
	return look(ctx, r, func(t *sqlTx) ([]registry.SealedAuthority, error) {
		return all(ctx, t, scanAuthority,
			`SELECT generation, chain, sealed_key, root_key, created FROM authorities ORDER BY generation`)
	})
}

func (tx *tx) CreateAuthority(ctx context.Context, a registry.SealedAuthority) error {
	_, err := tx.t.exec(ctx, `INSERT INTO authorities (generation, chain, sealed_key, root_key, created, crl)
		VALUES ($1, $2, $3, $4, $5, 0)`, a.Generation, a.Chain, notNull(a.Key), notNull(a.RootKey), micros(a.Created))
	return tx.taken(err, "")
}

func (tx *tx) NextCRL(ctx context.Context, generation, least uint64) (uint64, error) {
	n, err := one(ctx, tx.t, column[uint64],
		`UPDATE authorities SET crl = CASE WHEN crl < $2 THEN $2 ELSE crl + 1 END WHERE generation = $1 RETURNING crl`,
		generation, least)
	return n, missing(err, "authority")
}

// notNull returns b, or no bytes instead of nil, which would be NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
