package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	messages "mqttwarden/broker/message"
)

func withAliases(most uint16) func(*broker.Config) {
	return func(cfg *broker.Config) { cfg.TopicAliases = most }
}

// aliased is a message with a topic alias.
func aliased(topic string, alias uint16, qos byte, id uint16) packets.Packet {
	pk := message(topic, qos, id)
	pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = alias, true
	return pk
}

// taking makes a CONNECT that of a client that takes so many aliases.
func taking(most uint16) func(*packets.Packet) {
	return func(pk *packets.Packet) { pk.Properties.TopicAliasMaximum = most }
}

func TestConnackTellsHowManyAliasesAreTaken(t *testing.T) {
	for _, most := range []uint16{0, 7} {
		b := start(t, new(open), withAliases(most))
		for _, version := range []byte{4, 5} {
			c := dial(t, b, version)
			c.Send(connectAs(fmt.Sprint("c", version)))
			want := most
			if version == 4 {
				want = 0
			}
			if got := c.Expect(packets.Connack).Properties.TopicAliasMaximum; got != want {
				t.Errorf("MQTT %d: Topic Alias Maximum %d, want %d", version, got, want)
			}
		}
	}
}

// A CONNACK is not made larger than its client takes ([MQTT-3.1.2-24]).
func TestConnackIsAsSmallAsTheClientAsks(t *testing.T) {
	b := start(t, new(open), withAliases(7))
	c := dial(t, b, 5)
	code := c.connect("c", func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 11 })
	if code != 0 {
		t.Errorf("CONNACK %#02x", code)
	}
}

// Who subscribes, the policy, what is retained and a resumed session know whole
// topics only.
func TestAliasesOfAClientEndInTheGuard(t *testing.T) {
	var asked []string
	h := &open{prefix: "site/", acl: func(_ *mqtt.Client, topic string, write bool) bool {
		if write {
			asked = append(asked, topic)
		}
		return topic != "secret"
	}}
	b := start(t, h, withAliases(3))
	sub, pub := dial(t, b, 5), dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("#", 2)
	pub.connect("pub", nil)
	for i, tt := range []struct {
		topic string
		alias uint16
		qos   byte
		is    string // on the wire to others; empty: refused
	}{
		{"a/b", 1, 0, "site/a/b"},
		{"", 1, 1, "site/a/b"},
		{"", 1, 2, "site/a/b"},
		{"secret", 2, 1, ""},
		{"", 2, 1, ""},
		{"", 2, 2, ""},
		{"c", 1, 0, "site/c"},
		{"", 1, 1, "site/c"},
		{"d", 3, 0, "site/d"},
		{"", 1, 0, "site/c"},
		{"$own", 2, 1, ""},
		{"", 2, 1, ""},
	} {
		pk := aliased(tt.topic, tt.alias, tt.qos, uint16(i+1))
		pk.FixedHeader.Retain = tt.is == "site/c"
		pub.Send(pk)
		code := byte(0)
		switch tt.qos {
		case 1:
			code = pub.Expect(packets.Puback).ReasonCode
		case 2:
			if code = pub.Expect(packets.Pubrec).ReasonCode; code == 0 {
				pub.Send(ack(packets.Pubrel, pk.PacketID))
				pub.Expect(packets.Pubcomp)
			}
		}
		if refused := code == packets.ErrNotAuthorized.Code; refused != (tt.is == "") {
			t.Errorf("%d: code %#02x", i, code)
		}
		if tt.is == "" {
			continue
		}
		if got := sub.Expect(packets.Publish); got.TopicName != tt.is || got.Properties.TopicAliasFlag {
			t.Errorf("%d: got %q with alias %d, want %q", i, got.TopicName, got.Properties.TopicAlias, tt.is)
		} else if got.FixedHeader.Qos > 0 {
			sub.Send(ack(map[byte]byte{1: packets.Puback, 2: packets.Pubrec}[got.FixedHeader.Qos], got.PacketID))
			if got.FixedHeader.Qos == 2 {
				sub.Expect(packets.Pubrel)
				sub.Send(ack(packets.Pubcomp, got.PacketID))
			}
		}
	}
	if slices.Contains(asked, "") {
		t.Error("the policy was asked about an alias")
	}
	if got, _ := b.Retained("#", anybody, 0, 9); topics(got) != "site/c" {
		t.Errorf("retained are %s", topics(got))
	}
	// They end with their connection, and the session goes on.
	pub.Send(aliased("", 3, 0, 0))
	pub.Send(aliased("", 4, 0, 0))
	if code := pub.ExpectEnd(); code != packets.ErrTopicAliasInvalid.Code {
		t.Errorf("an alias beyond the maximum: DISCONNECT %#02x", code)
	}
	for alias, want := range map[uint16]byte{1: packets.ErrProtocolViolation.Code, 0: packets.ErrTopicAliasInvalid.Code} {
		pub = dial(t, b, 5)
		pub.connect("pub", nil)
		pub.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
		pub.Expect(packets.Pingresp)
		pub.Raw("30 06 0000 03", fmt.Sprintf("23%04x", alias))
		if code := pub.ExpectEnd(); code != want {
			t.Errorf("alias %d of another connection: DISCONNECT %#02x, want %#02x", alias, code, want)
		}
	}
}

// A topic that is too long is so behind its alias, too.
func TestAnAliasMakesNoTopicShorter(t *testing.T) {
	b := start(t, new(open), withAliases(1))
	c := dial(t, b, 5)
	c.connect("c", nil)
	for i, topic := range []string{strings.Repeat("x", 513), "", strings.Repeat("x/", 32) + "x", ""} {
		c.Send(aliased(topic, 1, 1, uint16(i+1)))
		if code := c.Expect(packets.Puback).ReasonCode; code != packets.ErrTopicNameInvalid.Code {
			t.Errorf("%d: PUBACK %#02x, want 0x90", i, code)
		}
	}
	c.Send(aliased(strings.Repeat("x", 512), 1, 1, 9))
	c.Expect(packets.Puback)
}

// What a client that takes aliases is sent has them, and is whole again where it is
// sent anew.
func TestAliasesTowardsAClient(t *testing.T) {
	b := start(t, new(open), withAliases(2))
	c, pub := dial(t, b, 5), dial(t, b, 5)
	connect := func(pk *packets.Packet) {
		persistent(pk)
		taking(9)(pk)
	}
	c.connect("c", connect)
	c.Subscribe("#", 1)
	pub.connect("pub", nil)
	type sent struct {
		Topic string
		Alias uint16
	}
	next := func() (packets.Packet, sent) {
		pk := c.Expect(packets.Publish)
		return pk, sent{pk.TopicName, pk.Properties.TopicAlias}
	}
	var waiting []uint16
	for i, tt := range []struct {
		topic string
		qos   byte
		want  sent
	}{
		{"topic/1", 0, sent{"topic/1", 1}},
		{"topic/1", 1, sent{"", 1}},
		{"topic/1", 0, sent{"", 1}},
		{"topic/2", 1, sent{"topic/2", 2}},
		{"topic/3", 0, sent{"topic/3", 0}},
		{"x", 0, sent{"x", 0}},
		{"topic/2", 1, sent{"", 2}},
	} {
		pub.Send(message(tt.topic, tt.qos, uint16(i+1)))
		if tt.qos > 0 {
			pub.Expect(packets.Puback)
		}
		pk, got := next()
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%d (-want +got):\n%s", i, diff)
		}
		if tt.qos > 0 {
			waiting = append(waiting, pk.PacketID)
		}
	}
	_ = c.Close() // nothing was acknowledged
	eventually(t, "the connection is over", func() bool { return b.Client("c").Closed() })
	pub.Send(message("topic/1", 1, 100))
	pub.Expect(packets.Puback)

	c = dial(t, b, 5)
	c.connect("c", connect)
	for i, want := range []sent{{"topic/1", 0}, {"topic/2", 0}, {"topic/2", 0}, {"topic/1", 1}} {
		pk, got := next()
		if diff := cmp.Diff(want, got); diff != "" || pk.FixedHeader.Dup != (i < 3) {
			t.Errorf("sent again: %d, DUP %t (-want +got):\n%s", i, pk.FixedHeader.Dup, diff)
		}
		if i < 3 && pk.PacketID != waiting[i] {
			t.Errorf("sent again: %d, want %d", pk.PacketID, waiting[i])
		}
	}
}

// Nobody gets an alias who did not ask, and nobody more than that.
func TestAliasesTowardsAClientThatTakesFew(t *testing.T) {
	b := start(t, new(open), withAliases(32))
	for _, tt := range []struct {
		most uint16
		want []uint16
	}{{0, []uint16{0, 0, 0}}, {1, []uint16{1, 0, 1}}, {65535, []uint16{1, 2, 3}}} {
		c := dial(t, b, 5)
		c.connect(fmt.Sprint("c", tt.most), taking(tt.most))
		c.Subscribe("topic/#", 0)
		for i, want := range tt.want {
			if err := b.Publish(&messages.Message{Topic: fmt.Sprint("topic/", i)}); err != nil {
				t.Fatal(err)
			}
			if got := c.Expect(packets.Publish).Properties.TopicAlias; got != want {
				t.Errorf("of %d, topic %d has alias %d, want %d", tt.most, i, got, want)
			}
		}
	}
}

// A burst is read right however it is written, and so is what is retained, from the
// first packet on.
func TestAliasesTowardsAClientInABurst(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.TopicAliases = 5 })
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	const each = 40
	for i := range 10 {
		pub.retain(fmt.Sprint("topic/", i), "0", 1)
		pub.acked(1)
	}
	c := dial(t, b, 5)
	c.connect("c", taking(4))
	c.Subscribe("topic/#", 1)
	for i := range 10 * each {
		pub.Send(message(fmt.Sprint("topic/", i%10), byte(i%2), uint16(i+1)))
	}
	known := make(map[uint16]string)
	got := make(map[string]int)
	for range 10 * (each + 1) {
		pk := c.Expect(packets.Publish)
		switch alias := pk.Properties.TopicAlias; {
		case pk.TopicName == "":
			pk.TopicName = known[alias]
		case alias > 0:
			known[alias] = pk.TopicName
		}
		if pk.FixedHeader.Qos > 0 {
			c.Send(ack(packets.Puback, pk.PacketID))
		}
		got[pk.TopicName]++
	}
	for i := range 10 {
		if n := got[fmt.Sprint("topic/", i)]; n != each+1 {
			t.Errorf("topic/%d came %d times, want %d", i, n, each+1)
		}
	}
}
