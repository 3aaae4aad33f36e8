package registry

import (
	"context"
	"errors"
	"time"

	"mqttwarden/registry/acl"
)

// Editor is the one way to change the register. Whatever changes it, in this
// package or in one below it, does so in a unit of work that the editor runs.
type Editor struct {
	store   Store
	roles   *HeldRoles
	now     func() time.Time
	changed func(n uint64)
}

// NewEditor returns an editor of what is in store; roles are those in memory.
// changed is told the number of each change after its commit, and must not wait; it
// may be nil.
func NewEditor(store Store, roles *HeldRoles, now func() time.Time, changed func(n uint64)) *Editor {
	if changed == nil {
		changed = func(uint64) {}
	}
	return &Editor{store: store, roles: roles, now: now, changed: changed}
}

// Edit is one unit of work: what one caller changes at one time, all of it or
// nothing. It reads what it has written.
//
// Users, roles and tokens change through its methods only, which keep the rules:
// nobody gives or takes what they do not have themselves, names and private roles
// belong to one user, somebody with all rights can always sign in. Each method
// says who is touched and writes the audit entry. What belongs to a package below
// this one, such as registrations, that package writes itself, under rules of its
// own.
//
// An Edit is for one goroutine and must not outlive the function it was given to,
// which may run more than once and must have no other effects.
type Edit struct {
	Reader
	RegistrationWriter
	IssuedWriter
	AuthorityWriter
	AnchorWriter

	tx     Tx
	caller Caller
	rights *acl.Policy // of the caller, in this transaction; nil: all
	now    time.Time
	audit  []AuditEntry

	doorAtRisk bool // the last administrator may be gone; see keepDoor
}

// Do runs f as one unit of work of caller and commits it. The number is that of
// its last row in the line of changes and tells when it is in force, 0 if nobody
// was touched. An error of f is returned as it is, and nothing is stored.
//
// Besides those of f, Do returns Unauthenticated when the caller's account is
// gone or not active, LastAdmin when nobody with all rights could sign in any
// more, and Unavailable when the store can't be used.
func (ed *Editor) Do(ctx context.Context, caller Caller, f func(context.Context, *Edit) error) (uint64, error) {
	n, err := ed.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		e, err := ed.run(ctx, tx, caller, f)
		if err != nil {
			return err
		}
		for _, entry := range e.audit {
			tx.Audit(entry)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if n > 0 {
		ed.changed(n)
	}
	return n, nil
}

// errPreview ends the transaction of a preview.
var errPreview = errors.New("registry: a preview stores nothing")

// Preview runs f as Do would, with every rule and every statement, and stores
// nothing. It returns the audit entries that Do would have written, without what
// the store fills in, and the errors that Do would have returned.
func (ed *Editor) Preview(ctx context.Context, caller Caller, f func(context.Context, *Edit) error) ([]AuditEntry, error) {
	var entries []AuditEntry
	_, err := ed.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		e, err := ed.run(ctx, tx, caller, f)
		if err != nil {
			return err
		}
		entries = e.audit
		return errPreview
	})
	if errors.Is(err, errPreview) {
		return entries, nil
	}
	return nil, err
}

// Judge returns the error that Do would return of f, for callers who have not all
// rights: before work is done for them that costs more than asking.
func (ed *Editor) Judge(ctx context.Context, caller Caller, f func(context.Context, *Edit) error) error {
	rights, err := caller.rights(ctx, ed.store, ed.roles)
	switch {
	case errors.Is(err, errMixed): // changed while it was read, which a transaction rules out
	case err != nil || rights == nil || rights.AllRights():
		return err
	}
	_, err = ed.Preview(ctx, caller, f)
	return err
}

// run runs f in a transaction, under the rules that hold at its end.
func (ed *Editor) run(ctx context.Context, tx Tx, caller Caller, f func(context.Context, *Edit) error) (*Edit, error) {
	rights, err := caller.rights(ctx, tx, ed.roles)
	if err != nil {
		return nil, err
	}
	if caller.when != nil {
		if err := caller.when(ctx, tx); err != nil {
			return nil, err
		}
	}
	e := &Edit{
		Reader: tx, RegistrationWriter: tx, IssuedWriter: tx, AuthorityWriter: tx, AnchorWriter: tx,
		tx: tx, caller: caller, rights: rights, now: Stamp(ed.now()),
	}
	if err := f(ctx, e); err != nil {
		return nil, err
	}
	return e, e.keepDoor(ctx)
}

// Stamp returns a time as stores keep it: UTC, in microseconds.
func Stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Now returns the time of the unit of work, as Stamp has it.
func (e *Edit) Now() time.Time { return e.now }

// Touch says that the rights or credentials of these users change with this unit
// of work, which takes a number for each. The methods that change users and roles
// call it themselves.
func (e *Edit) Touch(users ...UserID) {
	for _, id := range users {
		e.tx.Touch(UserChange, string(id))
	}
}

// TouchKind is Touch for something else than a user; see ChangeKind for what the
// id is.
func (e *Edit) TouchKind(kind ChangeKind, id string) { e.tx.Touch(kind, id) }
