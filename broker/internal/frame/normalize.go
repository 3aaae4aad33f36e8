package frame

import (
	"encoding/binary"
	"slices"
)

// Normalize returns a packet that has passed Check in the form to hand on: one
// that says the same and that mochi (v2.7.9) reads right. Nearly all packets
// come back as they are; body is not changed, and is copied when it has to be
// different.
//
//   - DISCONNECT of MQTT 5 without a property length (E0 01 rc) gets one: mochi
//     overlooks the reason code of the short form, and with it the 0x04 that asks
//     for the will (section 3.14.2.2.1).
//   - Flags that mean nothing in MQTT 3.1, in the header and in CONNECT, are
//     cleared, and so are those of a user name or password that is not there.
//
// The header is to be written with Header.Append, which makes a Remaining Length
// that was longer than needed short.
func (c *Checker) Normalize(h Header, body []byte) (Header, []byte) {
	if h.Type != TypePublish {
		h.Flags = h.Type.flags()
	}
	switch {
	case h.Type == TypeDisconnect && len(body) == 1:
		body = []byte{body[0], 0}
		h.Remaining = len(body)
	case h.Type == TypeConnect && c.version == Level31:
		if view, err := ParseConnect(body); err == nil && view.flags != body[view.flagsAt] {
			body = slices.Clone(body)
			body[view.flagsAt] = view.flags
		}
	}
	return h, body
}

// PadWill gives a CONNECT whose will has an empty payload a payload of one zero
// byte, and reports whether it did. An empty payload is legal, and how a
// retained message is removed, but mochi (v2.7.9) refuses the CONNECT for it.
// Who pads must see to it that the will is emptied again before it can be sent:
// by setting Client.Properties.Will.Payload in the OnConnect hook.
func PadWill(h Header, body []byte) (Header, []byte, bool) {
	if h.Type != TypeConnect {
		return h, body, false
	}
	view, err := ParseConnect(body)
	if err != nil || !view.HasWill || len(view.Will.Payload) > 0 {
		return h, body, false
	}
	padded := make([]byte, 0, len(body)+1)
	padded = append(padded, body[:view.willPayloadAt]...)
	padded = binary.BigEndian.AppendUint16(padded, 1)
	padded = append(padded, 0)
	padded = append(padded, body[view.willPayloadAt+2:]...)
	h.Remaining = len(padded)
	return h, padded, true
}
