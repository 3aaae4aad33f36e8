package acl

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

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
