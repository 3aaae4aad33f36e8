package acl

import "iter"

// Source is what a policy is compiled from: what is known of one principal.
type Source struct {
	Username  string
	ClientIDs []string // see ValidClientIDPattern; empty: any client ID
	Prefix    string   // the publish prefix, see ValidPrefix
	Held      *Holding // what the principal holds as others do; nil: nothing
	Grants    []Grant  // and what it holds alone
}

// Policy is the compiled form of a Source. It never changes, so sessions and
// goroutines share it freely. A nil *Policy allows nothing.
type Policy struct {
	*facts
	held *Holding
}

// facts are what a policy knows of its principal.
type facts struct {
	user      value // what ${username} stands for
	clientIDs clientIDs
	prefix    prefix
}

// Grants returns all grants that the policy rests on.
func (p *Policy) Grants() iter.Seq[Grant] {
	return func(yield func(Grant) bool) {
		if p == nil {
			return
		}
		for _, s := range p.held.sets {
			for _, g := range s.grants {
				if !yield(g) {
					return
				}
			}
		}
	}
}

// Prefix returns the publish prefix, as given.
func (p *Policy) Prefix() string {
	if p == nil {
		return ""
	}
	return p.prefix.text
}

// MayUseClientID reports whether the user may connect as id: always without a
// list of client IDs, else if an entry covers it; see ValidClientIDPattern. A
// client that leaves the choice to the server is asked about with the ID that
// the server chose.
func (p *Policy) MayUseClientID(id string) bool {
	return p != nil && (!p.clientIDs.limited || p.clientIDs.cover(id))
}
