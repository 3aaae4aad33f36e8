package broker_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// subscribeAll sends one SUBSCRIBE and returns the codes of its SUBACK.
func (c *client) subscribeAll(filters ...string) []byte {
	c.TB.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 3000}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f, Qos: 1})
	}
	c.Send(pk)
	return c.Expect(packets.Suback).ReasonCodes
}

// Mochi (v2.7.9) takes as many subscriptions as a client likes.
func TestV22SubscriptionsOfAClientAreLimited(t *testing.T) {
	for version, refused := range map[byte]byte{4: 0x80, 5: 0x97} {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxSubscriptions = 3 })
			c := dial(t, b, version)
			c.connect("c", nil)
			want := func(what string, got, want []byte) {
				t.Helper()
				if !slices.Equal(got, want) {
					t.Errorf("%s: SUBACK %#02x, want %#02x", what, got, want)
				}
			}
			want("two filters, one of them twice", c.subscribeAll("a", "b", "a"), []byte{1, 1, 1})
			want("one has room, and what is there is replaced", c.subscribeAll("b", "c", "d", "a", "e/#", "c"), []byte{1, 1, refused, 1, refused, 1})
			want("the same again", c.subscribeAll("a", "b", "c"), []byte{1, 1, 1})
			want("a shared one", c.subscribeAll("$share/g/x"), []byte{refused})
			if st := b.Stats(); st.Subscriptions != 3 || st.SubscriptionsRefused != 3 {
				t.Errorf("%d subscriptions, %d refused: want 3 and 3", st.Subscriptions, st.SubscriptionsRefused)
			}
			other := dial(t, b, version)
			other.connect("other", nil)
			want("another client", other.subscribeAll("d"), []byte{1})
			other.publish("d", 0)
			if got := other.Expect(packets.Publish).TopicName; got != "d" {
				t.Errorf("a message on %q", got)
			}
			c.Ping() // and none of what was refused

			c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 9, Filters: packets.Subscriptions{{Filter: "a"}}})
			if got := c.Expect(packets.Unsuback); got.PacketID != 9 {
				t.Errorf("UNSUBACK %d", got.PacketID)
			}
			want("there is room again", c.subscribeAll("d", "f"), []byte{1, refused})
		})
	}
}

// What lives under the client ID counts, whichever connection subscribed to it.
func TestV22SubscriptionsAreCountedAcrossATakeover(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxSubscriptions = 2 })
	for i := range 2 {
		c := dial(t, b, 5)
		c.connect("c", func(pk *packets.Packet) {
			pk.Connect.Clean = false
			pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 60, true
		})
		if i == 0 {
			c.subscribeAll("a", "b")
			continue
		}
		if got := c.subscribeAll("c", "b"); !slices.Equal(got, []byte{0x97, 1}) {
			t.Errorf("SUBACK %#02x, want 0x9701", got)
		}
	}
}

func TestFiltersAreLimited(t *testing.T) {
	long, deep := strings.Repeat("x", 100), strings.Repeat("/", 9)
	for _, tt := range []struct {
		name, filter string
		ok           bool
	}{
		{"as long as may be", long, true},
		{"longer", long + "x", false},
		{"as deep as may be", deep, true},
		{"deeper", deep + "/", false},
		{"deeper, with a wildcard", deep + "/#", false},
		{"shared, as long", "$share/group/" + long, true},
		{"shared, longer", "$share/group/" + long + "x", false},
		{"shared, as deep", "$SHARE/group/" + deep, true},
		{"shared, deeper", "$SHARE/group/" + deep + "/", false},
		{"shared by a group with a long name", "$share/" + long + "x/a", false},
	} {
		for version, refused := range map[byte]byte{4: 0x80, 5: 0x8F} {
			t.Run(fmt.Sprintf("%s, version %d", tt.name, version), func(t *testing.T) {
				b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxTopicLength, cfg.MaxTopicLevels = 100, 10 })
				c := dial(t, b, version)
				c.connect("c", nil)
				want, counted := byte(1), uint64(0)
				if !tt.ok {
					want, counted = refused, 1
				}
				if got := c.subscribeAll("a", tt.filter, "b"); !slices.Equal(got, []byte{1, want, 1}) {
					t.Errorf("SUBACK %#02x, want %#02x for the second", got, want)
				}
				if got := b.Stats().FiltersRefused; got != counted {
					t.Errorf("%d filters counted as refused, want %d", got, counted)
				}
			})
		}
	}
}

func TestWillTopicsAreLimited(t *testing.T) {
	for version, refused := range map[byte]byte{4: 5, 5: 0x90} {
		asked := false
		b := start(t, &open{connect: func(*mqtt.Client, packets.Packet) error { asked = true; return nil }}, func(cfg *broker.Config) {
			cfg.MaxTopicLength, cfg.MaxTopicLevels = 100, 10
		})
		will := func(topic string) byte {
			return dial(t, b, version).connect("c", func(pk *packets.Packet) {
				pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, topic, []byte("x")
			})
		}
		for _, topic := range []string{strings.Repeat("x", 101), strings.Repeat("/", 10)} {
			if code := will(topic); code != refused {
				t.Errorf("version %d: CONNACK %#02x, want %#02x", version, code, refused)
			}
		}
		if asked {
			t.Errorf("version %d: the hook was asked", version)
		}
		if code := will(strings.Repeat("/", 9)); code != 0 {
			t.Errorf("version %d: CONNACK %#02x to a will that may be", version, code)
		}
		if got := b.Stats().TopicsRefused; got != 2 {
			t.Errorf("version %d: %d counted, want 2", version, got)
		}
	}
}

// A session takes the memory of its filters, and a retained message its own, not
// that of the packets that they came in: mochi's strings are parts of those.
func TestWhatIsKeptDoesNotKeepItsPacket(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	var large []packets.UserProperty
	for range 3 {
		large = append(large, packets.UserProperty{Key: "k", Val: strings.Repeat("x", 60<<10)})
	}
	inUse := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) // #nosec G115 -- less
	}
	before := inUse()
	for i := range 64 {
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
			Properties: packets.Properties{User: large}, Filters: packets.Subscriptions{{Filter: fmt.Sprint("filter/", i)}},
		})
		c.Expect(packets.Suback)
		for _, size := range []int{200 << 10, 1} { // what is left of a topic's first message is its name
			c.retain(fmt.Sprint("topic/", i), strings.Repeat("x", size), 1)
			c.acked(1)
		}
	}
	if grown := inUse() - before; grown > 4<<20 {
		t.Errorf("64 filters and 64 small messages take %d KiB", grown>>10)
	}
}
