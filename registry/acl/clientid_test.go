package acl

import (
	"strings"
	"testing"
)

func TestMayUseClientID(t *testing.T) {
	tests := []struct {
		name string
		list []string
		user string
		id   string
		want bool
	}{
		{"without a list any ID will do", nil, "u", "anything/at all", true},
		{"without a list no ID will do, too", nil, "u", "", true},
		{"the ID itself", []string{"a", "b"}, "u", "b", true},
		{"another", []string{"a", "b"}, "u", "c", false},
		{"case matters", []string{"a"}, "u", "A", false},
		{"an ID with a slash, itself", []string{"site/gw"}, "u", "site/gw", true},
		{"plus is any end", []string{"gw-+"}, "u", "gw-17", true},
		{"plus is at least one character", []string{"gw-+"}, "u", "gw-", false},
		{"plus is no slash", []string{"gw-+"}, "u", "gw-1/2", false},
		{"plus alone is any one level", []string{"+"}, "u", "x", true},
		{"plus alone is not no ID", []string{"+"}, "u", "", false},
		{"plus in the middle", []string{"gw-+-a"}, "u", "gw-1-a-a", true},
		{"the parts do not share characters", []string{"ab+bc"}, "u", "abc", false},
		{"the middle is found late enough", []string{"a+b+c"}, "u", "abbc", false},
		{"and early enough", []string{"a+b+c"}, "u", "axbbbc", true},
		{"two pluses are two characters", []string{"a++"}, "u", "ab", false},
		{"characters, not bytes", []string{"++"}, "u", "é", false},
		{"the user's name", []string{"${username}"}, "u", "u", true},
		{"the user's name in a pattern", []string{"${username}-+"}, "u", "u-1", true},
		{"another user's name", []string{"${username}-+"}, "u", "v-1", false},
		{"a name with a plus is no pattern", []string{"${username}"}, "+", "x", false},
		{"nor does it stand for itself", []string{"${username}"}, "+", "+", false},
		{"an empty name is nobody", []string{"${username}+"}, "", "x", false},
		{"the placeholder is no text", []string{"${username}"}, "u", "${username}", false},
		{"a list of what is not valid refuses every ID", []string{"", "a#", "${x}"}, "u", "a#", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Compile(Source{Username: tt.user, ClientIDs: tt.list})
			if got := p.MayUseClientID(tt.id); got != tt.want {
				t.Errorf("%q with the list %q: %v, want %v", tt.id, tt.list, got, tt.want)
			}
		})
	}
}

func TestValidClientIDPattern(t *testing.T) {
	tests := []struct {
		name    string
		pattern string
		want    string
	}{
		{"an ID", "gw-1", ""},
		{"an ID with a slash", "site/gw", ""},
		{"a pattern", "gw-+-${username}", ""},
		{"dollar without brace", "a$b$", ""},
		{"empty", "", "must not be empty"},
		{"hash", "gw-#", `must not hold "#"`},
		{"a pattern with a slash", "site/+", "one level"},
		{"another placeholder", "${clientid}", "the only placeholder is ${username}"},
		{"half a placeholder", "${username", "the only placeholder is ${username}"},
		{"NUL", "a\x00", "must not hold NUL"},
		{"not UTF-8", "\xff", "must be UTF-8"},
		{"513 bytes", strings.Repeat("a", 513), "must be at most 512 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkSyntaxError(t, ValidClientIDPattern(tt.pattern), tt.want) })
	}
}

func TestValidPrefix(t *testing.T) {
	tests := []struct {
		name   string
		prefix string
		want   string
	}{
		{"none", "", ""},
		{"with its slash", "site1/", ""},
		{"in the middle of a level", "site1/gw-", ""},
		{"a dollar", "$SYS/", `publish prefix "$SYS/": must not begin with "$"`},
		{"a wildcard", "+/", `must not hold "+" or "#"`},
		{"NUL", "a\x00", "must not hold NUL"},
		{"too deep", strings.Repeat("/", 32), "at most 32 levels"},
		{"too long", strings.Repeat("a", 513), "at most 512 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkSyntaxError(t, ValidPrefix(tt.prefix), tt.want) })
	}
}
