package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	messages "mqttwarden/broker/message"
)

// subscribe subscribes to filters and returns the codes of the SUBACK.
func (c *client) subscribe(filters ...packets.Subscription) []byte {
	c.TB.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1, Filters: filters}
	for _, f := range filters {
		if f.Identifier > 0 {
			pk.Properties.SubscriptionIdentifier = []int{f.Identifier}
		}
	}
	c.Send(pk)
	return c.Expect(packets.Suback).ReasonCodes
}

// heard returns the topics of what has come, to the last message before one that
// it publishes itself, and acknowledges them.
func (c *client) heard(b *started) (topics []string) {
	c.TB.Helper()
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: "last"}},
	})
	for {
		pk, err := c.Next()
		switch {
		case err != nil:
			c.TB.Fatal(err)
		case pk.FixedHeader.Type == packets.Suback:
			if err := b.Publish(&messages.Message{Topic: "last"}); err != nil {
				c.TB.Fatal(err)
			}
			continue
		case pk.TopicName == "last":
			return topics
		case pk.FixedHeader.Qos == 1:
			c.Send(ack(packets.Puback, pk.PacketID))
		}
		topics = append(topics, pk.TopicName)
	}
}

// A filter that ends with # matches the level before it, whatever that is: every
// Sparkplug host subscribes to spBv1.0/+/+/+/# ([MQTT-4.7.1-2]).
func TestParentLevelOfAWildcard(t *testing.T) {
	for _, tt := range []struct{ filter, topics, want string }{
		{"spBv1.0/+/+/+/#", "spBv1.0/g/NBIRTH/n spBv1.0/g/DDATA/n/d spBv1.0/g/NDEATH", "spBv1.0/g/NBIRTH/n spBv1.0/g/DDATA/n/d"},
		{"+/#", "x x/y /x x/y/z", "x x/y /x x/y/z"},
		{"+/+/#", "x x/y /x x/y/z", "x/y /x x/y/z"},
		{"/+/#", "x /x /x/y x/y", "/x /x/y"},
		{"x/+/#", "x x/ x/y y/x x/y/z", "x/ x/y x/y/z"},
		{"x/+/y/#", "x/1/y x/1 x/1/y/2", "x/1/y x/1/y/2"},
		{"x/#", "x x/y y", "x x/y"},
		{"#", "x x/y", "x x/y"},
	} {
		for _, share := range []string{"", "$share/g/", "$SHARE/g/"} {
			for _, version := range []byte{4, 5} {
				t.Run(fmt.Sprintf("%s%s v%d", share, tt.filter, version), func(t *testing.T) {
					b := start(t, new(open), nil)
					sub, pub := dial(t, b, version), dial(t, b, 5)
					sub.connect("sub", nil)
					pub.connect("pub", nil)
					sub.subscribe(packets.Subscription{Filter: share + tt.filter, Qos: 1})
					for i, topic := range strings.Fields(tt.topics) {
						pub.Send(message(topic, 1, uint16(i+1)))
						pub.Expect(packets.Puback)
					}
					if diff := cmp.Diff(strings.Fields(tt.want), sub.heard(b)); diff != "" {
						t.Error("messages come otherwise (-want +got):\n" + diff)
					}
				})
			}
		}
	}
}

// Wildcards match no first level that begins with $ ([MQTT-4.7.2-1]).
func TestParentLevelIsNoneOfTheBrokersOwn(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.subscribe(packets.Subscription{Filter: "+/#"}, packets.Subscription{Filter: "$share/g/+/#"})
	if err := b.Publish(&messages.Message{Topic: "$x"}); err != nil {
		t.Fatal(err)
	}
	if got := c.heard(b); got != nil {
		t.Errorf("got %v", got)
	}
}

// What the broker itself retains is no exception.
func TestParentLevelOfTheBrokersOwn(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.subscribe(packets.Subscription{Filter: "$SYS/+/version/#"}, packets.Subscription{Filter: "$SYS/+/version/+/#"})
	if got := c.heard(b); len(got) != 1 || got[0] != "$SYS/broker/version" {
		t.Errorf("got %v", got)
	}
	if got, n := b.Retained("$SYS/broker/version/#", func(string) bool { return true }, 0, 9); n != 1 || got[0].Topic != "$SYS/broker/version" {
		t.Errorf("got %v", got)
	}
}

// A client that has other subscriptions besides gets a message once, at the
// highest QoS of them and with all identifiers (section 3.3.4).
func TestParentLevelOfOverlappingSubscriptions(t *testing.T) {
	b := start(t, new(open), nil)
	sub, pub := dial(t, b, 5), dial(t, b, 5)
	sub.connect("sub", nil)
	pub.connect("pub", nil)
	for i, filter := range []string{"x/+", "x/+/#", "+/+/#", "x/y"} {
		sub.subscribe(packets.Subscription{Filter: filter, Identifier: i + 1, Qos: byte(i % 2)})
	}
	pub.Send(message("x/y", 1, 1))
	pub.Expect(packets.Puback)
	pk := sub.Expect(packets.Publish)
	if more := sub.heard(b); more != nil {
		t.Errorf("and %v", more)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4}, pk.Properties.SubscriptionIdentifier); diff != "" || pk.FixedHeader.Qos != 1 {
		t.Errorf("QoS %d, identifiers (-want +got):\n%s", pk.FixedHeader.Qos, diff)
	}
}

// Each group gets a message once, and so does each subscription that is not shared.
func TestParentLevelOfSharedSubscriptions(t *testing.T) {
	b := start(t, new(open), nil)
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	var subs []*client
	for i, filter := range []string{"$share/g/x/+/#", "$share/g/x/+/#", "$share/h/x/+/#", "x/+/#"} {
		c := dial(t, b, 5)
		c.connect(fmt.Sprint("c", i), nil)
		c.subscribe(packets.Subscription{Filter: filter, Qos: 1})
		subs = append(subs, c)
	}
	const rounds = 20
	for i := range rounds {
		pub.Send(message("x/y", 1, uint16(i+1)))
		pub.Expect(packets.Puback)
	}
	var got []int
	for _, c := range subs {
		got = append(got, len(c.heard(b)))
	}
	if got[0]+got[1] != rounds || got[2] != rounds || got[3] != rounds {
		t.Errorf("the group's two members got %d and %d, its only member %d, the other subscriber %d; want %d for each", got[0], got[1], got[2], got[3], rounds)
	}
}

// No Local, the granted QoS, Retain As Published and what may be read count as on
// any other level.
func TestParentLevelObeysTheSubscription(t *testing.T) {
	denied := ""
	b := start(t, &open{acl: func(_ *mqtt.Client, topic string, write bool) bool { return write || topic != denied }}, nil)
	c, pub := dial(t, b, 5), dial(t, b, 5)
	c.connect("c", nil)
	pub.connect("pub", nil)
	c.subscribe(packets.Subscription{Filter: "x/+/#", NoLocal: true, RetainAsPublished: true, Qos: 1})
	c.publish("x/y", 1)
	c.Expect(packets.Puback)
	pk := message("x/y", 2, 1)
	pk.FixedHeader.Retain = true
	pub.Send(pk)
	pub.Expect(packets.Pubrec)
	// Not its own, which would come before this.
	if got := c.Expect(packets.Publish); got.FixedHeader.Qos != 1 || !got.FixedHeader.Retain {
		t.Errorf("came with QoS %d, retain %t", got.FixedHeader.Qos, got.FixedHeader.Retain)
	}
	denied = "x/z"
	pub.Send(message("x/z", 1, 2))
	pub.Expect(packets.Puback)
	if got := c.heard(b); got != nil {
		t.Errorf("and %v", got)
	}
}

// With the subscription goes all of it, however it goes.
func TestParentLevelGoesWithTheSubscription(t *testing.T) {
	for _, filter := range []string{"x/+/#", "$share/g/x/+/#"} {
		for name, end := range map[string]func(*started, *client){
			"unsubscribe": func(_ *started, c *client) {
				c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 1, Filters: packets.Subscriptions{{Filter: filter}}})
				c.Expect(packets.Unsuback)
			},
			"loss of the right": func(b *started, _ *client) {
				b.Prune(b.Client("c"), func(string) bool { return false })
			},
			"end of the session": func(_ *started, c *client) { c.Disconnect() },
			"clean start": func(b *started, _ *client) {
				dial(t, b, 5).connect("c", nil)
			},
		} {
			t.Run(filter+" "+name, func(t *testing.T) {
				b := start(t, new(open), nil)
				c := dial(t, b, 5)
				c.connect("c", nil)
				c.subscribe(packets.Subscription{Filter: filter})
				if own, shared := b.Subscribers("x/y"); own+shared != 1 {
					t.Fatalf("%d and %d shared subscriptions match", own, shared)
				}
				end(b, c)
				eventually(t, "nothing matches", func() bool {
					own, shared := b.Subscribers("x/y")
					return own+shared == 0
				})
			})
		}
	}
}

// A refused filter gets nothing, and an offline session what comes meanwhile.
func TestParentLevelOfAStoredSession(t *testing.T) {
	b := start(t, &open{acl: func(_ *mqtt.Client, topic string, write bool) bool { return !strings.HasPrefix(topic, "secret") }}, nil)
	c, pub := dial(t, b, 5), dial(t, b, 5)
	c.connect("c", persistent)
	pub.connect("pub", nil)
	if codes := c.subscribe(packets.Subscription{Filter: "x/+/#", Qos: 1}, packets.Subscription{Filter: "secret/+/#", Qos: 1}); codes[1] != packets.ErrNotAuthorized.Code {
		t.Fatalf("codes %v", codes)
	}
	if own, shared := b.Subscribers("secret/x"); own+shared != 0 {
		t.Error("a refused filter is subscribed to")
	}
	c.Disconnect()
	for round := range 2 {
		pub.Send(message("x/y", 1, uint16(round+1)))
		pub.Expect(packets.Puback)
		c = dial(t, b, 5)
		c.connect("c", persistent)
		if got := c.heard(b); len(got) != 1 || got[0] != "x/y" {
			t.Errorf("round %d: got %v", round, got)
		}
		c.Disconnect()
	}
}

func TestParentLevelAfterARestart(t *testing.T) {
	file := t.TempDir() + "/sessions.db"
	with := func(cfg *broker.Config) { cfg.Sessions.File = file }
	b := start(t, new(open), with)
	c := dial(t, b, 5)
	c.connect("c", persistent)
	c.subscribe(packets.Subscription{Filter: "x/+/#", Qos: 1}, packets.Subscription{Filter: "$share/g/x/+/#", Qos: 1})
	if err := b.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	b = start(t, new(open), with)
	if own, shared := b.Subscribers("x/y"); own+shared != 2 {
		t.Errorf("%d and %d shared subscriptions match", own, shared)
	}
}
