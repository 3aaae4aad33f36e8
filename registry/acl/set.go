package acl

import "cmp"

// Set is grants that are held together, such as those of a role, compiled once
// for all who hold them. It never changes, so policies share it freely.
//
// Placeholders stay in it as they are written: what they stand for is part of each
// question.
type Set struct {
	grants []Grant
	rights [4]right // see place
	denies bool     // a grant is no allow
	whole  uint8    // which of everything() it allows, a bit each
	size   int      // see Size
}

// Holding is the sets that a principal holds together. All who hold the same may
// share one.
type Holding struct {
	sets []*Set
	all  bool // see Policy.AllRights
}

// Hold returns the holding of sets, of which it keeps the slice.
func Hold(sets ...*Set) *Holding {
	h := &Holding{sets: sets}
	var whole uint8
	for _, s := range sets {
		if s.denies {
			return h
		}
		whole |= s.whole
	}
	h.all = whole == allOfEverything
	return h
}

// right is everything about one context and one operation.
type right struct {
	allow trie
	deny  trie
	never ref // a deny that is not understood: it forbids everything
}

// NewSet compiles grants, which must not be changed afterwards. It never fails. A grant
// that is not valid never gives a right: an allow allows nothing; a deny forbids
// everything in its context and operation, or in all of them where it names none; an
// effect that is neither counts as deny.
func NewSet(grants []Grant) *Set {
	s := &Set{grants: grants}
	var allow, deny [len(s.rights)][]entry
	for i, g := range grants {
		id := ref(i + 1) // #nosec G115 -- grants in memory are fewer
		s.denies = s.denies || g.Effect != Allow
		resource, err := g.parse()
		if err != nil {
			if g.Effect != Allow {
				s.forbid(g, id)
			}
			continue
		}
		e := entry{levels: resource, grant: id}
		for j := range s.rights {
			switch {
			case !g.concerns(j):
			case g.Effect == Deny:
				deny[j] = append(deny[j], e)
			default:
				allow[j] = append(allow[j], e)
			}
		}
	}
	for j := range s.rights {
		s.rights[j].allow, s.rights[j].deny = newTrie(allow[j]), newTrie(deny[j])
	}
	s.whole = s.allowsOf(everything())
	s.size = s.measure()
	return s
}

// allowsOf returns which of some grants are allowed whatever ${username} is: a bit
// for each operation of each grant.
func (s *Set) allowsOf(grants []Grant) (bits uint8) {
	for i, g := range grants {
		q := query{user: &value{}, names: &Names{}}
		resource, err := g.parse()
		if err != nil || q.askResource(resource) != fine {
			continue
		}
		for j, op := range [...]Operation{Read, Write} {
			if s.allowed(place(g.Context, op), &q) != nil {
				bits |= 1 << (2*i + j)
			}
		}
	}
	return bits
}

// forbid records a deny that is not understood: it forbids everything in its context
// and operation.
func (s *Set) forbid(g Grant, id ref) {
	for j := range s.rights {
		if g.concerns(j) {
			s.rights[j].never = cmp.Or(s.rights[j].never, id)
		}
	}
}

// grant returns the grant that r names, nil for none.
func (s *Set) grant(r ref) *Grant {
	if r == none {
		return nil
	}
	return &s.grants[r-1]
}

// denied returns a deny that forbids all that q is about, at a place.
func (s *Set) denied(place int, q *query) *Grant {
	r := &s.rights[place]
	if r.never != none {
		return s.grant(r.never)
	}
	return s.grant(r.deny.cover(q))
}

// allowed returns an allow of all that q is about.
func (s *Set) allowed(place int, q *query) *Grant { return s.grant(s.rights[place].allow.cover(q)) }

// deniedInPart returns a deny that forbids something of what q is about.
func (s *Set) deniedInPart(place int, q *query) *Grant {
	r := &s.rights[place]
	if r.never != none {
		return s.grant(r.never)
	}
	return s.grant(r.deny.overlap(q))
}
