package sqlstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"time"

	"mqttwarden/registry"
)

const (
	takeNumbers = `UPDATE store SET change = change + $1, audit = audit + $2, mark = CASE WHEN $1 > 0 THEN $3 ELSE mark END
		RETURNING change, audit`
	insertChanges      = `INSERT INTO changes (number, kind, id, at, mark) VALUES`
	updateRoleVersions = `UPDATE roles SET version = changes.number FROM changes
		WHERE changes.id = roles.id AND changes.kind = 'role' AND changes.number BETWEEN $1 AND $2`
	updateVersions = `UPDATE users SET version = changes.number FROM changes
		WHERE changes.id = users.id AND changes.kind = 'user' AND changes.number BETWEEN $1 AND $2`
)

// numbers are the last ones given out.
type numbers struct{ change, audit uint64 }

// finish ends a transaction: it takes the numbers, which makes others who want
// some wait until the commit, and writes the rows that carry them. It returns
// the number of the last row in the line of changes, 0 when there is none.
func (tx *tx) finish(ctx context.Context, now time.Time) (uint64, error) {
	if len(tx.touched) == 0 && len(tx.audit) == 0 {
		return 0, nil
	}
	mark, err := newMark()
	if err != nil {
		return 0, err
	}
	last, err := one(ctx, tx.t, func(r row) (n numbers, err error) {
		err = r.Scan(&n.change, &n.audit)
		return n, err
	}, takeNumbers, len(tx.touched), len(tx.audit), mark)
	if err != nil {
		return 0, err
	}
	if len(tx.touched) == 0 {
		return 0, tx.writeAudit(ctx, 0, last.audit, now)
	}
	first := last.change - uint64(len(tx.touched)) + 1
	n := first
	err = insert(ctx, tx.t, insertChanges, tx.touched, func(w what) []any {
		n++
		return []any{n - 1, w.kind, w.id, micros(now), mark}
	})
	if err != nil {
		return 0, err
	}
	for _, update := range tx.versioned() {
		if _, err := tx.t.exec(ctx, update, first, last.change); err != nil {
			return 0, err
		}
	}
	return last.change, tx.writeAudit(ctx, last.change, last.audit, now)
}

// versioned returns the statements that give what was touched its version.
func (tx *tx) versioned() (updates []string) {
	if slices.ContainsFunc(tx.touched, func(w what) bool { return w.kind == registry.UserChange }) {
		updates = append(updates, updateVersions)
	}
	if slices.ContainsFunc(tx.touched, func(w what) bool { return w.kind == registry.RoleChange }) {
		updates = append(updates, updateRoleVersions)
	}
	return updates
}

// newMark returns what tells the changes of one commit from those of any other with
// the same numbers.
func newMark() (int64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(b[:]) >> 1), nil // #nosec G115 -- it has 63 bits
}

func scanChange(r row) (c registry.Change, err error) {
	err = r.Scan(&c.Number, &c.Kind, &c.ID, asTime{&c.Time}, &c.Mark)
	return c, err
}

// changesPast is asked for after every change and every two seconds.
const changesPast = `SELECT number, kind, id, at, mark FROM changes WHERE number > $1 ORDER BY number LIMIT $2`

// Changes implements registry.ChangeLog.
func (s *Store) Changes(ctx context.Context, after uint64, limit int) ([]registry.Change, error) {
	return look(ctx, s.reader, func(t *sqlTx) ([]registry.Change, error) {
		return all(ctx, t, scanChange, changesPast, after, max(limit, 0))
	})
}

// ChangesSince implements registry.ChangeLog. A row has the time of its
// transaction's end by the clock of the node that wrote it.
func (s *Store) ChangesSince(ctx context.Context, since time.Time) ([]registry.Change, error) {
	return look(ctx, s.reader, func(t *sqlTx) ([]registry.Change, error) {
		// Ordered here: ORDER BY number would make SQLite walk the whole line.
		changes, err := all(ctx, t, scanChange, `SELECT number, kind, id, at, mark FROM changes WHERE at >= $1`, since.UnixMicro())
		slices.SortFunc(changes, func(a, b registry.Change) int { return cmp.Compare(a.Number, b.Number) })
		return changes, err
	})
}

// Position implements registry.ChangeLog.
func (s *Store) Position(ctx context.Context) (registry.Position, error) {
	return look(ctx, s.reader, func(t *sqlTx) (registry.Position, error) {
		return one(ctx, t, func(r row) (p registry.Position, err error) {
			err = r.Scan(&p.Number, &p.Mark)
			return p, err
		}, `SELECT change, mark FROM store`)
	})
}
