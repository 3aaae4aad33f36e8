package authhook

import (
	"context"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sync/errgroup"

	"mqttwarden/registry"
)

// Enforce implements registry.Enforcer. When it returns, every session of the
// user obeys what the user is now: it has no subscription and no waiting message
// that is not covered; one that could not be opened again is over, without its
// will, and nothing of it is stored.
//
// Connections get EnforceTimeout to end. One that does not is already without
// any right; a CONNECT that takes so long is cut, and its client may try again.
func (h *Hook) Enforce(ctx context.Context, id registry.UserID, _, after *registry.Principal) {
	var rest []func(context.Context)
	for _, s := range h.sessions.of(id) {
		why, certain := h.objection(ctx, s, after)
		switch {
		case why == "" && s.isSettled():
			h.host.Prune(s.client, s.mayRead)
		case why == "":
			rest = append(rest, func(ctx context.Context) { h.pruneSettled(ctx, s) })
		case certain:
			s.over.Store(true)
			rest = append(rest, func(ctx context.Context) { h.end(ctx, s, why) })
		default:
			s.noWill.Store(true)
			rest = append(rest, func(ctx context.Context) { h.disconnect(ctx, s, why) })
		}
	}
	h.together(ctx, rest)
}

// together does all of what it is given, several at a time, within
// EnforceTimeout.
func (h *Hook) together(ctx context.Context, all []func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.EnforceTimeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(64)
	for _, f := range all {
		g.Go(func() error {
			f(ctx)
			return nil
		})
	}
	_ = g.Wait()
}

// EnforceAll is Enforce for every user with a session. It is for changes that
// are no user's in particular, such as of the CAs that are trusted.
func (h *Hook) EnforceAll(ctx context.Context) {
	for id, subject := range h.sessions.subjects() {
		h.Enforce(ctx, id, nil, subject.Principal())
	}
}

// objection says why s could not be opened again, "" if it could. It is not
// certain when the store can't tell: then the client has to sign in again, and
// finds its session if it can. A stored session whose proof has merely ended by
// itself may still be taken up by its user with a new one.
func (h *Hook) objection(ctx context.Context, s *session, after *registry.Principal) (why string, certain bool) {
	now := h.now()
	proof, kept := s.proof, h.sessions.stageOf(s) == stored
	if kept && proof.Expired(now) {
		proof.Expires = time.Time{}
	}
	if !proof.Holds(after, now) {
		return "credentials no longer valid", true
	}
	if !after.Policy.MayUseClientID(s.id) {
		return "client ID no longer allowed", true
	}
	if s.proof.Expired(now) {
		return "", true // a token that has ended may be forgotten
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.SignInTimeout)
	defer cancel()
	switch alive, err := h.tokenAlive(ctx, s); {
	case err == nil && !alive:
		return "token no longer valid", true
	case err != nil && !kept:
		return "token can't be checked", false
	default:
		return "", true
	}
}

// pruneSettled waits for the CONNECT of s to be through with what it inherits.
func (h *Hook) pruneSettled(ctx context.Context, s *session) {
	select {
	case <-s.settled:
		h.host.Prune(s.client, s.mayRead)
	case <-ctx.Done():
		_ = s.Close()
	}
}

// end removes a session that is over, stored or not.
func (h *Hook) end(ctx context.Context, s *session, why string) {
	h.disconnect(ctx, s, why)
	h.forget(ctx, s)
}

// disconnect ends the connection of s, if it has one. It returns when the broker
// is through with it, or with ctx.
func (h *Hook) disconnect(ctx context.Context, s *session, why string) {
	h.log.Info("session ended", "client", printable(s.id), "user", printable(s.proof.Username),
		"remote", s.RemoteAddr().String(), "reason", why)
	h.counts.ended.Add(1)
	select {
	case <-s.settled: // no DISCONNECT before the CONNACK
		h.host.Kick(s.client, packets.ErrAdministrativeAction)
	case <-time.After(h.cfg.EnforceTimeout / 2):
		_ = s.Close()
	}
	select {
	case <-s.done:
	case <-ctx.Done():
	}
}

// forget removes a stored session, if s is one.
func (h *Hook) forget(ctx context.Context, s *session) {
	if h.sessions.stageOf(s) != stored || h.sessions.hold(ctx, s) != nil {
		return
	}
	defer h.sessions.release(s)
	if due, ok := h.sessions.forget(s); ok {
		h.host.Purge(s.client)
		h.publishWill(s, due)
	}
}

// Run does what time asks for, every second, until ctx ends.
func (h *Hook) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.Sweep(ctx, h.now())
		case <-ctx.Done():
			return
		}
	}
}

// Sweep does what is due at the time now: it sends wills whose delay is over,
// forgets stored sessions that nobody came back to, and disconnects sessions
// whose proof has ended (token, certificate, fingerprint). The latter stay
// stored as they asked, since nothing was taken from the user.
func (h *Hook) Sweep(ctx context.Context, now time.Time) {
	due := h.sessions.chores(now)
	for _, w := range due.wills {
		h.publishWill(w.of, w.will)
		h.store(w.of) // without it
	}
	for _, s := range due.suspect {
		h.host.Keep(s.client)
	}
	var rest []func(context.Context)
	for _, s := range due.ended {
		rest = append(rest, func(ctx context.Context) { h.forget(ctx, s) })
	}
	for _, s := range due.expired {
		s.noWill.Store(true)
		rest = append(rest, func(ctx context.Context) { h.disconnect(ctx, s, "credentials expired") })
	}
	h.together(ctx, rest)
}
