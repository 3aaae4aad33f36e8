package frame

import "encoding/binary"

// PacketID returns the packet identifier of a packet, in either direction, and
// 0 for one that has none. The packet has to be well formed for the answer to
// mean anything; no body makes it panic.
func PacketID(h Header, body []byte) uint16 {
	at, ok := packetIDAt(h, body)
	if !ok {
		return 0
	}
	return binary.BigEndian.Uint16(body[at:])
}

// SetPacketID gives a packet another packet identifier, if it has one.
func SetPacketID(h Header, body []byte, id uint16) {
	if at, ok := packetIDAt(h, body); ok {
		binary.BigEndian.PutUint16(body[at:], id)
	}
}

// packetIDAt returns where in the body the packet identifier lies.
func packetIDAt(h Header, body []byte) (at int, ok bool) {
	switch h.Type {
	case TypePublish:
		if h.QoS() == 0 || len(body) < 2 {
			return 0, false
		}
		at = 2 + int(binary.BigEndian.Uint16(body))
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp,
		TypeSubscribe, TypeSuback, TypeUnsubscribe, TypeUnsuback:
	default:
		return 0, false
	}
	return at, at+2 <= len(body)
}

// Topic returns the topic of a PUBLISH, as a part of body; it is empty when a
// topic alias stands for it. It returns nil for other packets.
func Topic(h Header, body []byte) []byte {
	if h.Type != TypePublish || len(body) < 2 {
		return nil
	}
	n := 2 + int(binary.BigEndian.Uint16(body))
	if n > len(body) {
		return nil
	}
	return body[2:n:n]
}

// ReasonCode returns the reason code of a PUBACK, PUBREC, PUBREL, PUBCOMP,
// DISCONNECT or AUTH: 0, Success, when it was left out, as it is below level 5,
// and for other packets.
func ReasonCode(h Header, body []byte) byte {
	at := 0
	switch h.Type {
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp:
		at = 2
	case TypeDisconnect, TypeAuth:
	default:
		return codeSuccess
	}
	if at >= len(body) {
		return codeSuccess
	}
	return body[at]
}
