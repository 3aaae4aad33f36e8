package frame

import "slices"

// FromServer judges a packet of the broker, before it is written: a client may
// answer what it has received before FromServer would otherwise have heard of
// it. Packets are told apart by header and body alone; a part of the body that
// reaches to the packet identifier, or the reason code if there is one, does.
//
// Hold is said of a PUBLISH for which the client has no room ([MQTT-3.3.4-9]),
// or that would overtake another, and of nothing else: other packets must not
// wait for it ([MQTT-4.9.0-3]).
func (e *Exchange) FromServer(h Header, body []byte) Verdict {
	switch h.Type {
	case TypePublish:
		if h.QoS() == 0 {
			return Verdict{}
		}
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp, TypeSuback, TypeUnsuback:
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
		return e.publishOut(h.QoS(), id, h.Dup())
	case TypePubrel:
		e.pubrelOut(id, code)
		return Verdict{}
	case TypeSuback:
		return e.subackOut(TypeSubscribe, id)
	case TypeUnsuback:
		return e.subackOut(TypeUnsubscribe, id)
	case TypePubcomp:
		return Verdict{Action: Drop} // for the PUBREL that was ours
	default:
		return e.receiptOut(id, code)
	}
}

// Next returns the identifier of the oldest message that waits for room, if
// there is room now, and whether the client was sent it on an earlier
// connection. The broker has to be made to send it; if it does not have it any
// more, Next may be asked again.
func (e *Exchange) Next() (id uint16, again, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.due = 0 // it has come, or will not
	if len(e.held) == 0 || e.out.counted >= e.outMax {
		return 0, false, false
	}
	id = e.held[0]
	if e.held = e.held[1:]; len(e.held) == 0 {
		e.held = nil // the memory of a burst is not kept
	}
	e.due = id
	return id, e.out.find(id) != nil, true
}

// publishOut judges a PUBLISH of QoS 1 or 2 to the client; again is its DUP flag.
func (e *Exchange) publishOut(qos byte, id uint16, again bool) Verdict {
	if e.double(id, again) {
		return Verdict{Action: Drop}
	}
	open := e.out.find(id)
	if open != nil && open.counted {
		open.stage = awaiting(qos) // sent again
		return Verdict{}
	}
	// MQTT-3.3.4-9, MQTT-4.9.0-2; MQTT-4.6.0-6: none overtakes another.
	waits := len(e.held) > 0 || e.due != 0
	if e.out.counted >= e.outMax || waits && id != e.due {
		if !slices.Contains(e.held, id) {
			e.held = append(e.held, id)
		}
		return Verdict{Action: Hold}
	}
	e.due = 0
	first := open == nil
	e.out.remove(id) // sent by an earlier connection, which did not count
	e.out.add(id, awaiting(qos), true)
	return Verdict{First: first}
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

// answered takes the request out that an answer of the broker is for. Those
// before it were not answered, and will not be.
func (e *Exchange) answered(as uint16, typ Type) (request, bool) {
	for i, r := range e.asked {
		if r.as != as || r.typ != typ {
			continue
		}
		for _, skipped := range e.asked[:i] {
			if skipped.typ == TypePublish {
				e.in.remove(skipped.id)
			}
		}
		e.asked = e.asked[:copy(e.asked, e.asked[i+1:])]
		if len(e.asked) == 0 && cap(e.asked) > 64 {
			e.asked = nil // the memory of a burst is not kept
		}
		return r, true
	}
	return request{}, false
}

// subackOut gives a SUBACK or UNSUBACK the identifier that the client knows.
func (e *Exchange) subackOut(to Type, as uint16) Verdict {
	r, ok := e.answered(as, to)
	if !ok {
		return Verdict{Action: Drop}
	}
	return Verdict{ID: r.id}
}

// receiptOut judges a PUBACK or PUBREC to the client. Which of the two it gets is
// decided by what it has sent: mochi answers a QoS 2 message by PUBACK when it is
// a hook that refuses it ([MQTT-4.3.3-8]). One that answers nothing was left in
// mochi's table by an earlier connection.
func (e *Exchange) receiptOut(as uint16, code byte) Verdict {
	r, ok := e.answered(as, TypePublish)
	switch {
	case !ok:
		return Verdict{Action: Drop}
	case r.qos == 1: // MQTT-4.3.2-4
		e.in.remove(r.id)
		return replace(TypePuback, r.id, code)
	case code >= 0x80: // MQTT-4.3.3-9: the identifier is free again
		e.in.remove(r.id)
	default:
		if open := e.in.find(r.id); open != nil {
			open.stage = awaitPubrel
		}
	}
	return replace(TypePubrec, r.id, code)
}

func replace(t Type, id uint16, code byte) Verdict {
	return Verdict{Action: Replace, Ack: Ack{Type: t, PacketID: id, Code: code}}
}
