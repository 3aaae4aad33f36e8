package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
)

// errFault ends a connection for a fault of ours.
var errFault = errors.New("broker: a fault of the guard")

// ackBuffer is how many bytes of acknowledgements wait for each other at most.
const ackBuffer = 1 << 10

// Write sends packets of mochi to the client, in the form that it expects. p
// holds whole packets, as mochi writes them.
func (g *guard) Write(p []byte) (written int, err error) {
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	// Mochi writes in a goroutine of its own, too, where nobody else recovers.
	defer func() {
		if fault := recover(); fault != nil {
			g.b.logPanic(g.RemoteAddr(), fault)
			_ = g.Close()
			written, err = 0, errFault
		}
	}()
	accepted, whole := g.checker.Accepted(), len(p)
	var instead []byte // what goes in place of the packets before same
	same := 0          // where those begin that go as they are
	for at := 0; at < len(p); {
		h, n, err := frame.ParseHeader(p[at:])
		if err != nil || at+n+h.Remaining > len(p) {
			return 0, errors.New("broker: half a packet from mochi")
		}
		packet := p[at : at+n+h.Remaining]
		as, err := g.outgoing(h, packet, n)
		if err != nil {
			return 0, err
		}
		if h.Type == frame.TypePublish && len(as) > 0 {
			g.sent.messages.Add(1)
		}
		if h.Type == frame.TypePublish && !g.checker.Accepted() {
			g.out.early = append(g.out.early, as...)
			as = nil
		}
		next := at + len(packet)
		if len(as) != len(packet) || &as[0] != &packet[0] {
			instead = append(append(instead, p[same:at]...), as...)
			same = next
		}
		at = next
	}
	if same > 0 { // in one write
		p = append(instead, p[same:]...)
	}
	if err := g.write(p); err != nil {
		return 0, err
	}
	if !accepted && g.checker.Accepted() {
		g.sendHeld() // nobody could before CONNACK
	}
	if g.out.waiting { // whoever else would flush waits for the client
		return whole, g.flush()
	}
	return whole, nil
}

// outgoing returns what the client is sent for a packet of mochi, whose header
// has n bytes: the packet itself, another one, or nothing.
func (g *guard) outgoing(h frame.Header, packet []byte, n int) ([]byte, error) {
	if g.largest > 0 && len(packet) > g.largest { // [MQTT-3.1.2-24]
		return nil, g.leaveOut(h)
	}
	switch h.Type {
	case frame.TypePublish:
		if h.QoS() == 0 {
			return g.shorten(h, packet, n), nil
		}
	case frame.TypePingresp:
		return packet, nil
	case frame.TypeConnack:
		return g.connack(h, packet, n)
	default:
	}
	e := g.exchange.Load()
	if e == nil {
		return nil, errors.New("broker: a packet before CONNECT")
	}
	v := e.FromServer(h, packet[n:])
	switch v.Action {
	case frame.Drop, frame.Hold:
		if h.Type == frame.TypePublish { // mochi counts it as sent, and send does when it is
			atomic.AddInt64(&g.b.srv.Info.MessagesSent, -1)
		}
		return nil, nil
	case frame.Replace:
		return nil, g.receive(v.Ack)
	default:
	}
	if h.Type == frame.TypePubrel {
		g.session.queue.released(g.session, frame.PacketID(h, packet[n:]))
	}
	if v.First && h.Dup() {
		// Mochi marks all that waited for a session as sent again, also what the
		// client gets for the first time ([MQTT-3.3.1-1]).
		packet = bytes.Clone(packet)
		packet[0] &^= 0b1000
	}
	if v.ID != 0 {
		packet = bytes.Clone(packet)
		frame.SetPacketID(h, packet[n:], v.ID)
	}
	switch h.Type {
	case frame.TypePublish:
		packet = g.shorten(h, packet, n)
	case frame.TypeSuback, frame.TypeUnsuback, frame.TypeDisconnect: // they keep their place among the answers
		g.out.disconnected = h.Type == frame.TypeDisconnect // [MQTT-3.14.4-1]
		packet = append(g.out.acks[:len(g.out.acks):len(g.out.acks)], packet...)
		g.out.acks = g.out.acks[:0]
	default:
	}
	return packet, nil
}

// shorten returns a PUBLISH with a topic alias, if the client takes any and that is
// of use.
func (g *guard) shorten(h frame.Header, packet []byte, n int) []byte {
	if g.out.aliaser == nil {
		return packet
	}
	return g.out.aliaser.Shorten(h, packet, n, g.largest)
}

// leaveOut deals with a packet that is larger than the client takes. A message is
// dropped ([MQTT-3.1.2-25]); who cannot take an answer cannot be served.
func (g *guard) leaveOut(h frame.Header) error {
	if h.Type != frame.TypePublish {
		return errors.New("broker: the client takes no packet as large as its answer")
	}
	atomic.AddInt64(&g.b.srv.Info.MessagesDropped, 1)
	return nil
}

// connack returns a CONNACK from which MQTT 5 learns how large its packets may be
// (section 3.2.2.3.6) and how many topic aliases it may use (3.2.2.3.8), which mochi
// does not say, if it takes a CONNACK as large as that. What came too early for the
// client goes behind it.
func (g *guard) connack(h frame.Header, packet []byte, n int) ([]byte, error) {
	const flagsAndCode = 2
	body := packet[n:]
	if len(body) < flagsAndCode || body[1] != packets.CodeSuccess.Code {
		return packet, nil
	}
	g.checker.Accept()
	early := g.out.early
	g.out.early = nil
	if present := body[0] == 1; present {
		g.session.queue.arrange(g.session) // mochi sends what waits next
	}
	switch g.checker.Version() {
	case frame.Level31: // which has no Session Present
		packet = bytes.Clone(packet)
		packet[n] = 0
	case frame.Level5:
		size, sn := binary.Uvarint(body[flagsAndCode:])
		if sn <= 0 {
			return nil, errors.New("broker: CONNACK without properties")
		}
		properties := body[flagsAndCode+sn:]
		more := g.announced()
		out := binary.AppendUvarint(append([]byte(nil), body[:flagsAndCode]...), size+uint64(len(more)))
		out = append(append(out, properties...), more...)
		h.Remaining = len(out)
		if out = append(h.Append(nil), out...); g.largest == 0 || len(out) <= g.largest {
			packet = out
		}
	}
	if len(early) > 0 {
		packet = slices.Concat(packet, early)
	}
	return packet, nil
}

// announced returns the properties of CONNACK that mochi does not have.
func (g *guard) announced() []byte {
	const maximumPacketSize, topicAliasMaximum = 0x27, 0x22
	more := binary.BigEndian.AppendUint32([]byte{maximumPacketSize}, g.b.cfg.MaxPacketSize)
	if g.b.cfg.TopicAliases > 0 {
		more = binary.BigEndian.AppendUint16(append(more, topicAliasMaximum), g.b.cfg.TopicAliases)
	}
	return more
}

// answer sends the client what it gets instead of an answer of mochi.
func (g *guard) answer(a frame.Ack) {
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	_ = g.acknowledge(a) // a connection that is gone is noticed by the next Read
}

// acknowledge puts an acknowledgement with those that are sent when mochi has
// dealt with all that has come from the client: many in one write.
func (g *guard) acknowledge(a frame.Ack) error {
	if g.out.acks == nil {
		g.out.acks = make([]byte, 0, 64)
	}
	g.out.acks = a.Append(g.out.acks, g.checker.Version())
	if len(g.out.acks) >= ackBuffer {
		return g.flush()
	}
	return nil
}

// flush sends the acknowledgements.
func (g *guard) flush() error {
	if len(g.out.acks) == 0 || !g.checker.Accepted() {
		return nil
	}
	acks := g.out.acks
	g.out.acks = g.out.acks[:0]
	return g.write(acks)
}

// write writes each of bunches, if there is anything in it.
func (g *guard) write(bunches ...[]byte) error {
	for _, b := range bunches {
		if len(b) == 0 {
			continue
		}
		if _, err := g.conn.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// release sends the messages that waited for room or for their turn, as long as
// there is some. Those that do not wait any more, such as after a loss of rights,
// are passed over.
//
// It goes by mochi, which may leave what it writes in a buffer: then something
// else could come first.
func (g *guard) release() {
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	if g.checker.Accepted() { // else CONNACK is still on its way
		g.sendHeld()
	}
}

// sendHeld does what release is for. The caller holds mu.
func (g *guard) sendHeld() {
	for !g.client.Closed() && !g.out.disconnected {
		id, again, ok := g.exchange.Load().Next()
		if !ok {
			return
		}
		pk, waits := g.client.State.Inflight.Get(id)
		if !waits || pk.FixedHeader.Type != packets.Publish {
			continue
		}
		pk.FixedHeader.Dup = again
		if g.send(pk) != nil {
			return // which the reader notices
		}
		g.session.queue.markSent(g.session, &pk)
	}
}

// send writes a PUBLISH as Client.WritePacket does. The caller holds mu.
func (g *guard) send(pk packets.Packet) error {
	if pk.Expiry > 0 { // [MQTT-3.3.2-6]
		pk.Properties.MessageExpiryInterval = uint32(min(max(1, pk.Expiry-time.Now().Unix()), math.MaxUint32)) // #nosec G115 -- bounded
	}
	pk.ProtocolVersion = g.client.Properties.ProtocolVersion
	pk.Mods.AllowResponseInfo = true
	var buf bytes.Buffer
	if err := pk.PublishEncode(&buf); err != nil {
		return err
	}
	h, n, err := frame.ParseHeader(buf.Bytes())
	if err != nil {
		return err
	}
	as, err := g.outgoing(h, buf.Bytes(), n)
	if err == nil {
		err = g.write(as)
	}
	if err != nil {
		return err
	}
	g.sent.messages.Add(1)
	info := g.b.srv.Info
	atomic.AddInt64(&info.BytesSent, int64(len(as)))
	atomic.AddInt64(&info.PacketsSent, 1)
	atomic.AddInt64(&info.MessagesSent, 1)
	return nil
}

// refuse has mochi end the connection for err. A client that broke a rule is told
// why, as far as its version has a packet for that.
func (g *guard) refuse(h frame.Header, err error) error {
	g.refusing = true
	v, ok := errors.AsType[*frame.Violation](err)
	if !ok {
		return err
	}
	g.b.count.packetsRefused[v.Code].Add(1)
	g.reportPacket(h, v)
	final := g.finalPacket(h, v)
	if final != nil {
		_ = g.SetWriteDeadline(time.Now().Add(g.b.cfg.FinalTimeout)) // also unblocks who writes now
	}
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	_ = g.flush()
	_ = g.write(final)
	return errRefused
}

// finalPacket returns what a client that broke a rule is told: MQTT 5 the reason
// code in CONNACK or DISCONNECT (section 4.13), MQTT 3 two kinds of refusal of a
// CONNECT (section 3.2.2.3), and nothing else.
func (g *guard) finalPacket(h frame.Header, v *frame.Violation) []byte {
	version := g.checker.Version()
	switch {
	case h.Type == frame.TypeConnect && !g.checker.Connected():
		switch {
		case v.Code == packets.ErrUnsupportedProtocolVersion.Code && g.checker.Named() == 0:
			return nil // it is another protocol ([MQTT-3.1.2-1])
		case version == frame.Level5 || v.Code == packets.ErrUnsupportedProtocolVersion.Code && !readsLevel3(g.checker.Named()):
			return []byte{byte(frame.TypeConnack) << 4, 3, 0, v.Code, 0}
		case v.Code == packets.ErrUnsupportedProtocolVersion.Code, v.Code == packets.ErrClientIdentifierNotValid.Code:
			return []byte{byte(frame.TypeConnack) << 4, 2, 0, frame.ReturnCode(v.Code)}
		}
	case version == frame.Level5 && g.checker.Accepted():
		return []byte{byte(frame.TypeDisconnect) << 4, 2, v.Code, 0}
	}
	return nil
}

// readsLevel3 reports whether who names a level reads the CONNACK of MQTT 3, which
// has no room for properties: so does a bridge, which may come back without its bit.
func readsLevel3(level byte) bool {
	return level == frame.Level31 || level == frame.Level311 || frame.IsBridge(level)
}
