package broker_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	messages "mqttwarden/broker/message"
)

// retainMany has the broker retain so many messages below a topic.
func retainMany(t *testing.T, b *started, n int) {
	t.Helper()
	for i := range n {
		if err := b.Publish(&messages.Message{Topic: fmt.Sprint("x/", i), Payload: []byte("x"), Retain: true, Origin: "p"}); err != nil {
			t.Fatal(err)
		}
	}
}

// One SUBSCRIBE that names a filter fifty times gets what is retained once.
func TestAFilterIsReplayedOnceASubscribe(t *testing.T) {
	for _, version := range []byte{4, 5} {
		b := start(t, new(open), nil)
		retainMany(t, b, 10)
		c := dial(t, b, version)
		c.connect("c", nil)
		pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1}
		for i := range 50 {
			pk.Filters = append(pk.Filters, packets.Subscription{Filter: "x/#", Qos: byte(i % 2)})
		}
		c.Send(pk)
		if got := len(c.Expect(packets.Suback).ReasonCodes); got != 50 {
			t.Errorf("v%d: SUBACK has %d codes, want 50", version, got)
		}
		for i := range 10 {
			m := c.Message()
			if m.FixedHeader.Qos != 0 { // the message's own
				t.Errorf("v%d: message %d has QoS %d", version, i, m.FixedHeader.Qos)
			}
		}
		c.Ping() // nothing else comes
	}
}

// A client that subscribes again and again waits when its user has used up its
// share of the broker's time.
func TestAReplayIsChargedToTheUser(t *testing.T) {
	const each = 1000
	inBubble(t, new(fleet), func(cfg *broker.Config) { cfg.MaxWork = time.Millisecond }, func(t *testing.T, b *started) {
		retainMany(t, b, each)
		c := dialPipe(t, b, 5)
		c.connect("c", nil)
		began := time.Now()
		for range 5 {
			c.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
				Filters: packets.Subscriptions{{Filter: "x/#"}},
			})
			c.Expect(packets.Suback)
			for range each {
				c.Expect(packets.Publish)
			}
		}
		// 5,000 messages of 5 µs each, and 5 ms that are free.
		if got := time.Since(began); got < 15*time.Second || got > 25*time.Second {
			t.Errorf("it took %v, want about 20 s", got)
		}
	})
}

// A reader that does not read holds one page, and not all that is retained.
func TestAReplayWaitsForTheSocket(t *testing.T) {
	var asked atomic.Int64
	hook := &open{acl: func(_ *mqtt.Client, topic string, write bool) bool {
		if !write && topic != "x/#" {
			asked.Add(1)
		}
		return true
	}}
	inBubble(t, hook, nil, func(t *testing.T, b *started) {
		retainMany(t, b, 1000)
		conn := b.Pipe(broker.Listener{Name: "pipe"}, local)
		defer conn.Close()
		write := func(pk packets.Packet) {
			if _, err := conn.Write(encode(5, pk)); err != nil {
				t.Fatal(err)
			}
		}
		write(connectAs("c"))
		if _, err := conn.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		write(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
			Filters: packets.Subscriptions{{Filter: "x/#"}},
		})
		if _, err := conn.Read(make([]byte, 100)); err != nil { // SUBACK
			t.Fatal(err)
		}
		time.Sleep(time.Second) // all have done what they can
		if got := asked.Load(); got != 1 {
			t.Errorf("%d messages were looked at while the socket took none, want 1", got)
		}
	})
}
