package broker_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

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

// What is too large for a client is dropped as if it had been acknowledged
// ([MQTT-3.1.2-25]).
func TestMessagesThatAreTooLargeForAClient(t *testing.T) {
	b := start(t, new(open), nil)
	sub, pub := dial(t, b, 5), dial(t, b, 5)
	small := func(pk *packets.Packet) { persistent(pk); pk.Properties.MaximumPacketSize = 100 }
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
	sub.connect("sub", persistent)
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
