package broker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/keep"
)

// queue is what the broker knows of a session's messages besides mochi: in which
// order those wait that it has for the client, and whether all of the session is
// kept over a restart. It goes from session to session with what a client goes on
// with.
//
// Mochi v2.7.9 has messages in a map and sends them again by the second that they
// came in, in any order within one.
//
// The methods do nothing for another session than the owner, and nothing on a nil
// queue, which a session has whose CONNECT did not come so far.
type queue struct {
	p  *persist
	id string // client ID

	mu        sync.Mutex
	owner     *session // whose queue it is; nil: nobody's any more
	persisted bool     // the session survives a restart
	last      uint64   // place that was given out
	waiting   map[uint16]place
	phase     phase

	tally     waitingTally     // of what waits; guarded by mu, but for what is atomic
	displaced []displaced      // that came in phase inheriting
	along     []packets.Packet // that mochi copied before add heard of them, which it still will
	doubled   []uint16         // packet IDs of what came before phase ready, and mochi sends by itself
}

// phase is how far the owner is with taking the queue over.
type phase uint8

const (
	ready      phase = iota
	inheriting       // mochi copies what waits from the earlier owner
	resending        // mochi is about to send what waits; nothing is acknowledged yet
)

// place is where a message stands that waits for the client.
type place struct {
	order uint64
	size  int64 // that is counted
	sent  bool
}

// slack is how many places a queue may have beyond the messages that mochi can
// have: of some that mochi drops nobody is told.
const slack = 64

// lockFor locks the queue if s is its owner.
func (q *queue) lockFor(s *session) bool {
	if q == nil {
		return false
	}
	q.mu.Lock()
	if q.owner != s {
		q.mu.Unlock()
		return false
	}
	return true
}

// add notes a message that waits for the client from now on, and that mochi sends
// unless the connection is over. It reports false if the queue is another
// session's by now.
func (q *queue) add(s *session, pk *packets.Packet) bool {
	if !q.lockFor(s) {
		return false
	}
	defer q.mu.Unlock()
	if q.cameAlong(pk) {
		return true
	}
	q.append(pk)
	if q.phase != ready {
		q.doubled = append(q.doubled, pk.PacketID)
	}
	return true
}

// append gives a message the last place. The caller holds mu.
func (q *queue) append(pk *packets.Packet) {
	_, had := q.waiting[pk.PacketID]
	at := q.put(pk.PacketID, q.nextOrder(), q.phase == ready && !q.owner.client.Closed())
	q.weigh(pk)
	if q.persisted {
		q.p.store.PutDelivery(q.id, delivery(pk, at), !had)
	}
	if len(q.waiting) > int(q.p.b.cfg.MaxInflight)+slack {
		q.dropLost()
	}
}

// markSent notes that a message that has waited is sent.
func (q *queue) markSent(s *session, pk *packets.Packet) {
	if !q.lockFor(s) {
		return
	}
	defer q.mu.Unlock()
	if at, ok := q.waiting[pk.PacketID]; ok && !at.sent {
		at = q.put(pk.PacketID, at.order, true)
		if q.persisted {
			q.p.store.PutDelivery(q.id, delivery(pk, at), false)
		}
	}
}

// nextOrder returns the place behind all others. The caller holds mu.
func (q *queue) nextOrder() uint64 {
	q.last++
	return q.last
}

// put gives a message its place. The caller holds mu.
func (q *queue) put(packetID uint16, order uint64, sent bool) place {
	if q.waiting == nil {
		q.waiting = make(map[uint16]place)
	}
	at := place{order, q.waiting[packetID].size, sent}
	q.waiting[packetID] = at
	return at
}

// weigh counts the bytes of a message that has its place. The caller holds mu.
func (q *queue) weigh(pk *packets.Packet) {
	at := q.waiting[pk.PacketID]
	size := waitingSize(pk)
	q.tally.add(q.p.b.waiting, size-at.size)
	at.size = size
	q.waiting[pk.PacketID] = at
}

// released notes that the client has a message of QoS 2, and PUBREL is sent.
func (q *queue) released(s *session, packetID uint16) {
	if !q.lockFor(s) {
		return
	}
	defer q.mu.Unlock()
	if _, ok := q.waiting[packetID]; ok && q.phase == ready {
		at := q.put(packetID, q.nextOrder(), true) // PUBREL goes by the order of PUBREC [MQTT-4.6.0-4]
		if q.persisted {
			q.p.store.PutDelivery(q.id, &keep.Delivery{PacketID: packetID, Order: at.order, Stage: keep.Released}, false)
		}
	}
}

// done notes that nothing waits under a packet ID any more.
func (q *queue) done(s *session, packetID uint16) {
	if q.lockFor(s) {
		q.remove(packetID)
		q.mu.Unlock()
	}
}

func (q *queue) remove(packetID uint16) {
	at, ok := q.waiting[packetID]
	if !ok {
		return
	}
	delete(q.waiting, packetID)
	q.tally.add(q.p.b.waiting, -at.size)
	if q.persisted {
		q.p.store.DropDelivery(q.id, packetID)
	}
}

// dropLost removes what mochi does not have any more. The caller holds mu.
func (q *queue) dropLost() {
	for id := range q.waiting {
		if _, ok := q.owner.client.State.Inflight.Get(id); !ok {
			q.remove(id)
		}
	}
}

// received notes a message of QoS 2 from the client, by the client's packet ID.
func (q *queue) received(s *session, packetID uint16) {
	if q.lockFor(s) {
		if q.persisted {
			q.p.store.PutReceived(q.id, packetID, true)
		}
		q.mu.Unlock()
	}
}

// receivedAll notes that the client has released such a message.
func (q *queue) receivedAll(s *session, packetID uint16) {
	if q.lockFor(s) {
		if q.persisted {
			q.p.store.DropReceived(q.id, packetID)
		}
		q.mu.Unlock()
	}
}

// subscribed notes that a subscription may have come or gone. What counts is what
// mochi has when all who change it have been here.
func (q *queue) subscribed(s *session, filter string) {
	if !q.lockFor(s) {
		return
	}
	defer q.mu.Unlock()
	if !q.persisted {
		return
	}
	if sub, ok := s.client.State.Subscriptions.Get(filter); ok {
		q.p.store.PutSubscription(q.id, subscription(sub))
	} else {
		q.p.store.DropSubscription(q.id, filter)
	}
}

// store notes that the connection of s is over, and that the session stays until
// expires, with a will that is delayed until due, nil if there is none.
func (q *queue) store(s *session, expires time.Time, delayed *will, due time.Time) {
	if !q.lockFor(s) {
		return
	}
	defer q.mu.Unlock()
	q.collect()
	q.phase, q.doubled = ready, nil
	q.dropLost()
	if q.persisted {
		q.p.store.PutSession(storedSession(s, expires, delayed, due))
	}
}

// end notes that the session is over, and nothing of it stays.
func (q *queue) end(s *session) {
	if !q.lockFor(s) {
		return
	}
	defer q.mu.Unlock()
	q.clear()
	q.p.store.DropSession(q.id)
}

// retire makes the queue nobody's.
func (q *queue) retire() {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clear()
}

// clear makes the queue nobody's. The caller holds mu.
func (q *queue) clear() {
	q.tally.close(q.p.b.waiting)
	q.owner, q.waiting, q.displaced, q.along, q.doubled, q.persisted = nil, nil, nil, nil, nil, false
}

// setInflight adds a message to those that mochi has for a session, or replaces
// one.
func (q *queue) setInflight(pk packets.Packet) {
	if q.owner.client.State.Inflight.Set(pk) {
		atomic.AddInt64(&q.p.b.srv.Info.Inflight, 1)
	}
}
