package sqlstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

const (
	issuedColumns = `serial, fingerprint, authority, user_id, username, replaces, not_before, not_after, issued, revoked,
		reason, pem`
	insertIssued      = `INSERT INTO issued (` + issuedColumns + `) VALUES`
	revokeIssued      = `UPDATE issued SET revoked = $2, reason = $3 WHERE revoked IS NULL AND `
	putCertificateUse = `INSERT INTO certificate_uses (sha256, last_used)
		SELECT sha256, CAST($2 AS BIGINT) FROM user_fingerprints WHERE sha256 = $1
		ON CONFLICT (sha256) DO UPDATE SET last_used = excluded.last_used
		WHERE certificate_uses.last_used < excluded.last_used`
)

func scanIssued(r row) (c registry.IssuedCertificate, err error) {
	err = r.Scan(&c.Serial, &c.Fingerprint, &c.Authority, &c.User, &c.Username, &c.Replaces, asTime{&c.NotBefore},
		asTime{&c.NotAfter}, asTime{&c.Issued}, asTime{&c.Revoked}, &c.Reason, &c.PEM)
	return c, err
}

func (r reader) IssuedBySerial(ctx context.Context, serial string) (registry.IssuedCertificate, error) {
	return r.issued(ctx, `serial = $1`, serial)
}

func (r reader) IssuedByFingerprint(ctx context.Context, sha256 string) (registry.IssuedCertificate, error) {
	return r.issued(ctx, `fingerprint = $1`, sha256)
}

func (r reader) issued(ctx context.Context, cond, key string) (registry.IssuedCertificate, error) {
	return look(ctx, r, func(t *sqlTx) (registry.IssuedCertificate, error) {
		c, err := one(ctx, t, scanIssued, `SELECT `+issuedColumns+` FROM issued WHERE `+cond, key)
		return c, missing(err, "certificate")
	})
}

func (r reader) Issued(ctx context.Context, q registry.IssuedQuery) (found []registry.IssuedCertificate, total int, err error) {
	p := page{table: "issued", columns: issuedColumns, order: "issued NULLS FIRST, serial", offset: q.Offset, limit: q.Limit}
	if q.User != "" {
		p.where("user_id", q.User)
	}
	if q.Username != "" {
		p.where("username", q.Username)
	}
	if q.Replaces != "" {
		p.where("replaces", q.Replaces)
	}
	if q.Revoked != nil && *q.Revoked {
		p.conds = append(p.conds, "revoked IS NOT NULL")
	}
	if q.Revoked != nil && !*q.Revoked {
		p.conds = append(p.conds, "revoked IS NULL")
	}
	for _, bound := range []struct {
		op   string
		time time.Time
	}{{">=", q.ExpiresAfter}, {"<", q.ExpiresBefore}} {
		if !bound.time.IsZero() {
			p.args = append(p.args, bound.time.UnixMicro())
			p.conds = append(p.conds, fmt.Sprintf("not_after %s $%d", bound.op, len(p.args)))
		}
	}
	err = r.view(ctx, func(t *sqlTx) error {
		found, total, err = find(ctx, t, p, scanIssued)
		return err
	})
	return found, total, err
}

func (r reader) Revocations(ctx context.Context, authority uint64, expires time.Time) ([]ca.Revoked, error) {
	return look(ctx, r, func(t *sqlTx) ([]ca.Revoked, error) {
		return all(ctx, t, func(r row) (rev ca.Revoked, err error) {
			var serial string
			if err := r.Scan(&serial, asTime{&rev.At}, &rev.Reason); err != nil {
				return rev, err
			}
			rev.Serial, err = ca.ParseSerial(serial)
			return rev, err
		}, `SELECT serial, revoked, reason FROM issued WHERE authority = $1 AND revoked IS NOT NULL AND not_after >= $2`,
			authority, expires.UnixMicro())
	})
}

func (r reader) CertificateUses(ctx context.Context, id registry.UserID) (map[string]time.Time, error) {
	used := make(map[string]time.Time)
	err := r.look(ctx, func(t *sqlTx) error {
		return t.each(ctx, func(r row) error {
			var sha256 string
			var at time.Time
			err := r.Scan(&sha256, asTime{&at})
			used[sha256] = at
			return err
		}, `SELECT u.sha256, u.last_used FROM certificate_uses u
			JOIN user_fingerprints f ON f.sha256 = u.sha256 WHERE f.user_id = $1`, id)
	})
	if err != nil {
		return nil, err
	}
	return used, nil
}

func (tx *tx) CreateIssued(ctx context.Context, c registry.IssuedCertificate) error {
	err := insert(ctx, tx.t, insertIssued, []registry.IssuedCertificate{c}, func(c registry.IssuedCertificate) []any {
		return []any{
			c.Serial, c.Fingerprint, c.Authority, c.User, c.Username, c.Replaces, micros(c.NotBefore), micros(c.NotAfter),
			micros(c.Issued), micros(c.Revoked), c.Reason, c.PEM,
		}
	})
	if k := tx.broken(err); k == primaryKey || k == unique {
		return tx.refuse(err, registry.Conflict, "certificate", "was issued already")
	}
	return err
}

func (tx *tx) RevokeIssued(ctx context.Context, sha256 string, at time.Time, reason ca.Reason) error {
	if _, err := tx.issued(ctx, `fingerprint = $1`, sha256); err != nil {
		return err
	}
	_, err := tx.t.exec(ctx, revokeIssued+`fingerprint = $1`, sha256, micros(at), reason)
	return err
}

func (tx *tx) RevokeIssuedOf(ctx context.Context, id registry.UserID, at time.Time, reason ca.Reason) error {
	_, err := tx.t.exec(ctx, revokeIssued+`user_id = $1`, id, micros(at), reason)
	return err
}

func (tx *tx) PutCertificateUses(ctx context.Context, used map[string]time.Time) error {
	for _, sha256 := range slices.Sorted(maps.Keys(used)) {
		if _, err := tx.t.exec(ctx, putCertificateUse, sha256, micros(used[sha256])); err != nil {
			return err
		}
	}
	return nil
}

func (tx *tx) ForgetCertificateUses(ctx context.Context) (int, error) {
	return tx.t.exec(ctx, `DELETE FROM certificate_uses WHERE NOT EXISTS
		(SELECT 1 FROM user_fingerprints f WHERE f.sha256 = certificate_uses.sha256)`)
}
