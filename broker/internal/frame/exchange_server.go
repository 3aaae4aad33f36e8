package frame

// FromServer judges a packet of the broker, before it is written: a client may
// answer what it has received before FromServer would otherwise have heard of
// it. Packets are told apart by header and body alone; a part of the body that
// reaches to the packet identifier, or the reason code if there is one, does.
//
// Hold is said of a PUBLISH for which the client has no room ([MQTT-3.3.4-9]),
// and of nothing else: other packets must not wait for it ([MQTT-4.9.0-3]). Who
// holds packets offers them again, oldest first, before newer ones of QoS 1 or 2.
func (e *Exchange) FromServer(h Header, body []byte) Verdict {
	switch h.Type {
	case TypePublish:
		if h.QoS() == 0 {
			return Verdict{}
		}
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp:
	case TypeDisconnect, TypeAuth:
		if e.version != Level5 {
			// 3.1.1 table 2.1: DISCONNECT is for clients, and there is no AUTH.
			return Verdict{Action: Drop}
		}
		return Verdict{}
	default:
		return Verdict{}
	}
	id, code := PacketID(h, body), ReasonCode(h, body)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch h.Type {
	case TypePublish:
		return e.publishOut(h.QoS(), id)
	case TypePubrel:
		e.pubrelOut(id, code)
		return Verdict{}
	case TypePuback:
		return e.pubackOut(id, code)
	case TypePubrec:
		return e.pubrecOut(id, code)
	default:
		e.in.remove(id) // PUBCOMP: MQTT-4.3.3-11
		return Verdict{}
	}
}

// publishOut judges a PUBLISH of QoS 1 or 2 to the client.
func (e *Exchange) publishOut(qos byte, id uint16) Verdict {
	open := e.out.find(id)
	if open != nil && open.counted {
		open.stage = awaiting(qos) // sent again
		return Verdict{}
	}
	if e.out.counted >= e.outMax { // MQTT-3.3.4-9, MQTT-4.9.0-2
		return Verdict{Action: Hold}
	}
	e.out.remove(id) // left open by an earlier connection
	e.out.add(id, awaiting(qos), true)
	return Verdict{}
}

// pubrelOut notes a PUBREL to the client. One for a message that this
// connection has not seen belongs to a session that was resumed and does not
// count (section 4.9).
func (e *Exchange) pubrelOut(id uint16, code byte) {
	open := e.out.find(id)
	switch {
	case open != nil:
		open.stage = awaitPubcomp
	case code == codeSuccess && len(e.out.list) < e.outMax+spare:
		e.out.add(id, awaitPubcomp, false)
	}
}

// pubackOut judges a PUBACK to the client.
func (e *Exchange) pubackOut(id uint16, code byte) Verdict {
	open := e.in.find(id)
	switch {
	case open == nil:
	case open.stage == awaitPuback: // MQTT-4.3.2-4
		e.in.remove(id)
	case open.stage == awaitPubrec:
		// MQTT-4.3.3-8: a QoS 2 message is answered by PUBREC. Mochi answers by
		// PUBACK when it is a hook that refuses the message.
		e.received(open, code)
		return replace(TypePubrec, id, code)
	}
	return Verdict{}
}

// pubrecOut judges a PUBREC to the client.
func (e *Exchange) pubrecOut(id uint16, code byte) Verdict {
	open := e.in.find(id)
	switch {
	case open != nil && open.stage == awaitPuback:
		// MQTT-4.3.2-4: a QoS 1 message is answered by PUBACK. Mochi answers by
		// PUBREC when it has a QoS 2 message of the same identifier.
		e.in.remove(id)
		return replace(TypePuback, id, code)
	case code == codePacketIDInUse:
		// Mochi says so of a QoS 2 message that it has already: MQTT-4.3.3-10
		// wants it acknowledged, and the client must not take it for refused.
		e.received(open, codeSuccess)
		return replace(TypePubrec, id, codeSuccess)
	case open != nil:
		e.received(open, code)
	case code < 0x80 && len(e.in.list) < e.inMax+spare:
		e.in.add(id, awaitPubrel, false) // of a session that was resumed
	}
	return Verdict{}
}

// received notes that the client is told code in a PUBREC for the message that
// is open, if any.
func (e *Exchange) received(open *flight, code byte) {
	switch {
	case open == nil:
	case code >= 0x80: // MQTT-4.3.3-9: the identifier is free again
		e.in.remove(open.id)
	default:
		open.stage = awaitPubrel
	}
}

func replace(t Type, id uint16, code byte) Verdict {
	return Verdict{Action: Replace, Ack: Ack{Type: t, PacketID: id, Code: code}}
}
