package sqlstore

import (
	"context"

	"mqttwarden/registry"
)

// tx implements registry.Tx. It is for one goroutine.
type tx struct {
	reader
	t       *sqlTx
	dialect dialect

	touched []what // each once, in the order of the calls
	seen    map[what]struct{}
	audit   []registry.AuditEntry
}

// what is what a change is about.
type what struct {
	kind registry.ChangeKind
	id   string
}

var _ registry.Tx = (*tx)(nil)

// Update implements registry.Store.
//
// A write that fails ends the transaction: Update returns its error even if
// change does not. Only NotFound leaves the transaction as it was.
func (s *Store) Update(ctx context.Context, change func(context.Context, registry.Tx) error) (number uint64, err error) {
	complete := false
	err = s.write.run(ctx, s.dialect.writing, func(t *sqlTx) error {
		complete = false
		if err := t.begin(ctx); err != nil {
			return err
		}
		tx := &tx{t: t, dialect: s.dialect}
		tx.view = func(_ context.Context, read func(*sqlTx) error) error { return read(t) }
		tx.look = tx.view
		if err := change(ctx, tx); err != nil {
			return err
		}
		if t.failed != nil {
			return t.failed
		}
		number, err = tx.finish(ctx, s.now())
		complete = err == nil
		return err
	})
	switch {
	case err == nil:
		return number, nil
	case complete && s.dialect.broken(err) == foreignKey: // the one reference that only the commit checks
		return 0, &registry.Error{Code: registry.Invalid, Detail: "a private role has no owner", Err: err}
	default:
		return 0, err
	}
}

// Touch implements registry.Tx.
func (tx *tx) Touch(kind registry.ChangeKind, id string) {
	if tx.seen == nil {
		tx.seen = make(map[what]struct{})
	}
	w := what{kind, id}
	if _, ok := tx.seen[w]; ok {
		return
	}
	tx.seen[w] = struct{}{}
	tx.touched = append(tx.touched, w)
}

// Audit implements registry.Tx.
func (tx *tx) Audit(e registry.AuditEntry) { tx.audit = append(tx.audit, e) }

// one runs a statement that must change a row: NotFound if it does not.
func (tx *tx) one(ctx context.Context, what, query string, args ...any) error {
	n, err := tx.t.exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = missing(errNoRow, what)
	}
	return err
}

// broken tells which constraint err is about.
func (tx *tx) broken(err error) constraint { return tx.dialect.broken(err) }

// taken makes Conflict of an error that says that the key, or what field holds,
// belongs to another, and leaves other errors as they are.
func (tx *tx) taken(err error, field registry.Field) error {
	switch tx.broken(err) {
	case primaryKey:
		return tx.refuse(err, registry.Conflict, "id", "is taken")
	case unique:
		return tx.refuse(err, registry.Conflict, field, "is taken, perhaps in another case")
	default:
		return err
	}
}

// refuse makes an error that the caller may act on of err, which a statement
// returned; it is what Update returns then.
func (tx *tx) refuse(err error, c registry.Code, field registry.Field, detail string) error {
	tx.t.failed = &registry.Error{Code: c, Field: field, Detail: detail, Err: err}
	return tx.t.failed
}
