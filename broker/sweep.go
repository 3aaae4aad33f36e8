package broker

import (
	"context"
	"time"
)

// Sweep does what is due at the time now: it removes retained messages that have
// expired, sends wills whose delay is over, forgets stored sessions that nobody
// came back to, and disconnects sessions whose login has ended by itself (MQTT 5:
// 0x98). The latter stay stored as they asked, since nothing was taken from the
// user. A broker that serves does so by itself, every SweepInterval.
func (b *Broker) Sweep(ctx context.Context, now time.Time) {
	b.expireRetained(now)
	b.sessions.sweepMeters(time.Now())
	due := b.sessions.due(now)
	for _, w := range due.wills {
		b.publishWill(w.of, w.will)
		b.store(w.of) // without it
	}
	for _, s := range due.uncertain {
		b.readmit(s)
	}
	var rest []func(context.Context)
	for _, s := range due.over {
		rest = append(rest, func(ctx context.Context) { b.forget(ctx, s) })
	}
	for _, s := range due.ended {
		s.noWill.Store(true)
		rest = append(rest, func(ctx context.Context) { b.disconnect(ctx, s, "credentials expired") })
	}
	b.together(ctx, rest)
}

// sweeps does what is due, again and again, until the broker stops.
func (b *Broker) sweeps() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(b.cfg.SweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.Sweep(ctx, b.cfg.Now())
			b.reports.Flush()
		case <-b.closing:
			return
		}
	}
}

// due is what the clock asks for.
type due struct {
	wills     []delayedWill
	ended     []*session // connected, and their login has ended by itself
	over      []*session // stored, and to be forgotten
	uncertain []*session // connected, and mochi may have forgotten them
}

type delayedWill struct {
	of   *session
	will *will
}

// due returns what is to be done at the time now, and takes the wills out.
func (r *sessions) due(now time.Time) due {
	r.mu.Lock()
	defer r.mu.Unlock()
	var d due
	for s := range r.timed {
		r.dueOf(s, now, &d)
	}
	for name := range r.uncertain {
		id := r.ids[name]
		if id != nil && id.holder != nil {
			continue // next time
		}
		delete(r.uncertain, name)
		if id != nil && id.owner != nil && id.owner.stage == connected {
			d.uncertain = append(d.uncertain, id.owner)
		}
	}
	return d
}

// dueOf adds what is to be done about one session. The caller holds mu.
func (r *sessions) dueOf(s *session, now time.Time, d *due) {
	switch s.stage {
	case stored:
		if s.expired.Load() || !now.Before(s.expires) {
			d.over = append(d.over, s)
		} else if s.delayedWill != nil && !now.Before(s.willDue) {
			d.wills = append(d.wills, delayedWill{s, s.delayedWill})
			s.delayedWill = nil
		}
	case connecting, connected:
		if ends := s.login.Ends(); !ends.IsZero() && !now.Before(ends) {
			d.ended = append(d.ended, s)
		}
	default:
	}
}

// doubt notes that mochi deletes whatever client it has under an ID.
func (r *sessions) doubt(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.uncertain[id] = struct{}{}
}
