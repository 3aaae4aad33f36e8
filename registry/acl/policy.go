package acl

import "time"

// Source is what a policy is compiled from: the facts about one principal.
type Source struct {
	Username  string
	ClientIDs []string  // see ValidClientIDPattern; empty: any client ID
	Prefix    string    // the publish prefix, see ValidPrefix
	Number    uint64    // the change that made these facts
	Expires   time.Time // when they end; zero: they do not
	Grants    []Grant
}

// Policy is the compiled form of a Source. It never changes, so sessions and
// goroutines share it freely. A nil *Policy allows nothing.
type Policy struct {
	username  string
	clientIDs clientIDs
	prefix    prefix
	number    uint64
	expires   time.Time
	grants    []Grant
	seed      uint64   // of the keys in tries and questions
	rights    [4]right // see place
	all       bool     // see AllRights
}

// right is everything about one context and one operation.
type right struct {
	allow trie
	deny  trie
	never ref // a deny that is not understood: it forbids everything
}

// Prefix returns the publish prefix, as given.
func (p *Policy) Prefix() string {
	if p == nil {
		return ""
	}
	return p.prefix.text
}

// Number returns the number of the change that the policy reflects.
func (p *Policy) Number() uint64 {
	if p == nil {
		return 0
	}
	return p.number
}

// Expires returns when the policy ends; zero if it does not. Decisions do not
// look at the clock: whoever holds the policy ends its use.
func (p *Policy) Expires() time.Time {
	if p == nil {
		return time.Time{}
	}
	return p.expires
}

// MayUseClientID reports whether the user may connect as id: always without a
// list of client IDs, else if an entry covers it; see ValidClientIDPattern. A
// client that leaves the choice to the server is asked about with the ID that
// the server chose.
func (p *Policy) MayUseClientID(id string) bool {
	return p != nil && (!p.clientIDs.limited || p.clientIDs.cover(id))
}
