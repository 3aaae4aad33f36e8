package registry

import (
	"context"
	"net/netip"

	"mqttwarden/registry/acl"
)

// Caller is who asks for a change, through which door, from where.
type Caller struct {
	ID       UserID
	Username string
	Door     string // "api", "console", "cli", "start"
	Remote   netip.Addr
	// Token is what the caller signed in with, empty if it was something else.
	Token TokenID
	// Certificate is what the caller has shown in the TLS handshake of the
	// connection that the request came by, whoever signed in. Nil: nothing.
	Certificate *Certificate
	// Reads reports whether the caller may read a user, and so be told of it by name.
	// Nil: no.
	Reads  func(UserID) bool
	system bool
	when   Condition
}

// Condition is what must hold in the transaction of a change, before anything is
// changed. Its error is returned as it is.
type Condition func(ctx context.Context, r Reader) error

// If returns a caller who changes nothing unless the condition holds too, which is
// asked before those that the caller has.
func (c Caller) If(when Condition) Caller {
	before := c.when
	c.when = func(ctx context.Context, r Reader) error {
		if err := when(ctx, r); err != nil || before == nil {
			return err
		}
		return before(ctx, r)
	}
	return c
}

// System is the program itself, or whoever holds its files: it may do all.
func System(door string) Caller {
	return Caller{Username: systemName, Door: door, system: true}
}

// rights returns the caller's policy as it stands in the transaction, nil for the
// program itself, which has all rights. It returns Unauthenticated for an account
// that is gone or not active.
func (c Caller) rights(ctx context.Context, tx PrincipalStore, roles *HeldRoles) (*acl.Policy, error) {
	if c.system {
		return nil, nil
	}
	rec, err := tx.RecordByID(ctx, c.ID)
	if ignoreNotFound(err) != nil {
		return nil, err
	}
	if err != nil || !rec.User.Active {
		return nil, Errorf(Unauthenticated, "", "the caller's account is gone")
	}
	held, err := roles.of(ctx, tx, &rec)
	if err != nil {
		return nil, err // nothing is mixed within a transaction
	}
	return newPrincipal(rec.User, held).Policy, nil
}
