package acl

import (
	"fmt"
	"strings"
)

// Reason is why an answer is what it is.
type Reason uint8

// The reasons. Only Granted is a yes.
const (
	NotGranted   Reason = iota // no grant allows all of it
	Granted                    // a grant allows it and no deny is in the way
	Denied                     // a deny forbids it
	DeniedInPart               // a deny forbids some of it, which Strict refuses
	Malformed                  // it is no valid name
)

// String returns the name of the reason in words.
func (r Reason) String() string {
	switch r {
	case NotGranted:
		return "not granted"
	case Granted:
		return "granted"
	case Denied:
		return "denied"
	case DeniedInPart:
		return "denied in part"
	case Malformed:
		return "malformed"
	default:
		return fmt.Sprintf("Reason(%d)", uint8(r))
	}
}

// Explanation is an answer with what it rests on.
type Explanation struct {
	Question Question // its Operation is the one that decided
	Allowed  bool
	Reason   Reason
	Name     string // what was judged: a topic with its prefix, a filter without $share/<group>/
	Grant    *Grant // that allowed or denied; nil if none did
	Detail   string // what is wrong with a name that is Malformed
	Hint     string // a grant that would have decided otherwise, and why it does not; may be empty
}

// Explain answers q as the May methods do, and says why. Of an Operation that
// is ReadWrite it explains the half that was refused, or writing.
func (p *Policy) Explain(n *Names, q Question) Explanation {
	if q.Operation == ReadWrite {
		q.Operation = Read
		if e := p.Explain(n, q); !e.Allowed {
			return e
		}
		q.Operation = Write
	}
	v := p.decide(n, q)
	e := Explanation{
		Question: q,
		Allowed:  v.reason == Granted,
		Reason:   v.reason,
		Name:     p.judged(q),
		Grant:    copied(v.grant),
		Detail:   v.fault.detail(),
	}
	if n != nil {
		e.Hint = p.hint(n, q, v)
	}
	return e
}

// judged returns the name that a question is about in the end.
func (p *Policy) judged(q Question) string {
	if q.Context != MQTT {
		return q.Name
	}
	if q.Operation == Write {
		return p.Prefix() + q.Name
	}
	if inner, shared, ok := Unshared(q.Name); shared && ok {
		return inner
	}
	return q.Name
}

// copied returns a copy of a grant, which the caller may change.
func copied(g *Grant) *Grant {
	if g == nil {
		return nil
	}
	return new(*g)
}

// hint asks again as if the list of client IDs covered the one in use, and names the
// grant that would decide otherwise then.
func (p *Policy) hint(n *Names, q Question, v verdict) string {
	if p == nil || !usable(n.clientID.text) {
		return ""
	}
	trusting := p.Names(n.clientID.text, n.certCN.text)
	trusting.clientID.live = true
	other := p.decide(&trusting, q)
	if other.reason == v.reason {
		return ""
	}
	why := "the user has no list of client IDs"
	if p.clientIDs.limited {
		why = "the user's list of client IDs does not cover this one"
	}
	return fmt.Sprintf("%s would decide otherwise, but ${clientid} matches nothing: %s", other.grant, why)
}

// String names the grant and where it came from, as in: permission p1 of role
// operators (allow readWrite mqtt "site1/#").
func (g Grant) String() string {
	var b strings.Builder
	b.WriteString("permission")
	if g.Permission != "" {
		b.WriteString(" " + g.Permission)
	}
	if g.Role != "" {
		b.WriteString(" of role " + g.Role)
	}
	fmt.Fprintf(&b, " (%s %s %s %q)", g.Effect, g.Operation, g.Context, g.Resource)
	return b.String()
}

// String says the answer in one sentence.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q: %s", e.Question.Operation, e.Question.Context, e.Name, e.Reason)
	if e.Grant != nil {
		fmt.Fprintf(&b, " by %s", e.Grant)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "; %s", e.Hint)
	}
	return b.String()
}
