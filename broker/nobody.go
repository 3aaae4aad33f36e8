package broker

import (
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
)

// A PUBACK says when nobody subscribes to the topic (MQTT 5 section 3.4.2.1). Mochi
// writes it before it looks for subscribers, so the guard keeps it until mochi has
// dealt with the message.

// published is a message of QoS 1 of MQTT 5 that mochi deals with.
type published struct {
	topic  []byte // a part of its packet
	prefix string
	reads  uint64 // that had been judged, of anybody, when mochi got it
}

// awaitReceipt notes a message that mochi is about to get, if it is of that kind.
func (g *guard) awaitReceipt(h frame.Header, body []byte, prefix string) {
	if h.QoS() != 1 || g.checker.Version() != frame.Level5 {
		return
	}
	g.current.published = published{frame.Topic(h, body), prefix, g.b.reads.Load()}
	g.out.mu.Lock()
	g.out.awaited = frame.PacketID(h, body)
	g.out.mu.Unlock()
}

// receive takes a PUBACK or PUBREC of mochi. One that waits for what becomes of its
// message is kept. The caller holds mu.
func (g *guard) receive(a frame.Ack) error {
	if a.Type == frame.TypePuback && a.Code == packets.CodeSuccess.Code && a.PacketID == g.out.awaited {
		g.out.receipt = a
		return nil
	}
	return g.acknowledge(a)
}

// sendReceipt sends what was kept. Mochi has dealt with the message.
func (g *guard) sendReceipt() {
	nobody := g.nobodySubscribes()
	g.current.published = published{}
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	a := g.out.receipt
	g.out.awaited, g.out.receipt = 0, frame.Ack{}
	if a.PacketID == 0 {
		return // it waits in a buffer of mochi, and goes as it is
	}
	if nobody {
		a.Code = packets.CodeNoMatchingSubscribers.Code
	}
	_ = g.acknowledge(a)
}

// nobodySubscribes reports whether nobody does to the topic of the message. Whoever
// does was judged meanwhile, so nearly always there is nothing to look up.
func (g *guard) nobodySubscribes() bool {
	p := &g.current.published
	if p.reads != g.b.reads.Load() {
		return false
	}
	all := g.b.srv.Topics.Subscribers(p.prefix + string(p.topic))
	return len(all.Subscriptions)+len(all.Shared) == 0 // No Local: it subscribes itself
}
