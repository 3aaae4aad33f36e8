package frame

import (
	"math"
	"slices"
)

// What an Exchange has from the connections of the session before it.

// Resume goes on with what an earlier connection of the session left open, which
// counts against no Receive Maximum (section 4.9). The earlier one must be over.
func (e *Exchange) Resume(earlier *Exchange) { e.Restore(earlier.Open()) }

// Resending says that the broker is about to send what has waited for the session,
// with the DUP flag set. None of that is passed, nor anything new: Resent tells
// what has to go in what order ([MQTT-4.6.0-6]), and Next names it.
func (e *Exchange) Resending() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.resumed, e.resending = true, true
}

// Resent says which messages wait, oldest first. The broker will send the doubled
// ones, which came since Resending, by itself as well, unless it has done so: that
// is dropped.
func (e *Exchange) Resent(waiting, doubled []uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = append(e.held, waiting...)
	for _, id := range doubled {
		if slices.Contains(e.seen, id) {
			continue
		}
		if e.twice == nil {
			e.twice = make(map[uint16]struct{})
		}
		e.twice[id] = struct{}{}
	}
	e.resending, e.seen, e.since = false, nil, 0
}

// Enqueue has Next name a message that the broker does not send by itself.
func (e *Exchange) Enqueue(id uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = append(e.held, id)
}

// double reports whether the broker sends a message that Next names, or has
// named, besides.
func (e *Exchange) double(id uint16, again bool) bool {
	switch {
	case id == e.due:
		return false
	case again:
		return e.resumed
	case e.resending:
		e.seen = append(e.seen, id)
		return true
	case len(e.twice) == 0:
		return false
	}
	// One that does not come after all is forgotten before the broker has given
	// out all identifiers once more.
	if e.since++; e.since > math.MaxInt16 {
		e.twice = nil
	}
	_, ok := e.twice[id]
	delete(e.twice, id)
	return ok
}

// HasReceived reports whether a message of QoS 2 with that identifier was
// received from the client, which has not released it.
func (e *Exchange) HasReceived(id uint16) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.in.find(id)
	return f != nil && f.stage == awaitPubrel
}

// Sent is a message that the client was sent and has not answered to the end.
type Sent struct {
	ID    uint16
	stage stage
}

// Open returns what a session has to remember of its connection: the identifiers
// of QoS 2 messages that were received and not released, and the messages that
// were sent and not acknowledged.
func (e *Exchange) Open() (received []uint16, sent []Sent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.in.list {
		if f.stage == awaitPubrel {
			received = append(received, f.id)
		}
	}
	for _, r := range e.asked {
		if r.qos == 2 && r.dealtWith {
			received = append(received, r.id)
		}
	}
	for _, f := range e.out.list {
		sent = append(sent, Sent{f.id, f.stage})
	}
	return received, sent
}

// Restore opens what was written down of a session before a restart. Of what a
// client never finishes, it goes on with so much.
func (e *Exchange) Restore(received []uint16, sent []Sent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range received {
		if e.in.find(id) == nil && len(e.in.list) < e.inMax+spare {
			e.in.add(id, awaitPubrel, false)
		}
	}
	for _, o := range sent {
		if e.out.find(o.ID) == nil && len(e.out.list) < e.outMax+spare {
			e.out.add(o.ID, o.stage, false)
		}
	}
}

// SentPublish and SentPubrel say how far a message was, for Restore.
func SentPublish(id uint16, qos byte) Sent { return Sent{id, awaiting(qos)} }

// SentPubrel is a message for which PUBREL was sent last.
func SentPubrel(id uint16) Sent { return Sent{id, awaitPubcomp} }
