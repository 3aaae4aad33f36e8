package broker_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

func TestRefusedPackets(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version byte
		sent    []string
		code    byte // of the DISCONNECT
	}{
		{"a SUBSCRIBE that ends after its filter", 5, []string{"82 06 0001 00 0001", "'a"}, 0x81},
		{"a length of five bytes", 5, []string{"30 ffffffff7f"}, 0x81},
		{"a packet of 256 MiB", 5, []string{"30 ffffff7f"}, 0x95},
		{"a second CONNECT", 5, []string{"10 0e 0004", "'MQTT", "05 02 000a 00 0001", "'a"}, 0x82},
		{"a topic that is no UTF-8", 5, []string{"30 04 0001 ff 00"}, 0x81},
		{"a topic with a wildcard", 5, []string{"30 04 0001", "'#", "00"}, 0x81},
		{"a topic alias", 5, []string{"30 07 0001", "'a", "03 230001"}, 0x94},
		{"a packet for clients", 5, []string{"d000"}, 0x82},
		{"AUTH without a method", 5, []string{"f000"}, 0x82},
		{"a PUBACK for a message of QoS 2 is not one", 4, []string{"40 03 0001 00"}, 0},
		{"a SUBSCRIBE with reserved flags", 4, []string{"80 06 0001 0001", "'a", "00"}, 0},
		{"a second CONNECT", 4, []string{"10 0d 0004", "'MQTT", "04 02 000a 0001", "'a"}, 0},
	} {
		t.Run(fmt.Sprintf("v%d %s", tt.version, tt.name), func(t *testing.T) {
			b := start(t, new(open), nil)
			witness := dial(t, b, 5)
			witness.connect("witness", nil)
			c := dial(t, b, tt.version)
			c.connect("c", nil)
			c.Raw(tt.sent...)
			if code := c.UntilEnd(); code != tt.code {
				t.Errorf("DISCONNECT %#02x, want %#02x", code, tt.code)
			}
			witness.Ping()
			eventually(t, "the connection is over", func() bool { return b.Stats().Connections == 1 })
			if n := b.Stats().Panics; n != 0 {
				t.Errorf("%d panics", n)
			}
		})
	}
}

func TestRefusedConnects(t *testing.T) {
	for _, tt := range []struct{ name, sent, hears string }{
		{"a level of the future", "10 0d 0004 4d515454 06 02 000a 0001 61", "20 03 00 84 00"},
		{"the name of 3.1 with the level of 3.1.1", "10 0f 0006 4d5149736470 04 02 000a 0001 61", "20 02 00 01"},
		{"another protocol", "10 0d 0004 4d515455 04 02 000a 0001 61", ""},
		{"an empty client ID with a session to keep", "10 0c 0004 4d515454 04 00 000a 0000", "20 02 00 02"},
		{"a client ID with a control character", "10 10 0004 4d515454 05 02 000a 00 0003 610161", "20 03 00 85 00"},
		{"a reserved flag", "10 0e 0004 4d515454 05 03 000a 00 0001 61", "20 03 00 81 00"},
		{"a property twice", "10 14 0004 4d515454 05 02 000a 06 210001 210001 0001 61", "20 03 00 82 00"},
		{"a property of PUBLISH", "10 10 0004 4d515454 05 02 000a 02 0100 0001 61", "20 03 00 82 00"},
		{"no CONNECT", "c000", ""},
		{"256 MiB", "10 ffffff7f", ""},
		{"HTTP", "474554202f20485454502f312e310d0a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, new(open), nil)
			c := dial(t, b, 5)
			c.Raw(tt.sent)
			c.Hears(tt.hears)
			if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("then %x, %v", rest, err)
			}
		})
	}
}

func TestConnackTellsTheLargestPacket(t *testing.T) {
	b := start(t, new(open), func(c *broker.Config) { c.MaxPacketSize = 2000 })
	c := dial(t, b, 5)
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: "c"},
	})
	if got := c.Expect(packets.Connack).Properties.MaximumPacketSize; got != 2000 {
		t.Errorf("Maximum Packet Size %d, want 2000", got)
	}
}

func TestMQTT31KnowsNoSessionPresent(t *testing.T) {
	b := start(t, new(open), nil)
	for range 2 {
		c := dial(t, b, 4)
		c.Raw("10 0f 0006", "'MQIsdp", "03 00 000a 0001", "'c")
		c.Hears("2002 0000")
		c.Raw("e000")
		c.UntilEnd()
	}
}

func TestEmptyWillAndPassword(t *testing.T) {
	var got packets.ConnectParams
	b := start(t, &open{connect: func(_ *mqtt.Client, pk packets.Packet) error {
		got = pk.Connect
		return nil
	}}, nil)
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("will", 0)
	c := dial(t, b, 4)
	c.Raw("10 1a 0004", "'MQTT", "04 c6 000a 0001", "'c", "0004", "'will", "0000 0001", "'u", "0000")
	c.Hears("2002 0000")
	if !got.WillFlag || len(got.WillPayload) != 0 || !got.PasswordFlag || len(got.Password) != 0 || string(got.Username) != "u" {
		t.Errorf("the hook sees %+v", got)
	}
	c.Close()
	if pk := sub.Expect(packets.Publish); pk.TopicName != "will" || len(pk.Payload) != 0 {
		t.Errorf("the will is %s %q", pk.TopicName, pk.Payload)
	}
}

// Packet identifiers belong to their direction ([MQTT-2.2.1-4] and its
// neighbours); mochi has one table for both (V11).
func TestV11PacketIdentifiersOfBothDirectionsDoNotMeet(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		for _, own := range []byte{1, 2} {
			t.Run(fmt.Sprintf("QoS %d to the client, %d from it", qos, own), func(t *testing.T) {
				b := start(t, new(open), nil)
				c, pub := dial(t, b, 5), dial(t, b, 5)
				c.connect("c", keep)
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
				c.connect("c", keep)
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
		hold := make(chan struct{})
		b := start(t, &open{acl: func(_ *mqtt.Client, topic string, write bool) bool {
			if topic == "slow" && !write {
				<-hold
			}
			return true
		}}, nil)
		sub, pub := dial(t, b, 5), dial(t, b, 5)
		sub.connect("sub", nil)
		sub.Subscribe("+", 0)
		pub.connect("pub", nil)
		pub.publish("slow", qos)
		_ = pub.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
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
	c.connect("c", keep)
	c.Send(message("a", 2, 7))
	sub.Expect(packets.Publish)
	c.Close() // PUBREC may have come or not
	c = dial(t, b, 5)
	c.connect("c", keep)
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
	c.connect("c", keep)
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
	c.connect("c", keep)
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

// The legal short form of a DISCONNECT that asks for the will (V6).
func TestV06ShortDisconnectSendsTheWill(t *testing.T) {
	b := start(t, new(open), nil)
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("will", 0)
	c := dial(t, b, 5)
	c.connect("c", func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "will", []byte("gone")
	})
	c.Raw("e0 01 04")
	sub.Expect(packets.Publish)
}

// Memory is spent on what has arrived, not on what was promised (V3).
func TestV03PromisedPacketsCostNoMemory(t *testing.T) {
	const limit = 128 << 20
	b := start(t, new(open), func(c *broker.Config) { c.MaxPacketSize = limit })
	for range 4 {
		c := dial(t, b, 5)
		c.Raw("10 ffffff7f") // before CONNECT, 256 MiB
		c.UntilEnd()
	}
	var clients []*client
	for i := range 8 {
		c := dial(t, b, 5)
		c.connect(fmt.Sprint("c", i), nil)
		c.Raw("30 f0ffff3f 0001", "'a") // just below the limit, and two bytes of it
		clients = append(clients, c)
	}
	clients[0].Close()
	eventually(t, "one is gone", func() bool { return b.Stats().Connections == len(clients)-1 })
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > limit {
		t.Errorf("%d MiB are in use", m.HeapAlloc>>20)
	}
}

// A large packet passes whole, and its memory is not kept.
func TestLargePacketPasses(t *testing.T) {
	b := start(t, new(open), func(c *broker.Config) { c.MaxPacketSize = 8 << 20 })
	sub, pub := dial(t, b, 5), dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("a", 1)
	pub.connect("pub", nil)
	for _, n := range []int{1, 2000, 2048, 2049, 4096, 100_000, 5 << 20, 3} {
		pk := message("a", 1, 9)
		pk.Payload = bytes.Repeat([]byte{'x'}, n)
		pub.Send(pk)
		got := sub.Expect(packets.Publish)
		if !bytes.Equal(got.Payload, pk.Payload) {
			t.Fatalf("%d bytes came as %d", n, len(got.Payload))
		}
		sub.Send(ack(packets.Puback, got.PacketID))
		pub.Expect(packets.Puback)
	}
}

// Packets may come a byte at a time, and many at a time.
func TestPacketsComeInAnyPieces(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.Subscribe("a", 0)
	whole := "30 05 0001 61 00 78 c000 30 05 0001 61 00 79 c000"
	for _, digits := range strings.Fields(whole) {
		for i := 0; i < len(digits); i += 2 {
			c.Raw(digits[i : i+2])
		}
	}
	c.Raw(whole)
	var seen strings.Builder
	for pings := 0; pings < 4 || seen.Len() < 4; { // messages and answers go separate ways
		pk, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if pk.FixedHeader.Type == packets.Pingresp {
			pings++
			continue
		}
		seen.Write(pk.Payload)
	}
	if seen.String() != "xyxy" {
		t.Errorf("got %q, want xyxy", &seen)
	}
}

func TestKeepAliveIsEnforced(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	began := time.Now()
	c.connect("c", func(pk *packets.Packet) { pk.Connect.Keepalive = 1 })
	c.UntilEnd()
	if took := time.Since(began); took < 1500*time.Millisecond || took > 5*time.Second {
		t.Errorf("a silent client with a keep alive of 1 s was cut after %v", took)
	}
}

// Shared subscriptions whose filter begins with a wildcard get no topics of the
// broker ([MQTT-4.7.2-1]; V7).
func TestV07SharedWildcardGetsNoTopicsOfTheBroker(t *testing.T) {
	b := start(t, new(open), func(c *broker.Config) { c.SysInterval = time.Second })
	shared, own := dial(t, b, 5), dial(t, b, 5)
	shared.connect("shared", nil)
	shared.Subscribe("$share/g/#", 0)
	shared.Subscribe("$SHARE/h/+/#", 0)
	own.connect("own", nil)
	own.Subscribe("$SYS/broker/uptime", 0)
	own.Expect(packets.Publish) // retained
	own.Expect(packets.Publish) // the next round
	shared.Ping()
}

// A filter that ends with # matches its parent level, retained messages too
// ([MQTT-4.7.1-2]).
func TestRetainedMessageOfTheParentLevel(t *testing.T) {
	for _, filter := range []string{"sports/#", "+/#", "sports/+/#", "#"} {
		var denied string
		b := start(t, &open{acl: func(_ *mqtt.Client, topic string, write bool) bool { return write || topic != denied }}, nil)
		pub := dial(t, b, 5)
		pub.connect("pub", nil)
		for i, topic := range []string{"sports", "sports/tennis", "sports/tennis/one"} {
			pk := message(topic, 1, uint16(i+1))
			pk.FixedHeader.Retain = true
			pub.Send(pk)
			pub.Expect(packets.Puback)
		}
		topics := func(version byte, options packets.Subscription, want int) string {
			c := dial(t, b, version)
			c.connect("c", nil)
			c.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
				Filters: packets.Subscriptions{options},
			})
			c.Expect(packets.Suback)
			c.Raw("c000")
			var got []string
			for {
				pk, err := c.Next()
				switch {
				case err != nil:
					t.Fatal(err)
				case pk.FixedHeader.Type == packets.Pingresp && len(got) >= want:
					return strings.Join(got, " ")
				case pk.FixedHeader.Type == packets.Pingresp: // messages and answers go separate ways
					c.Raw("c000")
					continue
				}
				if !pk.FixedHeader.Retain || pk.FixedHeader.Qos != options.Qos {
					t.Errorf("%s came with retain %v, QoS %d", pk.TopicName, pk.FixedHeader.Retain, pk.FixedHeader.Qos)
				}
				got = append(got, pk.TopicName)
			}
		}
		parent := map[string]string{"sports/#": "sports", "+/#": "sports", "sports/+/#": "sports/tennis", "#": "sports"}[filter]
		all := map[string]int{"sports/#": 3, "+/#": 3, "sports/+/#": 2, "#": 3}[filter]
		for _, version := range []byte{4, 5} {
			if got := topics(version, packets.Subscription{Filter: filter, Qos: 1}, all); strings.Count(" "+got+" ", " "+parent+" ") != 1 {
				t.Errorf("v%d %s gets %q, want %q once", version, filter, got, parent)
			}
		}
		if got := topics(5, packets.Subscription{Filter: filter, RetainHandling: 2}, 0); got != "" {
			t.Errorf("%s gets %q though it wants nothing retained", filter, got)
		}
		c := dial(t, b, 5)
		c.connect("pub", nil) // in its publisher's place
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
			Filters: packets.Subscriptions{{Filter: filter, NoLocal: true}},
		})
		c.Expect(packets.Suback)
		c.Ping() // its own message does not come ([MQTT-3.8.3-3])
		if filter != "#" {
			denied = parent
			if got := topics(5, packets.Subscription{Filter: filter}, all-1); strings.Contains(" "+got+" ", " "+parent+" ") {
				t.Errorf("%s gets %q, which may not be read", filter, got)
			}
		}
	}
}

// What is too large for a client is dropped as if it had been acknowledged
// ([MQTT-3.1.2-25]).
func TestMessagesThatAreTooLargeForAClient(t *testing.T) {
	b := start(t, new(open), nil)
	sub, pub := dial(t, b, 5), dial(t, b, 5)
	small := func(pk *packets.Packet) { keep(pk); pk.Properties.MaximumPacketSize = 100 }
	sub.connect("sub", small)
	sub.Subscribe("a", 1)
	pub.connect("pub", nil)
	send := func(n int) {
		pk := message("a", 1, 1)
		pk.Payload = bytes.Repeat([]byte{'x'}, n)
		pub.Send(pk)
		pub.Expect(packets.Puback)
	}
	send(200)
	send(10)
	if pk := sub.Expect(packets.Publish); len(pk.Payload) != 10 {
		t.Errorf("got %d bytes", len(pk.Payload))
	} else {
		sub.Send(ack(packets.Puback, pk.PacketID))
	}
	sub.Ping()
	if n := b.Inflight(); n != 0 {
		t.Errorf("%d messages wait", n)
	}
	// It takes more, goes, and comes back taking less.
	sub.Close()
	sub = dial(t, b, 5)
	sub.connect("sub", keep)
	sub.Close()
	eventually(t, "it is gone", func() bool { return b.Stats().Clients == 1 })
	send(200)
	send(20)
	sub = dial(t, b, 5)
	sub.connect("sub", small)
	if pk := sub.Expect(packets.Publish); len(pk.Payload) != 20 {
		t.Errorf("got %d bytes", len(pk.Payload))
	}
	sub.Ping()
}

// A client beyond the limit of its address is told so before anybody looks at its
// password.
func TestConnectionsPerAddress(t *testing.T) {
	asked := 0
	b := start(t, &open{connect: func(*mqtt.Client, packets.Packet) error { asked++; return nil }},
		func(c *broker.Config) { c.MaxConnectionsPerAddress = 1 })
	first := dial(t, b, 5)
	first.connect("first", nil)
	for version, code := range map[byte]byte{4: 3, 5: 0x97} {
		c := dial(t, b, version)
		if got := c.connect("second", nil); got != code {
			t.Errorf("v%d: CONNACK %#02x, want %#02x", version, got, code)
		}
		c.UntilEnd()
	}
	if asked != 1 {
		t.Errorf("the hook was asked %d times, want once", asked)
	}
	first.Close()
	eventually(t, "it is gone", func() bool { return b.Stats().Connections == 0 })
	if got := dial(t, b, 5).connect("second", nil); got != 0 {
		t.Errorf("CONNACK %#02x when there is room", got)
	}
}

// A PUBLISH that comes a byte at a time must be there in time: the keep alive
// counts packets, not bytes ([MQTT-3.1.2-22]).
func TestSlowLorisOnALargePublish(t *testing.T) {
	b := start(t, new(open), nil)
	before := takeFootprint(b)
	w := watch(t, b)
	var wg sync.WaitGroup
	for i := range 50 {
		c := dial(t, b, byte(4+i%2))
		c.connect(fmt.Sprint("c", i), func(pk *packets.Packet) { pk.Connect.Keepalive = 1 })
		wg.Go(func() {
			pk := message("a", 0, 0)
			pk.Payload = make([]byte, 100_000)
			if n := drip(c, encode(c.Version, pk)[:600], 10*time.Millisecond); n == 600 {
				t.Error("it is still waited for after 6 s")
			}
		})
	}
	wg.Wait()
	w.testify(patience / 2)
	before.returns(t, 4<<20)
}

// A message of QoS 0 that is too large for a client is left out, and holds up none
// of the others: mochi gathers what it writes, and forgets to send that when the
// last of it can't be.
func TestTooLargeMessageHoldsUpNoOther(t *testing.T) {
	b := start(t, new(open), nil)
	sub, pub := dial(t, b, 5), dial(t, b, 5)
	sub.connect("sub", func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 100 })
	sub.Subscribe("a", 0)
	pub.connect("pub", nil)
	small, large := message("a", 0, 0), message("a", 0, 0)
	large.Payload = make([]byte, 1000)
	both := append(encode(5, small), encode(5, large)...)
	for range 1000 {
		if _, err := pub.Write(both); err != nil {
			t.Fatal(err)
		}
		sub.Expect(packets.Publish)
	}
}

// A client that wants no reason strings still gets the user properties of
// messages ([MQTT-3.3.2-17]), and none on answers ([MQTT-3.1.2-29]); mochi leaves
// them out of everything.
func TestUserPropertiesForAClientThatWantsNoProblemInformation(t *testing.T) {
	b := start(t, new(open), nil)
	user := []packets.UserProperty{{Key: "k", Val: "v"}}
	c := dial(t, b, 5)
	c.connect("c", func(pk *packets.Packet) {
		pk.Properties.RequestProblemInfoFlag, pk.Properties.RequestProblemInfo = true, 0
	})
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Properties: packets.Properties{User: user}, Filters: packets.Subscriptions{{Filter: "a"}},
	})
	if got := c.Expect(packets.Suback).Properties.User; len(got) != 0 {
		t.Errorf("SUBACK with %v", got)
	}
	pk := message("a", 0, 0)
	pk.Properties.User = user
	c.Send(pk)
	if got := c.Expect(packets.Publish).Properties.User; !slices.Equal(got, user) {
		t.Errorf("the message has %v, want %v", got, user)
	}
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 2,
		Properties: packets.Properties{User: user}, Filters: packets.Subscriptions{{Filter: "a"}},
	})
	if got := c.Expect(packets.Unsuback).Properties.User; len(got) != 0 {
		t.Errorf("UNSUBACK with %v", got)
	}
}

// Nothing comes before CONNACK ([MQTT-3.2.0-1]): mochi delivers to a client from
// the moment on that it has its session.
func TestMessagesDoNotComeBeforeConnack(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos := range byte(3) {
			resumes, goOn := make(chan struct{}), make(chan struct{})
			b := start(t, new(open), nil)
			if err := b.Observe(&observer{encode: func(pk packets.Packet) {
				if pk.FixedHeader.Type == packets.Connack && pk.SessionPresent {
					close(resumes)
					<-goOn
				}
			}}); err != nil {
				t.Fatal(err)
			}
			c, pub := dial(t, b, version), dial(t, b, 5)
			pub.connect("pub", nil)
			c.connect("c", keep)
			c.Subscribe("a", qos)
			c.Close()
			eventually(t, "it is gone", func() bool { return b.Stats().Clients == 1 })
			c = dial(t, b, version)
			pk := connectAs("c")
			keep(&pk)
			c.Send(pk)
			<-resumes
			for range 3 {
				pub.publish("a", 0)
				pub.Send(message("a", qos, uint16(qos)))
				switch qos {
				case 1:
					pub.Expect(packets.Puback)
				case 2:
					pub.Expect(packets.Pubrec)
					pub.Send(ack(packets.Pubrel, 2))
					pub.Expect(packets.Pubcomp)
				}
			}
			pub.Ping()
			close(goOn)
			if pk, err := c.Next(); err != nil || pk.FixedHeader.Type != packets.Connack {
				t.Fatalf("version %d, QoS %d: %v %+v", version, qos, err, pk)
			}
			for n := map[byte]int{}; n[0] < 3 || n[qos] < 3; {
				n[c.Expect(packets.Publish).FixedHeader.Qos]++
			}
		}
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

// A packet may be as large as it may be, and get a prefix.
func TestPrefixOfTheLargestPacket(t *testing.T) {
	b := start(t, &open{prefix: strings.Repeat("p", 400)}, func(c *broker.Config) { c.MaxPacketSize = 2000 })
	sub, pub := dial(t, b, 5), dial(t, b, 5)
	sub.connect("sub", nil)
	sub.MustSubscribe("#", 0)
	pub.connect("pub", nil)
	pub.Publish("a", strings.Repeat("x", 2000-7), 0, false) // header 3, topic 3, properties 1
	if pk := sub.Message(); len(pk.Payload) != 2000-7 {
		t.Errorf("%d bytes of payload", len(pk.Payload))
	}
	pub.Ping()
}
