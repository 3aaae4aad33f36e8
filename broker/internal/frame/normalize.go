package frame

import "slices"

// Normalize returns a packet that has passed Check in the form to hand on: one
// that says the same and that mochi (v2.7.9) reads right. Nearly all packets
// come back as they are, with changed false; body is not changed, and is copied
// when it has to be different.
//
//   - DISCONNECT of MQTT 5 without a property length (E0 01 rc) gets one: mochi
//     overlooks the reason code of the short form, and with it the 0x04 that asks
//     for the will (section 3.14.2.2.1).
//   - The bit of bridges is taken out of the protocol level.
//   - Flags that mean nothing in MQTT 3.1, in the header and in CONNECT, are
//     cleared, and so are those of a user name or password that is not there.
//
// The header is to be written with Header.Append, which makes a Remaining Length
// that was longer than needed short.
func (c *Checker) Normalize(h Header, body []byte) (_ Header, _ []byte, changed bool) {
	changed = h.overlong()
	if flags := h.Type.flags(); h.Type != TypePublish && h.Flags != flags {
		h.Flags, changed = flags, true
	}
	switch {
	case h.Type == TypeDisconnect && len(body) == 1:
		body, changed = []byte{body[0], 0}, true
		h.Remaining = len(body)
	case h.Type == TypeConnect && (c.version == Level31 || IsBridge(c.named)):
		if view, err := ParseConnect(body); err == nil && (view.Bridge || view.flags != body[view.flagsAt]) {
			body, changed = slices.Clone(body), true
			body[view.flagsAt-1], body[view.flagsAt] = view.Version, view.flags
		}
	}
	return h, body, changed
}

// Padding says what Pad has changed in a CONNECT.
type Padding struct {
	WillPayload bool // was empty
	Password    bool // was empty
	WillRetain  bool // was set
}

// Pad gives a CONNECT, which says view, one of a zero byte where its will payload
// or password is empty. Both are legal empty, and an empty will is how a retained
// message is removed, but mochi (v2.7.9) refuses the CONNECT for either. It takes
// the Will Retain flag out, for which mochi refuses the CONNECT, too, when it is
// not the one that keeps retained messages. Who pads must see to it that the
// OnConnect hook gets all of it as it was.
func Pad(h Header, body []byte, view *Connect) (Header, []byte, Padding) {
	var did Padding
	did.WillPayload = view.HasWill && len(view.Will.Payload) == 0
	did.Password = view.HasPassword && view.passwordSize == 0
	did.WillRetain = view.HasWill && view.Will.Retain
	if did.WillRetain {
		body = slices.Clone(body)
		body[view.flagsAt] &^= flagWillRetain
	}
	if did.Password { // the later one first: the other's place stays
		body = padded(body, view.passwordAt)
	}
	if did.WillPayload {
		body = padded(body, view.willPayloadAt)
	}
	h.Remaining = len(body)
	return h, body, did
}

// padded returns body with a zero byte in the empty Binary Data at a place.
func padded(body []byte, at int) []byte {
	out := make([]byte, 0, len(body)+1)
	out = append(out, body[:at]...)
	out = append(out, 0, 1, 0)
	return append(out, body[at+2:]...)
}
