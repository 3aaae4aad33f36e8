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
