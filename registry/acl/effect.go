package acl

import (
	"slices"
	"strings"
)

// Held says what placeholders may come to stand for in the grants of a principal.
type Held struct {
	Username  string
	ClientIDs []string // its list; see Source
	Prefix    string   // its publish prefix
	// CertNames are the names in the certificates that it may sign in with; Unknown
	// for those whose name is not known.
	CertNames []string
}

// Unknown is a name that may be any.
const Unknown = "+"

// Right is what a grant comes to in the hands of one principal. Two rights are equal
// if they come to the same.
type Right struct {
	Grant
	Prefix  string // put in front of what is published under it
	Pattern string // the values that "+" stands for in place of a placeholder
}

// Rights returns what a grant comes to for somebody with these names: nothing if a
// placeholder of it stands for nothing.
func (h *Held) Rights(g Grant) []Right {
	rights := []Right{{Grant: g}}
	if g.Context == MQTT && g.Operation&Write != 0 {
		rights[0].Prefix = h.Prefix
	}
	if !strings.Contains(g.Resource, "${") {
		return rights
	}
	rights = expand(rights, "${username}", []string{h.Username})
	rights = expand(rights, "${clientid}", h.clientIDs())
	return expand(rights, "${cert.cn}", h.CertNames)
}

// clientIDs returns the entries of the list with the name put in.
func (h *Held) clientIDs() []string {
	ids := slices.Clone(h.ClientIDs)
	for i := range ids {
		ids[i] = strings.ReplaceAll(ids[i], "${username}", h.Username)
	}
	return ids
}

// expand puts each of values in place of the levels that are a placeholder. A value
// with "+" in it is a pattern, in place of which any level is taken.
func expand(rights []Right, placeholder string, values []string) []Right {
	var out []Right
	for _, r := range rights {
		levels := strings.Split(r.Resource, "/")
		if !slices.Contains(levels, placeholder) {
			out = append(out, r)
			continue
		}
		for _, v := range values {
			if with, ok := r.with(levels, placeholder, v); ok {
				out = append(out, with)
			}
		}
	}
	return out
}

// with returns the right with a value in place of a placeholder; ok is false if the
// placeholder can't stand for it.
func (r Right) with(levels []string, placeholder, v string) (_ Right, ok bool) {
	if strings.Contains(v, "+") {
		r.Pattern += placeholder + v + "/" // is in no value
		v = "+"
	} else if !usable(v) {
		return Right{}, false
	}
	put := slices.Clone(levels)
	for i := range put {
		if put[i] == placeholder {
			put[i] = v
		}
	}
	r.Resource = strings.Join(put, "/")
	return r, true
}

// CoversRight reports whether the holder of p may have somebody get, or lose, a right;
// see CoversGrant. Who is confined by a publish prefix covers what is published under
// prefixes that begin with it, and topics that do.
func (p *Policy) CoversRight(r Right) bool {
	if p == nil || p.held.all {
		return p != nil
	}
	resource, err := r.parse()
	return err == nil && p.reaches(r) && p.covers(r.Grant, resource)
}

// reaches reports whether nothing is published by r that the prefix of p keeps its
// holder from.
func (p *Policy) reaches(r Right) bool {
	if p.prefix.text == "" || r.Context != MQTT || r.Operation&Write == 0 {
		return true
	}
	return !p.prefix.bad && (strings.HasPrefix(r.Prefix, p.prefix.text) || allBeginWith(spellOutRoot(r.Resource), p.prefix.text))
}

// allBeginWith reports whether all topics that a resource matches begin with prefix.
func allBeginWith(resource, prefix string) bool {
	plain, _, _ := strings.Cut(resource, "${")
	if i := strings.IndexAny(plain, "+#"); i >= 0 {
		plain = plain[:i]
	}
	if strings.HasPrefix(resource[len(plain):], "#") {
		plain = strings.TrimSuffix(plain, "/") // it matches the level above, too
	}
	return strings.HasPrefix(plain, prefix)
}
