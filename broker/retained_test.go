package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	messages "mqttwarden/broker/message"
)

// retain publishes a message that is to be retained; an empty payload clears.
func (c *client) retain(topic, payload string, qos byte) {
	c.TB.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos, Retain: true}, TopicName: topic, Payload: []byte(payload)}
	if qos > 0 {
		pk.PacketID = 1000
	}
	c.Send(pk)
}

// acked reads the answer to a publish with an identifier of 1000 to its end and
// returns the code of the first packet, 0 in place of 0x10: nobody subscribes.
func (c *client) acked(qos byte) byte {
	c.TB.Helper()
	switch qos {
	case 0:
		c.Ping()
		return 0
	case 1:
		if code := c.Expect(packets.Puback).ReasonCode; code != packets.CodeNoMatchingSubscribers.Code {
			return code
		}
		return 0
	}
	rec := c.Expect(packets.Pubrec)
	if rec.PacketID != 1000 {
		c.TB.Errorf("PUBREC for %d", rec.PacketID)
	}
	if rec.ReasonCode < packets.ErrUnspecifiedError.Code {
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: 1000})
		c.Expect(packets.Pubcomp)
	}
	return rec.ReasonCode
}

func anybody(string) bool { return true }

func topics(list []broker.RetainedMessage) string {
	var names []string
	for _, m := range list {
		names = append(names, m.Topic)
	}
	return strings.Join(names, " ")
}

// A retained message for which there is no room is refused as a whole, whatever
// version and QoS, and nobody is disconnected. Mochi takes most errors of
// OnPublish for a yes (V24), and has no such limit (V22).
func TestRetainedMessagesAreLimited(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos := range byte(3) {
			t.Run(fmt.Sprintf("MQTT %d, QoS %d", version, qos), func(t *testing.T) {
				b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxRetained, cfg.MaxRetainedBytes = 2, 30 })
				reader := dial(t, b, 5)
				reader.connect("reader", nil)
				reader.Subscribe("#", 0)
				reader.Ping() // what is retained comes behind SUBACK
				c := dial(t, b, version)
				c.connect("c", nil)
				var refusal byte
				if version == 5 && qos > 0 {
					refusal = packets.ErrQuotaExceeded.Code
				}
				refused := uint64(0)
				for _, tt := range []struct {
					name, topic, payload string
					taken                bool
				}{
					{"the first", "a", "1", true},
					{"one that leaves no byte", "b", strings.Repeat("x", 27), true},
					{"one too many", "c", "1", false},
					{"one in place of another, too large", "a", "12", false},
					{"one in place of another, as large", "a", "2", true},
					{"a smaller one in place of another", "b", "small", true},
					{"one in place of another, larger, with room", "a", "larger", true},
					{"clearing", "b", "", true},
					{"one more, now that there is room", "c", "1", true},
				} {
					c.retain(tt.topic, tt.payload, qos)
					want := refusal
					if tt.taken {
						want = 0
					} else {
						refused++
					}
					if code := c.acked(qos); code != want {
						t.Errorf("%s: answered with %#02x, want %#02x", tt.name, code, want)
					}
					if tt.taken {
						if got := reader.Expect(packets.Publish); got.TopicName != tt.topic || string(got.Payload) != tt.payload {
							t.Fatalf("%s: delivered is %s %s", tt.name, got.TopicName, got.Payload)
						}
					} else {
						reader.Ping() // not delivered
					}
				}
				if got, _ := b.Retained("#", anybody, 0, 10); topics(got) != "a c" || string(got[0].Payload) != "larger" {
					t.Errorf("retained are %+v", got)
				}
				s := b.Stats()
				if s.Retained != 2 || s.RetainedBytes != 9 || s.RetainedRefused != refused {
					t.Errorf("%d messages, %d bytes, %d refused; want 2, 9, %d", s.Retained, s.RetainedBytes, s.RetainedRefused, refused)
				}
				c.publish("not retained", 0)
				reader.Expect(packets.Publish)
			})
		}
	}
}

// The limit counts the topic that the hook makes, and what the hook refuses takes
// no room.
func TestRetainedMessagesAreCountedAsTheHookLeavesThem(t *testing.T) {
	h := &open{prefix: "site/", acl: func(_ *mqtt.Client, topic string, _ bool) bool { return topic != "secret" }}
	b := start(t, h, func(cfg *broker.Config) { cfg.MaxRetainedBytes = 7 })
	c := dial(t, b, 5)
	c.connect("c", nil)
	for _, tt := range []struct {
		topic, payload string
		want           byte
	}{
		{"secret", strings.Repeat("x", 99), packets.ErrNotAuthorized.Code},
		{"a", "12", packets.ErrQuotaExceeded.Code}, // site/a has six bytes
		{"a", "1", 0},
	} {
		c.retain(tt.topic, tt.payload, 1)
		if code := c.acked(1); code != tt.want {
			t.Errorf("%s: %#02x, want %#02x", tt.topic, code, tt.want)
		}
	}
	if got, _ := b.Retained("#", anybody, 0, 10); topics(got) != "site/a" {
		t.Errorf("retained are %v", topics(got))
	}
}

func TestUserPropertiesCountForTheirMemory(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxRetainedBytes = 100 })
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, TopicName: "a", Payload: []byte("x"), PacketID: 1000,
		Properties: packets.Properties{User: []packets.UserProperty{{}, {}, {}, {}}},
	})
	if code := c.acked(1); code != packets.ErrQuotaExceeded.Code {
		t.Errorf("%#02x: many empty properties took no room", code)
	}
}

func TestWillWithoutRoomIsDeliveredAndNotRetained(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxRetained = 1 })
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.Subscribe("#", 0)
	c.Ping() // what is retained comes behind SUBACK
	will := func(topic string) {
		if err := b.Publish(&messages.Message{Origin: "d", Retain: true, Topic: topic, Payload: []byte("gone")}); err != nil {
			t.Fatal(err)
		}
		if got := c.Expect(packets.Publish); got.TopicName != topic {
			t.Fatalf("got %s", got.TopicName)
		}
	}
	will("a")
	will("b")
	will("a")
	if got, total := b.Retained("#", anybody, 0, 10); topics(got) != "a" || total != 1 || got[0].ClientID != "d" {
		t.Errorf("retained are %+v", got)
	}
}

func TestExpiredMessagesMakeRoom(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxRetained = 1 })
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: "a", Payload: []byte("x"),
		Properties: packets.Properties{MessageExpiryInterval: 1, ContentType: "text/plain"},
	})
	c.Ping()
	got, _ := b.Retained("a", anybody, 0, 1)
	if len(got) != 1 || got[0].Expires.Sub(got[0].Created) != time.Second || got[0].ContentType != "text/plain" {
		t.Fatalf("got %+v", got)
	}
	b.Sweep(t.Context(), time.Now().Add(time.Second))
	if n := b.Stats().Retained; n != 0 {
		t.Errorf("%d messages are retained after the only one has expired", n)
	}
	c.retain("b", "x", 1)
	if code := c.acked(1); code != 0 {
		t.Errorf("%#02x after the only message has expired", code)
	}
}

func TestRetainedMessagesAreListed(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	for _, topic := range []string{"b", "a/c", "a", "a/b/c", "/x"} {
		c.retain(topic, "in "+topic, 1)
		c.acked(1)
	}
	for _, tt := range []struct {
		name, filter  string
		offset, limit int
		want          string
		total         int
	}{
		{"all by topic", "#", 0, 10, "/x a a/b/c a/c b", 5},
		{"a page", "#", 1, 2, "a a/b/c", 5},
		{"the last page", "#", 4, 2, "b", 5},
		{"a page behind the last", "#", 6, 2, "", 5},
		{"a level and its parent", "a/#", 0, 10, "a a/b/c a/c", 3},
		{"one level", "+", 0, 10, "a b", 2},
		{"an empty level", "+/+", 0, 10, "/x a/c", 2},
		{"one topic", "a/c", 0, 10, "a/c", 1},
		{"none", "z", 0, 10, "", 0},
		{"what is no filter", "a/#/b", 0, 10, "", 0},
		{"one of the broker's own", "$SYS/broker/version", 0, 10, "$SYS/broker/version", 1},
	} {
		if got, total := b.Retained(tt.filter, anybody, tt.offset, tt.limit); topics(got) != tt.want || total != tt.total {
			t.Errorf("%s: got %s of %d, want %s of %d", tt.name, topics(got), total, tt.want, tt.total)
		}
	}
	got, _ := b.Retained("b", anybody, 0, 1)
	if m := got[0]; string(m.Payload) != "in b" || m.QoS != 1 || m.ClientID != "c" || time.Since(m.Created) > time.Minute || !m.Expires.IsZero() {
		t.Errorf("got %+v", m)
	}
}

func TestRetainedMessagesAreCleared(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	for _, topic := range []string{"a", "a/b", "a/c", "b"} {
		c.retain(topic, "x", 1)
		c.acked(1)
	}
	c.Subscribe("#", 0)
	for range 4 {
		c.Expect(packets.Publish)
	}
	if !b.ClearRetained("b") || b.ClearRetained("b") {
		t.Error("a topic can't be cleared, or twice")
	}
	if n := b.ClearAllRetained("a/#", anybody); n != 3 {
		t.Errorf("%d were cleared, want 3", n)
	}
	if n := b.ClearAllRetained("$SYS/#", anybody); n != 0 || b.ClearRetained("$SYS/broker/version") {
		t.Errorf("%d of the broker's own were cleared", n)
	}
	if s := b.Stats(); s.Retained != 0 || s.RetainedBytes != 0 {
		t.Errorf("%d messages of %d bytes are counted", s.Retained, s.RetainedBytes)
	}
	c.Ping() // subscribers hear nothing of it
	other := dial(t, b, 5)
	other.connect("other", nil)
	other.Subscribe("#", 0)
	other.Ping()
}

// A client with a will that is to be retained is let in, and the hook sees that.
func TestHookSeesThatAWillIsToBeRetained(t *testing.T) {
	var got packets.ConnectParams
	b := start(t, &open{connect: func(_ *mqtt.Client, pk packets.Packet) error {
		got = pk.Connect
		return nil
	}}, nil)
	c := dial(t, b, 5)
	if code := c.connect("c", func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillRetain, pk.Connect.WillTopic, pk.Connect.WillPayload = true, true, "w", []byte("x")
	}); code != 0 {
		t.Fatalf("%#02x", code)
	}
	if !got.WillRetain {
		t.Error("the hook does not see that the will is to be retained")
	}
}

func TestRetainedMessageKeepsWhatItWas(t *testing.T) {
	b := start(t, new(open), nil)
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true},
		TopicName:   "a", Payload: []byte("x"), PacketID: 1000,
	}
	pk.Properties = packets.Properties{
		PayloadFormat: 1, PayloadFormatFlag: true, ContentType: "text/plain", ResponseTopic: "r",
		CorrelationData: []byte("c"), MessageExpiryInterval: 100,
		User: []packets.UserProperty{{Key: "k", Val: "1"}, {Key: "k", Val: "2"}},
	}
	pk.Mods.AllowResponseInfo = true
	pub.Send(pk)
	pub.acked(1)
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Properties: packets.Properties{SubscriptionIdentifier: []int{7}},
		Filters:    packets.Subscriptions{{Filter: "a", Qos: 1, Identifier: 7}},
	})
	sub.Expect(packets.Suback)
	got := sub.Expect(packets.Publish)
	p := got.Properties
	if !got.FixedHeader.Retain || string(got.Payload) != "x" || p.PayloadFormat != 1 || p.ContentType != "text/plain" ||
		p.ResponseTopic != "r" || string(p.CorrelationData) != "c" || p.MessageExpiryInterval < 90 || p.MessageExpiryInterval > 100 ||
		fmt.Sprint(p.User) != fmt.Sprint(pk.Properties.User) || fmt.Sprint(p.SubscriptionIdentifier) != "[7]" {
		t.Errorf("got %+v", got)
	}
	own := packets.Subscription{Filter: "a", NoLocal: true} // [MQTT-3.8.3-3]
	pub.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1, Filters: packets.Subscriptions{own}})
	pub.Expect(packets.Suback)
	pub.Ping()
}

// What is published behind SUBACK is no message of before it, and comes once.
func TestNothingComesTwiceThatIsRetainedAfterSuback(t *testing.T) {
	b := start(t, new(open), nil)
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	for i := range 200 {
		sub := dial(t, b, 5)
		sub.connect(fmt.Sprint("sub", i), nil) // here nobody keeps two of one client ID apart
		topic := fmt.Sprint("t/", i)
		sub.Subscribe(topic, 0)
		pub.retain(topic, "x", 1)
		pub.acked(1)
		if pk := sub.Expect(packets.Publish); pk.FixedHeader.Retain {
			t.Fatal("it came as a message of before")
		}
		sub.Ping()
		sub.Close()
	}
}

// What a client was told to forget is not remembered by mochi either.
func TestMochiRetainsNothing(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.retain("a", "1", 1)
	c.acked(1)
	c.retain("a", "", 1)
	c.acked(1)
	if code := c.Subscribe("a", 0); code != 0 {
		t.Fatalf("%#02x", code)
	}
	c.Ping()
}

// Listing and publishing at once, for the race detector (V21).
func TestRetainedAtOnce(t *testing.T) {
	b := start(t, new(open), nil)
	c, sub := dial(t, b, 5), dial(t, b, 5)
	c.connect("c", nil)
	sub.connect("sub", nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			b.Retained("#", anybody, 0, 5)
			b.ClearAllRetained("t/#", anybody)
		}
	}()
	for i := range 200 {
		c.retain(fmt.Sprint("t/", i%7), "x", 1)
		c.acked(1)
		sub.Subscribe(fmt.Sprint("nothing/+/", i), 0)
	}
	<-done
	b.ClearAllRetained("#", anybody)
	if st := b.Stats(); st.Retained != 0 || st.RetainedBytes != 0 {
		t.Errorf("%d messages and %d bytes are left of nothing", st.Retained, st.RetainedBytes)
	}
}
