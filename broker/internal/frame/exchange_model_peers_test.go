package frame

import (
	"pgregory.net/rapid"
)

// brokerAnswers writes the oldest answer.
func (p *peers) brokerAnswers(t *rapid.T) {
	if len(p.answers) == 0 {
		return
	}
	w := p.answers[0]
	p.answers = p.answers[1:]
	if w.Type != TypePubrel && w.Type != TypePubcomp {
		delete(p.asked, w.PacketID)
	}
	p.brokerSends(t, w)
}

// brokerSends sends an answer of the broker that passes, or what it stands for.
func (p *peers) brokerSends(t *rapid.T, w wire) {
	v := p.e.FromServer(w.frame())
	switch {
	case w.Type == TypePubcomp && v.Action == Drop:
		return
	case (w.Type == TypePuback || w.Type == TypePubrec) && v.Action == Replace:
		w.Ack = v.Ack
	case (w.Type == TypeSuback || w.Type == TypeUnsuback) && v.Action == Pass && v.ID != 0:
		w.PacketID = v.ID
	case w.Type == TypePubrel && v.Action == Pass && v.ID == 0:
	default:
		t.Fatalf("broker sends %+v: %v", w, v)
	}
	p.toClient = append(p.toClient, w)
}

// brokerReads takes one packet of the client from the network.
func (p *peers) brokerReads(t *rapid.T) {
	if len(p.fromClient) == 0 {
		return
	}
	w := p.fromClient[0]
	p.fromClient = p.fromClient[1:]
	h, body := w.frame()
	var v Verdict
	as := p.brokerID()
	refuse := w.Type == TypePublish && rapid.IntRange(0, 4).Draw(t, "not shown to the broker") == 0
	if refuse {
		v = p.e.Refuse(h, body, codeQuotaExceeded)
	} else {
		v = p.e.FromClient(h, body, as)
	}
	switch v.Action {
	case Answer:
		if refuse && p.version != Level5 && w.Code == 1 || v.Ack.Code >= 0x80 {
			p.refused[w.message] = true
		}
		if refuse && w.Code == 2 && p.delivered[w.message] == 0 {
			p.refused[w.message] = true
		}
		p.toClient = append(p.toClient, wire{Ack: v.Ack})
	case Pass:
		p.brokerHandles(t, w, v, as)
		p.e.Settle()
	case Drop:
		if w.Type == TypePublish || v.Freed {
			t.Fatalf("client sends %+v: %v", w, v)
		}
	default:
		t.Fatalf("client sends %+v: %v", w, v)
	}
	if v.Freed {
		p.release(t)
	}
}

// brokerHandles is what the broker does with a packet. Others publish meanwhile.
func (p *peers) brokerHandles(t *rapid.T, w wire, v Verdict, as uint16) {
	if request := w.Type == TypePublish || w.Type == TypeSubscribe || w.Type == TypeUnsubscribe; request {
		if v.ID != as {
			t.Fatalf("client sends %+v: it is handed on as %d, want %d", w, v.ID, as)
		}
		p.asked[as] = true
		if len(p.inflight) < 12 && rapid.IntRange(0, 2).Draw(t, "others publish") == 0 {
			p.brokerPublishes(t)
		}
	}
	switch w.Type {
	case TypeSubscribe:
		p.answer(wire{Ack: Ack{TypeSuback, as, 0}})
	case TypeUnsubscribe:
		p.answer(wire{Ack: Ack{TypeUnsuback, as, 0}})
	case TypePublish:
		code := byte(0)
		if p.version == Level5 {
			code = rapid.SampledFrom([]byte{0, 0x10, 0x87}).Draw(t, "answer")
		}
		if code < 0x80 {
			p.delivered[w.message]++
		} else {
			p.refused[w.message] = true
		}
		receipt := TypePuback // which mochi also has for a QoS 2 message that a hook refuses
		if w.Code == 2 && (code < 0x80 || rapid.Bool().Draw(t, "by PUBREC")) {
			receipt = TypePubrec
		}
		p.answer(wire{Ack: Ack{receipt, as, code}})
		if w.Code == 2 { // for the PUBREL that was handed on behind it
			p.answer(wire{Ack: Ack{TypePubcomp, as, 0}})
		}
	case TypePubrec:
		m := p.inflight[w.PacketID]
		switch {
		case m == nil:
			t.Fatalf("the broker gets %+v of nothing", w)
		case w.Code >= 0x80:
			delete(p.inflight, w.PacketID)
		default:
			m.released = true
			p.answer(wire{Ack: Ack{TypePubrel, w.PacketID, 0}})
		}
	case TypePuback, TypePubcomp:
		if p.inflight[w.PacketID] == nil {
			t.Fatalf("the broker gets %+v of nothing", w)
		}
		delete(p.inflight, w.PacketID)
	default:
		t.Fatalf("the broker gets %+v", w)
	}
}

func (p *peers) answer(w wire) { p.answers = append(p.answers, w) }

// clientReads takes one packet for the client from the network.
func (p *peers) clientReads(t *rapid.T) {
	if len(p.toClient) == 0 {
		return
	}
	w := p.toClient[0]
	p.toClient = p.toClient[1:]
	answer := func(typ Type, code byte) {
		p.fromClient = append(p.fromClient, wire{Ack: Ack{typ, w.PacketID, code}})
	}
	switch w.Type {
	case TypePublish:
		if w.message <= p.latest {
			t.Fatalf("message %d comes after message %d", w.message, p.latest)
		}
		p.latest = w.message
		p.clientReceives(t, w, answer)
	case TypePubrel:
		delete(p.received, w.PacketID)
		delete(p.window, w.PacketID)
		answer(TypePubcomp, 0)
	case TypeSuback, TypeUnsuback:
		if got := p.asking[w.PacketID]; got != w.Type-1 {
			t.Fatalf("the client gets %+v for %v", w, got)
		}
		delete(p.asking, w.PacketID)
	default:
		p.clientIsTold(t, w, answer)
	}
}

// clientReceives takes a message.
func (p *peers) clientReceives(t *rapid.T, w wire, answer func(Type, byte)) {
	refuse := p.version == Level5 && rapid.IntRange(0, 3).Draw(t, "client refuses") == 0
	number, known := p.received[w.PacketID]
	switch {
	case w.Code == 1:
		delete(p.window, w.PacketID)
		answer(TypePuback, 0)
	case known && number != w.message:
		t.Fatalf("message %d comes with the identifier of %d", w.message, number)
	case !known && refuse:
		delete(p.window, w.PacketID)
		answer(TypePubrec, 0x83)
	default:
		if !known {
			p.seen[w.message]++
		}
		p.received[w.PacketID] = w.message
		answer(TypePubrec, 0)
	}
}

// clientIsTold takes an acknowledgement.
func (p *peers) clientIsTold(t *rapid.T, w wire, answer func(Type, byte)) {
	m := p.sending[w.PacketID]
	if m == nil {
		t.Fatalf("the client gets %+v of nothing", w)
	}
	done := true
	switch {
	case w.Type == TypePuback && m.qos == 1:
	case w.Type == TypePubrec && m.qos == 2 && !m.released:
		if done = w.Code >= 0x80; !done {
			m.released = true
			answer(TypePubrel, 0)
		}
	case w.Type == TypePubcomp && m.released:
	default:
		t.Fatalf("the client gets %+v for %+v", w, m)
	}
	if !done {
		return
	}
	delete(p.sending, w.PacketID)
	delete(p.unanswered, w.PacketID)
	switch got := p.delivered[m.number]; {
	case got > 1 && m.qos == 2:
		t.Fatalf("message %d was delivered %d times", m.number, got)
	case got == 0 && !p.refused[m.number]:
		t.Fatalf("message %d is acknowledged and was never delivered", m.number)
	}
}
