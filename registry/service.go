package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"mqttwarden/registry/acl"
	"mqttwarden/registry/bearer"
)

// ServiceConfig holds what the service works with.
type ServiceConfig struct {
	Store     Store
	Editor    *Editor
	Passwords *Passwords
	Signer    *bearer.Signer
	Tokens    TokenLives
	Now       func() time.Time
}

// TokenLives bounds how long tokens live, and how many do. The zero value of each field
// is its default.
type TokenLives struct {
	Life    time.Duration // of a login that asks for none; an hour
	MaxLife time.Duration // 876,000 hours
	PerUser int           // that one user has at once; 100
	Rates   LoginRates
}

// Service changes users, their credentials, roles and permissions, each request
// in a unit of work of its own. The number that a change returns tells when it is
// in force.
type Service struct {
	store     Store
	editor    *Editor
	passwords *Passwords
	signer    *bearer.Signer
	tokens    TokenLives
	logins    *logins
	now       func() time.Time
}

// NewService returns the service over a store.
func NewService(cfg ServiceConfig) *Service {
	if cfg.Tokens.Life <= 0 {
		cfg.Tokens.Life = time.Hour
	}
	if cfg.Tokens.MaxLife <= 0 {
		cfg.Tokens.MaxLife = 876_000 * time.Hour
	}
	if cfg.Tokens.PerUser <= 0 {
		cfg.Tokens.PerUser = 100
	}
	return &Service{
		store: cfg.Store, editor: cfg.Editor, passwords: cfg.Passwords, signer: cfg.Signer, tokens: cfg.Tokens,
		logins: newLogins(cfg.Tokens.Rates), now: cfg.Now,
	}
}

// NewID returns a new identifier, growing with time.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("registry: make an id: %w", err)
	}
	return id.String(), nil
}

// PermissionSpec is a permission that is asked for.
type PermissionSpec struct {
	Resource  string
	Operation acl.Operation
	Context   acl.Context
	Effect    acl.Effect
}

func (spec PermissionSpec) permission() (Permission, error) {
	id, err := NewID()
	if err != nil {
		return Permission{}, err
	}
	p := Permission{ID: PermissionID(id), Resource: spec.Resource, Operation: spec.Operation, Context: spec.Context, Effect: spec.Effect}
	return p, p.validateNew()
}

// ClearingRetained writes into the audit log that a caller is about to have the
// retained messages cleared that a filter matches, of which there are n now. They
// are the broker's and no part of the register, so no number is taken. It is said
// first: what can't be audited is not done.
func (s *Service) ClearingRetained(ctx context.Context, caller Caller, filter string, n int) error {
	_, err := s.editor.Do(ctx, caller, func(_ context.Context, e *Edit) error {
		e.Audit(RetainedCleared, Target{Kind: TargetRetained, ID: filter}, FieldChange{Field: FieldMessages, Before: valueOf(n)})
		return nil
	})
	return err
}

// EndingClient writes into the audit log that a caller is about to have the connection
// of a user's client ended, and with drop its session, too. Sessions are the broker's
// and no part of the register, so no number is taken. It returns Forbidden when the
// user has a right that the caller has not.
func (s *Service) EndingClient(ctx context.Context, caller Caller, user UserID, clientID, reason string, drop bool) error {
	_, err := s.editor.Do(ctx, caller, func(ctx context.Context, e *Edit) error {
		u, err := e.RequireMayChange(ctx, user)
		if err != nil {
			return err
		}
		action := ClientEnded
		if drop {
			action = SessionDropped
		}
		var d Differences
		d.Text(FieldReason, "", reason)
		e.Audit(action, Target{Kind: TargetClient, ID: clientID, Name: u.Username}, d...)
		return nil
	})
	return err
}
