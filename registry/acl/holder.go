package acl

// everything is what a holder of all rights is allowed.
func everything() []Grant {
	return []Grant{
		{Context: MQTT, Operation: ReadWrite, Resource: "#"},
		{Context: MQTT, Operation: ReadWrite, Resource: "$SYS/#"},
		{Context: HTTP, Operation: ReadWrite, Resource: "/#"},
	}
}

// allOfEverything has a bit for each operation of each of everything().
const allOfEverything = 1<<6 - 1

// AllRights reports whether p allows to read and write "#" and "$SYS/#" over
// MQTT and "/#" over HTTP and has no deny at all.
func (p *Policy) AllRights() bool {
	return p != nil && p.held.all
}

// CoversGrant reports whether the holder of p may hand g to somebody else: p
// allows everything that g is about, and no deny of p touches it. A deny is
// judged by its resource, too, since taking it away is granting.
//
// A placeholder in g may come to stand for any level, so it counts as "+".
// Among the holder's own grants ${username} is the holder's name; ${clientid}
// and ${cert.cn} allow nothing, and forbid whatever they could stand for. All
// rights cover every grant; a grant that is not valid is covered by nothing less.
// Who will publish by it, and under which prefix, is not known; see CoversRight.
func (p *Policy) CoversGrant(g Grant) bool { return p.CoversRight(Right{Grant: g}) }

// covers reports whether p allows all of a resource, in the context and for
// every operation of g, and forbids nothing of it.
func (p *Policy) covers(g Grant, resource []piece) bool {
	q := query{user: &p.user, names: &Names{}}
	if q.askResource(resource) != fine {
		return false
	}
	for _, op := range [...]Operation{Read, Write} {
		if g.Operation&op == 0 {
			continue
		}
		at := place(g.Context, op)
		if p.allowed(at, &q) == nil {
			return false
		}
		wide := q
		wide.anyone = true
		if p.deniedInPart(at, &wide) != nil {
			return false
		}
	}
	return true
}
