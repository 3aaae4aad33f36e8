package frame

// disconnect checks a DISCONNECT (section 3.14). Below level 5 it is empty,
// which is checked with the header.
func (c *Checker) disconnect(r *reader) {
	// Reason code and property length may be left out, the latter alone too
	// (sections 3.14.2.1 and 3.14.2.2.1).
	if len(r.b) > 0 {
		c.disconnectReason(r)
	}
	r.end()
	c.disconnected = r.bad == nil
}

// disconnectReason reads the reason code and the properties behind it.
func (c *Checker) disconnectReason(r *reader) {
	if code := r.byte("the reason code"); !clientReason(code) {
		r.fail(codeProtocolError, clause{v5: "MQTT-3.14.2-1"}, "the reason code is none of a client's DISCONNECT")
	}
	if len(r.b) == 0 {
		return
	}
	p := r.properties(inDisconnect)
	if p.sessionExpiry > 0 && c.sessionExpiry == 0 {
		r.fail(codeProtocolError, clause{v5: "section 3.14.2.2.2"}, "the Session Expiry Interval was 0 in CONNECT and is not now")
	}
}

// clientReason reports whether a client may send code: table 3-13 names
// fifteen that only servers do.
func clientReason(code byte) bool {
	switch code {
	case 0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99:
		return true
	default:
		return false
	}
}
