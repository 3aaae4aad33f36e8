package broker

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/keep"
)

// ledger is what the broker knows of a session besides mochi: in which order the
// messages wait that it has for the client, and whether all of it is kept over a
// restart. It goes from connection to connection with the session.
//
// Mochi v2.7.9 has messages in a map and sends them again by the second that they
// came in, in any order within one.
type ledger struct {
	p  *persist
	id string // client ID

	mu      sync.Mutex
	owner   *mqtt.Client // whose session it is; nil: the session is over
	user    string       // as the store knows it
	kept    bool         // the session survives a restart
	next    uint64
	waiting map[uint16]entry // by packet ID
	phase   phase
	strays  []stray  // that came in phase inheriting
	late    []uint16 // packet IDs of what came before phase ready, and mochi sends by itself
}

// phase is how far the owner is with taking the session up.
type phase uint8

const (
	ready      phase = iota
	inheriting       // mochi copies what waits from the earlier owner
	resending        // mochi is about to send what waits; nothing is acknowledged yet
)

// stray is a message for an earlier owner, whom its publisher had found before
// there was another. Mochi loses it, unless it comes before what waits is copied.
type stray struct {
	pk    packets.Packet
	order uint64
}

// entry is a message that waits for the client.
type entry struct {
	order uint64
	sent  bool
}

// slack is how many entries a ledger may have beyond those that mochi can have:
// of some that mochi drops nobody is told.
const slack = 64

// ledgerOf returns the ledger of a client, nil if its CONNECT did not come so
// far. The methods of a ledger do nothing for another client than its owner, and
// none do anything on a nil one.
func ledgerOf(cl *mqtt.Client) *ledger {
	if g := guardOf(cl); g != nil {
		return g.ledger
	}
	return nil
}

// of locks the ledger if cl is its owner.
func (l *ledger) of(cl *mqtt.Client) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	if l.owner != cl {
		l.mu.Unlock()
		return false
	}
	return true
}

// queued notes a message that waits for the client from now on, and that mochi
// sends unless the connection is over. It reports false if the session is another
// client's by now.
func (l *ledger) queued(cl *mqtt.Client, pk *packets.Packet) bool {
	if !l.of(cl) {
		return false
	}
	defer l.mu.Unlock()
	l.note(cl, pk)
	if l.phase != ready {
		l.late = append(l.late, pk.PacketID)
	}
	return true
}

// note gives a message its place. The caller holds mu.
func (l *ledger) note(cl *mqtt.Client, pk *packets.Packet) {
	_, had := l.waiting[pk.PacketID]
	e := l.enter(pk.PacketID, l.number(), l.phase == ready && !cl.Closed())
	if l.kept {
		l.p.store.PutDelivery(l.id, delivery(pk, e), !had)
	}
	if len(l.waiting) > int(l.p.b.cfg.MaxInflight)+slack {
		l.audit(cl)
	}
}

// sent notes that a message that has waited is sent.
func (l *ledger) sent(cl *mqtt.Client, pk *packets.Packet) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	if e, ok := l.waiting[pk.PacketID]; ok && !e.sent {
		e = l.enter(pk.PacketID, e.order, true)
		if l.kept {
			l.p.store.PutDelivery(l.id, delivery(pk, e), false)
		}
	}
}

// number returns the place behind all others. The caller holds mu.
func (l *ledger) number() uint64 {
	l.next++
	return l.next
}

// enter gives a message its place. The caller holds mu.
func (l *ledger) enter(id uint16, order uint64, sent bool) entry {
	if l.waiting == nil {
		l.waiting = make(map[uint16]entry)
	}
	e := entry{order, sent}
	l.waiting[id] = e
	return e
}

// strayed takes in a message for an earlier owner of the session.
func (l *ledger) strayed(pk *packets.Packet) {
	for l != nil {
		l.mu.Lock()
		cl := l.owner
		if cl == nil || l.phase == inheriting {
			if cl != nil {
				l.strays = append(l.strays, stray{*pk, l.number()})
			}
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		id, err := cl.NextPacketID() // waits for who writes to the client, who may wait for the ledger
		if err != nil {
			return
		}
		if !l.of(cl) {
			continue // another one has come meanwhile
		}
		m := l.adopt(cl, pk, uint16(id)) // #nosec G115 -- a packet ID
		if m != nil {
			l.note(cl, m)
		}
		sends := m != nil && l.phase == ready && !cl.Closed()
		l.mu.Unlock()
		if sends {
			g := guardOf(cl)
			g.exchange.Load().Late(m.PacketID)
			g.release()
		}
		return
	}
}

// adopt puts a stray with the session under a packet ID that is free. It returns
// nil if it got there with all that was copied, or if there is no room.
func (l *ledger) adopt(cl *mqtt.Client, pk *packets.Packet, id uint16) *packets.Packet {
	if there, ok := cl.State.Inflight.Get(pk.PacketID); ok && same(&there, pk) {
		return nil
	}
	if cl.State.Inflight.Len() >= int(l.p.b.cfg.MaxInflight) {
		return nil
	}
	m := *pk
	m.PacketID = id
	if cl.State.Inflight.Set(m) {
		atomic.AddInt64(&l.p.b.srv.Info.Inflight, 1)
	}
	return &m
}

// same reports whether two packets are one message for one client: mochi copies
// its payload for each.
func same(a, b *packets.Packet) bool {
	return a.TopicName == b.TopicName && len(a.Payload) == len(b.Payload) &&
		(len(a.Payload) == 0 || &a.Payload[0] == &b.Payload[0])
}

// gather puts the strays with all else that waits, and gives what came along with
// the copy its place. The caller holds mu.
func (l *ledger) gather(cl *mqtt.Client) {
	enter := func(pk *packets.Packet, order uint64) {
		e := l.enter(pk.PacketID, order, false)
		if l.kept {
			l.p.store.PutDelivery(l.id, delivery(pk, e), true)
		}
	}
	for _, pk := range cl.State.Inflight.GetAll(false) {
		if _, ok := l.waiting[pk.PacketID]; ok {
			continue
		}
		order := l.number()
		if i := slices.IndexFunc(l.strays, func(s stray) bool { return same(&s.pk, &pk) }); i >= 0 {
			order = l.strays[i].order
			l.strays = slices.Delete(l.strays, i, i+1)
		}
		enter(&pk, order)
	}
	// Mochi counts up from 1 with a new connection, and asks which are in use.
	id := uint16(math.MaxUint16)
	for _, s := range l.strays {
		if cl.State.Inflight.Len() >= int(l.p.b.cfg.MaxInflight) {
			break
		}
		for used := true; used; id-- {
			_, used = cl.State.Inflight.Get(id)
		}
		if m := l.adopt(cl, &s.pk, id+1); m != nil {
			enter(m, s.order)
		}
	}
	l.strays = nil
}

// released notes that the client has a message of QoS 2, and PUBREL is sent.
func (l *ledger) released(cl *mqtt.Client, id uint16) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	if _, ok := l.waiting[id]; ok && l.phase == ready {
		e := l.enter(id, l.number(), true) // PUBREL goes by the order of PUBREC [MQTT-4.6.0-4]
		if l.kept {
			l.p.store.PutDelivery(l.id, &keep.Delivery{PacketID: id, Order: e.order, Stage: keep.Released}, false)
		}
	}
}

// done notes that nothing waits under a packet ID any more.
func (l *ledger) done(cl *mqtt.Client, id uint16) {
	if l.of(cl) {
		l.forget(id)
		l.mu.Unlock()
	}
}

func (l *ledger) forget(id uint16) {
	if _, ok := l.waiting[id]; !ok {
		return
	}
	delete(l.waiting, id)
	if l.kept {
		l.p.store.DropDelivery(l.id, id)
	}
}

// audit forgets what mochi has dropped. The caller holds mu.
func (l *ledger) audit(cl *mqtt.Client) {
	for id := range l.waiting {
		if _, ok := cl.State.Inflight.Get(id); !ok {
			l.forget(id)
		}
	}
}

// received notes a message of QoS 2 from the client, by the client's packet ID.
func (l *ledger) received(cl *mqtt.Client, id uint16) {
	if l.of(cl) {
		if l.kept {
			l.p.store.PutReceived(l.id, id, true)
		}
		l.mu.Unlock()
	}
}

// settled notes that the client has released such a message.
func (l *ledger) settled(cl *mqtt.Client, id uint16) {
	if l.of(cl) {
		if l.kept {
			l.p.store.DropReceived(l.id, id)
		}
		l.mu.Unlock()
	}
}

// subscribed notes that a subscription may have come or gone. What counts is what
// mochi has when all who change it have been here.
func (l *ledger) subscribed(cl *mqtt.Client, filter string) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	if !l.kept {
		return
	}
	if sub, ok := cl.State.Subscriptions.Get(filter); ok {
		l.p.store.PutSubscription(l.id, subscription(sub))
	} else {
		l.p.store.DropSubscription(l.id, filter)
	}
}

// arrange takes over what mochi has copied from the earlier owner, and gives it
// the order in which mochi sends it: by Created, of which it looks at 16 bits, and
// which it uses for nothing else (broker/quirks_test.go).
func (l *ledger) arrange(cl *mqtt.Client) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	l.gather(cl)
	l.phase = resending
	for i, pk := range l.sorted(cl) {
		pk.Created = int64(i)
		cl.State.Inflight.Set(pk)
	}
}

// sorted returns what waits in its order. The caller holds mu.
func (l *ledger) sorted(cl *mqtt.Client) []packets.Packet {
	all := cl.State.Inflight.GetAll(false)
	slices.SortFunc(all, func(a, b packets.Packet) int {
		return cmp.Compare(l.waiting[a.PacketID].order, l.waiting[b.PacketID].order)
	})
	return all
}

// resumed notes that the session is taken up, and tells the packet IDs of the
// messages that wait, in their order, and which of them mochi sends by itself.
// What is not noted yet is not among them: mochi has still to send it. Nothing is
// noted before tell has returned: it would be told of too late, and overtake.
func (l *ledger) resumed(cl *mqtt.Client, tell func(waiting, late []uint16)) {
	if !l.of(cl) {
		tell(nil, nil)
		return
	}
	defer l.mu.Unlock()
	var waiting []uint16
	if l.phase != ready {
		for _, pk := range l.sorted(cl) {
			if _, ok := l.waiting[pk.PacketID]; ok && pk.FixedHeader.Type == packets.Publish {
				waiting = append(waiting, pk.PacketID)
			}
		}
	}
	tell(waiting, l.late)
	l.phase, l.late = ready, nil
}

// stored notes that the connection of the client is over, and that its session
// stays until then.
func (l *ledger) stored(cl *mqtt.Client, owner []byte, until time.Time) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	l.gather(cl)
	l.phase, l.late = ready, nil
	l.audit(cl)
	if l.kept {
		l.p.store.PutSession(session(cl, l.user, owner, until))
	}
}

// end notes that the session is over, and nothing of it stays.
func (l *ledger) end(cl *mqtt.Client) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	l.retire()
	l.p.store.DropSession(l.id)
}

// retire makes the ledger nobody's. The caller holds mu.
func (l *ledger) retire() { l.owner, l.waiting, l.strays, l.late, l.kept = nil, nil, nil, nil, false }
