package acl

import "testing"

// TestWhatAResourceMatches asks about topics to publish to and topics to deliver.
func TestWhatAResourceMatches(t *testing.T) {
	tests := []struct {
		name     string
		resource string
		topic    string
		want     bool
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
		{"a resource that is not valid matches nothing", "a/#/b", "a/x/b", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Compile(Source{Grants: []Grant{may(tt.resource)}})
			if got := p.MayPublish(nil, tt.topic); got != tt.want {
				t.Errorf("with %q MayPublish(%q) = %v, want %v", tt.resource, tt.topic, got, tt.want)
			}
			if got := p.MayRead(nil, tt.topic); got != tt.want {
				t.Errorf("with %q MayRead(%q) = %v, want %v", tt.resource, tt.topic, got, tt.want)
			}
		})
	}
}

func TestWhatAResourceCovers(t *testing.T) {
	tests := []struct {
		name     string
		resource string
		filter   string
		want     bool
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
			if got := Compile(Source{Grants: []Grant{may(tt.resource)}}).MayRead(nil, tt.filter); got != tt.want {
				t.Errorf("with %q MayRead(%q) = %v, want %v", tt.resource, tt.filter, got, tt.want)
			}
		})
	}
}

func TestWhatAResourceOverlaps(t *testing.T) {
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if overlaps(tt.a, tt.b) != tt.want || overlaps(tt.b, tt.a) != tt.want {
				t.Errorf("a deny of %q or of %q touches the other: %v, want %v", tt.a, tt.b, !tt.want, tt.want)
			}
		})
	}
}

// overlaps reports whether a deny of a resource touches a filter, which nothing
// else forbids.
func overlaps(resource, filter string) bool {
	return !Compile(Source{Grants: []Grant{may(filter), mustNot(resource)}}).MayReadStrict(nil, filter)
}

// TestResourcesFollowTheLaws goes through all pairs of a resource and a filter of
// up to three levels. The resource allows the filter exactly if it matches all that
// the filter matches, and where it does not, a topic of four levels witnesses it.
// It touches the filter exactly if a topic witnesses it.
func TestResourcesFollowTheLaws(t *testing.T) {
	var filters []string
	for _, f := range topics(3, "a", "", "$x", "+", "#") {
		if ValidFilter(f) == nil {
			filters = append(filters, f)
		}
	}
	if len(filters) != 4+1+4*5+4*4*5-1 { // "" is none
		t.Fatalf("%d filters are valid", len(filters))
	}
	for _, resource := range filters {
		p := Compile(Source{Grants: []Grant{may(resource)}})
		for _, filter := range filters {
			if got, want := p.MayRead(nil, filter), oracleCovers(resource, filter); got != want {
				t.Errorf("with %q MayRead(%q) = %v, want %v", resource, filter, got, want)
			}
			if got, want := overlaps(resource, filter), oracleOverlaps(resource, filter); got != want {
				t.Errorf("a deny of %q touches %q: %v, want %v", resource, filter, got, want)
			}
		}
		for _, topic := range world {
			if got, want := p.MayPublish(nil, topic), oracleMatch(resource, topic); got != want {
				t.Errorf("with %q MayPublish(%q) = %v, want %v", resource, topic, got, want)
			}
		}
	}
}
