package acl

import (
	"slices"
	"strings"
	"testing"
)

// may and mustNot are mqtt grants for both operations.
func may(resource string) Grant {
	return Grant{Context: MQTT, Operation: ReadWrite, Resource: resource}
}

func mustNot(resource string) Grant {
	return Grant{Context: MQTT, Operation: ReadWrite, Effect: Deny, Resource: resource}
}

// mayHTTP is an http grant for both operations.
func mayHTTP(resource string) Grant {
	return Grant{Context: HTTP, Operation: ReadWrite, Resource: resource}
}

func TestMayPublish(t *testing.T) {
	tests := []struct {
		name   string
		prefix string
		grants []Grant
		topic  string
		want   bool
	}{
		{"nothing is allowed by default", "", nil, "a", false},
		{"a grant allows what it matches", "", []Grant{may("a/+")}, "a/b", true},
		{"and nothing else", "", []Grant{may("a/+")}, "a/b/c", false},
		{"hash takes the parent, too", "", []Grant{may("a/#")}, "a", true},
		{"reading is not writing", "", []Grant{{Context: MQTT, Operation: Read, Resource: "a"}}, "a", false},
		{"a path is not a topic", "", []Grant{mayHTTP("/#")}, "/a", false},
		{"a deny beats an allow", "", []Grant{may("a/b"), mustNot("a/#")}, "a/b", false},
		{"in any order", "", []Grant{mustNot("a/#"), may("a/b")}, "a/b", false},
		{"however exact the allow is", "", []Grant{may("a/b/c"), mustNot("+/+/+")}, "a/b/c", false},
		{"a deny elsewhere does nothing", "", []Grant{may("#"), mustNot("b/#")}, "a/b", true},
		{"several branches are tried", "", []Grant{may("a/b/x"), may("a/+/y"), may("+/b/z")}, "a/b/z", true},
		{"hash does not reach dollar topics", "", []Grant{may("#"), may("+/x")}, "$SYS/x", false},
		{"a literal dollar does", "", []Grant{may("$SYS/+")}, "$SYS/x", true},
		{"a deny of everything leaves dollar topics", "", []Grant{may("$SYS/#"), mustNot("#")}, "$SYS/x", true},
		{"the prefix comes first", "site1/", []Grant{may("site1/a")}, "a", true},
		{"so the topic alone is not enough", "site1/", []Grant{may("a")}, "a", false},
		{"nor is the prefix twice", "site1/", []Grant{may("site1/a")}, "site1/a", false},
		{"the prefix is no right", "site1/", []Grant{may("site2/#")}, "a", false},
		{"a prefix may end within a level", "site1/gw", []Grant{may("site1/gw-1/#")}, "-1/a", true},
		{"or be part of a long one", "site1/gateway", []Grant{may("site1/gateway-0001/#")}, "-0001/a", true},
		{"or be a slash", "/", []Grant{may("/a")}, "a", true},
		{"no slash is added", "site1", []Grant{may("site1/#")}, "a", false},
		{"a role need not know the prefix", "topicA/", []Grant{may("+/some/values")}, "some/values", true},
		{"a deny sees the prefix, too", "site1/", []Grant{may("#"), mustNot("site1/a")}, "a", false},
		{"dollar under a prefix is text", "site1/", []Grant{may("site1/#")}, "$SYS/x", true},
		{"and does not become a dollar topic", "site1/", []Grant{may("$SYS/#")}, "$SYS/x", false},
		{"the topic of an alias is empty", "", []Grant{may("#")}, "", false},
		{"under a prefix, too", "site1/", []Grant{may("#")}, "", false},
		{"plus is no topic", "", []Grant{may("#")}, "a/+", false},
		{"hash is no topic", "", []Grant{may("#")}, "#", false},
		{"NUL is no text", "", []Grant{may("#")}, "a\x00", false},
		{"a topic is UTF-8", "", []Grant{may("#")}, "a\xff", false},
		{"32 levels are enough", "", []Grant{may("#")}, strings.Repeat("/", 31), true},
		{"33 are too deep", "", []Grant{may("#")}, strings.Repeat("/", 32), false},
		{"with the prefix, too", "a/", []Grant{may("#")}, strings.Repeat("/", 31), false},
		{"512 bytes are enough", "", []Grant{may("#")}, strings.Repeat("a", 512), true},
		{"513 are too long", "", []Grant{may("#")}, strings.Repeat("a", 513), false},
		{"with the prefix, too", "a/", []Grant{may("#")}, strings.Repeat("a", 511), false},
		{"a prefix that is not valid refuses everything", "+/", []Grant{may("#")}, "a", false},
		{"a dollar prefix, too", "$SYS/", []Grant{may("$SYS/#")}, "a", false},
		{"nothing is published below $share", "", []Grant{may("#"), may("$share/#"), may("$SHARE/#")}, "$share/g/a", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Compile(Source{Prefix: tt.prefix, Grants: tt.grants})
			if got := p.MayPublish(nil, tt.topic); got != tt.want {
				t.Errorf("MayPublish(%q) = %v, want %v", tt.topic, got, tt.want)
			}
		})
	}
}

func TestMayRead(t *testing.T) {
	tests := []struct {
		name   string
		grants []Grant
		filter string
		want   bool // of MayRead
		strict bool // of MayReadStrict
	}{
		{"nothing is allowed by default", nil, "a", false, false},
		{"a topic that a grant matches", []Grant{may("a/+")}, "a/b", true, true},
		{"a filter that a grant covers", []Grant{may("a/#")}, "a/+/b", true, true},
		{"a filter wider than its grant", []Grant{may("a/+/b")}, "a/#", false, false},
		{"a filter that two grants cover together", []Grant{may("a"), may("a/+/#")}, "a/#", false, false},
		{"everything", []Grant{may("a/#")}, "#", false, false},
		{"everything by everything", []Grant{may("#")}, "#", true, true},
		{"everything by another name", []Grant{may("+/#")}, "#", true, true},
		{"plus is not covered by text", []Grant{may("a/b")}, "a/+", false, false},
		{"hash does not cover a dollar filter", []Grant{may("#")}, "$SYS/#", false, false},
		{"a dollar filter by a dollar grant", []Grant{may("$SYS/#")}, "$SYS/+/x", true, true},
		{"shared is judged without its group", []Grant{may("a/#")}, "$share/g/a/+", true, true},
		{"in any case", []Grant{may("a/#")}, "$SHARE/g/a/+", true, true},
		{"so it is no way round", []Grant{may("a/#")}, "$share/g/#", false, false},
		{"nor to dollar topics", []Grant{may("#")}, "$share/g/$SYS/#", false, false},
		{"shared without a group", []Grant{may("#")}, "$share//a", false, false},
		{"shared twice", []Grant{may("#")}, "$share/g/$share/h/a", false, false},
		{"a deny that covers all", []Grant{may("#"), mustNot("a/#")}, "a/+", false, false},
		{"a deny that overlaps", []Grant{may("#"), mustNot("a/b/c")}, "a/#", true, false},
		{"a deny that crosses", []Grant{may("#"), mustNot("+/c")}, "a/+", true, false},
		{"a deny of the parent", []Grant{may("#"), mustNot("a")}, "a/#", true, false},
		{"a deny below a topic", []Grant{may("#"), mustNot("a/b")}, "a", true, true},
		{"a deny elsewhere", []Grant{may("#"), mustNot("b/+")}, "a/+", true, true},
		{"a dollar deny is not below plus", []Grant{may("#"), mustNot("$SYS/x")}, "+/x", true, true},
		{"nor is a long one", []Grant{may("#"), mustNot("$SYS-and-more/x")}, "+/x", true, true},
		{"a long text is", []Grant{may("#"), mustNot("SYS-and-more/x")}, "+/x", true, false},
		{"a dollar deny is not below hash", []Grant{may("#"), mustNot("$SYS/#")}, "#", true, true},
		{"a deny that matches the topic delivered", []Grant{may("#"), mustNot("a/b")}, "a/b", false, false},
		{"empty", []Grant{may("#")}, "", false, false},
		{"no filter", []Grant{may("#")}, "a/b+", false, false},
		{"too deep", []Grant{may("#")}, strings.Repeat("+/", 32) + "#", false, false},
		{"too long for its group", []Grant{may("#")}, "$share/" + strings.Repeat("g", 512) + "/a", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Compile(Source{Prefix: "not/for/reading/", Grants: tt.grants})
			if got := p.MayRead(nil, tt.filter); got != tt.want {
				t.Errorf("MayRead(%q) = %v, want %v", tt.filter, got, tt.want)
			}
			if got := p.MayReadStrict(nil, tt.filter); got != tt.strict {
				t.Errorf("MayReadStrict(%q) = %v, want %v", tt.filter, got, tt.strict)
			}
		})
	}
}

func TestMayHTTP(t *testing.T) {
	read := func(resource string) Grant { return Grant{Context: HTTP, Operation: Read, Resource: resource} }
	tests := []struct {
		name   string
		grants []Grant
		op     Operation
		path   string
		want   bool
	}{
		{"nothing is allowed by default", nil, Read, "/", false},
		{"a topic is not a path", []Grant{may("#")}, Read, "/api/users", false},
		{"a path that a grant matches", []Grant{read("/api/users/+")}, Read, "/api/users/7", true},
		{"reading is not writing", []Grant{read("/api/users/+")}, Write, "/api/users/7", false},
		{"both are needed for both", []Grant{read("/api/users/+")}, ReadWrite, "/api/users/7", false},
		{"and enough", []Grant{mayHTTP("/api/users/+")}, ReadWrite, "/api/users/7", true},
		{"hash takes the parent, too", []Grant{read("/api/users/#")}, Read, "/api/users", true},
		{"all paths", []Grant{read("/#")}, Read, "/", true},
		{"a trailing slash is a level", []Grant{read("/api/users")}, Read, "/api/users/", false},
		{"case matters", []Grant{read("/api/users")}, Read, "/API/users", false},
		{"a dollar is text", []Grant{read("/#")}, Read, "/$x", true},
		{"a wildcard in a path is text", []Grant{read("/api/users/+")}, Read, "/api/users/a+b#", true},
		{"and stands for nothing", []Grant{read("/api/a")}, Read, "/api/+", false},
		{"a deny beats an allow", []Grant{read("/#"), {Context: HTTP, Operation: Read, Effect: Deny, Resource: "/api/+"}}, Read, "/api/x", false},
		{"a path begins with a slash", []Grant{read("/#")}, Read, "api", false},
		{"a path is not empty", []Grant{read("/#")}, Read, "", false},
		{"no operation", []Grant{mayHTTP("/#")}, 0, "/", false},
		{"an unknown operation", []Grant{mayHTTP("/#")}, 7, "/", false},
		{"NUL", []Grant{read("/#")}, Read, "/\x00", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Compile(Source{Grants: tt.grants}).MayHTTP(tt.op, tt.path); got != tt.want {
				t.Errorf("MayHTTP(%s, %q) = %v, want %v", tt.op, tt.path, got, tt.want)
			}
		})
	}
}

func TestWhatIsNotValidIsRefused(t *testing.T) {
	all := []Grant{may("#"), mayHTTP("/#")}
	tests := []struct {
		name                         string
		grants                       []Grant
		publish, read, get, put, sys bool
	}{
		{"an allow that is not valid allows nothing", []Grant{may("a+"), may("${x}"), mayHTTP("#")}, false, false, false, false, false},
		{"a deny that is not valid forbids its operation", append(all, Grant{Context: MQTT, Operation: Write, Effect: Deny, Resource: "a+"}), false, true, true, true, false},
		{"dollar topics, too", append(all, may("$SYS/#"), mustNot("${x}")), false, false, true, true, false},
		{"in its context", append(all, Grant{Context: HTTP, Operation: Read, Effect: Deny, Resource: "x"}), true, true, false, true, false},
		{"without an operation it forbids both", append(all, Grant{Context: MQTT, Effect: Deny, Resource: "x"}), false, false, true, true, false},
		{"with an unknown operation, too", append(all, Grant{Context: MQTT, Operation: 5, Effect: Deny, Resource: "x"}), false, false, true, true, false},
		{"without a context it forbids in all", append(all, Grant{Operation: Write, Effect: Deny, Resource: "x"}), false, true, true, false, false},
		{"an unknown effect counts as deny", append(all, Grant{Context: MQTT, Operation: Read, Effect: 9, Resource: "x"}), true, false, true, true, false},
		{"a valid deny of something else does not", append(all, mustNot("x")), true, true, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Compile(Source{Grants: tt.grants})
			got := []bool{p.MayPublish(nil, "a"), p.MayRead(nil, "a"), p.MayHTTP(Read, "/a"), p.MayHTTP(Write, "/a"), p.MayPublish(nil, "$SYS/a")}
			if want := []bool{tt.publish, tt.read, tt.get, tt.put, tt.sys}; !slices.Equal(got, want) {
				t.Errorf("publish, read, GET, PUT, $SYS = %v, want %v", got, want)
			}
		})
	}
}

func TestNoPolicyAllowsNothing(t *testing.T) {
	var p *Policy
	n := p.Names("gw", "cn")
	if p.MayPublish(&n, "a") || p.MayRead(&n, "a") || p.MayReadStrict(nil, "a") || p.MayHTTP(Read, "/") ||
		p.MayUseClientID("gw") || p.AllRights() || p.CoversGrant(may("a")) {
		t.Error("a nil policy allows something")
	}
	if p.Prefix() != "" {
		t.Error("a nil policy has a prefix")
	}
	if e := p.Explain(&n, Question{Context: MQTT, Operation: Read, Name: "a"}); e.Allowed {
		t.Errorf("a nil policy explains %s", e)
	}
}

func TestPolicyKeepsItsFacts(t *testing.T) {
	src := Source{Prefix: "a/", ClientIDs: []string{"x"}, Grants: []Grant{may("a/#")}}
	p := Compile(src)
	src.Grants[0], src.ClientIDs[0] = mustNot("#"), "y"
	if p.Prefix() != "a/" {
		t.Errorf("got the prefix %q", p.Prefix())
	}
	if !p.MayPublish(nil, "x") || !p.MayUseClientID("x") {
		t.Error("a change of the source changed the policy")
	}
	if e := p.Explain(nil, Question{Context: MQTT, Operation: Write, Name: "x"}); e.Grant == nil || e.Grant.Resource != "a/#" {
		t.Errorf("a change of the source changed the explanation: %s", e)
	}
}
