package broker

import (
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"mqttwarden/broker/internal/keep"
)

// Owners is what the broker needs of its hook to keep sessions over a restart.
type Owners interface {
	// Owner returns whose session a client is, by id, and what Restore wants to
	// know of that.
	Owner(cl *mqtt.Client) (user string, owner []byte)
	// Restore takes the session of a client from before a restart, which ends at
	// until, in. It reports false for one of which nothing may stay.
	Restore(cl *mqtt.Client, user string, owner []byte, until time.Time) (bool, error)
}

// persist keeps sessions and retained messages over a restart. Without a store it
// keeps the sessions in order, which they need in any case.
type persist struct {
	b      *Broker
	store  *keep.Store // nil: nothing survives
	owners Owners      // nil without a store

	mu      sync.Mutex
	ledgers map[string]*ledger // by client ID

	retaining sync.Mutex // what is recorded of a topic is what it has last
}

// openPersist opens the store, if there is to be one.
func openPersist(b *Broker) (*persist, error) {
	p := &persist{b: b, ledgers: make(map[string]*ledger)}
	if b.cfg.Sessions.File == "" {
		return p, nil
	}
	var err error
	p.store, err = keep.Open(keep.Config{
		File: b.cfg.Sessions.File, Flush: b.cfg.Sessions.Flush, MaxPending: b.cfg.Sessions.MaxPending,
		Now: time.Now, Log: b.log,
	})
	return p, err
}

// establish gives a client its ledger: that of old, whose state mochi is about to
// pass on, or a new one if old is nil.
func (p *persist) establish(cl, old *mqtt.Client) {
	g := guardOf(cl)
	if g == nil {
		return
	}
	var l *ledger
	if old != nil {
		l = ledgerOf(old)
	}
	if l == nil {
		l = &ledger{p: p, id: cl.ID}
		old = nil
	}
	g.ledger = l

	p.mu.Lock()
	before := p.ledgers[cl.ID]
	p.ledgers[cl.ID] = l
	p.mu.Unlock()
	if before != nil && before != l {
		before.mu.Lock()
		before.retire()
		before.mu.Unlock()
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.owner = cl
	if old != nil {
		l.phase = inheriting
	} else {
		p.store.DropSession(cl.ID)
	}
	p.keep(l, old)
}

// keep has the session of a ledger survive a restart, or not any more, as its new
// owner has asked for. The caller holds the lock of the ledger.
func (p *persist) keep(l *ledger, old *mqtt.Client) {
	kept := l.kept
	l.kept = p.store != nil && outlives(l.owner)
	if !l.kept {
		if kept {
			p.store.DropSession(l.id)
		}
		return
	}
	user, owner := p.owners.Owner(l.owner)
	l.user = user
	p.store.PutSession(session(l.owner, user, owner, time.Time{}))
	if kept || old == nil {
		return
	}
	for _, sub := range old.State.Subscriptions.GetAll() {
		p.store.PutSubscription(l.id, subscription(sub))
	}
	for _, pk := range old.State.Inflight.GetAll(false) {
		if e, ok := l.waiting[pk.PacketID]; ok {
			p.store.PutDelivery(l.id, delivery(&pk, e), true)
		}
	}
	if g := guardOf(old); g != nil {
		received, _ := g.exchange.Load().Open()
		for _, id := range received {
			p.store.PutReceived(l.id, id, true)
		}
	}
}

// outlives reports whether the session of a client outlives its connection.
func outlives(cl *mqtt.Client) bool {
	if cl.Properties.ProtocolVersion >= 5 {
		return cl.Properties.Props.SessionExpiryInterval > 0
	}
	return !cl.Properties.Clean
}

// leave is called when mochi is through with the connection of a client, nil if
// there was no CONNECT. Whether a session that outlives it does stay is for the
// hook to say.
func (p *persist) leave(cl *mqtt.Client) {
	if cl != nil && !outlives(cl) {
		p.end(cl)
	}
}

// end forgets the session of a client for which there is no other by now.
func (p *persist) end(cl *mqtt.Client) {
	l := ledgerOf(cl)
	l.end(cl)
	p.mu.Lock()
	defer p.mu.Unlock()
	if l != nil && p.ledgers[cl.ID] == l {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.owner == nil {
			delete(p.ledgers, cl.ID)
		}
	}
}

// retained records what is retained under a topic now.
func (p *persist) retained(topic string) {
	if p.store == nil {
		return
	}
	p.retaining.Lock()
	defer p.retaining.Unlock()
	if m := p.b.retained.Get(topic); m != nil {
		p.store.PutRetained(m)
	} else {
		p.store.DropRetained(topic)
	}
}

// close writes all that was recorded.
func (p *persist) close() error { return p.store.Close() }
