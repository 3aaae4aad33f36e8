package acl

import "slices"

// Compile makes a policy of a source. It never fails: see NewSet for grants that are
// not valid. An entry of the client ID list that is not valid matches no ID, and under
// a prefix that is not valid nothing may be published. src.Sets must not be changed
// afterwards.
func Compile(src Source) *Policy {
	p := &Policy{
		user:      value{src.Username, usable(src.Username)},
		clientIDs: compileClientIDs(src.ClientIDs, src.Username),
		prefix:    prefix{text: src.Prefix, bad: ValidPrefix(src.Prefix) != nil},
		sets:      src.Sets,
	}
	if len(src.Grants) > 0 {
		p.sets = append(slices.Clip(p.sets), NewSet(slices.Clone(src.Grants)))
	}
	denies := slices.ContainsFunc(p.sets, func(s *Set) bool { return s.denies })
	p.all = !denies && p.CoversAll(everything())
	return p
}

// place returns where a policy keeps the right of one operation in a context.
func place(c Context, op Operation) int {
	i := 0
	if c == HTTP {
		i += 2
	}
	if op == Write {
		i++
	}
	return i
}

// concerns reports whether g is about the right at place i. A context or operation
// that does not exist counts as all of them, so that a deny which is not understood
// forbids everything.
func (g Grant) concerns(i int) bool {
	c, op := g.Context, g.Operation
	if c != MQTT && c != HTTP {
		c = [...]Context{MQTT, HTTP}[i/2]
	}
	if op == 0 || op&^ReadWrite != 0 {
		op = ReadWrite
	}
	return op&Read != 0 && i == place(c, Read) || op&Write != 0 && i == place(c, Write)
}
