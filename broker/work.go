package broker

import (
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// What a packet costs is decided by others, too: a publish by who subscribes, a
// SUBSCRIBE by what is retained. So the broker meters the time that it spends on
// the packets of a user, and lets who has used up what it may wait before the next
// packet is read. Nothing is lost by that, and nobody is disconnected: the client
// can't send faster than it is served.

// workAhead is for how long a user that was idle may be served without waiting: it
// may use up that many seconds' worth of Config.MaxWork at once.
const workAhead = 5 * time.Second

// mostWork is what one look at the client's packets is charged at most. While the
// broker deals with them it may wait for what is not the client's to answer for,
// such as the socket of a subscriber.
const mostWork = 50 * time.Millisecond

// replayCost is what one retained message costs that is sent because a client has
// subscribed. What the client's own socket takes is not the broker's work.
const replayCost = 5 * time.Microsecond

// meter is the time that the broker has spent on the packets of one user. It is
// safe for concurrent use, and nothing in it waits or locks.
//
// It is the generic cell rate algorithm (ITU-T I.371 annex A.2) with cells of any
// size: due is when all that was done would be paid for.
type meter struct {
	share time.Duration // of work in a second
	began time.Time     // what times are counted from
	due   atomic.Int64
}

func newMeter(perSecond time.Duration, now time.Time) *meter {
	m := &meter{share: perSecond, began: now}
	m.due.Store(-int64(workAhead))
	return m
}

// charge adds work that was done at the time now.
func (m *meter) charge(work time.Duration, now time.Time) {
	at := int64(now.Sub(m.began))
	cost := int64(min(work, mostWork)) * int64(time.Second) / int64(m.share)
	for {
		due := m.due.Load()
		if m.due.CompareAndSwap(due, max(due, at-int64(workAhead))+cost) {
			return
		}
	}
}

// wait returns how long nothing more is to be done from the time now on.
func (m *meter) wait(now time.Time) time.Duration {
	return max(0, time.Duration(m.due.Load())-now.Sub(m.began))
}

// idle reports whether m is as good as a new one at the time now.
func (m *meter) idle(now time.Time) bool {
	return time.Duration(m.due.Load()) <= now.Sub(m.began)-workAhead
}

// beginWork notes that the broker has packets of the client to deal with.
func (g *guard) beginWork() {
	if g.session != nil && g.session.meter != nil {
		g.working = time.Now()
	}
}

// endWork charges what was done since beginWork to the user, and waits until the
// next packet may be read. It returns an error when the connection has ended
// meanwhile.
func (g *guard) endWork() error {
	if g.working.IsZero() {
		return nil
	}
	now := time.Now()
	m := g.session.meter
	m.charge(now.Sub(g.working), now)
	g.working = time.Time{}
	return g.pace(m, now)
}

// pace waits until there is no more to pay for. It looks now and then whether the
// connection is still there.
func (g *guard) pace(m *meter, now time.Time) error {
	const look = 50 * time.Millisecond
	wait := m.wait(now)
	if wait > 0 {
		g.b.count.workPaced.Add(1)
		g.report(slog.LevelInfo, "the client is made to wait: the packets of its user keep the broker busy", "work",
			slog.Duration("accepted_per_second", g.b.cfg.MaxWork))
	}
	for ; wait > 0; wait = m.wait(time.Now()) {
		select {
		case <-time.After(min(wait, look)):
		case <-g.b.closing:
			return net.ErrClosed
		}
		if g.client.Closed() || g.closing.Load() {
			return net.ErrClosed
		}
	}
	return nil
}

// meter returns the meter of a user, nil if work is not limited. The caller holds
// mu.
func (r *sessions) meter(user string) *meter {
	if r.maxWork == 0 {
		return nil
	}
	m := r.meters[user]
	if m == nil {
		m = newMeter(r.maxWork, time.Now())
		r.meters[user] = m
	}
	return m
}

// sweepMeters forgets the meters of users without a session that have nothing to
// pay for. Until then a user that comes back goes on with its own.
func (r *sessions) sweepMeters(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for user, m := range r.meters {
		if r.users[user] == nil && m.idle(now) {
			delete(r.meters, user)
		}
	}
}
