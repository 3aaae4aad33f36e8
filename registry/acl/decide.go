package acl

// Question is what a policy is asked.
type Question struct {
	Context   Context
	Operation Operation // ReadWrite asks for both
	Name      string    // topic or, for Read, filter as the client sent it; path
	Strict    bool      // see MayReadStrict; for mqtt and Read only
}

// MayPublish reports whether the user may publish to topic, which is as the
// client sent it: the prefix is put in front here and the result is judged, for
// wills and retained messages likewise. It is false for the empty topic of a
// topic alias, for wildcards, and for what is too long or too deep with the
// prefix.
func (p *Policy) MayPublish(n *Names, topic string) bool {
	return p.decide(n, Question{Context: MQTT, Operation: Write, Name: topic}).reason == Granted
}

// MayRead reports whether the user may subscribe to a filter, shared or not, or
// be delivered a message with a topic. One grant must cover the whole filter. A
// deny that covers all of it refuses; one that merely overlaps it does not, so this
// is for a broker that asks again about every delivery.
func (p *Policy) MayRead(n *Names, name string) bool {
	return p.decide(n, Question{Context: MQTT, Operation: Read, Name: name}).reason == Granted
}

// MayReadStrict is MayRead for brokers that do not judge deliveries: a deny that
// overlaps the filter refuses it.
func (p *Policy) MayReadStrict(n *Names, filter string) bool {
	return p.decide(n, Question{Context: MQTT, Operation: Read, Name: filter, Strict: true}).reason == Granted
}

// MayHTTP reports whether the user may do op on a path, which begins with a
// slash and is taken as it is: cleaning it is the router's work. ReadWrite asks
// for both.
func (p *Policy) MayHTTP(op Operation, path string) bool {
	if op == ReadWrite {
		return p.MayHTTP(Read, path) && p.MayHTTP(Write, path)
	}
	return p.decide(nil, Question{Context: HTTP, Operation: op, Name: path}).reason == Granted
}

// verdict is an answer and what it rests on.
type verdict struct {
	reason Reason
	fault  fault  // of a name that is Malformed
	grant  *Grant // that allowed or denied
}

// decide answers every question about one operation, Read or Write.
func (p *Policy) decide(n *Names, ask Question) verdict {
	if p == nil || ask.Context != MQTT && ask.Context != HTTP || ask.Operation != Read && ask.Operation != Write {
		return verdict{reason: NotGranted}
	}
	var own Names
	if n == nil {
		n = &own
	} else if n.policy != p {
		own = p.Names(n.clientID.text, n.certCN.text)
		n = &own
	}
	q := query{user: &p.user, names: n}
	var bad fault
	switch {
	case ask.Context == HTTP:
		bad = q.askPath(ask.Name)
	case ask.Operation == Write:
		bad = q.askPublish(&p.prefix, ask.Name)
	default:
		bad = q.askRead(ask.Name)
	}
	if bad != fine {
		return verdict{reason: Malformed, fault: bad}
	}
	return p.judge(place(ask.Context, ask.Operation), &q, ask.Strict)
}

// judge answers q, which is about the right at a place.
func (p *Policy) judge(place int, q *query, strict bool) verdict {
	for _, s := range p.held.sets {
		if g := s.denied(place, q); g != nil {
			return verdict{reason: Denied, grant: g}
		}
	}
	allow := p.allowed(place, q)
	if allow == nil {
		return verdict{reason: NotGranted}
	}
	if strict {
		if g := p.deniedInPart(place, q); g != nil {
			return verdict{reason: DeniedInPart, grant: g}
		}
	}
	return verdict{reason: Granted, grant: allow}
}

// allowed returns the first allow of all that q is about, nil if there is none.
func (p *Policy) allowed(place int, q *query) *Grant {
	for _, s := range p.held.sets {
		if g := s.allowed(place, q); g != nil {
			return g
		}
	}
	return nil
}

// deniedInPart returns the first deny of something that q is about.
func (p *Policy) deniedInPart(place int, q *query) *Grant {
	for _, s := range p.held.sets {
		if g := s.deniedInPart(place, q); g != nil {
			return g
		}
	}
	return nil
}
