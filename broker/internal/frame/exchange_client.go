package frame

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
	case e.version == Level5 && code >= 0x80: // MQTT-4.3.3-9: the identifier is free again
		e.in.remove(id)
		return answer(TypePubrec, id, code)
	default:
		e.in.find(id).stage = awaitPubrel
		return answer(TypePubrec, id, codeSuccess) // and below level 5 whatever the code
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
