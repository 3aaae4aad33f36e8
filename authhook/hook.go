package authhook

import (
	"context"
	"crypto/x509"
	"time"

	"mqttwarden/registry"
)

// SignIn is the way from a credential to a principal.
type SignIn interface {
	In(ctx context.Context, a registry.Attempt) (registry.Login, error)
	// Recall is In for who signed in before a restart.
	Recall(ctx context.Context, id registry.UserID, proof registry.Proof) (registry.Login, error)
}

// Sessions are those of the broker.
type Sessions interface {
	// Rejudge has every session of some users, by their IDs, obey what its user is
	// now. It returns when none has anything left that it may not have.
	Rejudge(ctx context.Context, users ...string)
	// RejudgeTokens is Rejudge for those sessions of users that rest on some of their
	// tokens; an empty one stands for all.
	RejudgeTokens(ctx context.Context, ofUsers map[string][]string)
	// RejudgeAll is Rejudge for every user with a session.
	RejudgeAll(ctx context.Context)
	// RejudgeIDs is Rejudge for whoever has a session under one of these client IDs.
	RejudgeIDs(ctx context.Context, clientIDs ...string)
}

// Config says what the hook asks.
type Config struct {
	SignIn     SignIn
	TokenAlive registry.TokenAlive
	// Certificate judges what a client has shown in the TLS handshake, such as
	// registry.Anchors does. Nil: it counts for nothing.
	Certificate func(chain []*x509.Certificate) *registry.Certificate
	Sessions    Sessions
	// ReservedFor returns for whom a client ID is reserved, empty for nobody. It must not
	// wait. Nil: none is reserved.
	ReservedFor func(clientID string) registry.UserID
	// Name returns the name of a user, for the log. Nil: its ID will do.
	Name func(ctx context.Context, id registry.UserID) string
	Now  func() time.Time
}

// Hook is the hook; see the package.
type Hook struct{ cfg Config }

var _ registry.Enforcer = (*Hook)(nil)

// New returns the hook.
func New(cfg Config) *Hook {
	if cfg.ReservedFor == nil {
		cfg.ReservedFor = func(string) registry.UserID { return "" }
	}
	if cfg.Name == nil {
		cfg.Name = func(_ context.Context, id registry.UserID) string { return string(id) }
	}
	return &Hook{cfg}
}

// Enforce implements registry.Enforcer. When it returns, every session of the users
// obeys what its user is now.
func (h *Hook) Enforce(ctx context.Context, changed []registry.Swapped) {
	users := make([]string, len(changed))
	for i, s := range changed {
		users[i] = string(s.ID)
	}
	h.cfg.Sessions.Rejudge(ctx, users...)
}

// EndTokens implements registry.Enforcer. When it returns, no session rests on a token
// that has ended.
func (h *Hook) EndTokens(ctx context.Context, ended []registry.EndedTokens) {
	ofUsers := make(map[string][]string)
	for _, t := range ended {
		ofUsers[string(t.User)] = append(ofUsers[string(t.User)], string(t.Token))
	}
	h.cfg.Sessions.RejudgeTokens(ctx, ofUsers)
}

// EnforceAll is Enforce for every user with a session. It is for changes that
// are no user's in particular, such as of the CAs that are trusted.
func (h *Hook) EnforceAll(ctx context.Context) { h.cfg.Sessions.RejudgeAll(ctx) }

// EnforceClientIDs has whoever has a session under one of these client IDs obey what
// they are reserved for now.
func (h *Hook) EnforceClientIDs(ctx context.Context, clientIDs []string) {
	h.cfg.Sessions.RejudgeIDs(ctx, clientIDs...)
}
