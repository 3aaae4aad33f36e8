package authhook

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// Login is a client that has signed in: who it is, by what proof, and with which
// client ID.
type Login struct {
	hook     *Hook
	clientID string
	subject  *registry.Subject
	proof    registry.Proof
	current  atomic.Pointer[rights] // by which it was judged last
}

func (h *Hook) login(clientID string, l registry.Login) *Login {
	login := &Login{hook: h, clientID: clientID, subject: l.Subject, proof: l.Proof}
	login.current.Store(&rights{})
	return login
}

// User returns the ID of the user.
func (l *Login) User() string { return string(l.subject.ID()) }

// Token returns the ID of the token that the login rests on, empty if there is none.
func (l *Login) Token() string { return string(l.proof.Token) }

// Username returns the name of the user at the sign-in.
func (l *Login) Username() string { return l.proof.Username }

// rights are what a login is judged by: what its user is at some time, and what
// placeholders stand for in its session. They never change.
type rights struct {
	principal *registry.Principal
	policy    *acl.Policy // nil: nothing is allowed
	names     acl.Names
}

// rights returns what the login is judged by now. It allocates only when the user
// has changed since it was last asked.
func (l *Login) rights() *rights {
	p := l.subject.Principal()
	if r := l.current.Load(); r.principal == p {
		return r
	}
	r := &rights{principal: p}
	if p != nil {
		r.policy = p.Policy
		r.names = p.Policy.Names(l.clientID, l.proof.CertificateName())
	}
	l.current.Store(r)
	return r
}

// MayPublish reports whether the client may publish to a topic, or leave a will
// there, and the prefix that the user's topics get. Both are those of one state of
// the user. It does not allocate, lock or wait, and does not keep the topic.
func (l *Login) MayPublish(topic string) (prefix string, ok bool) {
	r := l.rights()
	if !r.policy.MayPublish(&r.names, topic) {
		return "", false
	}
	return r.policy.Prefix(), true
}

// MayRead reports whether the client may subscribe to a filter, or be delivered a
// message with a topic. It does not allocate, lock or wait.
func (l *Login) MayRead(name string) bool {
	r := l.rights()
	return r.policy.MayRead(&r.names, name)
}

// Check returns why the client could not sign in like that now, nil if it could.
// A proof that has merely ended by itself is no reason for a stored session: its
// user may take that up with a new one, and a token that has ended may have been
// forgotten.
func (l *Login) Check(ctx context.Context, stored bool) error {
	l.current.Store(&rights{}) // who vouches for the name in its certificate may have changed
	now, user := l.hook.cfg.Now(), l.subject.Principal()
	pf, ended := &l.proof, l.proof.Ended(l.subject.Principal(), now)
	if !pf.Rests(user, now) || ended && !stored {
		return refused(registry.Errorf(registry.Unauthenticated, "", "credentials no longer valid"))
	}
	if err := l.mayUseClientID(ctx, user); err != nil {
		return err
	}
	if ended {
		return nil
	}
	return l.hook.checkToken(ctx, pf.Token)
}

// mayUseClientID returns why a user may not use the client ID of the login, nil if it
// may.
func (l *Login) mayUseClientID(ctx context.Context, user *registry.Principal) error {
	if !user.Policy.MayUseClientID(l.clientID) {
		return fmt.Errorf("%w: not in the user's list", packets.ErrClientIdentifierNotValid)
	}
	if owner := l.hook.cfg.ReservedFor(l.clientID); owner != "" && owner != user.User.ID {
		return fmt.Errorf("%w: reserved for user %s", packets.ErrClientIdentifierNotValid, l.hook.cfg.Name(ctx, owner))
	}
	return nil
}

// checkToken returns why nobody may rest on a token, if it is one, nil if one may.
func (h *Hook) checkToken(ctx context.Context, id registry.TokenID) error {
	if id == "" {
		return nil
	}
	alive, err := h.cfg.TokenAlive(ctx, id)
	switch {
	case err != nil:
		return unavailable(fmt.Errorf("token can't be checked: %w", err))
	case !alive:
		return refused(registry.Errorf(registry.Unauthenticated, "", "token no longer valid"))
	default:
		return nil
	}
}

// Ends returns when the proof ends by itself if the user stays as it is now, zero
// if it does not.
func (l *Login) Ends() time.Time { return l.proof.Ends(l.subject.Principal()) }
