package acl

import (
	"fmt"
	"testing"
)

func TestEveryOneOfManyChildrenIsFound(t *testing.T) {
	for _, format := range []string{"%d", "gw-%04d", "gateway-%04d", "site-with-a-long-name-%d"} {
		for _, children := range []int{1, 2, 3, 7, 100, 1000} {
			var grants []Grant
			for i := range children {
				grants = append(grants, may("a/"+fmt.Sprintf(format, i)))
			}
			p := Compile(Source{Grants: grants})
			for i := range 2 * children {
				topic := "a/" + fmt.Sprintf(format, i)
				if got, want := p.MayPublish(nil, topic), i < children; got != want {
					t.Fatalf("%d children: MayPublish(%q) = %v, want %v", children, topic, got, want)
				}
			}
		}
	}
}

func TestLevelsThatDifferInOneByteAreTold(t *testing.T) {
	const text = "a-text-that-goes-on-for-more-than-twice-eight-bytes"
	for size := 1; size <= len(text); size++ {
		p := Compile(Source{Grants: []Grant{may("x/" + text[:size])}})
		if !p.MayPublish(nil, "x/"+text[:size]) {
			t.Errorf("%q is not found", text[:size])
		}
		for at := range size {
			other := []byte(text[:size])
			other[at] ^= 1
			if topic := "x/" + string(other); p.MayPublish(nil, topic) {
				t.Errorf("%q is taken for %q", topic, text[:size])
			}
		}
		if p.MayPublish(nil, "x/"+text[:size-1]) || p.MayPublish(nil, "x/"+text[:size]+"a") {
			t.Errorf("a shorter or longer text is taken for %q", text[:size])
		}
	}
}

// TestTextsWithOneHash builds by hand what chance will not: two texts of a node
// that have the same key.
func TestTextsWithOneHash(t *testing.T) {
	q := query{user: &value{}, names: &Names{}}
	if bad := q.ask(topicForm, "", "the-second"); bad != fine {
		t.Fatal(bad.detail())
	}
	tr := trie{
		nodes: []node{{slots: 3}, {here: 1}, {here: 2}},
		edges: make([]edge, 3),
		texts: []string{"the-first", "the-second"},
	}
	tr.link(&tr.nodes[0], edge{key: q.keys[0], text: 0, node: 1})
	tr.link(&tr.nodes[0], edge{key: q.keys[0], text: 1, node: 2})
	if got := tr.cover(&q); got != 2 {
		t.Errorf("the-second leads to grant %d, want 2", got)
	}
	tr.texts[1] = "the-third"
	if got := tr.cover(&q); got != none {
		t.Errorf("a text that is not there leads to grant %d", got)
	}
}

func TestOfEqualResourcesTheFirstIsNamed(t *testing.T) {
	grants := []Grant{may("a/#"), may("b/+"), may("a/#"), may("b/+"), may("c"), may("c")}
	for i := range grants {
		grants[i].Permission = fmt.Sprint(i)
	}
	p := Compile(Source{Grants: grants})
	for topic, want := range map[string]string{"a/x": "0", "b/x": "1", "c": "4"} {
		e := p.Explain(nil, Question{Context: MQTT, Operation: Write, Name: topic})
		if e.Grant == nil || e.Grant.Permission != want {
			t.Errorf("%q: %s, want permission %s", topic, e, want)
		}
	}
}
