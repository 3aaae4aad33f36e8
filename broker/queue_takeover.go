package broker

import (
	"cmp"
	"math"
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What becomes of the queue when a session goes on with that of another one.

// displaced is a message for an earlier owner of the queue, whom its publisher had
// found before there was another. Mochi loses it, unless it comes before what
// waits is copied.
type displaced struct {
	pk    packets.Packet
	order uint64
}

// addDisplaced takes in a message for an earlier owner of the queue.
func (q *queue) addDisplaced(pk *packets.Packet) {
	for q != nil {
		owner, taken := q.setAside(pk)
		if taken {
			return
		}
		id, err := owner.client.NextPacketID() // waits for who writes to the client, who may wait for the queue
		if err != nil {
			return
		}
		if !q.lockFor(owner) {
			continue // another one has come meanwhile
		}
		m := q.adopt(pk, uint16(id)) // #nosec G115 -- a packet ID
		if m != nil {
			q.append(m)
		}
		sends := m != nil && q.phase == ready && !owner.client.Closed()
		q.mu.Unlock()
		if sends {
			owner.guard.exchange.Load().Enqueue(m.PacketID)
			owner.guard.release()
		}
		return
	}
}

// setAside keeps a displaced message for collect while the owner is inheriting,
// and drops it if nobody owns the queue any more. Otherwise it returns the owner.
func (q *queue) setAside(pk *packets.Packet) (owner *session, taken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.owner == nil:
		return nil, true
	case q.phase == inheriting:
		q.displaced = append(q.displaced, displaced{*pk, q.nextOrder()})
		return nil, true
	default:
		return q.owner, false
	}
}

// adopt puts a displaced message with what mochi has for the owner, under a packet
// ID that is free. It returns nil if it got there with all that was copied, or if
// there is no room. The caller holds mu.
func (q *queue) adopt(pk *packets.Packet, id uint16) *packets.Packet {
	inflight := q.owner.client.State.Inflight
	if q.cameAlong(pk) {
		return nil
	}
	if there, ok := inflight.Get(pk.PacketID); ok && same(&there, pk) {
		return nil
	}
	if inflight.Len() >= int(q.p.b.cfg.MaxInflight) {
		return nil
	}
	m := *pk
	m.PacketID = id
	q.setInflight(m)
	return &m
}

// same reports whether two packets are one message for one client: mochi copies
// its payload for each.
func same(a, b *packets.Packet) bool {
	return a.TopicName == b.TopicName && len(a.Payload) == len(b.Payload) &&
		(len(a.Payload) == 0 || &a.Payload[0] == &b.Payload[0])
}

// collect puts the displaced messages with all else that waits, and gives what
// came along with the copy its place. The caller holds mu.
func (q *queue) collect() {
	inflight := q.owner.client.State.Inflight
	for _, pk := range inflight.GetAll(false) {
		if _, ok := q.waiting[pk.PacketID]; ok {
			continue
		}
		order, displaced := q.takeOrder(&pk)
		if !displaced {
			order = q.nextOrder()
			q.along = append(q.along, pk)
			q.along = q.along[max(0, len(q.along)-int(q.p.b.cfg.MaxInflight)):] // of one too large nobody is told
		}
		q.enter(&pk, order)
	}
	// Mochi counts up from 1 with a new connection, and asks which are in use.
	id := uint16(math.MaxUint16)
	for _, d := range q.displaced {
		if inflight.Len() >= int(q.p.b.cfg.MaxInflight) {
			break
		}
		for used := true; used; id-- {
			_, used = inflight.Get(id)
		}
		if m := q.adopt(&d.pk, id+1); m != nil {
			q.enter(m, d.order)
		}
	}
	q.displaced = nil
}

// enter gives a message that was not sent yet its place. The caller holds mu.
func (q *queue) enter(pk *packets.Packet, order uint64) {
	at := q.put(pk.PacketID, order, false)
	q.weigh(pk)
	if q.persisted {
		q.p.store.PutDelivery(q.id, delivery(pk, at), true)
	}
}

// takeOrder returns the place of a message that mochi has copied, if it is among
// the displaced, which it leaves then. The caller holds mu.
func (q *queue) takeOrder(pk *packets.Packet) (order uint64, ok bool) {
	i := slices.IndexFunc(q.displaced, func(d displaced) bool { return same(&d.pk, pk) })
	if i < 0 {
		return 0, false
	}
	order = q.displaced[i].order
	q.displaced = slices.Delete(q.displaced, i, i+1)
	return order, true
}

// cameAlong reports whether a message was among those that mochi had copied before
// anybody was told of it: it has its place, and may have gone to the client and been
// acknowledged since. Each is asked for once. The caller holds mu.
func (q *queue) cameAlong(pk *packets.Packet) bool {
	i := slices.IndexFunc(q.along, func(m packets.Packet) bool {
		return m.PacketID == pk.PacketID && m.Created == pk.Created && same(&m, pk)
	})
	if i < 0 {
		return false
	}
	q.along = slices.Delete(q.along, i, i+1)
	return true
}

// arrange takes over what mochi has copied from the earlier owner, and gives it
// the order in which mochi sends it: by Created, of which it looks at 16 bits, and
// which it uses for nothing else (broker/quirks_test.go).
func (q *queue) arrange(s *session) {
	if !q.lockFor(s) {
		return
	}
	defer q.mu.Unlock()
	q.collect()
	q.phase = resending
	for i, pk := range q.sorted() {
		pk.Created = int64(i)
		s.client.State.Inflight.Set(pk)
	}
}

// sorted returns what waits in its order. The caller holds mu.
func (q *queue) sorted() []packets.Packet {
	all := q.owner.client.State.Inflight.GetAll(false)
	slices.SortFunc(all, func(a, b packets.Packet) int {
		return cmp.Compare(q.waiting[a.PacketID].order, q.waiting[b.PacketID].order)
	})
	return all
}

// resumed notes that the queue is taken over, and tells the packet IDs of the
// messages that wait, in their order, and which of them mochi sends by itself.
// What is not noted yet is not among them: mochi has still to send it. Nothing is
// noted before tell has returned: it would be told of too late, and overtake.
func (q *queue) resumed(s *session, tell func(waiting, doubled []uint16)) {
	if !q.lockFor(s) {
		tell(nil, nil)
		return
	}
	defer q.mu.Unlock()
	var waiting []uint16
	if q.phase != ready {
		for _, pk := range q.sorted() {
			if _, ok := q.waiting[pk.PacketID]; ok && pk.FixedHeader.Type == packets.Publish {
				waiting = append(waiting, pk.PacketID)
			}
		}
	}
	tell(waiting, q.doubled)
	q.phase, q.doubled = ready, nil
}
