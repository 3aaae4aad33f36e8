package retain

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"mqttwarden/registry/acl"
)

func at(topic string) *Message { return &Message{Topic: topic, Payload: []byte("x")} }

func topics(messages []*Message) []string {
	var out []string
	for _, m := range messages {
		out = append(out, m.Topic)
	}
	slices.Sort(out)
	return out
}

func TestMatch(t *testing.T) {
	s := New(Limits{})
	all := []string{"sport", "sport/tennis", "sport/tennis/p1", "/finance", "finance", "a//b", "$SYS/x", "$SYS"}
	for _, topic := range all {
		s.Put(at(topic))
	}
	for filter, want := range map[string][]string{
		"#":              {"/finance", "a//b", "finance", "sport", "sport/tennis", "sport/tennis/p1"},
		"+":              {"finance", "sport"},
		"/#":             {"/finance"},
		"/+":             {"/finance"},
		"+/+":            {"/finance", "sport/tennis"},
		"sport/#":        {"sport", "sport/tennis", "sport/tennis/p1"},
		"sport/+":        {"sport/tennis"},
		"sport/tennis/#": {"sport/tennis", "sport/tennis/p1"},
		"+/tennis/#":     {"sport/tennis", "sport/tennis/p1"},
		"sport":          {"sport"},
		"a/+/b":          {"a//b"},
		"a/#":            {"a//b"},
		"$SYS/#":         {"$SYS", "$SYS/x"},
		"$SYS/+":         {"$SYS/x"},
		"+/x":            nil,
		"nothing/#":      nil,
		"sport/tennis/":  nil,
		"sport/#/p1":     nil,
	} {
		if got := topics(s.Match(filter, 0)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", filter, got, want)
		}
	}
}

// A policy whose one grant has the filter as its resource lets the same topics be
// read.
func TestMatchAgreesWithThePolicy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	name := func(levels ...string) string {
		parts := make([]string, 1+r.IntN(4))
		for i := range parts {
			parts[i] = levels[r.IntN(len(levels))]
		}
		return strings.Join(parts, "/")
	}
	for range 200 {
		s := New(Limits{})
		var all []string
		for range 20 {
			topic := name("a", "b", "", "$x")
			if acl.ValidTopic(topic) == nil && s.Get(topic) == nil {
				s.Put(at(topic))
				all = append(all, topic)
			}
		}
		for range 50 {
			filter := name("a", "b", "", "+", "$x")
			if r.IntN(2) == 0 {
				filter += "/#"
			}
			policy := acl.Compile(acl.Source{Grants: []acl.Grant{{Context: acl.MQTT, Operation: acl.Read, Resource: filter}}})
			var want []string
			for _, topic := range all {
				if policy.MayRead(nil, topic) {
					want = append(want, topic)
				}
			}
			slices.Sort(want)
			if got := topics(s.Match(filter, 0)); !slices.Equal(got, want) {
				t.Fatalf("%s of %q: got %q, want %q", filter, all, got, want)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	s := New(Limits{Messages: 2, Bytes: 10})
	put := func(topic string, bytes int, want bool) {
		t.Helper()
		m := &Message{Topic: topic, Payload: make([]byte, bytes-len(topic))}
		if got := s.Put(m); got != want {
			t.Fatalf("%s with %d bytes: %v, want %v", topic, bytes, got, want)
		}
	}
	stats := func(want Stats) {
		t.Helper()
		if got := s.Stats(); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	put("a", 4, true)
	put("b", 7, false)
	put("b", 6, true)
	stats(Stats{Messages: 2, Bytes: 10, Refused: 1})
	put("c", 1, false)
	put("a", 5, false)
	put("a", 4, true) // not larger
	put("a", 2, true)
	put("a/b", 3, false) // there is room, but not for a third
	stats(Stats{Messages: 2, Bytes: 8, Refused: 4})
	if !s.Delete("b") || s.Delete("b") || s.Delete("a/b") {
		t.Error("Delete reports what was not so")
	}
	put("a/b", 8, true)
	stats(Stats{Messages: 2, Bytes: 10, Refused: 4})
	s.Restore(at("one too many"))
	stats(Stats{Messages: 3, Bytes: 23, Refused: 4})
	put("a", 2, true)
	put("a/b", 7, true)
	put("a/b", 8, false)
}

func TestSizeCountsProperties(t *testing.T) {
	m := at("topic")
	m.Properties = &Properties{
		ContentType: "12", ResponseTopic: "123", CorrelationData: []byte("1234"),
		User: []Property{{"12345", "123456"}, {"1", ""}},
	}
	if got, want := m.Size(), 5+1+2+3+4+32+5+6+32+1; got != want {
		t.Errorf("%d, want %d", got, want)
	}
}

func TestExpire(t *testing.T) {
	s := New(Limits{})
	for i := range 100 {
		m := at(fmt.Sprint("t/", i))
		m.Expires = int64(1 + (i*37)%100)
		s.Put(m)
	}
	s.Put(at("t/0"))   // it expires no more
	s.Delete("t/1")    // nor does this
	late := at("t/2")  // and this one later
	late.Expires = 200 //
	s.Put(late)
	if got := len(s.Match("#", 50)); got >= 99 || got < 50 {
		t.Errorf("%d messages are shown, some of which have expired", got)
	}
	seen := make(map[string]bool)
	for now := int64(1); now <= 100; now++ {
		for _, topic := range s.Expire(now) {
			if seen[topic] {
				t.Errorf("%s expires twice", topic)
			}
			seen[topic] = true
		}
	}
	if len(seen) != 97 || seen["t/0"] || seen["t/1"] || seen["t/2"] {
		t.Errorf("%d expired, want all but those that were replaced or deleted", len(seen))
	}
	if got := topics(s.Match("#", 100)); !slices.Equal(got, []string{"t/0", "t/2"}) {
		t.Errorf("left: %q", got)
	}
	s.Expire(200)
	s.Delete("t/0")
	if got := s.Stats(); got != (Stats{}) || len(s.root.below) != 0 || len(s.expiring) != 0 {
		t.Errorf("%+v and %d nodes are left of nothing", got, len(s.root.below))
	}
}

// Whatever is put, replaced, deleted and expired at once: the counts are those of
// what is there, the limits were never exceeded, and no node is left over.
func TestCountsAreExactUnderConcurrency(t *testing.T) {
	const bytes = 300
	s := New(Limits{Messages: 20, Bytes: bytes})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 7))
			for i := range 5000 {
				topic := strings.Repeat("a/", r.IntN(3)) + fmt.Sprint(r.IntN(12))
				switch r.IntN(5) {
				case 0:
					s.Delete(topic)
				case 1:
					s.Expire(int64(i))
				default:
					m := &Message{Topic: topic, Payload: make([]byte, 1+r.IntN(30))}
					if r.IntN(2) == 0 {
						m.Expires = int64(i + r.IntN(50))
					}
					s.Put(m)
				}
				if st := s.Stats(); st.Messages > 20 || st.Bytes > bytes || st.Messages < 0 || st.Bytes < 0 {
					t.Errorf("%+v", st)
					return
				}
			}
		})
	}
	wg.Wait()
	var want Stats
	for _, m := range s.Match("#", 0) {
		want.Messages++
		want.Bytes += int64(m.Size())
	}
	got := s.Stats()
	want.Refused = got.Refused
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.Expire(1 << 40)
	for _, m := range s.Match("#", 0) {
		s.Delete(m.Topic)
	}
	if got := s.Stats(); got.Messages != 0 || got.Bytes != 0 || len(s.root.below) != 0 || len(s.expiring) != 0 {
		t.Errorf("%+v and %d nodes are left of nothing", got, len(s.root.below))
	}
}

func BenchmarkPut(b *testing.B) {
	s := New(Limits{Messages: 1 << 30, Bytes: 1 << 40})
	all := make([]*Message, 100_000)
	for i := range all {
		all[i] = at(fmt.Sprintf("site/%d/dev%d/temp", i%100, i))
		s.Put(all[i])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Put(all[i%len(all)])
	}
}

func BenchmarkMatchAll(b *testing.B) {
	s := New(Limits{})
	for i := range 100_000 {
		s.Put(at(fmt.Sprintf("site/%d/dev%d/temp", i%100, i)))
	}
	for b.Loop() {
		s.Match("#", 0)
	}
}
