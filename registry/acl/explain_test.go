package acl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExplain(t *testing.T) {
	site := Grant{Context: MQTT, Operation: ReadWrite, Resource: "site/#", Permission: "p1", Role: "operators"}
	own := Grant{Context: MQTT, Operation: Write, Resource: "site/${clientid}/x", Permission: "p2", Role: "devices"}
	other := Grant{Context: MQTT, Operation: Write, Resource: "dev/${clientid}", Permission: "p3", Role: "devices"}
	secret := Grant{Context: MQTT, Operation: Read, Effect: Deny, Resource: "site/secret/#", Permission: "p4", Role: "guard"}
	users := Grant{Context: HTTP, Operation: Read, Resource: "/api/users/+"}
	denyOwn := Grant{Context: MQTT, Operation: Write, Effect: Deny, Resource: "site/${clientid}/y"}
	grants := []Grant{site, own, other, secret, users, denyOwn}
	const noList = "but ${clientid} matches nothing: the user has no list of client IDs"

	tests := []struct {
		name string
		src  Source
		ask  Question
		want Explanation
		text string
	}{
		{
			"the grant that allows, and where it came from",
			Source{Grants: grants},
			Question{Context: MQTT, Operation: Write, Name: "site/a"},
			Explanation{Allowed: true, Reason: Granted, Name: "site/a", Grant: &site},
			`write mqtt "site/a": granted by permission p1 of role operators (allow readWrite mqtt "site/#")`,
		},
		{
			"the deny that beats it",
			Source{Grants: grants},
			Question{Context: MQTT, Operation: Read, Name: "site/secret/a"},
			Explanation{Reason: Denied, Name: "site/secret/a", Grant: &secret},
			`read mqtt "site/secret/a": denied by permission p4 of role guard (deny read mqtt "site/secret/#")`,
		},
		{
			"the deny that overlaps",
			Source{Grants: grants},
			Question{Context: MQTT, Operation: Read, Name: "$share/g/site/#", Strict: true},
			Explanation{Reason: DeniedInPart, Name: "site/#", Grant: &secret},
			`read mqtt "site/#": denied in part by permission p4 of role guard (deny read mqtt "site/secret/#")`,
		},
		{
			"nothing matches",
			Source{Grants: grants},
			Question{Context: MQTT, Operation: Write, Name: "a"},
			Explanation{Reason: NotGranted, Name: "a"},
			`write mqtt "a": not granted`,
		},
		{
			"the topic is judged with its prefix",
			Source{Prefix: "si", Grants: grants},
			Question{Context: MQTT, Operation: Write, Name: "te/a"},
			Explanation{Allowed: true, Reason: Granted, Name: "site/a", Grant: &site},
			`write mqtt "site/a": granted by permission p1 of role operators (allow readWrite mqtt "site/#")`,
		},
		{
			"what is wrong with a topic",
			Source{Grants: grants},
			Question{Context: MQTT, Operation: Write, Name: "site/+"},
			Explanation{Reason: Malformed, Name: "site/+", Detail: `must not hold "+" or "#"`},
			`write mqtt "site/+": malformed: must not hold "+" or "#"`,
		},
		{
			"a client ID that no list covers",
			Source{Grants: grants},
			Question{Context: MQTT, Operation: Write, Name: "dev/gw"},
			Explanation{
				Reason: NotGranted, Name: "dev/gw",
				Hint: `permission p3 of role devices (allow write mqtt "dev/${clientid}") would decide otherwise, ` + noList,
			},
			`write mqtt "dev/gw": not granted; permission p3 of role devices (allow write mqtt "dev/${clientid}") would decide otherwise, ` + noList,
		},
		{
			"a client ID that the list does not cover",
			Source{ClientIDs: []string{"x"}, Grants: grants},
			Question{Context: MQTT, Operation: Write, Name: "dev/gw"},
			Explanation{
				Reason: NotGranted, Name: "dev/gw",
				Hint: `permission p3 of role devices (allow write mqtt "dev/${clientid}") would decide otherwise, but ${clientid} matches nothing: the user's list of client IDs does not cover this one`,
			},
			"",
		},
		{
			"a deny that waits for a list, too",
			Source{Grants: grants},
			Question{Context: MQTT, Operation: Write, Name: "site/gw/y"},
			Explanation{
				Allowed: true, Reason: Granted, Name: "site/gw/y", Grant: &site,
				Hint: `permission (deny write mqtt "site/${clientid}/y") would decide otherwise, ` + noList,
			},
			"",
		},
		{
			"no hint where it would make no difference",
			Source{Grants: grants},
			Question{Context: MQTT, Operation: Write, Name: "site/gw/x"},
			Explanation{Allowed: true, Reason: Granted, Name: "site/gw/x", Grant: &site},
			"",
		},
		{
			"of both operations the one that is refused",
			Source{Grants: grants},
			Question{Context: HTTP, Operation: ReadWrite, Name: "/api/users/7"},
			Explanation{Question: Question{Operation: Write}, Reason: NotGranted, Name: "/api/users/7"},
			`write http "/api/users/7": not granted`,
		},
		{
			"a path without its slash",
			Source{Grants: grants},
			Question{Context: HTTP, Operation: Read, Name: "api/users/7"},
			Explanation{Reason: Malformed, Name: "api/users/7", Detail: `must begin with "/"`},
			"",
		},
		{
			"no operation",
			Source{Grants: grants},
			Question{Context: HTTP, Name: "/api/users/7"},
			Explanation{Reason: NotGranted, Name: "/api/users/7"},
			"",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Compile(tt.src)
			n := p.Names("gw", "")
			want := tt.want
			op := want.Question.Operation
			want.Question = tt.ask
			if op != 0 {
				want.Question.Operation = op
			}
			got := p.Explain(&n, tt.ask)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if tt.text != "" && got.String() != tt.text {
				t.Errorf("got  %s\nwant %s", got, tt.text)
			}
		})
	}
}

func TestExplainHandsOutCopies(t *testing.T) {
	p := Compile(Source{Grants: []Grant{may("a")}})
	ask := Question{Context: MQTT, Operation: Read, Name: "a"}
	p.Explain(nil, ask).Grant.Role = "changed"
	if role := p.Explain(nil, ask).Grant.Role; role != "" {
		t.Errorf("the policy's own grant has the role %q now", role)
	}
}
