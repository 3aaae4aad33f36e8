package acl

import (
	"errors"
	"strings"
	"testing"
)

func TestValidFilter(t *testing.T) {
	tests := []struct {
		name   string
		filter string
		want   string // what the error says; "" for none
	}{
		{"levels may be empty", "/a//b/", ""},
		{"a single slash has two empty levels", "/", ""},
		{"wildcards stand for whole levels", "+/a/+/#", ""},
		{"hash stands alone", "#", ""},
		{"dollar may begin a filter", "$SYS/#", ""},
		{"text is UTF-8", "größe/温度", ""},
		{"controls other than NUL are text", "a\tb", ""},
		{"32 levels are enough", strings.Repeat("a/", 31) + "a", ""},
		{"512 bytes are enough", strings.Repeat("a", 512), ""},
		{"not empty", "", `filter "": must not be empty`},
		{"plus within a level", "a+/b", `filter "a+/b": "+" must be a level of its own`},
		{"plus before text", "a/+b", `"+" must be a level of its own`},
		{"two pluses", "++", `"+" must be a level of its own`},
		{"hash within a level", "a#", `"#" must be a level of its own`},
		{"hash before text", "#a", `"#" must be a level of its own`},
		{"hash before the end", "#/a", `"#" must be the last level`},
		{"hash before an empty level", "a/#/", `"#" must be the last level`},
		{"NUL", "a\x00", "must not hold NUL"},
		{"NUL alone", "\x00", "must not hold NUL"},
		{"half a character", "a/\xc3", "must be UTF-8"},
		{"a surrogate", "\xed\xa0\x80", "must be UTF-8"},
		{"33 levels", strings.Repeat("/", 32), "must have at most 32 levels"},
		{"513 bytes", strings.Repeat("a", 513), "must be at most 512 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkSyntaxError(t, ValidFilter(tt.filter), tt.want) })
	}
}

func TestValidTopic(t *testing.T) {
	tests := []struct {
		name  string
		topic string
		want  string
	}{
		{"levels may be empty", "/a//b/", ""},
		{"dollar may begin a topic", "$SYS/x", ""},
		{"plus is no text", "a/+", `topic "a/+": must not hold "+" or "#"`},
		{"plus within a level is no text", "a+b", `must not hold "+" or "#"`},
		{"hash is no text", "a/b#", `must not hold "+" or "#"`},
		{"not empty", "", "must not be empty"},
		{"33 levels", strings.Repeat("/", 32), "must have at most 32 levels"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkSyntaxError(t, ValidTopic(tt.topic), tt.want) })
	}
}

// checkSyntaxError fails unless err is a *SyntaxError whose text holds want, or
// nil for "".
func checkSyntaxError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	if _, ok := errors.AsType[*SyntaxError](err); !ok || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want a *SyntaxError saying %q", err, want)
	}
}

func TestUnshared(t *testing.T) {
	tests := []struct {
		name   string
		filter string
		inner  string
		shared bool
		ok     bool
	}{
		{"a plain filter stays", "a/+/#", "a/+/#", false, true},
		{"another dollar filter stays", "$SYS/#", "$SYS/#", false, true},
		{"a longer word stays", "$shared/g/a", "$shared/g/a", false, true},
		{"further down it is text", "a/$share/g/b", "a/$share/g/b", false, true},
		{"group and prefix go", "$share/g/a/#", "a/#", true, true},
		{"case does not matter", "$ShArE/g/a", "a", true, true},
		{"it folds as the broker does", "$\u017fhare/g/a", "a", true, true},
		{"an empty first level stays", "$share/g//a", "/a", true, true},
		{"dollar topics can be shared", "$share/g/$SYS/#", "$SYS/#", true, true},
		{"no group", "$share", "", true, false},
		{"an empty group", "$share//a", "", true, false},
		{"no filter", "$share/g", "", true, false},
		{"an empty filter", "$share/g/", "", true, false},
		{"plus as group", "$share/+/a", "", true, false},
		{"hash in the group", "$share/g#/a", "", true, false},
		{"NUL in the group", "$share/g\x00/a", "", true, false},
		{"a group that is not UTF-8", "$share/\xff/a", "", true, false},
		{"shared twice", "$share/g/$SHARE/h/a", "", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inner, shared, ok := Unshared(tt.filter)
			if inner != tt.inner || shared != tt.shared || ok != tt.ok {
				t.Errorf("Unshared(%q) = %q, %v, %v, want %q, %v, %v", tt.filter, inner, shared, ok, tt.inner, tt.shared, tt.ok)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	tests := []struct {
		name   string
		filter string
		topic  string
		want   bool
	}{
		{"same topic", "site1/pump", "site1/pump", true},
		{"case matters", "site1/pump", "Site1/pump", false},
		{"hash takes the parent too", "site1/#", "site1", true},
		{"hash takes every depth", "site1/#", "site1/a/b/c", true},
		{"hash starts at a level", "site1/#", "site10/pump", false},
		{"plus is exactly one level", "site1/+", "site1/a/b", false},
		{"plus takes an empty level", "site1/+", "site1/", true},
		{"plus is not no level", "site1/+", "site1", false},
		{"hash does not reach $SYS", "#", "$SYS/broker/uptime", false},
		{"plus does not reach $SYS", "+/broker/uptime", "$SYS/broker/uptime", false},
		{"a literal $SYS does", "$SYS/#", "$SYS/broker/uptime", true},
		{"dollar further down is text", "a/+", "a/$x", true},
		{"an empty first level is not dollar", "+/$x", "/$x", true},
		{"a filter is no topic", "a/#", "a/+", false},
		{"a filter that is not valid matches nothing", "a/#/b", "a/#/b", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Matches(tt.filter, tt.topic); got != tt.want {
				t.Errorf("Matches(%q, %q) = %v, want %v", tt.filter, tt.topic, got, tt.want)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		name  string
		outer string
		inner string
		want  bool
	}{
		{"itself", "a/+/#", "a/+/#", true},
		{"narrower filter", "site1/#", "site1/+/temp", true},
		{"wider filter", "site1/+/temp", "site1/#", false},
		{"everything", "site1/#", "#", false},
		{"a level more is not the parent", "a/+/#", "a/#", false},
		{"at the root it is", "+/#", "#", true},
		{"behind an empty first level it is", "/+/#", "/#", true},
		{"plus does not cover a literal dollar", "+", "$SYS", false},
		{"a literal dollar does not cover plus", "$SYS/#", "+/#", false},
		{"what is not valid covers nothing", "a+", "a+", false},
		{"and is not covered", "#", "a+", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Covers(tt.outer, tt.inner); got != tt.want {
				t.Errorf("Covers(%q, %q) = %v, want %v", tt.outer, tt.inner, got, tt.want)
			}
		})
	}
}

func TestOverlaps(t *testing.T) {
	tests := []struct {
		name string
		a, b string
		want bool
	}{
		{"crossing wildcards", "a/+", "+/b", true},
		{"different levels", "a/+", "b/+", false},
		{"hash meets the parent", "a/b/#", "a/b", true},
		{"hash does not meet the grandparent", "a/b/#", "a", false},
		{"hash does not meet a dollar", "#", "$SYS/x", false},
		{"only the empty topic would do", "/#", "+", false},
		{"what is not valid overlaps nothing", "#", "a+", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if Overlaps(tt.a, tt.b) != tt.want || Overlaps(tt.b, tt.a) != tt.want {
				t.Errorf("Overlaps(%q, %q) = %v, want %v", tt.a, tt.b, !tt.want, tt.want)
			}
		})
	}
}

// TestFilterLaws goes through all pairs of filters of up to three levels.
// Covers is true exactly if the outer one matches all that the inner one
// matches, and where it is false a topic of four levels witnesses it. Overlaps
// is true exactly if a topic witnesses it.
func TestFilterLaws(t *testing.T) {
	var filters []string
	for _, f := range topics(3, "a", "", "$x", "+", "#") {
		if ValidFilter(f) == nil {
			filters = append(filters, f)
		}
	}
	if len(filters) != 4+1+4*5+4*4*5-1 { // "" is none
		t.Fatalf("%d filters are valid", len(filters))
	}
	for _, outer := range filters {
		for _, inner := range filters {
			if got, want := Covers(outer, inner), oracleCovers(outer, inner); got != want {
				t.Errorf("Covers(%q, %q) = %v, want %v", outer, inner, got, want)
			}
			if got, want := Overlaps(outer, inner), oracleOverlaps(outer, inner); got != want {
				t.Errorf("Overlaps(%q, %q) = %v, want %v", outer, inner, got, want)
			}
		}
		for _, topic := range world {
			if got, want := Matches(outer, topic), oracleMatch(outer, topic); got != want {
				t.Errorf("Matches(%q, %q) = %v, want %v", outer, topic, got, want)
			}
		}
	}
}
