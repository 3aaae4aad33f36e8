package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// after is how many messages the bystander still sends once a change has shown,
// to see that no more of them are delivered.
const after = 20

// live is what the changes act on: a session that publishes and is subscribed,
// and a bystander who must not notice.
type live struct {
	api        *api
	role       string
	right      permission
	session    *client // its role gives the right, or does not
	bystander  *client // sends what the session is subscribed to, and gets it, too
	publishing string
	subscribed string

	done []delays

	// Of the change that is under way, or was the last.
	asked     time.Time
	sent      []time.Time // the messages of the bystander
	first     uint32      // the number of the first of them; all changes count on
	delivered uint32      // the number behind the last one that the session has got
}

// delays are counted from the request that takes the right away.
type delays struct {
	answered time.Duration // the request: it is in the store
	refused  time.Duration // the first publish that was not allowed
	ended    time.Duration // the first message that was not delivered was sent
}

// changedRights measures how long it takes from the request that takes a right
// away until a live session has lost it: its publish is refused, and messages
// reach it no more. Both are to be quick for nearly all of the changes.
func changedRights(ctx context.Context, b *bench) (_ []row, err error) {
	var all crew
	defer func() { err = errors.Join(err, all.dismiss()) }()
	l, err := b.newLive(ctx, &all)
	if err != nil {
		return nil, err
	}
	for range b.changes {
		if err := l.change(ctx); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, b.ours.said())
		}
	}
	var refused, ended, committed []float64
	for _, d := range l.done {
		refused = append(refused, d.refused.Seconds()*1000)
		ended = append(ended, d.ended.Seconds()*1000)
		committed = append(committed, max(0, d.refused-d.answered).Seconds()*1000)
	}
	return []row{
		soon("right taken by REST: publish refused, p99", refused, 50),
		soon("right taken by REST: deliveries ended, p99", ended, 50),
		soon("the same, counted from the answer, p99", committed, 50),
	}, nil
}

// soon returns the row of delays in milliseconds.
func soon(work string, delays []float64, most float64) row {
	slices.Sort(delays)
	return row{
		work: work, ours: "p50 " + figure(quantile(delays, 0.5), "ms"),
		found: spread{quantile(delays, 0.99), delays[0], delays[len(delays)-1]}, unit: "ms", most: most,
	}
}

func (b *bench) newLive(ctx context.Context, all *crew) (*live, error) {
	l := &live{api: b.api, right: both("live/#"), publishing: "live/up", subscribed: "live/down"}
	var err error
	if l.role, err = b.api.createRole(ctx, "bench-live"); err != nil {
		return nil, err
	}
	watch, err := b.api.createRole(ctx, "bench-watch", l.right)
	if err != nil {
		return nil, err
	}
	for _, who := range []struct {
		name, role string
		to         **client
	}{{"bench-live", l.role, &l.session}, {"bench-watch", watch, &l.bystander}} {
		c := credentials{who.name, "bench-Device-5#"}
		if _, err := b.api.createUser(ctx, c, who.role); err != nil {
			return nil, err
		}
		if *who.to, err = all.hire(ctx, b, b.ours, mqtt5, c); err != nil {
			return nil, err
		}
	}
	return l, l.bystander.subscribe(l.subscribed, 0)
}

// change gives the session its right, has it used, takes it away, and notes how
// long it took to show.
func (l *live) change(ctx context.Context) error {
	id, err := l.api.grant(ctx, l.role, l.right)
	if err != nil {
		return err
	}
	if err := errors.Join(l.session.patient(), l.bystander.patient(), l.subscribe()); err != nil {
		return err
	}
	l.first += uint32(len(l.sent)) // #nosec G115 -- a few thousand
	l.sent, l.delivered = l.sent[:0], l.first
	for range 3 {
		if allowed, err := l.exchange(); err != nil || !allowed {
			return errors.Join(err, errors.New("the right was given, but is not there"))
		}
	}
	var d delays
	var g errgroup.Group
	l.asked = time.Now()
	g.Go(func() error {
		err := l.api.revoke(ctx, l.role, id)
		d.answered = time.Since(l.asked)
		return err
	})
	for allowed := true; allowed; {
		if allowed, err = l.exchange(); err != nil {
			return errors.Join(err, g.Wait())
		}
	}
	d.refused = time.Since(l.asked)
	if err := g.Wait(); err != nil {
		return err
	}
	for range after {
		if _, err := l.exchange(); err != nil {
			return err
		}
	}
	if int(l.delivered-l.first) >= len(l.sent) {
		return errors.New("the publish is refused, but messages are still delivered")
	}
	d.ended = l.ended()
	l.done = append(l.done, d)
	return nil
}

// ended returns when, after the right was to be taken, the first message was sent
// that the session has not got.
func (l *live) ended() time.Duration {
	return l.sent[min(int(l.delivered-l.first), len(l.sent)-1)].Sub(l.asked)
}

// subscribe subscribes the session. A message of the change before may come first,
// if its goroutine in the broker had to wait for a core.
func (l *live) subscribe() error {
	l.session.out = appendSubscribe(l.session.out[:0], mqtt5, 1, l.subscribed, 0)
	if err := l.session.flush(); err != nil {
		return err
	}
	before := l.delivered
	p, err := l.next()
	if err != nil {
		return err
	}
	if p.kind() != typeSuback || p.body[len(p.body)-1] != 0 {
		return fmt.Errorf("subscription answered with packet %#02x % x", p.first, p.body)
	}
	if l.delivered != before {
		l.done[len(l.done)-1].ended = l.ended()
	}
	return nil
}

// exchange has the bystander send a message, and the session publish one. It
// reports whether that was allowed.
func (l *live) exchange() (allowed bool, err error) {
	number := binary.BigEndian.AppendUint32(nil, l.first+uint32(len(l.sent))) // #nosec G115 -- a few thousand
	l.sent = append(l.sent, time.Now())
	l.bystander.out = appendPublish(l.bystander.out[:0], mqtt5, l.subscribed, 0, 0, number)
	if err := l.bystander.flush(); err != nil {
		return false, err
	}
	if err := l.bystander.receive(1); err != nil {
		return false, fmt.Errorf("bystander: %w", err)
	}
	l.session.out = appendPublish(l.session.out[:0], mqtt5, l.publishing, 1, 1, number)
	if err := l.session.flush(); err != nil {
		return false, err
	}
	p, err := l.next()
	if err != nil {
		return false, err
	}
	if p.kind() != typePuback {
		return false, fmt.Errorf("publish answered with packet %#02x % x", p.first, p.body)
	}
	_, reason, err := p.acked()
	return reason < 0x80, err
}

// next returns the next packet for the session that is not a message, and takes
// note of the messages before it.
func (l *live) next() (packet, error) {
	for {
		p, err := l.session.next()
		if err != nil || p.kind() != typePublish {
			return p, err
		}
		_, payload, err := p.message(mqtt5)
		if err != nil || len(payload) != 4 {
			return p, errors.Join(err, fmt.Errorf("got a message of %d bytes", len(payload)))
		}
		l.delivered = max(l.delivered, binary.BigEndian.Uint32(payload)+1)
	}
}
