package broker

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sync/errgroup"
)

// Rejudge has every session of some users, connected or stored, obey what its user
// is now. When it returns, none has a subscription or a waiting message that is not
// covered; one that could not be opened again is over (MQTT 5: 0x98), without its
// will, and nothing of it is stored.
//
// Connections get EnforceTimeout to end, all of them together. One that does not is
// already without any right; a CONNECT that takes so long is cut, and its client may
// try again.
func (b *Broker) Rejudge(ctx context.Context, users ...string) {
	const share = 8 // users that one goroutine takes at a time: those behind one with much wait for it
	var judging errgroup.Group
	judging.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	var rest []func(context.Context)
	for some := range slices.Chunk(users, share) {
		judging.Go(func() error {
			more := b.rejudgeUsers(ctx, some)
			mu.Lock()
			defer mu.Unlock()
			rest = append(rest, more...)
			return nil
		})
	}
	_ = judging.Wait()
	b.together(ctx, rest)
}

// RejudgeTokens is Rejudge for those sessions of users that rest on some of their
// tokens, an empty one standing for all. Other sessions of theirs stay as they are.
func (b *Broker) RejudgeTokens(ctx context.Context, ofUsers map[string][]string) {
	var rest []func(context.Context)
	for user, tokens := range ofUsers {
		all := slices.Contains(tokens, "")
		for _, s := range b.sessions.ofUser(user) {
			on := s.login.Token()
			if on == "" || !all && !slices.Contains(tokens, on) {
				continue
			}
			if f := b.rejudge(ctx, s); f != nil {
				rest = append(rest, f)
			}
		}
	}
	b.together(ctx, rest)
}

// RejudgeAll is Rejudge for every user with a session, for what concerns none in
// particular, such as the CAs that are trusted.
func (b *Broker) RejudgeAll(ctx context.Context) { b.Rejudge(ctx, b.sessions.allUsers()...) }

// RejudgeIDs is Rejudge for whoever has a session under one of these client IDs.
func (b *Broker) RejudgeIDs(ctx context.Context, clientIDs ...string) {
	var rest []func(context.Context)
	for _, id := range clientIDs {
		for _, s := range b.sessions.under(id) {
			if f := b.rejudge(ctx, s); f != nil {
				rest = append(rest, f)
			}
		}
	}
	b.together(ctx, rest)
}

// rejudgeUsers judges the sessions of users anew and returns what takes time about
// that.
func (b *Broker) rejudgeUsers(ctx context.Context, users []string) (rest []func(context.Context)) {
	for _, user := range users {
		for _, s := range b.sessions.ofUser(user) {
			if f := b.rejudge(ctx, s); f != nil {
				rest = append(rest, f)
			}
		}
	}
	return rest
}

// rejudge judges one session anew and returns what takes time about that, nil if
// nothing does.
func (b *Broker) rejudge(ctx context.Context, s *session) (rest func(context.Context)) {
	s.rejudged.Add(1)
	atRest := b.sessions.stageOf(s) == stored
	why := b.check(ctx, s, atRest)
	switch {
	case why == nil && s.isSettled():
		b.prune(s, s.mayRead)
		return nil
	case why == nil:
		return func(ctx context.Context) { b.pruneSettled(ctx, s) }
	case unknown(why):
		s.noWill.Store(true)
		return func(ctx context.Context) { b.disconnect(ctx, s, why.Error()) }
	default:
		s.revoked.Store(true)
		return func(ctx context.Context) {
			b.disconnect(ctx, s, why.Error())
			b.forget(ctx, s)
		}
	}
}

// check says why s could not be opened again, nil if it could. If that can't be
// told, a stored session waits until it can.
func (b *Broker) check(ctx context.Context, s *session, atRest bool) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.SignInTimeout)
	defer cancel()
	err := s.login.Check(ctx, atRest)
	if err != nil && atRest && unknown(err) {
		return nil
	}
	return err
}

// together does all of what it is given, several at a time, within
// EnforceTimeout.
func (b *Broker) together(ctx context.Context, all []func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.EnforceTimeout)
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

// pruneSettled waits for the CONNECT of s to be through with what it goes on with.
func (b *Broker) pruneSettled(ctx context.Context, s *session) {
	select {
	case <-s.settled:
		b.prune(s, s.mayRead)
	case <-ctx.Done():
		_ = s.guard.Close()
	}
}

// disconnect ends the connection of s, if it has one. It returns when the broker
// is through with it, or with ctx.
func (b *Broker) disconnect(ctx context.Context, s *session, why string) {
	s.guard.report(slog.LevelInfo, "session ended", "session_ended", slog.String("reason", why))
	b.count.sessionsEnded.Add(1)
	select {
	case <-s.settled: // no DISCONNECT before the CONNACK
		b.kick(s.client, packets.ErrAdministrativeAction)
	case <-time.After(b.cfg.EnforceTimeout / 2):
		_ = s.guard.Close()
	}
	select {
	case <-s.done:
	case <-ctx.Done():
	}
}

// forget removes a stored session, if s is one.
func (b *Broker) forget(ctx context.Context, s *session) {
	if b.sessions.stageOf(s) != stored || b.sessions.hold(ctx, s) != nil {
		return
	}
	defer b.sessions.release(s)
	if due, ok := b.sessions.forget(s); ok {
		b.purge(s)
		b.publishWill(s, due)
	}
}
