package frame

import (
	"encoding/binary"
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
	Hold                  // keep it, and offer it again when Verdict.Freed is set
	Close                 // close the connection for Verdict.Violation
)

// Verdict is what Exchange says about a packet.
type Verdict struct {
	Action    Action
	Ack       Ack        // for Answer and Replace
	Freed     bool       // the client can take one more PUBLISH of QoS 1 or 2
	Violation *Violation // for Close
}

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP.
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
// It stands in for the broker where mochi (v2.7.9) cannot keep the two
// directions apart, having one table of packet identifiers for both. An
// acknowledgement that mochi would take for one of the other direction does not
// reach it. When a client gives a message the identifier of one on its way to
// it, which it may, mochi forgets the latter; Exchange sees that one through to
// its end, but nobody will send it again should the connection break.
//
// A message that the broker never answers counts until the connection ends.
//
// Both methods may be called at the same time. An idle Exchange holds no memory
// of its own; an open message takes four bytes.
type Exchange struct {
	version byte
	outMax  int // what the client takes
	inMax   int // what we take

	mu  sync.Mutex
	out flights // messages to the client
	in  flights // messages from the client
}

// NewExchange returns the Exchange of a connection of the given protocol level.
// clientMax is the client's Receive Maximum (Connect.ReceiveMaximum), or less;
// serverMax is the one that CONNACK announces. They hold at level 3 and 4, too,
// where nobody announces anything: as limits on memory.
func NewExchange(version byte, clientMax, serverMax uint16) *Exchange {
	return &Exchange{version: version, outMax: int(clientMax), inMax: int(serverMax)}
}

// FromClient judges a packet of the client that has passed Check.
func (e *Exchange) FromClient(h Header, body []byte) Verdict {
	if h.Type == TypePublish && h.QoS() == 0 {
		return Verdict{}
	}
	id := PacketID(h, body)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch h.Type {
	case TypePublish:
		return e.publishIn(h.QoS(), id)
	case TypePuback:
		return e.pubackIn(id)
	case TypePubrec:
		return e.pubrecIn(id, ReasonCode(h, body))
	case TypePubrel:
		return e.pubrelIn(id, ReasonCode(h, body))
	case TypePubcomp:
		return e.pubcompIn(id)
	default:
		return Verdict{}
	}
}

// publishIn judges a PUBLISH of QoS 1 or 2 from the client.
func (e *Exchange) publishIn(qos byte, id uint16) Verdict {
	open := e.in.find(id)
	switch {
	case open == nil && e.in.counted >= e.inMax:
		return e.close(codeReceiveMaximum, clause{"MQTT-3.3.4-7", "MQTT-4.8.0-1"}, "the client has more messages outstanding than it may")
	case open == nil:
		e.in.add(id, awaiting(qos), true)
		return Verdict{}
	case open.stage == awaiting(qos):
		// Sent again before it was answered: the broker answers both, in turn.
		return Verdict{}
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

// shadowed reports whether mochi's entry for id is that of a message from the
// client, whatever there is on its way to it: such a message always came second,
// and pushed the other out.
func (e *Exchange) shadowed(id uint16) bool { return e.in.find(id) != nil }

// pubackIn judges a PUBACK from the client.
func (e *Exchange) pubackIn(id uint16) Verdict {
	open := e.out.find(id)
	switch {
	case open == nil:
		// No clause says what to do, and PUBACK has no answer. It is not handed
		// on: mochi would end an exchange of the other direction with it.
		return Verdict{Action: Drop}
	case open.stage != awaitPuback:
		return e.outOfOrder("PUBACK", open.stage)
	}
	return e.complete(id)
}

// complete ends the exchange of a message to the client.
func (e *Exchange) complete(id uint16) Verdict {
	v := Verdict{Freed: e.out.remove(id)}
	if e.shadowed(id) {
		v.Action = Drop
	}
	return v
}

// pubrecIn judges a PUBREC from the client.
func (e *Exchange) pubrecIn(id uint16, code byte) Verdict {
	open := e.out.find(id)
	switch {
	case open == nil && e.shadowed(id):
		// Unknown, but mochi would take it for the other direction. Section
		// 3.6.2.1 has the answer; 3.1.1 has a PUBREL for every PUBREC
		// ([MQTT-4.3.3-1]).
		return answer(TypePubrel, id, codePacketIDNotFound)
	case open == nil:
		return Verdict{} // mochi answers the same
	case open.stage == awaitPubrec && code >= 0x80:
		// MQTT-4.3.3-4: no PUBREL follows; section 4.9: the quota is free again.
		return e.complete(id)
	case open.stage == awaitPubrec && e.shadowed(id):
		open.stage = awaitPubcomp
		return answer(TypePubrel, id, codeSuccess)
	case open.stage == awaitPubrec:
		open.stage = owePubrel
		return Verdict{}
	case open.stage == owePubrel && code < 0x80:
		return Verdict{Action: Drop} // the PUBREL is on its way
	case open.stage == awaitPubcomp && code < 0x80:
		// MQTT-4.3.3-4: PUBREL again. Not by mochi, which would count the PUBREC
		// against what the client may send.
		return answer(TypePubrel, id, codeSuccess)
	default:
		return e.outOfOrder("PUBREC", open.stage)
	}
}

// pubrelIn judges a PUBREL from the client.
func (e *Exchange) pubrelIn(id uint16, code byte) Verdict {
	open := e.in.find(id)
	switch {
	case open == nil && e.out.find(id) != nil:
		// Unknown, but mochi would drop the message of the other direction.
		// Section 3.7.2.1; 3.1.1: [MQTT-4.3.3-2] has a PUBCOMP for every PUBREL.
		return answer(TypePubcomp, id, codePacketIDNotFound)
	case open == nil:
		return Verdict{} // mochi answers the same, or knows it from before
	case open.stage != awaitPubrel:
		return e.outOfOrder("PUBREL", owePubrel)
	case code != codeSuccess:
		// MQTT-4.3.3-11: PUBCOMP answers it whatever its code; mochi's does not.
		return replace(TypePubrel, id, codeSuccess)
	}
	return Verdict{}
}

// pubcompIn judges a PUBCOMP from the client.
func (e *Exchange) pubcompIn(id uint16) Verdict {
	open := e.out.find(id)
	switch {
	case open == nil:
		// As for PUBACK. It also is the last word on a PUBREL with 0x92.
		return Verdict{Action: Drop}
	case open.stage != awaitPubcomp:
		return e.outOfOrder("PUBCOMP", open.stage)
	}
	return e.complete(id)
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
