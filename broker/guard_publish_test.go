package broker_test

import (
	"strings"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

func TestTopicsThatNobodyMayPublishTo(t *testing.T) {
	deep := strings.Repeat("a/", 32) + "a"
	for topic, code := range map[string]byte{"$SYS/x": 0x87, "$x": 0x87, deep: 0x90, strings.Repeat("a", 513): 0x90} {
		b := start(t, new(open), nil)
		c := dial(t, b, 5)
		c.connect("c", nil)
		c.publish(topic, 0)
		c.publish(topic, 1)
		if got := c.Expect(packets.Puback).ReasonCode; got != code {
			t.Errorf("%.10s: PUBACK %#02x, want %#02x", topic, got, code)
		}
		for range 2 { // the identifier is free again
			c.publish(topic, 2)
			if got := c.Expect(packets.Pubrec).ReasonCode; got != code {
				t.Errorf("%.10s: PUBREC %#02x, want %#02x", topic, got, code)
			}
		}
		c = dial(t, b, 4)
		c.connect("c4", nil)
		c.publish(topic, 1)
		c.Expect(packets.Puback)
		c.publish(topic, 2)
		c.Expect(packets.Pubrec)
		c.Send(ack(packets.Pubrel, 1000))
		c.Expect(packets.Pubcomp)
		c.Ping()
	}
}

func TestPublishRate(t *testing.T) {
	b := start(t, new(open), func(c *broker.Config) { c.PublishRate, c.PublishBurst = 1, 10 })
	for version, code := range map[byte]byte{4: 0, 5: 0x96} {
		c := dial(t, b, version)
		c.connect("c", nil)
		for range 10 {
			c.publish("a", 0)
		}
		c.Ping()
		c.Raw(strings.Repeat(map[byte]string{4: "30 03 0001 61", 5: "30 04 0001 61 00"}[version], 10))
		if got := c.UntilEnd(); got != code {
			t.Errorf("v%d: DISCONNECT %#02x, want %#02x", version, got, code)
		}
	}
	if n := b.Stats().RatesExceeded; n != 2 {
		t.Errorf("%d are counted, want 2", n)
	}
}

// A prefix goes in front of the topic, and into nothing else of the message.
func TestPrefix(t *testing.T) {
	const prefix = "site/1/"
	for _, version := range []byte{4, 5} {
		for qos := range byte(3) {
			b := start(t, &open{prefix: prefix}, nil)
			sub, pub := dial(t, b, 5), dial(t, b, version)
			sub.connect("sub", nil)
			sub.MustSubscribe(prefix+"#", 0)
			pub.connect("pub", nil)
			for _, size := range []int{0, 1, 110, 120, 127, 128, 16_380, 100_000} {
				payload := strings.Repeat("x", size)
				if code := pub.Publish("a", payload, qos, false); code >= 0x80 {
					t.Fatalf("version %d, QoS %d: %#02x", version, qos, code)
				}
				if pk := sub.ExpectMessage(prefix + "a"); string(pk.Payload) != payload {
					t.Errorf("version %d, QoS %d: %d bytes came as %d", version, qos, size, len(pk.Payload))
				}
			}
		}
	}
}

// A publish that the hook denies is answered as its version and QoS want it, not
// delivered, and counted: among the denied and among those received.
func TestDeniedPublish(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos := range byte(3) {
			b := start(t, &open{acl: func(_ *mqtt.Client, _ string, write bool) bool { return !write }}, nil)
			c := dial(t, b, version)
			c.connect("c", nil)
			c.MustSubscribe("#", 0)
			want := byte(0)
			if version == 5 && qos > 0 {
				want = 0x87
			}
			for range 2 { // the identifier is free again
				if code := c.Publish("a", "x", qos, false); code != want {
					t.Errorf("version %d, QoS %d: answer %#02x, want %#02x", version, qos, code, want)
				}
			}
			c.Ping()
			if st := b.Stats(); st.PublishesDenied != 2 || st.MessagesReceived != 2 {
				t.Errorf("version %d, QoS %d: %d denied and %d received are counted, want 2 and 2", version, qos, st.PublishesDenied, st.MessagesReceived)
			}
		}
	}
}
