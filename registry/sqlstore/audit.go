package sqlstore

import (
	"context"
	"net/netip"
	"time"

	"mqttwarden/registry"
)

const (
	auditColumns = `id, change, at, actor, door, remote, action, target, detail`
	insertAudit  = `INSERT INTO audit (` + auditColumns + `) VALUES`
)

// writeAudit writes the entries of a transaction: change is its number, 0 when
// it took none, and last the id of its last entry.
func (tx *tx) writeAudit(ctx context.Context, change, last uint64, now time.Time) error {
	id := last - uint64(len(tx.audit))
	return insert(ctx, tx.t, insertAudit, tx.audit, func(e registry.AuditEntry) []any {
		id++
		var remote string
		if e.Remote.IsValid() {
			remote = e.Remote.String()
		}
		return []any{id, change, now.UnixMicro(), e.Actor, e.Door, remote, e.Action, e.Target, e.Detail}
	})
}

func scanAudit(r row) (e registry.AuditEntry, err error) {
	var remote string
	err = r.Scan(&e.ID, &e.Change, micros{&e.Time}, &e.Actor, &e.Door, &remote, &e.Action, &e.Target, &e.Detail)
	if err == nil && remote != "" {
		e.Remote, err = netip.ParseAddr(remote)
	}
	return e, err
}

// Audit implements registry.AuditLog.
func (s *Store) Audit(ctx context.Context, limit int) ([]registry.AuditEntry, error) {
	return view(ctx, s.reader, func(t *sqlTx) ([]registry.AuditEntry, error) {
		return all(ctx, t, scanAudit, `SELECT `+auditColumns+` FROM audit ORDER BY id DESC LIMIT $1`, max(limit, 0))
	})
}
