package frame

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// wire is a packet on its way. PUBLISH has its QoS as code; message says which
// one it is, which its payload would.
type wire struct {
	Ack
	message int
	again   bool // PUBLISH: DUP
}

func (w wire) frame() (Header, []byte) {
	if w.Type == TypePublish {
		return Header{Type: w.Type, Flags: w.Code << 1, Remaining: 6}, append(append(s("t"), id(w.PacketID)...), 0)
	}
	body := id(w.PacketID)
	if w.Code != 0 {
		body = append(body, w.Code)
	}
	return Header{Type: w.Type, Flags: w.Type.flags(), Remaining: len(body)}, body
}

// message is a message at the one who sends it, until its exchange is complete.
type message struct {
	number   int
	qos      byte
	released bool // PUBREC has come: PUBREL is what is sent again
	sent     bool // on any connection
}

// peers are a client and a broker that obey the standard, with an Exchange
// between them. The broker deals with each packet at once, and writes its answers
// when it likes; between the client and the Exchange there is a network.
type peers struct {
	version              byte
	clientMax, serverMax uint16
	e                    *Exchange
	numbers              int // messages so far

	// The client.
	fromClient, toClient []wire
	sending              map[uint16]*message // PUBLISH
	asking               map[uint16]Type     // SUBSCRIBE and UNSUBSCRIBE
	unanswered           map[uint16]bool     // what this connection has sent, for the server's Receive Maximum
	received             map[uint16]int      // QoS 2, not released
	window               map[uint16]bool     // what this connection has received, for the client's Receive Maximum
	latest               int                 // number of the last message that this connection has received
	seen                 map[int]int         // how often a QoS 2 message to the client was taken

	// The broker.
	lastID    uint16
	inflight  map[uint16]*message // to the client
	asked     map[uint16]bool     // the identifiers of requests that are not answered
	answers   []wire              // not written yet
	delivered map[int]int         // how often a message from the client was
	refused   map[int]bool        // messages that the client was told are refused
}

// TestExchangeLetsConformingPeersTalk is the law behind the tables. Peers that
// obey the standard are never told that they do not; every packet comes out under
// the identifier by which its receiver knows it; identifiers of the broker are in
// use once; the client's Receive Maximum is never exceeded; messages reach the
// client in order; QoS 2 is exactly once, over any number of connections; and
// when all is said, nothing is remembered.
func TestExchangeLetsConformingPeersTalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &peers{
			version:   rapid.SampledFrom([]byte{Level31, Level311, Level5}).Draw(t, "level"),
			serverMax: rapid.Uint16Range(1, 5).Draw(t, "server receive maximum"),
			lastID:    rapid.SampledFrom([]uint16{0, 5, 65530}).Draw(t, "last identifier"),
			sending:   map[uint16]*message{}, received: map[uint16]int{}, seen: map[int]int{},
			inflight: map[uint16]*message{}, delivered: map[int]int{}, refused: map[int]bool{},
		}
		p.connect(t)
		t.Repeat(map[string]func(*rapid.T){
			"client publishes":    p.clientPublishes,
			"client subscribes":   p.clientSubscribes,
			"broker publishes":    p.brokerPublishes,
			"broker reads":        p.brokerReads,
			"broker answers":      p.brokerAnswers,
			"client reads":        p.clientReads,
			"a message is pruned": p.prune,
			"connection breaks":   p.connect,
			"":                    p.withinLimits,
		})
		for len(p.fromClient)+len(p.toClient)+len(p.answers) > 0 {
			p.brokerReads(t)
			p.brokerAnswers(t)
			p.clientReads(t)
		}
		p.nothingIsLeft(t)
	})
}

// connect begins a connection of the session, and ends the one before.
func (p *peers) connect(t *rapid.T) {
	earlier := p.e
	p.clientMax = rapid.Uint16Range(1, 5).Draw(t, "client receive maximum") // another, if it likes
	p.e = NewExchange(p.version, p.clientMax, p.serverMax)
	if earlier != nil {
		p.e.Resume(earlier)
	}
	p.fromClient, p.toClient, p.answers = nil, nil, nil
	p.asked, p.asking, p.unanswered, p.window, p.latest = map[uint16]bool{}, map[uint16]Type{}, map[uint16]bool{}, map[uint16]bool{}, 0
	// Both send again what is not complete, in order ([MQTT-4.4.0-1], section 4.6).
	for _, id := range inOrder(p.sending) {
		m := p.sending[id]
		if m.released {
			p.fromClient = append(p.fromClient, wire{Ack: Ack{TypePubrel, id, 0}})
			continue
		}
		p.unanswered[id] = true
		p.fromClient = append(p.fromClient, wire{Ack{TypePublish, id, m.qos}, m.number, true})
	}
	for _, id := range inOrder(p.inflight) {
		if p.inflight[id].released {
			p.brokerSends(t, wire{Ack: Ack{TypePubrel, id, 0}})
		} else {
			p.offer(t, id, false)
		}
	}
}

// inOrder returns the identifiers of messages in the order of the messages.
func inOrder(messages map[uint16]*message) []uint16 {
	return slices.SortedFunc(maps.Keys(messages), func(a, b uint16) int { return cmp.Compare(messages[a].number, messages[b].number) })
}

func (p *peers) next() int {
	p.numbers++
	return p.numbers
}

// clientID draws an identifier that is free at the client. The broker may well
// use it.
func (p *peers) clientID(t *rapid.T) uint16 {
	if len(p.sending)+len(p.asking) > 10 {
		t.Skip("enough for now")
	}
	return rapid.Uint16Range(1, 20).Filter(func(id uint16) bool {
		return p.sending[id] == nil && p.asking[id] == 0
	}).Draw(t, "identifier")
}

func (p *peers) clientPublishes(t *rapid.T) {
	if len(p.unanswered) >= int(p.serverMax) {
		t.Skip("not allowed")
	}
	id, m := p.clientID(t), &message{number: p.next(), qos: rapid.ByteRange(1, 2).Draw(t, "QoS")}
	p.sending[id], p.unanswered[id] = m, true
	p.fromClient = append(p.fromClient, wire{Ack{TypePublish, id, m.qos}, m.number, false})
}

func (p *peers) clientSubscribes(t *rapid.T) {
	id, typ := p.clientID(t), rapid.SampledFrom([]Type{TypeSubscribe, TypeUnsubscribe}).Draw(t, "type")
	p.asking[id] = typ
	p.fromClient = append(p.fromClient, wire{Ack: Ack{typ, id, 0}})
}

// brokerID returns the next identifier that is not in use, as mochi does.
func (p *peers) brokerID() uint16 {
	for {
		p.lastID = max(p.lastID+1, 1)
		if p.inflight[p.lastID] == nil && !p.asked[p.lastID] {
			return p.lastID
		}
	}
}

func (p *peers) brokerPublishes(t *rapid.T) {
	if len(p.inflight) > 12 {
		t.Skip("enough for now")
	}
	id := p.brokerID()
	p.inflight[id] = &message{number: p.next(), qos: rapid.ByteRange(1, 2).Draw(t, "QoS")}
	p.offer(t, id, false)
}

// offer has the broker send a message. One that was released by Next has room.
func (p *peers) offer(t *rapid.T, id uint16, released bool) {
	m := p.inflight[id]
	w := wire{Ack{TypePublish, id, m.qos}, m.number, m.sent}
	v := p.e.FromServer(w.frame())
	switch {
	case v.Action == Hold && !released:
		return
	case v.Action != Pass || v.ID != 0 || v.First == m.sent:
		t.Fatalf("broker sends %+v (sent before: %v): %v", w, m.sent, v)
	}
	m.sent = true
	p.window[id] = true
	p.toClient = append(p.toClient, w)
}

// release sends what has waited, while others publish.
func (p *peers) release(t *rapid.T) {
	for {
		id, again, ok := p.e.Next()
		if !ok {
			return
		}
		if len(p.inflight) < 12 && rapid.IntRange(0, 3).Draw(t, "others publish") == 0 {
			p.brokerPublishes(t)
		}
		if m := p.inflight[id]; m != nil && !m.released {
			if again != m.sent {
				t.Fatalf("message %d is next, sent before: %v, want %v", id, again, m.sent)
			}
			p.offer(t, id, true)
		}
	}
}

// prune takes a message from the broker that the client was never sent.
func (p *peers) prune(t *rapid.T) {
	for _, id := range inOrder(p.inflight) {
		if !p.inflight[id].sent && rapid.Bool().Draw(t, "this one") {
			delete(p.inflight, id)
			return
		}
	}
	t.Skip("there is none")
}

func (p *peers) withinLimits(t *rapid.T) {
	if len(p.window) > int(p.clientMax) {
		t.Fatalf("the client has %d messages outstanding and takes %d", len(p.window), p.clientMax)
	}
	for number, times := range p.seen {
		if times > 1 {
			t.Fatalf("the client has taken message %d %d times", number, times)
		}
	}
	for id := range p.asked {
		if p.inflight[id] != nil {
			t.Fatalf("identifier %d is in use twice", id)
		}
	}
}

func (p *peers) nothingIsLeft(t *rapid.T) {
	if len(p.sending)+len(p.asking)+len(p.received)+len(p.inflight)+len(p.window) > 0 {
		t.Fatalf("never completed: from the client %v and %v, to it %v and %v", p.sending, p.asking, p.inflight, p.received)
	}
	received, sent := p.e.Open()
	if len(received)+len(sent)+len(p.e.in.list)+len(p.e.held)+p.e.in.counted+p.e.out.counted > 0 || len(p.e.asked) > 0 {
		t.Fatalf("left over: received %v, sent %v, held %v, asked %v", received, sent, p.e.held, p.e.asked)
	}
}

// TestExchangeInBothDirectionsAtOnce is for the race detector.
func TestExchangeInBothDirectionsAtOnce(t *testing.T) {
	e := NewExchange(Level5, 10, 10)
	fromClient := func(h Header, body []byte) {
		if v := e.FromClient(h, body, 1000); v.ID == 1000 { // the broker answers at once
			e.FromServer(Header{Type: TypePubrec}, id(1000))
		}
		e.Next()
	}
	fromServer := func(h Header, body []byte) {
		e.FromServer(h, body)
		e.Open()
	}
	var wg sync.WaitGroup
	for _, from := range []func(Header, []byte){fromClient, fromServer} {
		wg.Go(func() {
			for n := range uint16(1000) {
				for _, typ := range []Type{TypePublish, TypePuback, TypePubrec, TypePubrel, TypePubcomp} {
					h := Header{Type: typ, Flags: typ.flags()}
					body := id(n%10 + 1)
					if typ == TypePublish {
						h.Flags, body = 0b0100, append(s("t"), body...)
					}
					from(h, body)
				}
			}
		})
	}
	wg.Wait()
}
