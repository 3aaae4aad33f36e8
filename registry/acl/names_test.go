package acl

import "testing"

func TestPlaceholders(t *testing.T) {
	type session struct{ user, clientID, certCN string }
	listed := []string{"gw-+"}
	tests := []struct {
		name     string
		session  session
		list     []string
		resource string
		topic    string
		want     bool
	}{
		{"the user's name", session{"ann", "", ""}, nil, "u/${username}/#", "u/ann/x", true},
		{"not another's", session{"ann", "", ""}, nil, "u/${username}/#", "u/bob/x", false},
		{"not the placeholder itself", session{"ann", "", ""}, nil, "a/${username}", "a/${username}", false},
		{"the certificate's name", session{"ann", "", "dev-1"}, nil, "${cert.cn}/+", "dev-1/x", true},
		{"no certificate is no name", session{"ann", "", ""}, nil, "${cert.cn}/x", "/x", false},
		{"the client ID if the list covers it", session{"ann", "gw-1", ""}, listed, "${clientid}/+", "gw-1/x", true},
		{"a long client ID", session{"ann", "gw-0123456789", ""}, listed, "a/${clientid}", "a/gw-0123456789", true},
		{"not a longer one", session{"ann", "gw-1", ""}, listed, "${clientid}/+", "gw-11/x", false},
		{"not without a list", session{"ann", "gw-1", ""}, nil, "${clientid}/+", "gw-1/x", false},
		{"not outside the list", session{"ann", "x-1", ""}, listed, "${clientid}/+", "x-1/x", false},
		{"a name may not bring levels", session{"a/b", "", ""}, nil, "${username}/x", "a/b/x", false},
		{"nor wildcards", session{"+", "", ""}, nil, "${username}/x", "b/x", false},
		{"nor everything", session{"#", "", ""}, nil, "${username}", "b/x", false},
		{"nor an end that is no text", session{"b\x00", "", ""}, nil, "${username}/x", "b/x", false},
		{"nor dollar topics", session{"$SYS", "", ""}, nil, "${username}/x", "$SYS/x", false},
		{"nor dollar levels further down", session{"$x", "", ""}, nil, "a/${username}", "a/$x", false},
		{"a client ID may not either", session{"ann", "+", ""}, []string{"+"}, "${clientid}/x", "b/x", false},
		{"nor a certificate", session{"ann", "", "#"}, nil, "${cert.cn}", "b", false},
		{"an empty name is no level", session{"", "", ""}, nil, "a/${username}", "a/", false},
		{"all at once", session{"ann", "gw-1", "cn"}, listed, "${username}/${clientid}/${cert.cn}", "ann/gw-1/cn", true},
		{"the same value twice", session{"ann", "gw-1", "gw-1"}, listed, "${clientid}/${cert.cn}", "gw-1/gw-1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := Source{Username: tt.session.user, ClientIDs: tt.list, Grants: []Grant{may(tt.resource)}}
			p := Compile(src)
			n := p.Names(tt.session.clientID, tt.session.certCN)
			if got := p.MayPublish(&n, tt.topic); got != tt.want {
				t.Errorf("as an allow: MayPublish(%q) = %v, want %v", tt.topic, got, tt.want)
			}
			src.Grants = []Grant{may("#"), may("$SYS/#"), mustNot(tt.resource)}
			p = Compile(src)
			n = p.Names(tt.session.clientID, tt.session.certCN)
			if got := p.MayPublish(&n, tt.topic); got != !tt.want {
				t.Errorf("as a deny: MayPublish(%q) = %v, want %v", tt.topic, got, !tt.want)
			}
		})
	}
}

func TestPlaceholderUnderAPrefix(t *testing.T) {
	p := Compile(Source{ClientIDs: []string{"+"}, Prefix: "site/gw-", Grants: []Grant{may("site/${clientid}/#")}})
	n := p.Names("gw-1", "")
	if !p.MayPublish(&n, "1/x") || p.MayPublish(&n, "2/x") {
		t.Error("the level that prefix and topic make together is not compared as one")
	}
}

func TestPlaceholderOverlapsAFilter(t *testing.T) {
	p := Compile(Source{ClientIDs: []string{"gw"}, Grants: []Grant{may("#"), mustNot("dev/${clientid}/x"), mustNot("cert/${cert.cn}")}})
	with, without := p.Names("gw", "cn"), p.Names("other", "")
	for _, filter := range []string{"dev/+/x", "dev/#", "dev/gw/+", "cert/+", "#"} {
		if p.MayReadStrict(&with, filter) {
			t.Errorf("%q overlaps the deny and was allowed", filter)
		}
		if !p.MayReadStrict(&without, filter) {
			t.Errorf("%q was refused though the placeholder stands for nothing", filter)
		}
	}
}

func TestNamesOfAnotherPolicyAreCheckedAgain(t *testing.T) {
	grants := []Grant{may("${clientid}/#")}
	before := Compile(Source{ClientIDs: []string{"gw"}, Grants: grants})
	after := Compile(Source{Grants: grants}) // the list is gone, and so is the right
	n := before.Names("gw", "")
	if !before.MayPublish(&n, "gw/x") || after.MayPublish(&n, "gw/x") {
		t.Error("names that one policy checked were trusted by another")
	}
	n = after.Names("gw", "")
	if after.MayPublish(&n, "gw/x") || !before.MayPublish(&n, "gw/x") {
		t.Error("names were not checked for the policy that was asked")
	}
}
