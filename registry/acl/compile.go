package acl

import "slices"

// Compile makes a policy of a source. It never fails: see NewSet for grants that are
// not valid. An entry of the client ID list that is not valid matches no ID, and under
// a prefix that is not valid nothing may be published.
func Compile(src Source) *Policy {
	f := &facts{
		user:      value{src.Username, usable(src.Username)},
		clientIDs: compileClientIDs(src.ClientIDs, src.Username),
		prefix:    prefix{text: src.Prefix, bad: ValidPrefix(src.Prefix) != nil},
	}
	held := src.Held
	switch {
	case len(src.Grants) > 0 && held != nil:
		held = Hold(append(slices.Clip(held.sets), NewSet(slices.Clone(src.Grants)))...)
	case len(src.Grants) > 0:
		held = Hold(NewSet(slices.Clone(src.Grants)))
	case held == nil:
		held = Hold()
	}
	return &Policy{f, held}
}

// With returns the policy of the same principal when it holds something else.
func (p *Policy) With(held *Holding) *Policy { return &Policy{p.facts, held} }

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
