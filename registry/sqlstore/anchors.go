package sqlstore

import (
	"context"

	"mqttwarden/registry"
)

const anchorColumns = `id, subject, issuer, serial, not_before, not_after, added, pem`

func scanAnchor(r row) (a registry.Anchor, err error) {
	err = r.Scan(&a.ID, &a.Subject, &a.Issuer, &a.Serial, asTime{&a.NotBefore}, asTime{&a.NotAfter}, asTime{&a.Added}, &a.PEM)
	return a, err
}

func (r reader) Anchors(ctx context.Context) ([]registry.Anchor, error) {
	return look(ctx, r, func(t *sqlTx) ([]registry.Anchor, error) {
		return all(ctx, t, scanAnchor, `SELECT `+anchorColumns+` FROM anchors ORDER BY id`)
	})
}

func (r reader) Anchor(ctx context.Context, id registry.AnchorID) (registry.Anchor, error) {
	return look(ctx, r, func(t *sqlTx) (registry.Anchor, error) {
		a, err := one(ctx, t, scanAnchor, `SELECT `+anchorColumns+` FROM anchors WHERE id = $1`, id)
		return a, missing(err, "certificate")
	})
}

func (tx *tx) CreateAnchor(ctx context.Context, a registry.Anchor) error {
	_, err := tx.t.exec(ctx, `INSERT INTO anchors (`+anchorColumns+`) VALUES `+tuples(1, 8), a.ID, a.Subject, a.Issuer, a.Serial,
		micros(a.NotBefore), micros(a.NotAfter), micros(a.Added), a.PEM)
	return tx.taken(err, "")
}

func (tx *tx) DeleteAnchor(ctx context.Context, id registry.AnchorID) error {
	return tx.one(ctx, "certificate", `DELETE FROM anchors WHERE id = $1`, id)
}
