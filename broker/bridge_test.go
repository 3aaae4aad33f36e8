package broker_test

import (
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// bridge connects as a bridge does that Mosquitto makes at its defaults, with a
// session that stays.
func bridge(t *testing.T, b *started, connect ...string) *client {
	t.Helper()
	c := dial(t, b, 4)
	c.Raw(connect...)
	c.Hears("20 02")
	return c
}

var (
	bridge311 = []string{"10 0e 0004", "'MQTT", "84 00 003c 0002", "'br"}
	bridge31  = []string{"10 10 0006", "'MQIsdp", "83 00 003c 0002", "'br"}
)

// A bridge has nothing of its own back, and the retain flag as it was published.
func TestBridge(t *testing.T) {
	for name, connect := range map[string][]string{"MQTT 3.1": bridge31, "MQTT 3.1.1": bridge311} {
		t.Run(name, func(t *testing.T) {
			file := t.TempDir() + "/sessions.db"
			with := func(cfg *broker.Config) { cfg.Sessions.File = file }
			b := start(t, new(open), with)
			c := bridge(t, b, connect...)
			c.Hears("00 00")
			c.retain("t/own", "x", 1)
			c.acked(1)
			if codes := c.subscribe(packets.Subscription{Filter: "t/#", Qos: 1}, packets.Subscription{Filter: "$share/g/t/shared", Qos: 1}); codes[0] != 1 || codes[1] != 1 {
				t.Fatalf("codes %v", codes)
			}
			wants := func(b *started, publisher string) {
				t.Helper()
				c.publish("t/own", 1)
				c.Expect(packets.Puback)
				pub := dial(t, b, 5)
				pub.connect(publisher, nil)
				pub.retain("t/kept", "x", 1)
				pub.acked(1)
				if pk := c.Expect(packets.Publish); pk.TopicName != "t/kept" || !pk.FixedHeader.Retain {
					t.Errorf("%s came with retain %t", pk.TopicName, pk.FixedHeader.Retain)
				} else {
					c.Send(ack(packets.Puback, pk.PacketID))
				}
				pub.publish("t/live", 1)
				pub.acked(1)
				if pk := c.Expect(packets.Publish); pk.TopicName != "t/live" || pk.FixedHeader.Retain {
					t.Errorf("%s came with retain %t", pk.TopicName, pk.FixedHeader.Retain)
				} else {
					c.Send(ack(packets.Puback, pk.PacketID))
				}
				c.Ping() // which also has the acknowledgements read
			}
			wants(b, "before")
			if err := b.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			b = start(t, new(open), with)
			c = bridge(t, b, connect...)
			present := "01 00"
			if name == "MQTT 3.1" {
				present = "00 00" // which it does not know
			}
			c.Hears(present)
			wants(b, "after")
		})
	}
}

// Others of the same level are no bridges.
func TestNoBridge(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 4)
	c.connect("c", nil)
	c.Subscribe("t/#", 0)
	c.retain("t/own", "x", 0)
	if pk := c.Expect(packets.Publish); pk.TopicName != "t/own" || pk.FixedHeader.Retain {
		t.Errorf("%s came with retain %t", pk.TopicName, pk.FixedHeader.Retain)
	}
}

// What a bridge says of its state is taken and dropped, whatever QoS and version.
func TestStateOfABridgeIsDropped(t *testing.T) {
	const state = "$SYS/broker/connection/host.site/state"
	b := start(t, &open{acl: func(_ *mqtt.Client, topic string, write bool) bool { return !write || topic[0] != '$' }},
		func(cfg *broker.Config) { cfg.CloseDenied = true })
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("$SYS/broker/connection/#", 0)
	for _, version := range []byte{4, 5} {
		c := dial(t, b, version)
		c.connect("c", nil)
		for qos := range byte(3) {
			c.retain(state, "1", qos)
			if code := c.acked(qos); code != 0 {
				t.Errorf("v%d, QoS %d: %#02x", version, qos, code)
			}
		}
		c.Ping()
	}
	if got := sub.heard(b); got != nil {
		t.Errorf("got %v", got)
	}
}

// The will of a bridge is its state, on a topic that is the broker's own: it is let
// in without it. Any other will there refuses the CONNECT.
func TestStateOfABridge(t *testing.T) {
	b := start(t, new(open), nil)
	for _, tt := range []struct {
		topic string
		want  byte
	}{
		{"$SYS/broker/connection/host.site/state", 0},
		{"$SYS/broker/connection/a/b/state", 0},
		{"$SYS/broker/connection/state", packets.ErrNotAuthorized.Code},
		{"$SYS/broker/connection/host.site/other", packets.ErrNotAuthorized.Code},
		{"$SYS/broker/version", packets.ErrNotAuthorized.Code},
	} {
		c := dial(t, b, 5)
		code := c.connect("c", func(pk *packets.Packet) {
			pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, tt.topic, []byte("0")
		})
		if code != tt.want {
			t.Errorf("%s: %#02x, want %#02x", tt.topic, code, tt.want)
		}
		_ = c.Close()
	}
	eventually(t, "none is connected", func() bool { return b.Client("c") == nil })
	if _, n := b.Retained("$SYS/broker/connection/#", anybody, 0, 1); n != 0 {
		t.Error("a state was taken")
	}
	if n := b.Stats().WillsDropped; n != 2 {
		t.Errorf("%d wills are counted as dropped, want 2", n)
	}
}
