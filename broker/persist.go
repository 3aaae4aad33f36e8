package broker

import (
	"sync"
	"time"

	"mqttwarden/broker/internal/keep"
)

// persist keeps sessions and retained messages over a restart. Without a store it
// keeps nothing, and gives sessions the queues that they need in any case.
type persist struct {
	b     *Broker
	store *keep.Store // nil: nothing survives

	retaining sync.Mutex // what is recorded of a topic is what it has last
}

// open opens the store, if there is to be one.
func (p *persist) open() error {
	sessions := p.b.cfg.Sessions
	if sessions.File == "" || p.store != nil {
		return nil
	}
	cfg := keep.Config{File: sessions.File, Flush: sessions.Flush, MaxPending: sessions.MaxPending, Now: time.Now, Log: p.b.log}
	var err error
	if h := sessions.History; h != nil {
		if cfg.Keys, cfg.Unkeyed, err = h.Keys(); err != nil {
			return err
		}
		cfg.Position, cfg.Known = h.Position, h.Known
	}
	p.store, err = keep.Open(cfg)
	return err
}

// establish gives s its queue: that of the session that it goes on with, or a new
// one if before is nil.
func (p *persist) establish(s, before *session) {
	var q *queue
	if before != nil {
		q = before.queue
	} else {
		q = &queue{p: p, id: s.id}
		q.tally.begin(p.b.waiting, s.user)
	}
	s.queue = q
	q.mu.Lock()
	defer q.mu.Unlock()
	q.owner = s
	if before != nil {
		q.phase = inheriting
	} else {
		p.store.DropSession(s.id)
	}
	p.record(q, before)
}

// record has the session of a queue survive a restart, or not any more, as its new
// owner has asked for. The caller holds the lock of the queue.
func (p *persist) record(q *queue, before *session) {
	kept := q.persisted
	q.persisted = p.store != nil && outlives(q.owner.client)
	if !q.persisted {
		if kept {
			p.store.DropSession(q.id)
		}
		return
	}
	p.store.PutSession(storedSession(q.owner, time.Time{}, nil, time.Time{}))
	if kept || before == nil {
		return
	}
	for _, sub := range before.client.State.Subscriptions.GetAll() {
		p.store.PutSubscription(q.id, subscription(sub))
	}
	for _, pk := range before.client.State.Inflight.GetAll(false) {
		if at, ok := q.waiting[pk.PacketID]; ok {
			p.store.PutDelivery(q.id, delivery(&pk, at), true)
		}
	}
	received, _ := before.guard.exchange.Load().Open()
	for _, id := range received {
		p.store.PutReceived(q.id, id, true)
	}
}

// store records a stored session, as it is now.
func (b *Broker) store(s *session) {
	if expires, delayed, due, ok := b.sessions.waiting(s); ok {
		s.queue.store(s, expires, delayed, due)
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
