package frame

// ack checks a PUBACK, PUBREC, PUBREL or PUBCOMP (sections 3.4 to 3.7). Below
// level 5 it is a packet identifier and nothing else; that its length is two is
// checked with the header.
func (c *Checker) ack(r *reader, t Type) {
	// MQTT-2.2.1-5: it is the identifier of a PUBLISH, so it is not 0.
	r.packetID(clause{"MQTT-2.2.1-5", "MQTT-2.3.1-6"})
	if r.version == Level5 && len(r.b) > 0 {
		// Reason code and property length may be left out, the latter alone too
		// (section 3.4.2.1 and 3.4.2.2.1).
		if code := r.byte("the reason code"); !ackReason(t, code) {
			r.fail(codeProtocolError, clause{v5: ackReasonClause(t)}, "the reason code is none of "+t.String())
		}
		if len(r.b) > 0 {
			r.properties(inAck)
		}
	}
	r.end()
}

// ackReason reports whether code is a reason code of an acknowledgement.
func ackReason(t Type, code byte) bool {
	if t == TypePubrel || t == TypePubcomp {
		return code == 0x00 || code == 0x92 // sections 3.6.2.1 and 3.7.2.1
	}
	switch code {
	case 0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99: // sections 3.4.2.1 and 3.5.2.1
		return true
	default:
		return false
	}
}

func ackReasonClause(t Type) string {
	switch t {
	case TypePuback:
		return "MQTT-3.4.2-1"
	case TypePubrec:
		return "MQTT-3.5.2-1"
	case TypePubrel:
		return "MQTT-3.6.2-1"
	default:
		return "MQTT-3.7.2-1"
	}
}
