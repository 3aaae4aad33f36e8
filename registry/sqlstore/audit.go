package sqlstore

import (
	"context"
	"net/netip"
	"time"

	"mqttwarden/registry"
)

const (
	auditColumns = `id, change, at, actor_id, actor_name, door, remote, action, target_kind, target_id, target_name, fields`
	insertAudit  = `INSERT INTO audit (` + auditColumns + `) VALUES`
)

// fieldChange is a registry.FieldChange as it is stored.
type fieldChange struct {
	Field  registry.Field `json:"field"`
	Before registry.Value `json:"before,omitempty"`
	After  registry.Value `json:"after,omitempty"`
}

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
		fields := make([]fieldChange, 0, len(e.Fields))
		for _, f := range e.Fields {
			fields = append(fields, fieldChange(f))
		}
		return []any{
			id, change, micros(now), e.Actor.ID, e.Actor.Name, e.Door, remote, e.Action,
			e.Target.Kind, e.Target.ID, e.Target.Name,
			asJSON{fields},
		}
	})
}

func scanAudit(r row) (e registry.AuditEntry, err error) {
	var remote string
	var fields []fieldChange
	err = r.Scan(&e.ID, &e.Change, asTime{&e.Time}, &e.Actor.ID, &e.Actor.Name, &e.Door, &remote, &e.Action,
		&e.Target.Kind, &e.Target.ID, &e.Target.Name, asJSON{&fields})
	for _, f := range fields {
		e.Fields = append(e.Fields, registry.FieldChange(f))
	}
	if err == nil && remote != "" {
		e.Remote, err = netip.ParseAddr(remote)
	}
	return e, err
}

// Audit implements registry.AuditLog.
func (s *Store) Audit(ctx context.Context, limit int) ([]registry.AuditEntry, error) {
	return look(ctx, s.reader, func(t *sqlTx) ([]registry.AuditEntry, error) {
		return all(ctx, t, scanAudit, `SELECT `+auditColumns+` FROM audit ORDER BY id DESC LIMIT $1`, max(limit, 0))
	})
}
