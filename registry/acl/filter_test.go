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
