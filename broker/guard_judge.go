package broker

import (
	"encoding/binary"
	"errors"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
)

// errDenied ends the connection of an MQTT 3 client that published where it may
// not; see Config.CloseDenied.
var errDenied = errors.New("broker: a publish that is not allowed")

// judge decides what becomes of a packet that is well formed; n is the length of
// its header. It returns a *frame.Violation, or errDenied, for one that ends the
// connection.
func (g *guard) judge(h frame.Header, packet []byte, n int) error {
	switch h.Type {
	case frame.TypeConnect:
		return g.judgeConnect(h, packet)
	case frame.TypePublish:
		return g.judgePublish(h, packet, n)
	case frame.TypeDisconnect, frame.TypeAuth:
		g.pass(h, packet, n, 0)
		return nil
	case frame.TypePingreq:
		if err := g.takeRequest(h); err != nil {
			return err
		}
		g.pass(h, packet, n, 0)
		return nil
	case frame.TypeSubscribe, frame.TypeUnsubscribe:
		if err := g.takeRequest(h); err != nil {
			return err
		}
		return g.carryOut(g.exchange.Load().FromClient(h, packet[n:], g.identifier(h)), h, packet, n)
	default:
		return g.carryOut(g.exchange.Load().FromClient(h, packet[n:], g.identifier(h)), h, packet, n)
	}
}

// judgeConnect hands a CONNECT on.
func (g *guard) judgeConnect(h frame.Header, packet []byte) error {
	body := packet[len(packet)-h.Remaining:]
	view, err := frame.ParseConnect(body)
	if err != nil {
		return err
	}
	g.bridge = view.Bridge
	if most := min(view.TopicAliasMaximum, g.b.cfg.TopicAliases); most > 0 {
		g.out.mu.Lock()
		g.out.aliaser = frame.NewAliaser(most)
		g.out.mu.Unlock()
	}
	g.exchange.Store(frame.NewExchange(view.Version, view.ReceiveMaximum, g.b.cfg.ReceiveMaximum))
	g.toMochi.ready = packet
	h, body, changed := g.checker.Normalize(h, body)
	if h, body, g.padded = frame.Pad(h, body, &view); changed || g.padded != (frame.Padding{}) {
		g.toMochi.ready = append(h.Append(nil), body...)
	}
	return nil
}

// takePaddingOut gives a CONNECT that mochi has read the form that it had before
// the guard made mochi take it.
func (g *guard) takePaddingOut(pk *packets.Packet) {
	will := &g.client.Properties.Will
	if g.padded.WillPayload {
		pk.Connect.WillPayload, will.Payload = nil, nil
	}
	if g.padded.Password {
		pk.Connect.Password = nil
	}
	if g.padded.WillRetain {
		pk.Connect.WillRetain, will.Retain = true, true
	}
}

// judgePublish decides about a PUBLISH: first whether anybody may publish so fast
// and to such a topic, then whether this client may, and under which prefix. One
// that is denied does not come to mochi, which leaves some without an answer,
// disconnects MQTT 3 over others, and delivers yet others (v2.7.9).
func (g *guard) judgePublish(h frame.Header, packet []byte, n int) error {
	if !g.rate.take() {
		g.b.count.ratesExceeded.Add(1)
		return &frame.Violation{Code: codeMessageRate, Clause: "section 4.13.2", Text: "the client publishes faster than it may"}
	}
	g.received.messages.Add(1)
	if g.checker.Aliased() {
		h, packet, n = g.wholePublish(h, packet[n:])
	}
	body := packet[n:]
	topic := frame.Topic(h, body)
	if code := g.b.topicCode(topic); code != 0 {
		if isBridgeState(text(topic)) {
			code = packets.CodeSuccess.Code // dropped, as the will is
		}
		return g.carryOut(g.exchange.Load().Refuse(h, body, code), h, packet, n)
	}
	prefix, ok := g.session.mayPublish(text(topic))
	if !ok {
		g.b.count.publishesDenied.Add(1)
		g.b.countReceived(len(packet))
		if g.b.cfg.CloseDenied && g.checker.Version() != frame.Level5 {
			return errDenied
		}
		return g.carryOut(g.exchange.Load().Refuse(h, body, packets.ErrNotAuthorized.Code), h, packet, n)
	}
	if h.Remaining+len(prefix) > frame.MaxRemaining {
		return &frame.Violation{Code: packets.ErrPacketTooLarge.Code, Clause: "MQTT-3.2.2-15", Text: "the packet is too large with its prefix"}
	}
	var v frame.Verdict
	if h.QoS() > 0 {
		v = g.exchange.Load().FromClient(h, body, g.identifier(h))
	}
	if v.Action != frame.Pass {
		return g.carryOut(v, h, packet, n)
	}
	g.passPublish(h, packet, n, v.ID, prefix)
	return nil
}

// wholePublish returns a PUBLISH that came with a topic alias as it is without:
// nobody but the guard knows of aliases. It is good until the next one.
func (g *guard) wholePublish(h frame.Header, body []byte) (_ frame.Header, packet []byte, n int) {
	h, packet = g.checker.AppendWhole(g.toMochi.whole[:0], h, body)
	if g.toMochi.whole = packet; cap(packet) > keptBuffers*g.b.cfg.ReadBuffer {
		g.toMochi.whole = nil
	}
	return h, packet, h.Size
}

// countReceived counts a message that mochi is not given among those that it has
// received, which $SYS tells.
func (b *Broker) countReceived(size int) {
	info := b.srv.Info
	atomic.AddInt64(&info.PacketsReceived, 1)
	atomic.AddInt64(&info.MessagesReceived, 1)
	atomic.AddInt64(&info.BytesReceived, int64(size))
}

// text returns a part of a packet as a string, which shares its memory and is good
// until the next packet: the decision about a publish allocates nothing.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } // #nosec G103 -- nobody keeps it

// carryOut does what a verdict says about a packet.
func (g *guard) carryOut(v frame.Verdict, h frame.Header, packet []byte, n int) error {
	body := packet[n:]
	if v.Freed {
		defer g.release()
	}
	switch v.Action {
	case frame.Pass:
		if endsExchange(h, body) {
			g.session.queue.done(g.session, frame.PacketID(h, body))
		}
		g.pass(h, packet, n, v.ID)
	case frame.Answer:
		if h.Type == frame.TypePubrel {
			g.session.queue.receivedAll(g.session, frame.PacketID(h, body))
		}
		g.answer(v.Ack)
	case frame.Close:
		return v.Violation
	default: // Drop
	}
	return nil
}

// endsExchange reports whether a packet of the client is the last word on a
// message to it.
func endsExchange(h frame.Header, body []byte) bool {
	const refusals = 0x80
	switch h.Type {
	case frame.TypePuback, frame.TypePubcomp:
		return true
	case frame.TypePubrec:
		return frame.ReasonCode(h, body) >= refusals
	default:
		return false
	}
}

// identifier returns the packet identifier that a request is handed on with: one
// that mochi uses for nothing now, and will not use for anything before it has
// answered. It gives identifiers out in turn, so that is one half a turn away.
// There is always one: neither what the client may have under way nor what waits
// for it fills that half (maxInflight, maxReceive). It is 0 for other packets.
func (g *guard) identifier(h frame.Header) uint16 {
	switch h.Type {
	case frame.TypePublish:
		if h.QoS() == 0 {
			return 0
		}
	case frame.TypeSubscribe, frame.TypeUnsubscribe:
	default:
		return 0
	}
	for {
		g.turn = (g.turn + 1) % math.MaxInt16
		id := g.turn + 1
		if g.lastID.Load() <= math.MaxInt16 {
			id = math.MaxUint16 - g.turn
		}
		if _, used := g.client.State.Inflight.Get(id); !used {
			return id
		}
	}
}

// pass makes a packet ready for mochi, with another packet identifier if id is
// not 0.
func (g *guard) pass(h frame.Header, packet []byte, n int, id uint16) {
	body := packet[n:]
	if id != 0 {
		frame.SetPacketID(h, body, id)
	}
	g.toMochi.ready = packet
	if h, body, changed := g.checker.Normalize(h, body); changed {
		g.toMochi.ready = append(h.Append(nil), body...)
	}
}

// passPublish is pass for a PUBLISH, whose topic gets a prefix in front.
func (g *guard) passPublish(h frame.Header, packet []byte, n int, id uint16, prefix string) {
	body := packet[n:]
	if h.Retain() && !g.current.retains {
		g.current.retains = true
		g.b.retaining.Add(1)
	}
	if h.QoS() == 2 {
		g.current.received = frame.PacketID(h, body)
		g.toMochi.behind = frame.Ack{Type: frame.TypePubrel, PacketID: id}.Append(g.toMochi.pubrel[:0], frame.Level5)
	}
	g.awaitReceipt(h, body, prefix)
	if prefix == "" {
		g.pass(h, packet, n, id)
		return
	}
	frame.SetPacketID(h, body, id)
	g.prefix(h, body, prefix)
}

// prefix makes a PUBLISH ready with a prefix in front of its topic. What comes
// after that is not copied.
func (g *guard) prefix(h frame.Header, body []byte, prefix string) {
	const size = 2
	topic := int(binary.BigEndian.Uint16(body))
	h.Remaining += len(prefix)
	head := binary.BigEndian.AppendUint16(h.Append(g.toMochi.head[:0]), uint16(len(prefix)+topic)) // #nosec G115 -- both are bounded
	g.toMochi.head = append(head, prefix...)
	g.toMochi.ready, g.toMochi.rest = g.toMochi.head, body[size:]
}
