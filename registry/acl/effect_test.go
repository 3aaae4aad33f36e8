package acl

import (
	"slices"
	"testing"
)

func TestWhatAGrantComesTo(t *testing.T) {
	h := Held{
		Username: "ann", ClientIDs: []string{"gw-1", "${username}-x", "dev-+", "a/b"}, Prefix: "t1/",
		CertNames: []string{"cn", Unknown + "ab", ""},
	}
	for _, tt := range []struct {
		resource string
		want     []string // the resources
	}{
		{"a/+", []string{"a/+"}},
		{"a/${username}/${username}", []string{"a/ann/ann"}},
		{"${clientid}/x", []string{"gw-1/x", "ann-x/x", "+/x"}},
		{"${cert.cn}", []string{"cn", "+"}},
		{"${username}/${clientid}/${cert.cn}", []string{
			"ann/gw-1/cn", "ann/gw-1/+", "ann/ann-x/cn", "ann/ann-x/+", "ann/+/cn", "ann/+/+",
		}},
	} {
		var got []string
		for _, r := range h.Rights(may(tt.resource)) {
			got = append(got, r.Resource)
			if r.Prefix != "t1/" {
				t.Errorf("%s: the prefix is %q", r.Resource, r.Prefix)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s comes to %q, want %q", tt.resource, got, tt.want)
		}
	}
	if got := h.Rights(Grant{Context: MQTT, Operation: Read, Resource: "a"}); got[0].Prefix != "" {
		t.Errorf("the prefix confines reading: %+v", got)
	}
	other := h
	other.ClientIDs = []string{"other-+"}
	if h.Rights(may("${clientid}"))[2] == other.Rights(may("${clientid}"))[0] {
		t.Error("two patterns come to the same")
	}
}

func TestWhoIsConfinedByAPrefixCoversWhatBeginsWithIt(t *testing.T) {
	readOnly := Grant{Context: MQTT, Operation: Read, Resource: "#"}
	for _, tt := range []struct {
		name string
		own  string // the prefix of who gives
		give Right
		want bool
	}{
		{"no prefix, by who has none", "", Right{Grant: may("#")}, true},
		{"a prefix, by who has none", "", Right{Grant: may("#"), Prefix: "t1/"}, true},
		{"the same", "t1/", Right{Grant: may("#"), Prefix: "t1/"}, true},
		{"a longer one", "t1/", Right{Grant: may("#"), Prefix: "t1/a/"}, true},
		{"a shorter one", "t1/", Right{Grant: may("#"), Prefix: "t"}, false},
		{"none", "t1/", Right{Grant: may("#")}, false},
		{"another one", "t1/", Right{Grant: may("#"), Prefix: "t2/"}, false},
		{"none, within it", "t1/", Right{Grant: may("t1/x/#")}, true},
		{"none, and the level above", "t1/", Right{Grant: may("t1/#")}, false},
		{"none, all levels below", "t1/", Right{Grant: may("t1/+/#")}, true},
		{"none, beginning with a placeholder", "t1/", Right{Grant: may("${username}/x")}, false},
		{"none, reading only", "t1/", Right{Grant: readOnly}, true},
		{"a prefix that is none", "+/", Right{Grant: may("#"), Prefix: "+/"}, false},
	} {
		p := Compile(Source{Prefix: tt.own, Grants: []Grant{may("#")}})
		if got := p.CoversRight(tt.give); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
