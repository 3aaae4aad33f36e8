package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"mqttwarden/registry/acl"
	"mqttwarden/registry/bearer"
)

// ServiceConfig holds what the service works with.
type ServiceConfig struct {
	Store     Store
	Passwords interface {
		Hash(ctx context.Context, password string) (string, error)
	}
	Checker      passwordChecker // to check a user's current password
	Signer       *bearer.Signer
	Policy       PasswordPolicy
	Registration RegistrationConfig
	Certificates CertificateConfig
	TokenLife    time.Duration // of a login that asks for none; 0: an hour
	MaxTokenLife time.Duration // 0: 876,000 hours
	Changed      func()        // told after each commit that took a number; may be nil
	Now          func() time.Time
	Log          *slog.Logger
}

// Service is the one way to change the register. Every method judges whether
// the caller may (design rule 8), checks, writes the change and its audit
// entry, and commits, all in one transaction. The number that it returns tells
// when the change is enforced.
type Service struct {
	cfg   ServiceConfig
	store Store
	now   func() time.Time

	throttle *throttle
	seen     seenWindow
	crls     crls
	uses     uses
}

// Defaults of tokens.
const (
	defaultTokenLife    = time.Hour
	defaultMaxTokenLife = 876_000 * time.Hour
)

// NewService returns the service over a store.
func NewService(cfg ServiceConfig) *Service {
	if cfg.TokenLife <= 0 {
		cfg.TokenLife = defaultTokenLife
	}
	if cfg.MaxTokenLife <= 0 {
		cfg.MaxTokenLife = defaultMaxTokenLife
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	cfg.Registration = cfg.Registration.complete()
	cfg.Certificates = cfg.Certificates.complete()
	return &Service{
		cfg: cfg, store: cfg.Store, now: cfg.Now,
		throttle: newThrottle(cfg.Registration.Rate, cfg.Registration.Burst),
		crls:     crls{last: make(map[uint64]*crl)},
		uses:     uses{noted: make(map[string]time.Time), kept: make(map[string]time.Time)},
	}
}

// change runs f in a transaction with the authority of caller.
func (s *Service) change(ctx context.Context, caller Caller, f func(ctx context.Context, tx Tx, by *authority) error) (uint64, error) {
	n, err := s.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		by, err := caller.authority(ctx, tx)
		if err != nil {
			return err
		}
		return f(ctx, tx, by)
	})
	if err != nil {
		return 0, typed(err)
	}
	if n > 0 {
		s.cfg.Changed()
	}
	return n, nil
}

// typed leaves the errors of the domain as they are and calls everything else
// that a store may say Unavailable: nothing was stored.
func typed(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &Error{Code: Unavailable, Detail: "the store can't be written", Err: err}
}

// audit writes who did what in the transaction that does it.
func (a *authority) audit(tx Tx, action, target, format string, args ...any) {
	tx.Audit(AuditEntry{
		Actor:  a.caller.Username,
		Door:   a.caller.Door,
		Remote: a.caller.Remote,
		Action: action,
		Target: target,
		Detail: fmt.Sprintf(format, args...),
	})
}

// keepAdmin returns LastAdmin unless somebody with all rights is left who can
// sign in without an outside directory.
func keepAdmin(ctx context.Context, tx Tx) error {
	candidates, err := tx.AdminCandidates(ctx)
	if err != nil {
		return err
	}
	for _, id := range candidates {
		rec, err := tx.RecordByID(ctx, id)
		if err != nil {
			return err
		}
		if rec.signsInLocally() && rec.Principal().Policy.AllRights() {
			return nil
		}
	}
	return Errorf(LastAdmin, "", "nobody with all rights who can sign in with a password would be left")
}

// signsInLocally reports whether the user can sign in to the API with nothing
// but its password.
func (r *Record) signsInLocally() bool {
	u := &r.User
	if !u.Active || u.Provider != ProviderLocal || u.PasswordHash == "" {
		return false
	}
	granted, _ := u.Granted(MethodPassword)
	return granted && !slices.ContainsFunc(u.GrantTypes, func(g GrantType) bool {
		return g.Required && g.Method != MethodPassword
	})
}

// newID returns a new identifier, growing with time.
func newID() (string, error) {
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

func (n PermissionSpec) permission() (Permission, error) {
	id, err := newID()
	if err != nil {
		return Permission{}, err
	}
	p := Permission{ID: PermissionID(id), Resource: n.Resource, Operation: n.Operation, Context: n.Context, Effect: n.Effect}
	return p, p.Validate()
}

func permissions(news []PermissionSpec) ([]Permission, error) {
	if len(news) > MaxPermissionsPerRole {
		return nil, Errorf(Invalid, "initialPermissions", "are %d: must be at most %d", len(news), MaxPermissionsPerRole)
	}
	out := make([]Permission, 0, len(news))
	for _, n := range news {
		p, err := n.permission()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
