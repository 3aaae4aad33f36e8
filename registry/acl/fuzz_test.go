package acl

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// within reports whether s is text of a size that may be judged.
func within(s string) bool {
	return s != "" && len(s) <= MaxLength && strings.Count(s, "/") < MaxLevels && utf8.ValidString(s) && !strings.Contains(s, "\x00")
}

func FuzzValidFilter(f *testing.F) {
	for _, s := range []string{"", "#", "/#", "a/+/#", "a+/b", "#/a", "a/b#", "$SYS/#", "\x00", "a/\xff", "1234567/+/12345678/#", strings.Repeat("/", 31), strings.Repeat("a", 513)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := ValidFilter(s) == nil, within(s) && oracleFilter(s); got != want {
			t.Errorf("ValidFilter(%q) says valid: %v, want %v", s, got, want)
		}
		if got, want := ValidTopic(s) == nil, within(s) && !strings.ContainsAny(s, "+#"); got != want {
			t.Errorf("ValidTopic(%q) says valid: %v, want %v", s, got, want)
		}
	})
}

func FuzzUnshared(f *testing.F) {
	for _, s := range []string{"", "a", "$share", "$share/", "$share//a", "$share/g", "$share/g/", "$SHARE/g/a/#", "$share/+/a", "$share/g/$share/h/a", "$\u017fhare/g/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		inner, shared, ok := Unshared(s)
		levels := strings.Split(s, "/")
		switch {
		case shared != strings.EqualFold(levels[0], "$share"):
			t.Errorf("Unshared(%q) says shared: %v", s, shared)
		case !shared && (!ok || inner != s):
			t.Errorf("Unshared(%q) changed a filter that is not shared: %q, %v", s, inner, ok)
		case !ok && inner != "":
			t.Errorf("Unshared(%q) = %q, though it is malformed", s, inner)
		case shared && ok:
			if s != levels[0]+"/"+levels[1]+"/"+inner || levels[1] == "" || inner == "" || strings.ContainsAny(levels[1], "+#\x00") {
				t.Errorf("Unshared(%q) = %q", s, inner)
			}
			if _, again, _ := Unshared(inner); again {
				t.Errorf("Unshared(%q) = %q is still shared", s, inner)
			}
		}
	})
}

// FuzzResource compares what a resource allows and, as a deny, forbids with
// what the oracle says to one topic and one filter.
func FuzzResource(f *testing.F) {
	for _, s := range []string{"#", "/#", "+/a", "${username}/#", "a/${clientid}", "x${cert.cn}", "${", "$share/g/a", "a+", "12345678/1234567", "ü/ß"} {
		f.Add(s, "a/b", "a/+")
	}
	f.Add("+/ann", "gw/ann", "#")
	f.Fuzz(func(t *testing.T, resource, topic, filter string) {
		g := may(resource)
		first, _, _ := strings.Cut(resource, "/")
		valid := within(resource) && oracleResource(g) && !strings.EqualFold(first, "$share")
		if (g.Validate() == nil) != valid {
			t.Fatalf("Validate(%q) = %v, want valid: %v", resource, g.Validate(), valid)
		}
		o := &oracle{src: Source{Username: "ann", ClientIDs: []string{"+"}}, clientID: "gw", certCN: "cn"}
		matched := false
		if valid && ValidTopic(topic) == nil {
			if plain, ok := o.filter(g); ok {
				matched = oracleMatch(plain, topic)
			}
		}
		o.src.Grants = []Grant{g}
		p := Compile(o.src)
		n := p.Names(o.clientID, o.certCN)
		if got := p.MayPublish(&n, topic); got != matched {
			t.Errorf("with %q MayPublish(%q) = %v, want %v", resource, topic, got, matched)
		}
		inner, _, _ := Unshared(filter)
		if p.MayRead(&n, filter) && ValidTopic(topic) == nil && oracleMatch(inner, topic) && !matched {
			t.Errorf("%q may be read with %q, but not %q, which it matches", filter, resource, topic)
		}
		o.src.Grants = []Grant{may("#"), may(topic), {Context: MQTT, Operation: ReadWrite, Effect: Deny, Resource: resource}}
		p = Compile(o.src)
		n = p.Names(o.clientID, o.certCN)
		if (matched || !valid) && (p.MayPublish(&n, topic) || p.MayRead(&n, topic)) {
			t.Errorf("the deny of %q does not forbid %q", resource, topic)
		}
	})
}

func FuzzClientIDPattern(f *testing.F) {
	f.Add("gw-+", "gw-1")
	f.Add("${username}-+-+", "ann-1-2")
	f.Add("a+b+c", "axbxbc")
	f.Add("++", "é")
	f.Add("a/b", "a/b")
	f.Add("a#", "a#")
	f.Fuzz(func(t *testing.T, pattern, id string) {
		if !utf8.ValidString(id) {
			t.Skip() // a client ID is UTF-8 before anybody asks [MQTT-3.1.3-4]
		}
		src := Source{Username: "ann", ClientIDs: []string{pattern}}
		want := ValidClientIDPattern(pattern) == nil && oracleClientID(src, id)
		if got := Compile(src).MayUseClientID(id); got != want {
			t.Errorf("%q with the pattern %q: %v, want %v", id, pattern, got, want)
		}
	})
}

// FuzzPublishPrefix checks that a prefix is nothing but text in front.
func FuzzPublishPrefix(f *testing.F) {
	f.Add("a/", "b", "a/b")
	f.Add("site1/gw", "-1/x", "site1/+/x")
	f.Add("1234", "5678/x", "12345678/x")
	f.Add("+", "a", "#")
	f.Add("\xc3", "\xa4", "#")
	f.Fuzz(func(t *testing.T, prefix, topic, resource string) {
		with := Compile(Source{Prefix: prefix, Grants: []Grant{may(resource)}})
		without := Compile(Source{Grants: []Grant{may(resource)}})
		want := ValidPrefix(prefix) == nil && topic != "" && without.MayPublish(nil, prefix+topic)
		if got := with.MayPublish(nil, topic); got != want {
			t.Errorf("prefix %q, topic %q, resource %q: %v, want %v", prefix, topic, resource, got, want)
		}
	})
}
