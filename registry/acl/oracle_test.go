package acl

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
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
		if !allowed {
			return false
		}
	}
	return true
}

// texts are the levels that generated names are made of.
var texts = []string{"a", "b", "longer-than-8", "", "$x"}

// genFilter draws a filter of up to three levels, seldom one that is not valid.
func genFilter(more ...string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		choice := slices.Concat(texts, []string{"+", "+", "#"}, more)
		n := rapid.IntRange(1, 3).Draw(t, "levels")
		levels := rapid.SliceOfN(rapid.SampledFrom(choice), n, n).Draw(t, "filter")
		for i := range levels[:n-1] {
			if levels[i] == "#" {
				levels[i] = "+"
			}
		}
		return strings.Join(levels, "/")
	})
}

// genGrant draws a grant, seldom one whose resource is not valid.
func genGrant() *rapid.Generator[Grant] {
	return rapid.Custom(func(t *rapid.T) Grant {
		g := Grant{
			Context:   rapid.SampledFrom([]Context{MQTT, MQTT, MQTT, HTTP}).Draw(t, "context"),
			Operation: rapid.SampledFrom([]Operation{Read, Write, ReadWrite}).Draw(t, "operation"),
			Effect:    rapid.SampledFrom([]Effect{Allow, Allow, Allow, Deny}).Draw(t, "effect"),
		}
		if rapid.IntRange(0, 39).Draw(t, "bad") == 0 {
			g.Resource = rapid.SampledFrom([]string{"", "a+", "#/a", "${nobody}", "x${username}", "a/${clientid}x"}).Draw(t, "resource")
			return g
		}
		if g.Context == HTTP {
			g.Resource = "/" + genFilter().Draw(t, "resource")
		} else {
			g.Resource = genFilter("${username}", "${clientid}", "${cert.cn}").Draw(t, "resource")
		}
		return g
	})
}

// genOracle draws a principal in a session.
func genOracle() *rapid.Generator[*oracle] {
	names := []string{"a", "b", "longer-than-8", "", "$x", "a/b", "+", "z"}
	return rapid.Custom(func(t *rapid.T) *oracle {
		grants := rapid.SliceOfN(genGrant(), 0, 12).Draw(t, "grants")
		if rapid.Bool().Draw(t, "wide") {
			grants = append(grants, Grant{Context: MQTT, Operation: ReadWrite, Resource: "#"})
		}
		return &oracle{
			src: Source{
				Username:  rapid.SampledFrom(names).Draw(t, "username"),
				ClientIDs: rapid.SampledFrom([][]string{nil, {"a"}, {"+"}, {"b", "longer-+-8"}}).Draw(t, "clientIDs"),
				Prefix:    rapid.SampledFrom([]string{"", "", "a/", "/", "longer-", "b/a", "a/longer-tha", "$x/", "+/"}).Draw(t, "prefix"),
				Grants:    grants,
			},
			clientID: rapid.SampledFrom(names).Draw(t, "clientID"),
			certCN:   rapid.SampledFrom(names).Draw(t, "certCN"),
		}
	})
}

// genQuestion draws a question about one operation, half of them near one of the
// principal's own grants.
func genQuestion(o *oracle) *rapid.Generator[Question] {
	return rapid.Custom(func(t *rapid.T) Question {
		q := Question{
			Context:   rapid.SampledFrom([]Context{MQTT, MQTT, MQTT, HTTP}).Draw(t, "context"),
			Operation: rapid.SampledFrom([]Operation{Read, Write}).Draw(t, "operation"),
			Strict:    rapid.Bool().Draw(t, "strict"),
		}
		n := rapid.IntRange(1, 4).Draw(t, "levels")
		levels := rapid.SliceOfN(rapid.SampledFrom(append(texts, "z", "n-8", "n-than-8")), n, n).Draw(t, "topic")
		if len(o.src.Grants) > 0 && rapid.Bool().Draw(t, "near") {
			g := rapid.SampledFrom(o.src.Grants).Draw(t, "grant")
			q.Context = g.Context
			levels = strings.Split(strings.TrimPrefix(g.Resource, "/"), "/")
			for i, l := range levels {
				switch {
				case strings.HasPrefix(l, "${"):
					levels[i] = rapid.SampledFrom([]string{o.src.Username, o.clientID, o.certCN}).Draw(t, "value")
				case l == "+" && rapid.Bool().Draw(t, "fill"):
					levels[i] = rapid.SampledFrom(texts).Draw(t, "level")
				case l == "#" && rapid.Bool().Draw(t, "fill"):
					levels[i] = "a/" + rapid.SampledFrom(texts).Draw(t, "level")
				}
			}
		}
		q.Name = strings.Join(levels, "/")
		if levels = strings.Split(q.Name, "/"); len(levels) > 3 && strings.ContainsAny(q.Name, "+#") {
			q.Name = strings.Join(levels[:3], "/") // the world is too small for more
		}
		switch {
		case q.Context == HTTP:
			q.Name = "/" + q.Name
		case q.Operation == Write:
			q.Name = strings.TrimPrefix(q.Name, o.src.Prefix)
		case rapid.IntRange(0, 3).Draw(t, "filter") == 0:
			q.Name = genFilter().Draw(t, "filter")
		}
		if q.Context == MQTT && q.Operation == Read {
			q.Name = rapid.SampledFrom([]string{"", "", "", "", "", "$share/g/", "$SHARE/a/", "$share//", "$share/+/"}).Draw(t, "share") + q.Name
		}
		return q
	})
}

// TestMain has the properties checked more often than rapid would.
func TestMain(m *testing.M) {
	flag.Parse()
	checks := "500"
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "rapid.checks" {
			checks = f.Value.String()
		}
	})
	if err := flag.Set("rapid.checks", checks); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
