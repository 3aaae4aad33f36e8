package frame

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
)

// Action says what to do with a packet.
type Action uint8

// What to do with a packet. The sender is the client for FromClient and the
// broker for FromServer.
const (
	Pass    Action = iota // hand it on
	Drop                  // forget it
	Answer                // forget it and send Verdict.Ack back to the sender
	Replace               // hand Verdict.Ack on in its place
	Hold                  // forget it: Next names it when its time has come
	Close                 // close the connection for Verdict.Violation
)

// Verdict is what Exchange says about a packet.
type Verdict struct {
	Action    Action
	Ack       Ack        // for Answer and Replace
	ID        uint16     // for Pass: the packet identifier to hand it on with; 0: its own
	First     bool       // for Pass: a PUBLISH that the client has never been sent
	Freed     bool       // the client can take one more PUBLISH of QoS 1 or 2
	Violation *Violation // for Close
}

// Ack is an answer that consists of a packet identifier and a reason code:
// PUBACK, PUBREC, PUBREL or PUBCOMP.
type Ack struct {
	Type     Type
	PacketID uint16
	Code     byte // not sent below level 5
}

// Append appends the packet as a client of the given level expects it, or as a
// broker that speaks to one does.
func (a Ack) Append(b []byte, version byte) []byte {
	h := Header{Type: a.Type, Flags: a.Type.flags(), Remaining: 2}
	if version == Level5 && a.Code != codeSuccess {
		h.Remaining = 3
	}
	b = binary.BigEndian.AppendUint16(h.Append(b), a.PacketID)
	if h.Remaining == 3 {
		b = append(b, a.Code)
	}
	return b
}

// Exchange follows the exchanges of QoS 1 and 2 messages on one connection, in
// both directions, and refuses what no single packet shows to be wrong. It sees
// every packet: those of the client after Check, those of the broker before
// they are sent.
//
// It stands in for the broker where mochi (v2.7.9) is wrong:
//
//   - Mochi has one table of packet identifiers for both directions, so that a
//     message from the client pushes one to the client out. Here a request of the
//     client (PUBLISH, SUBSCRIBE, UNSUBSCRIBE) goes to the broker under another
//     identifier, which the caller has from the broker itself, and the answer
//     comes back under the client's.
//   - Messages of QoS 2 from the client are acknowledged to their end by mochi at
//     once: whoever hands a PUBLISH of QoS 2 on hands a PUBREL on behind it. What
//     remembers that a message was received until the client releases it is the
//     Exchange.
//   - Mochi freezes over a client's Receive Maximum and is told of none. The
//     Exchange holds messages back instead; see Next.
//
// The broker has to answer requests in their order; mochi does. Both directions
// may be judged at the same time. An idle Exchange holds no memory of its own; an
// open message takes four bytes.
type Exchange struct {
	version byte
	outMax  int // what the client takes
	inMax   int // what we take

	mu    sync.Mutex
	out   flights   // to the client, by the identifiers of the broker
	in    flights   // from the client, by the client's
	asked []request // what the broker has not answered, oldest first
	held  []uint16  // to the client, waiting for room, oldest first
	due   uint16    // taken from held, and about to come from the broker again

	resumed   bool                // what the broker sends again is named by Next
	resending bool                // that is not known yet
	seen      []uint16            // what the broker has sent meanwhile
	twice     map[uint16]struct{} // what it will send, and must not
	since     int                 // messages since Resent, while there is something in twice
}

// request is a packet of the client that the broker has to answer.
type request struct {
	typ       Type
	qos       byte
	id        uint16 // the client's identifier
	as        uint16 // the one it was handed on with
	dealtWith bool
}

// NewExchange returns the Exchange of a connection of the given protocol level.
// clientMax is the client's Receive Maximum (Connect.ReceiveMaximum), or less;
// serverMax is the one that CONNACK announces. They hold at level 3 and 4, too,
// where nobody announces anything: as limits on memory.
func NewExchange(version byte, clientMax, serverMax uint16) *Exchange {
	return &Exchange{version: version, outMax: int(clientMax), inMax: int(serverMax)}
}

// Resume goes on with what an earlier connection of the session left open, which
// counts against no Receive Maximum (section 4.9). The earlier one must be over.
func (e *Exchange) Resume(earlier *Exchange) { e.Restore(earlier.Open()) }

// Resending says that the broker is about to send what has waited for the session,
// with the DUP flag set. None of that is passed, nor anything new: Resent tells
// what has to go in what order ([MQTT-4.6.0-6]), and Next names it.
func (e *Exchange) Resending() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.resumed, e.resending = true, true
}

// Resent says which messages wait, oldest first. The broker will send those of
// late, which came since Resending, by itself as well, unless it has done so: that
// is dropped.
func (e *Exchange) Resent(waiting, late []uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = append(e.held, waiting...)
	for _, id := range late {
		if slices.Contains(e.seen, id) {
			continue
		}
		if e.twice == nil {
			e.twice = make(map[uint16]struct{})
		}
		e.twice[id] = struct{}{}
	}
	e.resending, e.seen, e.since = false, nil, 0
}

// Late has Next name a message that the broker does not send by itself.
func (e *Exchange) Late(id uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = append(e.held, id)
}

// double reports whether the broker sends a message that Next names, or has
// named, besides.
func (e *Exchange) double(id uint16, again bool) bool {
	switch {
	case id == e.due:
		return false
	case again:
		return e.resumed
	case e.resending:
		e.seen = append(e.seen, id)
		return true
	case len(e.twice) == 0:
		return false
	}
	// One that does not come after all is forgotten before the broker has given
	// out all identifiers once more.
	if e.since++; e.since > math.MaxInt16 {
		e.twice = nil
	}
	_, ok := e.twice[id]
	delete(e.twice, id)
	return ok
}

// HasReceived reports whether a message of QoS 2 with that identifier was
// received from the client, which has not released it.
func (e *Exchange) HasReceived(id uint16) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.in.find(id)
	return f != nil && f.stage == awaitPubrel
}

// Sent is a message that the client was sent and has not answered to the end.
type Sent struct {
	ID    uint16
	stage stage
}

// Open returns what a session has to remember of its connection: the identifiers
// of QoS 2 messages that were received and not released, and the messages that
// were sent and not acknowledged.
func (e *Exchange) Open() (received []uint16, sent []Sent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.in.list {
		if f.stage == awaitPubrel {
			received = append(received, f.id)
		}
	}
	for _, r := range e.asked {
		if r.qos == 2 && r.dealtWith {
			received = append(received, r.id)
		}
	}
	for _, f := range e.out.list {
		sent = append(sent, Sent{f.id, f.stage})
	}
	return received, sent
}

// Restore opens what was written down of a session before a restart. Of what a
// client never finishes, it goes on with so much.
func (e *Exchange) Restore(received []uint16, sent []Sent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range received {
		if e.in.find(id) == nil && len(e.in.list) < e.inMax+spare {
			e.in.add(id, awaitPubrel, false)
		}
	}
	for _, o := range sent {
		if e.out.find(o.ID) == nil && len(e.out.list) < e.outMax+spare {
			e.out.add(o.ID, o.stage, false)
		}
	}
}

// SentPublish and SentPubrel say how far a message was, for Restore.
func SentPublish(id uint16, qos byte) Sent { return Sent{id, awaiting(qos)} }

// SentPubrel is a message for which PUBREL was sent last.
func SentPubrel(id uint16) Sent { return Sent{id, awaitPubcomp} }

// FromClient judges a packet of the client that has passed Check. as is the
// identifier that a request is handed on with; it must not be in use in the
// broker.
func (e *Exchange) FromClient(h Header, body []byte, as uint16) Verdict {
	if h.Type == TypePublish && h.QoS() == 0 {
		return Verdict{}
	}
	id := PacketID(h, body)
	if id == 0 {
		return Verdict{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch h.Type {
	case TypePublish:
		return e.publishIn(h.QoS(), id, as)
	case TypeSubscribe, TypeUnsubscribe:
		return e.subscribeIn(h.Type, id, as)
	case TypePuback:
		return e.pubackIn(id)
	case TypePubrec:
		return e.pubrecIn(id, ReasonCode(h, body))
	case TypePubrel:
		return e.pubrelIn(id)
	case TypePubcomp:
		return e.pubcompIn(id)
	default:
		return Verdict{}
	}
}

// Settle says that the broker has dealt with every packet it was handed: if its
// answer is lost with the connection, a message of QoS 2 has been received.
func (e *Exchange) Settle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.asked {
		e.asked[i].dealtWith = true
	}
}

// Refuse judges a PUBLISH that the broker shall not see. MQTT 5 is told code. A
// client of level 3 or 4 can only be told that it has arrived ([MQTT-3.3.5-2]).
func (e *Exchange) Refuse(h Header, body []byte, code byte) Verdict {
	if h.QoS() == 0 {
		return Verdict{Action: Drop}
	}
	id := PacketID(h, body)
	e.mu.Lock()
	defer e.mu.Unlock()
	v := e.publishIn(h.QoS(), id, id)
	if v.Action != Pass {
		return v
	}
	e.asked = e.asked[:len(e.asked)-1]
	switch {
	case h.QoS() == 1:
		e.in.remove(id)
		return answer(TypePuback, id, code)
	case e.version == Level5: // MQTT-4.3.3-9: the identifier is free again
		e.in.remove(id)
		return answer(TypePubrec, id, code)
	default:
		e.in.find(id).stage = awaitPubrel
		return answer(TypePubrec, id, codeSuccess)
	}
}

// publishIn judges a PUBLISH of QoS 1 or 2 from the client.
func (e *Exchange) publishIn(qos byte, id, as uint16) Verdict {
	open := e.in.find(id)
	switch {
	case open == nil && e.in.counted >= e.inMax:
		return e.close(codeReceiveMaximum, clause{"MQTT-3.3.4-7", "MQTT-4.8.0-1"}, "the client has more messages outstanding than it may")
	case open == nil:
		e.in.add(id, awaiting(qos), true)
		e.asked = append(e.asked, request{typ: TypePublish, qos: qos, id: id, as: as})
		return Verdict{ID: as}
	case open.stage == awaiting(qos):
		return Verdict{Action: Drop} // sent again before it was answered, which it will be
	case open.stage == awaitPubrel && qos == 2:
		// MQTT-4.3.3-10: until PUBREL, the same identifier means the same
		// message; it is acknowledged and not delivered again. (3.1.1: section
		// 4.3.3.) Mochi would answer 0x91.
		return answer(TypePubrec, id, codeSuccess)
	case e.version != Level5:
		return e.close(codeProtocolError, clause{v3: "MQTT-2.3.1-2"}, "the packet identifier is in use")
	case qos == 1: // MQTT-2.2.1-3, and section 3.4.2.1 for the answer
		return answer(TypePuback, id, codePacketIDInUse)
	default: // section 3.5.2.1
		return answer(TypePubrec, id, codePacketIDInUse)
	}
}

// subscribeIn judges a SUBSCRIBE or UNSUBSCRIBE. Its identifier may be that of an
// open message, too: mochi would answer 0x91, and other brokers do not care.
func (e *Exchange) subscribeIn(t Type, id, as uint16) Verdict {
	if len(e.asked) >= e.inMax+spare {
		return e.close(codeQuotaExceeded, clause{"section 4.13.2", "MQTT-4.8.0-1"}, "the client asks faster than it is answered")
	}
	e.asked = append(e.asked, request{typ: t, id: id, as: as})
	return Verdict{ID: as}
}

// pubackIn judges a PUBACK from the client.
func (e *Exchange) pubackIn(id uint16) Verdict {
	open := e.out.find(id)
	switch {
	case open == nil:
		return Verdict{Action: Drop} // no clause says what to do, and PUBACK has no answer
	case open.stage != awaitPuback:
		return e.outOfOrder("PUBACK", open.stage)
	}
	return Verdict{Freed: e.out.remove(id)}
}

// pubrecIn judges a PUBREC from the client.
func (e *Exchange) pubrecIn(id uint16, code byte) Verdict {
	open := e.out.find(id)
	switch {
	case open == nil && code >= 0x80:
		return Verdict{Action: Drop} // as below for a message that is open
	case open == nil:
		// Section 3.6.2.1 has the answer; 3.1.1 has a PUBREL for every PUBREC
		// ([MQTT-4.3.3-1]).
		return answer(TypePubrel, id, codePacketIDNotFound)
	case open.stage == awaitPubrec && code >= 0x80:
		// MQTT-4.3.3-4: no PUBREL follows; section 4.9: the quota is free again.
		return Verdict{Freed: e.out.remove(id)}
	case open.stage == awaitPubrec:
		open.stage = owePubrel
		return Verdict{}
	case open.stage == owePubrel && code < 0x80:
		return Verdict{Action: Drop} // the PUBREL is on its way
	case open.stage == awaitPubcomp && code < 0x80:
		return answer(TypePubrel, id, codeSuccess) // MQTT-4.3.3-4: once more
	default:
		return e.outOfOrder("PUBREC", open.stage)
	}
}

// pubrelIn judges a PUBREL from the client. None reaches the broker.
func (e *Exchange) pubrelIn(id uint16) Verdict {
	open := e.in.find(id)
	switch {
	case open == nil:
		// Section 3.7.2.1; 3.1.1: [MQTT-4.3.3-2] has a PUBCOMP for every PUBREL.
		return answer(TypePubcomp, id, codePacketIDNotFound)
	case open.stage != awaitPubrel:
		return e.outOfOrder("PUBREL", owePubrel)
	}
	e.in.remove(id)
	return answer(TypePubcomp, id, codeSuccess) // MQTT-4.3.3-11: whatever its code
}

// pubcompIn judges a PUBCOMP from the client.
func (e *Exchange) pubcompIn(id uint16) Verdict {
	open := e.out.find(id)
	switch {
	case open == nil:
		return Verdict{Action: Drop} // as for PUBACK; it also is the last word on a PUBREL with 0x92
	case open.stage != awaitPubcomp:
		return e.outOfOrder("PUBCOMP", open.stage)
	}
	return Verdict{Freed: e.out.remove(id)}
}

// awaiting is the stage that a PUBLISH of QoS 1 or 2 begins with.
func awaiting(qos byte) stage {
	if qos == 1 {
		return awaitPuback
	}
	return awaitPubrec
}

func answer(t Type, id uint16, code byte) Verdict {
	return Verdict{Action: Answer, Ack: Ack{Type: t, PacketID: id, Code: code}}
}

// outOfOrder closes for an acknowledgement that is none of what the exchange
// awaits.
func (e *Exchange) outOfOrder(packet string, s stage) Verdict {
	cited := clause{"MQTT-4.3.3-8", "MQTT-4.3.3-2"} // QoS 2: PUBLISH, then PUBREC
	switch s {
	case awaitPuback: // QoS 1: PUBLISH, then PUBACK
		cited = clause{"MQTT-4.3.2-4", "MQTT-4.3.2-2"}
	case owePubrel: // PUBREC, then PUBREL
		cited = clause{"MQTT-4.3.3-4", "MQTT-4.3.3-1"}
	case awaitPubcomp: // PUBREL, then PUBCOMP
		cited = clause{"MQTT-4.3.3-11", "MQTT-4.3.3-2"}
	default:
	}
	return e.close(codeProtocolError, cited, packet+" for a message that awaits something else")
}

func (e *Exchange) close(code byte, cited clause, text string) Verdict {
	return Verdict{Action: Close, Violation: violation(e.version, code, cited, text)}
}
