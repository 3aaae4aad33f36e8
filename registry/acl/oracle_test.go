package acl

import (
	"regexp"
	"slices"
	"strings"
)

// The oracle answers every question a second time, slowly: it goes through all
// grants and, where filters meet filters, through all topics of a small world.
// It shares no code with what it tests.

// world is every topic of up to four levels out of these texts. "z" stands for
// a text that no grant spells, so the world holds a witness for every
// difference between two filters of up to three levels.
var world = topics(4, "a", "b", "longer-than-8", "", "$x", "z")

func topics(depth int, texts ...string) []string {
	var all []string
	last := []string{""}
	for d := range depth {
		var next []string
		for _, t := range last {
			for _, text := range texts {
				if d == 0 {
					next = append(next, text)
				} else {
					next = append(next, t+"/"+text)
				}
			}
		}
		all = append(all, next...)
		last = next
	}
	return slices.DeleteFunc(all, func(t string) bool { return t == "" })
}

// matchLevels is section 4.7 of MQTT 5, read aloud.
func matchLevels(filter, topic []string) bool {
	if len(filter) == 0 {
		return len(topic) == 0
	}
	if filter[0] == "#" {
		return true
	}
	if len(topic) == 0 || filter[0] != "+" && filter[0] != topic[0] {
		return false
	}
	return matchLevels(filter[1:], topic[1:])
}

func oracleMatch(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	return matchLevels(strings.Split(filter, "/"), strings.Split(topic, "/"))
}

// memo holds the answers of matched: the properties ask about the same few
// hundred filters again and again.
var memo = make(map[string][]bool)

// matched returns what of the world a filter matches.
func matched(filter string) []bool {
	if m, ok := memo[filter]; ok {
		return m
	}
	m := make([]bool, len(world))
	for i, t := range world {
		m[i] = oracleMatch(filter, t)
	}
	memo[filter] = m
	return m
}

func oracleCovers(outer, inner string) bool {
	if !strings.ContainsAny(inner, "+#") {
		return oracleMatch(outer, inner)
	}
	out, in := matched(outer), matched(inner)
	for i := range world {
		if in[i] && !out[i] {
			return false
		}
	}
	return true
}

func oracleOverlaps(a, b string) bool {
	if !strings.ContainsAny(b, "+#") {
		return oracleMatch(a, b)
	}
	x, y := matched(a), matched(b)
	for i := range world {
		if x[i] && y[i] {
			return true
		}
	}
	return false
}

// asked is how filter and name compare in a question: in a path, unlike in a
// filter, "+" and "#" are characters.
func asked(q Question, compare func(filter, name string) bool, filter, name string) bool {
	if q.Context == HTTP {
		compare = oracleMatch
	}
	return compare(filter, name)
}

// oracle is a principal in a session.
type oracle struct {
	src      Source
	clientID string
	certCN   string
}

// oracleFilter reports whether a filter is valid. Limits are tested elsewhere.
func oracleFilter(f string) bool {
	levels := strings.Split(f, "/")
	for i, l := range levels {
		if strings.ContainsAny(l, "+#") && len(l) > 1 || l == "#" && i < len(levels)-1 {
			return false
		}
	}
	return f != ""
}

// oracleResource reports whether a resource is valid.
func oracleResource(g Grant) bool {
	for _, l := range strings.Split(g.Resource, "/") {
		known := l == "${username}" || l == "${clientid}" || l == "${cert.cn}"
		if strings.Contains(l, "${") && (!known || g.Context == HTTP) {
			return false
		}
	}
	return oracleFilter(g.Resource) && (g.Context != HTTP || g.Resource[0] == '/')
}

// put replaces a level of a resource; ok is false if that is in the resource
// but nothing may stand there.
func put(resource, level, value string) (_ string, ok bool) {
	levels := strings.Split(resource, "/")
	for i := range levels {
		if levels[i] != level {
			continue
		}
		if value == "" || strings.ContainsAny(value, "/+#\x00") || value[0] == '$' {
			return "", false
		}
		levels[i] = value
	}
	return strings.Join(levels, "/"), true
}

// widen replaces placeholders that are still in a resource by "+".
func widen(resource string) string {
	levels := strings.Split(resource, "/")
	for i := range levels {
		if strings.HasPrefix(levels[i], "${") {
			levels[i] = "+"
		}
	}
	return strings.Join(levels, "/")
}

// oracleClientID reports whether a client ID list names id.
func oracleClientID(src Source, id string) bool {
	for _, e := range src.ClientIDs {
		var re strings.Builder
		for i, part := range strings.Split(e, "+") {
			if i > 0 {
				re.WriteString("[^/]+")
			}
			re.WriteString(regexp.QuoteMeta(strings.ReplaceAll(part, "${username}", src.Username)))
		}
		if regexp.MustCompile("^(?s:" + re.String() + ")$").MatchString(id) {
			return true
		}
	}
	return false
}

// filter returns what a grant's resource is in the session; ok is false if it
// matches nothing.
func (o *oracle) filter(g Grant) (f string, ok bool) {
	id := o.clientID
	if !oracleClientID(o.src, id) {
		id = "" // which nothing may stand for
	}
	f = g.Resource
	for _, p := range [][2]string{{"${username}", o.src.Username}, {"${clientid}", id}, {"${cert.cn}", o.certCN}} {
		if f, ok = put(f, p[0], p[1]); !ok {
			return "", false
		}
	}
	return f, true
}

// answer returns what Explain should say about a question of one operation.
func (o *oracle) answer(q Question) Reason {
	name := q.Name
	switch {
	case q.Context == MQTT && q.Operation == Read:
		if levels := strings.Split(name, "/"); strings.EqualFold(levels[0], "$share") {
			if len(levels) < 3 || levels[1] == "" || strings.ContainsAny(levels[1], "+#") {
				return Malformed
			}
			name = strings.Join(levels[2:], "/")
			if strings.EqualFold(levels[2], "$share") {
				return Malformed
			}
		}
		if !oracleFilter(name) {
			return Malformed
		}
	case q.Context == MQTT:
		if name == "" || strings.ContainsAny(name, "+#") || strings.HasPrefix(o.src.Prefix, "$") || strings.ContainsAny(o.src.Prefix, "+#") {
			return Malformed
		}
		name = o.src.Prefix + name
	default:
		if name == "" || name[0] != '/' {
			return Malformed
		}
	}
	if name == "" {
		return Malformed
	}
	allowed, overlapped := false, false
	for _, g := range o.src.Grants {
		if g.Context != q.Context || g.Operation&q.Operation == 0 {
			continue
		}
		if !oracleResource(g) {
			if g.Effect == Deny {
				return Denied
			}
			continue
		}
		f, ok := o.filter(g)
		switch {
		case !ok:
		case g.Effect == Deny && asked(q, oracleCovers, f, name):
			return Denied
		case g.Effect == Deny && asked(q, oracleOverlaps, f, name):
			overlapped = true
		case g.Effect == Allow && asked(q, oracleCovers, f, name):
			allowed = true
		}
	}
	switch {
	case !allowed:
		return NotGranted
	case q.Strict && overlapped:
		return DeniedInPart
	default:
		return Granted
	}
}

// coversGrant reports whether the principal may hand g over.
func (o *oracle) coversGrant(g Grant) bool {
	if !oracleResource(g) {
		return false
	}
	inner := widen(g.Resource)
	for _, op := range []Operation{Read, Write} {
		if g.Operation&op == 0 {
			continue
		}
		allowed := false
		for _, own := range o.src.Grants {
			if own.Context != g.Context || own.Operation&op == 0 {
				continue
			}
			if !oracleResource(own) {
				if own.Effect == Deny {
					return false
				}
				continue
			}
			outer, ok := put(own.Resource, "${username}", o.src.Username)
			if !ok {
				continue
			}
			session := strings.Contains(outer, "${")
			if own.Effect == Allow {
				allowed = allowed || !session && oracleCovers(outer, inner)
				continue
			}
			if oracleOverlaps(widen(outer), inner) {
				return false
			}
		}
		if !allowed || op == Write && g.Context == MQTT && !o.mayPublishAll(inner) {
			return false
		}
	}
	return true
}

// mayPublishAll reports whether the prefix keeps the principal from no topic that a
// filter matches.
func (o *oracle) mayPublishAll(filter string) bool {
	if strings.HasPrefix(o.src.Prefix, "$") || strings.ContainsAny(o.src.Prefix, "+#") {
		return false
	}
	for i, matches := range matched(filter) {
		if matches && !strings.HasPrefix(world[i], o.src.Prefix) {
			return false
		}
	}
	return true
}
