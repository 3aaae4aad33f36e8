package acl

import (
	"cmp"
	"hash/maphash"
	"slices"
)

// Compile makes a policy of a source; it keeps no slice of it. It never fails.
// What is not valid is refused: an allow allows nothing; a deny forbids
// everything in its context and operation, or in all of them where it names
// none; an effect that is neither counts as deny. An entry of the client ID
// list that is not valid matches no ID, and under such a prefix nothing may be
// published.
func Compile(src Source) *Policy {
	p := &Policy{
		username:  src.Username,
		clientIDs: compileClientIDs(src.ClientIDs, src.Username),
		prefix:    prefix{text: src.Prefix, bad: ValidPrefix(src.Prefix) != nil},
		number:    src.Number,
		expires:   src.Expires,
		grants:    slices.Clone(src.Grants),
		seed:      maphash.String(maphash.MakeSeed(), ""), // a random number
	}
	var allow, deny [len(p.rights)][]entry
	denies := false
	for i, g := range p.grants {
		id := ref(i + 1) // #nosec G115 -- grants in memory are fewer
		denies = denies || g.Effect != Allow
		resource, err := g.parse()
		switch {
		case err != nil && g.Effect != Allow:
			for j := range p.rights {
				if g.concerns(j) {
					p.rights[j].never = cmp.Or(p.rights[j].never, id)
				}
			}
			continue
		case err != nil, !resolve(resource, src.Username):
			continue
		}
		e := entry{levels: resource, grant: id}
		for j := range p.rights {
			switch {
			case !g.concerns(j):
			case g.Effect == Deny:
				deny[j] = append(deny[j], e)
			default:
				allow[j] = append(allow[j], e)
			}
		}
	}
	for j := range p.rights {
		p.rights[j].allow = newTrie(p.seed, allow[j])
		p.rights[j].deny = newTrie(p.seed, deny[j])
	}
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

// concerns reports whether g is about the right at place i. What it names that
// does not exist counts as everything, for a deny that is not understood.
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
