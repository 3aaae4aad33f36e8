package broker

import (
	"cmp"
	"math"
	"slices"
	"sync"
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

	mu       sync.Mutex
	owner    *mqtt.Client // whose session it is; nil: the session is over
	user     string       // as the store knows it
	kept     bool         // the session survives a restart
	next     uint64
	waiting  map[uint16]entry // by packet ID
	resuming bool             // mochi sends what waits; nothing is acknowledged yet
	last     int64            // the place that was given out last while resuming
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

// queued notes a message that waits for the client from now on, or, with the DUP
// flag, is sent again.
func (l *ledger) queued(cl *mqtt.Client, pk *packets.Packet) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	e, had := l.waiting[pk.PacketID]
	switch {
	case !pk.FixedHeader.Dup:
		e = l.enter(pk.PacketID, !cl.Closed())
		if l.resuming { // behind all that waits
			l.last++
			pk.Created = l.last
			cl.State.Inflight.Set(*pk)
		}
	case had && !e.sent:
		e.sent = true
		l.waiting[pk.PacketID] = e
	default:
		return
	}
	if l.kept {
		l.p.store.PutMessage(l.id, message(pk, e), !had)
	}
	if len(l.waiting) > int(l.p.b.cfg.MaxInflight)+slack {
		l.audit(cl)
	}
}

// enter gives a message its place behind all others. The caller holds mu.
func (l *ledger) enter(id uint16, sent bool) entry {
	if l.waiting == nil {
		l.waiting = make(map[uint16]entry)
	}
	l.next++
	e := entry{l.next, sent}
	l.waiting[id] = e
	return e
}

// released notes that the client has a message of QoS 2, and PUBREL is sent.
func (l *ledger) released(cl *mqtt.Client, id uint16) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	if _, ok := l.waiting[id]; ok && !l.resuming {
		e := l.enter(id, true) // PUBREL goes by the order of PUBREC [MQTT-4.6.0-4]
		if l.kept {
			l.p.store.PutMessage(l.id, &keep.Message{PacketID: id, Order: e.order, Stage: keep.Released}, false)
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
		l.p.store.DropMessage(l.id, id)
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

// arrange gives the messages that mochi has taken over from an earlier connection
// the order in which it is about to send them: it goes by Created, of which it
// looks at 16 bits, and uses that for nothing else (broker/quirks_test.go).
func (l *ledger) arrange(cl *mqtt.Client) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
	all := cl.State.Inflight.GetAll(false)
	for i := range all { // came between two owners
		if _, ok := l.waiting[all[i].PacketID]; !ok {
			e := l.enter(all[i].PacketID, false)
			if l.kept {
				l.p.store.PutMessage(l.id, message(&all[i], e), true)
			}
		}
	}
	slices.SortFunc(all, func(a, b packets.Packet) int {
		return cmp.Compare(l.waiting[a.PacketID].order, l.waiting[b.PacketID].order)
	})
	l.last = 0
	for _, pk := range all {
		l.last++
		pk.Created = l.last
		cl.State.Inflight.Set(pk)
	}
	l.resuming = l.last < math.MaxInt16
}

// resumed notes that all that waited has been sent.
func (l *ledger) resumed(cl *mqtt.Client) {
	if l.of(cl) {
		l.resuming = false
		l.mu.Unlock()
	}
}

// stored notes that the connection of the client is over, and that its session
// stays until then.
func (l *ledger) stored(cl *mqtt.Client, owner []byte, until time.Time) {
	if !l.of(cl) {
		return
	}
	defer l.mu.Unlock()
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
func (l *ledger) retire() { l.owner, l.waiting, l.kept = nil, nil, false }
