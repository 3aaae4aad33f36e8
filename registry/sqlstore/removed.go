package sqlstore

import (
	"context"
	"time"
)

func (r reader) CertificateRemoved(ctx context.Context, sha256 string) (bool, error) {
	return look(ctx, r, func(t *sqlTx) (bool, error) {
		found, err := all(ctx, t, column[string], `SELECT sha256 FROM removed_certificates WHERE sha256 = $1`, sha256)
		return len(found) > 0, err
	})
}

func (tx *tx) RemoveCertificate(ctx context.Context, sha256 string, at time.Time) error {
	_, err := tx.t.exec(ctx, `INSERT INTO removed_certificates (sha256, removed) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
		sha256, micros(at))
	return err
}

func (tx *tx) ReadmitCertificate(ctx context.Context, sha256 string) error {
	_, err := tx.t.exec(ctx, `DELETE FROM removed_certificates WHERE sha256 = $1`, sha256)
	return err
}
