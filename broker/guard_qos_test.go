package broker_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Packet identifiers belong to their direction ([MQTT-2.2.1-4] and its
// neighbours); mochi has one table for both (V11).
func TestV11PacketIdentifiersOfBothDirectionsDoNotMeet(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		for _, own := range []byte{1, 2} {
			t.Run(fmt.Sprintf("QoS %d to the client, %d from it", qos, own), func(t *testing.T) {
				b := start(t, new(open), nil)
				c, pub := dial(t, b, 5), dial(t, b, 5)
				c.connect("c", persistent)
				c.Subscribe("a", qos)
				pub.connect("pub", nil)
				pub.Send(message("a", 2, 1))
				pub.Expect(packets.Pubrec)
				id := c.Expect(packets.Publish).PacketID // not acknowledged
				c.Send(message("b", own, id))
				if own == 1 {
					if pk := c.Expect(packets.Puback); pk.PacketID != id || pk.ReasonCode >= 0x80 {
						t.Errorf("PUBACK %d %#02x", pk.PacketID, pk.ReasonCode)
					}
				} else {
					c.Expect(packets.Pubrec)
				}
				c.Send(packets.Packet{
					FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: id,
					Filters: packets.Subscriptions{{Filter: "c"}},
				})
				if pk := c.Expect(packets.Suback); pk.PacketID != id || pk.ReasonCodes[0] != 0 {
					t.Errorf("SUBACK %d %#02x", pk.PacketID, pk.ReasonCodes[0])
				}
				// The message to the client is still known: it comes again.
				c.Close()
				c = dial(t, b, 5)
				c.connect("c", persistent)
				if pk := c.Expect(packets.Publish); pk.PacketID != id || !pk.FixedHeader.Dup {
					t.Errorf("again with identifier %d, DUP %v", pk.PacketID, pk.FixedHeader.Dup)
				}
				if own == 2 { // and so is the client's
					c.Send(ack(packets.Pubrel, id))
					c.Expect(packets.Pubcomp)
				}
				if qos == 1 {
					c.Send(ack(packets.Puback, id))
				} else {
					c.Send(ack(packets.Pubrec, id))
					c.Expect(packets.Pubrel)
					c.Send(ack(packets.Pubcomp, id))
				}
				c.Ping()
				if n := b.Inflight(); n > 1 { // the publisher has not sent PUBREL
					t.Errorf("%d messages are under way at the end", n)
				}
			})
		}
	}
}

// A client's Receive Maximum holds messages back and loses none (V13, V14).
func TestV13ReceiveMaximumOfTheClientIsKept(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		b := start(t, new(open), nil)
		c, pub := dial(t, b, 5), dial(t, b, 5)
		c.connect("c", func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 2 })
		c.Subscribe("a/#", qos)
		pub.connect("pub", nil)
		const n = 50
		for i := uint16(1); i <= n; i++ {
			pub.Send(message(fmt.Sprintf("a/%d", i), qos, i))
			if qos == 1 {
				pub.Expect(packets.Puback)
				continue
			}
			pub.Expect(packets.Pubrec)
			pub.Send(ack(packets.Pubrel, i))
			pub.Expect(packets.Pubcomp)
		}
		for i := 1; i <= n; i++ {
			pk := c.Expect(packets.Publish)
			if want := fmt.Sprintf("a/%d", i); pk.TopicName != want {
				t.Fatalf("QoS %d: got %s, want %s", qos, pk.TopicName, want)
			}
			if i == 2 {
				c.Ping() // two are outstanding, and no third comes
			}
			if i >= 2 {
				answer(c, qos, pk.PacketID-1)
			}
		}
	}
}

// answer acknowledges a message to the end.
func answer(c *client, qos byte, id uint16) {
	c.TB.Helper()
	if qos == 1 {
		c.Send(ack(packets.Puback, id))
		return
	}
	c.Send(ack(packets.Pubrec, id))
	if pk := c.Expect(packets.Pubrel); pk.PacketID != id {
		c.TB.Fatalf("PUBREL %d, want %d", pk.PacketID, id)
	}
	c.Send(ack(packets.Pubcomp, id))
}

// A message is acknowledged when it has been handed to everybody, not before.
func TestAcknowledgementComesAfterDelivery(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		begun, hold := make(chan struct{}), make(chan struct{})
		b := start(t, &open{acl: func(_ *mqtt.Client, topic string, write bool) bool {
			if topic == "slow" && !write {
				close(begun)
				<-hold
			}
			return true
		}}, nil)
		sub, pub := dial(t, b, 5), dial(t, b, 5)
		sub.connect("sub", nil)
		sub.Subscribe("+", 0)
		pub.connect("pub", nil)
		pub.publish("slow", qos)
		<-begun // mochi has answered by now (TestQuirkOnePacketAfterTheOther): what was passed on is there
		_ = pub.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := pub.Read(make([]byte, 1)); err == nil {
			t.Fatalf("QoS %d: an answer before the delivery", qos)
		}
		close(hold)
		pub.Expect(map[byte]byte{1: packets.Puback, 2: packets.Pubrec}[qos])
		sub.Expect(packets.Publish)
	}
}

// What a client sends in one go is answered in one go, in order.
func TestAcknowledgementsKeepTheirOrder(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	var sent bytes.Buffer
	for i := uint16(1); i <= 100; i++ {
		pk := message("a", 1, i)
		pk.ProtocolVersion = 5
		if err := pk.PublishEncode(&sent); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write(sent.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i := uint16(1); i <= 100; i++ {
		if pk := c.Expect(packets.Puback); pk.PacketID != i {
			t.Fatalf("PUBACK %d, want %d", pk.PacketID, i)
		}
	}
}

// A QoS 2 message is delivered once, though the connection breaks before the
// client hears that it was received ([MQTT-4.3.3-10]).
func TestQoS2IsDeliveredOnceOverAReconnect(t *testing.T) {
	b := start(t, new(open), nil)
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("a", 0)
	c := dial(t, b, 5)
	c.connect("c", persistent)
	c.Send(message("a", 2, 7))
	sub.Expect(packets.Publish)
	c.Close() // PUBREC may have come or not
	c = dial(t, b, 5)
	c.connect("c", persistent)
	again := message("a", 2, 7)
	again.FixedHeader.Dup = true
	c.Send(again)
	c.Expect(packets.Pubrec)
	c.Send(ack(packets.Pubrel, 7))
	c.Expect(packets.Pubcomp)
	c.Send(message("a", 2, 7)) // another one
	c.Expect(packets.Pubrec)
	sub.Expect(packets.Publish)
	sub.Ping()
}

// Only what was sent before is marked as sent again ([MQTT-3.3.1-1]).
func TestDupIsSetOnlyOnWhatWasSentBefore(t *testing.T) {
	b := start(t, new(open), nil)
	c, pub := dial(t, b, 5), dial(t, b, 5)
	c.connect("c", persistent)
	c.Subscribe("a", 1)
	pub.connect("pub", nil)
	pub.publish("a", 1)
	pub.Expect(packets.Puback)
	c.Expect(packets.Publish)
	c.Close()
	eventually(t, "the client is gone", func() bool { return b.Stats().Clients == 1 })
	pub.publish("a", 1)
	pub.Expect(packets.Puback)
	c = dial(t, b, 5)
	c.connect("c", persistent)
	dups := 0
	for range 2 {
		if c.Expect(packets.Publish).FixedHeader.Dup {
			dups++
		}
	}
	if dups != 1 {
		t.Errorf("%d of two messages are marked as sent again, want 1", dups)
	}
	c.Ping()
	eventually(t, "three messages are counted as sent", func() bool { return b.Stats().MessagesSent == 3 })
}
