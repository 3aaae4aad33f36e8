package retain

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mqttwarden/broker/message"
)

// read returns the topics of all pages of a filter.
func read(s *Store, filter string, limit int, between func()) []string {
	var all []*message.Message
	for p := s.Pages(filter); ; {
		page, more := p.Next(limit, 0)
		all = append(all, page...)
		if !more {
			return topics(all)
		}
		between()
	}
}

func TestPagesAreAllThatMatches(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	name := func(levels ...string) string {
		parts := make([]string, 1+r.IntN(5))
		for i := range parts {
			parts[i] = levels[r.IntN(len(levels))]
		}
		return strings.Join(parts, "/")
	}
	for range 300 {
		s := New(Limits{})
		for range 40 {
			s.Put(at(name("a", "b", "c", "", "$x", "ab")))
		}
		for range 20 {
			filter := name("a", "b", "", "+", "$x")
			if r.IntN(2) == 0 {
				filter += "/#"
			}
			want := topics(s.Match(filter, 0))
			for _, limit := range []int{1, 2, 7, 100} {
				if got := read(s, filter, limit, func() {}); !slices.Equal(got, want) {
					t.Fatalf("%s, %d at a time: got %q, want %q", filter, limit, got, want)
				}
			}
		}
	}
}

func TestPagesOfAWideLevelWithoutMatches(t *testing.T) {
	s := New(Limits{})
	for i := range 3 * pageNodes {
		s.Put(at(fmt.Sprintf("d%d/x", i)))
	}
	s.Put(at("e/y"))
	pages := 0
	if got := read(s, "+/y", 10, func() { pages++ }); !slices.Equal(got, []string{"e/y"}) {
		t.Errorf("got %q", got)
	}
	if pages < 3 {
		t.Errorf("%d nodes were looked at in %d pages", 6*pageNodes, pages+1)
	}
}

func TestPagesWhileTheStoreChanges(t *testing.T) {
	s := New(Limits{})
	for i := range 100 {
		s.Put(at(fmt.Sprintf("t/%02d", i)))
	}
	var gone []string
	i := 0
	got := read(s, "t/#", 3, func() {
		topic := fmt.Sprintf("t/%02d", 99-i)
		i++
		s.Delete(topic)             // not reached yet
		s.Put(at(topic + "/below")) // came later
		s.Put(at(fmt.Sprintf("t/%02d", 60+i%20)))
		s.Delete(fmt.Sprintf("t/%02d", i)) // reached already
		gone = append(gone, topic)
	})
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("something comes twice: %q", got)
	}
	for _, topic := range got {
		if strings.HasSuffix(topic, "/below") {
			t.Errorf("%s came later", topic)
		}
	}
	for i := range 50 {
		if topic := fmt.Sprintf("t/%02d", i); !slices.Contains(got, topic) {
			t.Errorf("%s is missing", topic)
		}
	}
}

func TestSharesOfUsers(t *testing.T) {
	of := func(user string, n, bytes int) *message.Message {
		topic := fmt.Sprintf("%s/%03d", user, n)
		return &message.Message{Topic: topic, User: user, Payload: make([]byte, bytes-len(topic))}
	}
	fill := func(s *Store, user string, bytes int) int {
		n := 0
		for s.Put(of(user, n, bytes)) {
			n++
		}
		return n
	}
	for _, tt := range []struct {
		name   string
		limits Limits
		want   []int // that users get who take what they can, one after the other
	}{
		{"no limit for one user", Limits{Messages: 100}, []int{100, 0}},
		{"each leaves free as much as it has", Limits{Messages: 100, UserMessages: 100}, []int{50, 25, 12, 6}},
		{"a limit below that", Limits{Messages: 100, UserMessages: 10}, []int{10, 10, 10, 10}},
		{"bytes", Limits{Messages: 1000, Bytes: 2000, UserBytes: 2000}, []int{50, 25, 12}},
		{"a limit of bytes below that", Limits{Bytes: 2000, UserBytes: 100}, []int{5, 5}},
	} {
		s := New(tt.limits)
		for i, want := range tt.want {
			if got := fill(s, fmt.Sprint("u", i), 20); got != want {
				t.Errorf("%s: user %d gets %d, want %d", tt.name, i, got, want)
			}
		}
	}

	s := New(Limits{Messages: 2, UserMessages: 2})
	for i, want := range []bool{true, true, false, true} { // with nothing free, in the place of another's
		m := of("u", i%3, 20)
		if i > 0 {
			m.User = "v"
		}
		if got := s.Put(m); got != want {
			t.Errorf("message %d: %v, want %v", i, got, want)
		}
	}

	s = New(Limits{Messages: 100, Bytes: 1 << 20, UserMessages: 3, UserBytes: 60})
	fill(s, "u", 20)
	if !s.Put(of("u", 0, 20)) || !s.Put(of("u", 0, 10)) {
		t.Error("a user at its limit can't replace its own message by one that is not larger")
	}
	other := of("u", 1, 10)
	other.User = "v"
	if !s.Put(other) {
		t.Error("another user can't replace it")
	}
	if !s.Put(of("u", 7, 10)) {
		t.Error("what another user has replaced still counts")
	}
	s.Delete("u/001")
	for _, m := range s.Match("#", 0) {
		s.Delete(m.Topic)
	}
	if len(s.users) != 0 {
		t.Errorf("left behind: %v", s.users)
	}
}
