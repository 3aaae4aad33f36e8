package main

import (
	"encoding/binary"
	"fmt"
)

// The packets that the load is made of. Versions are protocol levels: 4 is MQTT
// 3.1.1, 5 is MQTT 5.

// Packet types, in the upper half of the first byte (MQTT 5 section 2.1.2).
const (
	typeConnack  = 2
	typePublish  = 3
	typePuback   = 4
	typeSuback   = 9
	typePingresp = 13
)

// credentials are what a client signs in with.
type credentials struct{ username, password string }

// appendConnect appends a CONNECT that starts a session which ends with its
// connection.
func appendConnect(b []byte, version byte, clientID string, who credentials) []byte {
	const cleanStart, password, username = 1 << 1, 1 << 6, 1 << 7
	const keepAlive = 300 // seconds; no run is idle for longer
	body := appendText(nil, "MQTT")
	body = append(body, version, cleanStart|password|username)
	body = binary.BigEndian.AppendUint16(body, keepAlive)
	body = appendNoProperties(body, version)
	body = appendText(body, clientID)
	body = appendText(body, who.username)
	body = appendText(body, who.password)
	return appendPacket(b, 0x10, body)
}

// appendPublish appends a PUBLISH; id counts from QoS 1 on.
func appendPublish(b []byte, version byte, topic string, qos byte, id uint16, payload []byte) []byte {
	body := appendText(nil, topic)
	if qos > 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	body = appendNoProperties(body, version)
	body = append(body, payload...)
	return appendPacket(b, typePublish<<4|qos<<1, body)
}

// appendSubscribe appends a SUBSCRIBE for one filter.
func appendSubscribe(b []byte, version byte, id uint16, filter string, qos byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	body = appendNoProperties(body, version)
	body = appendText(body, filter)
	body = append(body, qos)
	return appendPacket(b, 0x82, body)
}

// appendPuback appends a PUBACK that says success.
func appendPuback(b []byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, typePuback<<4, 2), id)
}

func appendPingreq(b []byte) []byte { return append(b, 0xC0, 0) }

func appendDisconnect(b []byte) []byte { return append(b, 0xE0, 0) }

// appendPacket appends a packet with its Remaining Length.
func appendPacket(b []byte, first byte, body []byte) []byte {
	b = append(b, first)
	return append(binary.AppendUvarint(b, uint64(len(body))), body...) // the same encoding as section 1.5.5
}

// appendText appends a UTF-8 Encoded String (section 1.5.4).
func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s))) // #nosec G115 -- all are our own, and short
	return append(b, s...)
}

func appendNoProperties(b []byte, version byte) []byte {
	if version >= 5 {
		return append(b, 0)
	}
	return b
}

// packet is one that came.
type packet struct {
	first byte
	body  []byte // until the next one is read
}

func (p packet) kind() byte { return p.first >> 4 }

// acked returns which packet identifier a PUBACK or SUBACK is for, and the reason
// code of a PUBACK.
func (p packet) acked() (id uint16, reason byte, err error) {
	if len(p.body) < 2 {
		return 0, 0, fmt.Errorf("packet %#02x is too short", p.first)
	}
	if len(p.body) > 2 {
		reason = p.body[2]
	}
	return binary.BigEndian.Uint16(p.body), reason, nil
}

// message returns what a PUBLISH carries.
func (p packet) message(version byte) (id uint16, payload []byte, err error) {
	rest := p.body
	skip := func(n int) {
		if n > len(rest) {
			rest, err = nil, fmt.Errorf("packet %#02x is too short", p.first)
			return
		}
		rest = rest[n:]
	}
	if len(rest) < 2 {
		return 0, nil, fmt.Errorf("packet %#02x is too short", p.first)
	}
	skip(2 + int(binary.BigEndian.Uint16(rest)))
	if p.first>>1&3 > 0 && len(rest) >= 2 {
		id = binary.BigEndian.Uint16(rest)
		skip(2)
	}
	if version >= 5 {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)) {
			return 0, nil, fmt.Errorf("packet %#02x has malformed properties", p.first)
		}
		skip(size + int(n)) // #nosec G115 -- at most len(rest)
	}
	return id, rest, err
}
