package acl

import (
	"strings"
	"testing"
)

func TestNamesOfTheAPIRoundTrip(t *testing.T) {
	for _, name := range []string{"read", "write", "readWrite"} {
		if o, err := ParseOperation(name); err != nil || o.String() != name {
			t.Errorf("ParseOperation(%q) = %v, %v", name, o, err)
		}
	}
	for _, name := range []string{"mqtt", "http"} {
		if c, err := ParseContext(name); err != nil || c.String() != name {
			t.Errorf("ParseContext(%q) = %v, %v", name, c, err)
		}
	}
	for name, want := range map[string]string{"": "allow", "allow": "allow", "deny": "deny"} {
		if e, err := ParseEffect(name); err != nil || e.String() != want {
			t.Errorf("ParseEffect(%q) = %v, %v", name, e, err)
		}
	}
}

func TestNamesThatTheAPIDoesNotKnow(t *testing.T) {
	for _, name := range []string{"", "Read", "readwrite", "subscribe", " read"} {
		_, err := ParseOperation(name)
		checkSyntaxError(t, err, "must be read, write or readWrite")
	}
	for _, name := range []string{"", "MQTT", "control_plane"} {
		_, err := ParseContext(name)
		checkSyntaxError(t, err, "must be mqtt or http")
	}
	for _, name := range []string{"Allow", "none", "denied"} {
		_, err := ParseEffect(name)
		checkSyntaxError(t, err, "must be allow or deny")
	}
}

func TestGrantValidate(t *testing.T) {
	mqtt := func(resource string) Grant { return Grant{Context: MQTT, Operation: Read, Resource: resource} }
	http := func(resource string) Grant { return Grant{Context: HTTP, Operation: Write, Resource: resource} }
	tests := []struct {
		name  string
		grant Grant
		want  string
	}{
		{"a filter", mqtt("a/+/#"), ""},
		{"placeholders as whole levels", mqtt("${username}/${clientid}/${cert.cn}/#"), ""},
		{"dollar without brace is text", mqtt("$SYS/a$b/$"), ""},
		{"a path", http("/api/users/+"), ""},
		{"all paths", http("/#"), ""},
		{"a deny", Grant{Context: MQTT, Operation: ReadWrite, Effect: Deny, Resource: "#"}, ""},
		{"no context", Grant{Operation: Read, Resource: "a"}, "must be mqtt or http"},
		{"no operation", Grant{Context: MQTT, Resource: "a"}, "must be read, write or readWrite"},
		{"an unknown operation", Grant{Context: MQTT, Operation: 5, Resource: "a"}, "must be read, write or readWrite"},
		{"an unknown effect", Grant{Context: MQTT, Operation: Read, Effect: 2, Resource: "a"}, "must be allow or deny"},
		{"no resource", mqtt(""), `resource "": must not be empty`},
		{"no filter", mqtt("a/b#"), `resource "a/b#": "#" must be a level of its own`},
		{"an unknown placeholder", mqtt("${user}/a"), "a placeholder must be a whole level and one of ${username}, ${clientid}, ${cert.cn}"},
		{"a placeholder in another case", mqtt("${Username}"), "a placeholder must be a whole level"},
		{"a placeholder that is part of a level", mqtt("gw-${clientid}/a"), "a placeholder must be a whole level"},
		{"half a placeholder", mqtt("${username"), "a placeholder must be a whole level"},
		{"a shared filter", mqtt("$Share/g/a"), "without $share/<group>/"},
		{"a path without its slash", http("api/users"), `must begin with "/" in the http context`},
		{"hash is no path", http("#"), `must begin with "/" in the http context`},
		{"a placeholder in a path", http("/api/users/${username}"), "placeholders stand in the mqtt context only"},
		{"33 levels", mqtt(strings.Repeat("+/", 32) + "#"), "at most 32 levels"},
		{"513 bytes", mqtt(strings.Repeat("a", 513)), "at most 512 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkSyntaxError(t, tt.grant.Validate(), tt.want) })
	}
}

func TestSyntaxErrorsAreShortAndPrintable(t *testing.T) {
	err := ValidFilter(strings.Repeat("\x1b\n", 1000))
	if s := err.Error(); len(s) > 500 || strings.ContainsAny(s, "\x1b\n") {
		t.Errorf("%d bytes: %q", len(s), s)
	}
}
