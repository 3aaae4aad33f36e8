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

	touched []registry.UserID            // each once, in the order of the calls
	seen    map[registry.UserID]struct{} // the same; nil: Touch was never called
	audit   []registry.AuditEntry
}

var _ registry.Tx = (*tx)(nil)

// Update implements registry.Store.
//
// A write that fails ends the transaction: Update returns its error even if
// change does not. Only NotFound leaves the transaction as it was.
func (s *Store) Update(ctx context.Context, change func(context.Context, registry.Tx) error) (number uint64, err error) {
	complete := false
	err = s.write.run(ctx, nil, func(t *sqlTx) error {
		tx := &tx{t: t, dialect: s.dialect}
		tx.view = func(_ context.Context, read func(*sqlTx) error) error { return read(t) }
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
func (tx *tx) Touch(users ...registry.UserID) {
	if tx.seen == nil {
		tx.seen = make(map[registry.UserID]struct{})
	}
	for _, id := range users {
		if _, ok := tx.seen[id]; ok || id == "" {
			continue
		}
		tx.seen[id] = struct{}{}
		tx.touched = append(tx.touched, id)
	}
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
func (tx *tx) taken(err error, field string) error {
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
func (tx *tx) refuse(err error, c registry.Code, field, detail string) error {
	tx.t.failed = &registry.Error{Code: c, Field: field, Detail: detail, Err: err}
	return tx.t.failed
}
