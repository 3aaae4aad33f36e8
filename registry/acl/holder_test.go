package acl

import "testing"

func TestAllRights(t *testing.T) {
	all := everything()
	tests := []struct {
		name   string
		grants []Grant
		want   bool
	}{
		{"the three grants", all, true},
		{"by other names", []Grant{may("+/#"), may("$SYS/#"), mayHTTP("/+/#")}, true},
		{"operation by operation", append(all[1:len(all):len(all)],
			Grant{Context: MQTT, Operation: Read, Resource: "#"}, Grant{Context: MQTT, Operation: Write, Resource: "#"}), true},
		{"without $SYS", []Grant{all[0], all[2]}, false},
		{"without topics", all[1:], false},
		{"without paths", all[:2], false},
		{"only reading paths", []Grant{all[0], all[1], {Context: HTTP, Operation: Read, Resource: "/#"}}, false},
		{"with any deny", append(all[:3:3], mustNot("nowhere")), false},
		{"with a deny that matches nothing", append(all[:3:3], mustNot("${username}")), false},
		{"with a deny that is not valid", append(all[:3:3], mustNot("a+")), false},
		{"nothing", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Compile(Source{Grants: tt.grants}).AllRights(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCoversGrant(t *testing.T) {
	readOnly := Grant{Context: MQTT, Operation: Read, Resource: "a/#"}
	tests := []struct {
		name  string
		own   []Grant
		grant Grant
		want  bool
	}{
		{"what one has", []Grant{may("a/#")}, may("a/#"), true},
		{"less than one has", []Grant{may("a/#")}, may("a/+/b"), true},
		{"more than one has", []Grant{may("a/+/b")}, may("a/#"), false},
		{"an operation that one has not", []Grant{readOnly}, may("a/b"), false},
		{"operations from several grants", []Grant{readOnly, {Context: MQTT, Operation: Write, Resource: "a/#"}}, may("a/b"), true},
		{"another context", []Grant{may("/#")}, mayHTTP("/a"), false},
		{"a path", []Grant{mayHTTP("/api/#")}, mayHTTP("/api/users/+"), true},
		{"dollar topics by hash", []Grant{may("#")}, may("$SYS/#"), false},
		{"what a deny touches", []Grant{may("#"), mustNot("a/b")}, may("a/+"), false},
		{"what a deny does not touch", []Grant{may("#"), mustNot("a/b")}, may("b/+"), true},
		{"the other operation of a deny", []Grant{may("#"), {Context: MQTT, Operation: Write, Effect: Deny, Resource: "a"}}, readOnly, true},
		{"a deny of what one has", []Grant{may("a/#")}, mustNot("a/b"), true},
		{"a deny of what one has not", []Grant{may("a/#")}, mustNot("b"), false},
		{"one's own name for anybody's", []Grant{may("${username}/#")}, may("${username}/#"), false},
		{"one's own name in plain", []Grant{may("${username}/#")}, may("ann/+"), true},
		{"anybody's name by a wildcard", []Grant{may("users/+/#")}, may("users/${username}/x"), true},
		{"a client ID by a wildcard", []Grant{may("+/x")}, may("${clientid}/x"), true},
		{"a client ID by a client ID", []Grant{may("${clientid}/x")}, may("${clientid}/x"), false},
		{"a certificate by a certificate", []Grant{may("${cert.cn}/x")}, may("${cert.cn}/x"), false},
		{"a plain level by a client ID", []Grant{may("${clientid}/x")}, may("gw/x"), false},
		{"what a deny of a client ID could touch", []Grant{may("#"), mustNot("dev/${clientid}")}, may("dev/x"), false},
		{"what a deny of a certificate could touch", []Grant{may("#"), mustNot("dev/${cert.cn}")}, may("dev/#"), false},
		{"what it could not", []Grant{may("#"), mustNot("dev/${clientid}")}, may("dev/x/y"), true},
		{"dollar topics below a deny of a client ID", []Grant{may("$x/y"), mustNot("${clientid}/y")}, may("$x/y"), true},
		{"anything next to a deny that is not valid", []Grant{may("#"), mustNot("a+")}, may("a"), false},
		{"a grant that is not valid", []Grant{may("#")}, may("a+"), false},
		{"a grant that is not valid, by all rights", everything(), may("a+"), true},
		{"dollar topics other than $SYS, by all rights", everything(), may("$other/#"), true},
		{"nothing by nothing", nil, may("a"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Compile(Source{Username: "ann", ClientIDs: []string{"gw"}, Grants: tt.own})
			if got := p.CoversGrant(tt.grant); got != tt.want {
				t.Errorf("CoversGrant(%s) = %v, want %v", tt.grant, got, tt.want)
			}
		})
	}
}
