package broker_test

import (
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// What the guard relies on, and what it and the hook around ours make up for.

// Mochi reads the next packet when it has dealt with the last one, deliveries
// included, and answered it; the answer comes before the deliveries.
func TestQuirkOnePacketAfterTheOther(t *testing.T) {
	w := newWire()
	b := newBare(t, nil, &open{acl: func(cl *mqtt.Client, _ string, write bool) bool {
		if cl.ID == "w" && write {
			w.note("may write")
		} else if cl.ID == "sub" {
			w.note("delivery")
		}
		return true
	}})
	sub := b.dial(5)
	sub.connect("sub", nil)
	b.Topics.Subscribe("sub", packets.Subscription{Filter: "a"})
	b.attach(w, 5, "w")
	w.put(5, message("a", 1, 1))
	w.put(5, message("a", 2, 2))
	w.put(5, ack(packets.Pubrel, 2))
	w.put(5, packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 3,
		Filters: packets.Subscriptions{{Filter: "b"}},
	})
	w.put(5, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	want := "read, Connack" +
		", read, may write, Puback, delivery" +
		", read, may write, Pubrec, delivery" +
		", read, Pubcomp, read, Suback, read, Pingresp, read"
	eventually(t, want, func() bool { return strings.HasSuffix(w.String(), "Pingresp, read") })
	if got := w.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Mochi gathers what waits for a client: a write holds several packets, and none
// in part.
func TestQuirkWritesHoldWholePackets(t *testing.T) {
	const n = 10
	w := newWire()
	stuck, release := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var writes []int
	w.write = func(p []byte) {
		if p[0]>>4 != packets.Publish {
			return
		}
		mu.Lock()
		writes = append(writes, whole(t, p))
		first := len(writes) == 1
		mu.Unlock()
		if first {
			close(stuck)
			<-release
		}
	}
	b := newBare(t, nil, new(open))
	b.attach(w, 5, "w")
	b.Topics.Subscribe("w", packets.Subscription{Filter: "a"})
	pub := b.dial(5)
	pub.connect("pub", nil)
	pub.publish("a", 0)
	<-stuck
	for range n {
		pub.publish("a", 0)
	}
	pub.Ping()
	close(release)
	eventually(t, "all are written", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(writes) >= 2
	})
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(writes, []int{1, n}) {
		t.Errorf("writes of %v packets, want 1 and %d", writes, n)
	}
}

// Identifiers are given out in turn; those in use are passed over, and 0 is none.
func TestQuirkPacketIdentifiersComeInTurn(t *testing.T) {
	b := newBare(t, nil, new(open))
	cl := b.NewClient(nil, "bare", "c", true)
	next := func() uint32 {
		id, err := cl.NextPacketID()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	cl.State.Inflight.Set(packets.Packet{PacketID: 3})
	for _, want := range []uint32{1, 2, 4} {
		if got := next(); got != want {
			t.Fatalf("identifier %d, want %d", got, want)
		}
	}
	for want := uint32(5); want <= 65535; want++ {
		if got := next(); got != want {
			t.Fatalf("identifier %d, want %d", got, want)
		}
	}
	if got := next(); got != 1 {
		t.Errorf("identifier %d after the last one, want 1", got)
	}
	for id := range 65536 {
		cl.State.Inflight.Set(packets.Packet{PacketID: uint16(id)})
	}
	if id, err := cl.NextPacketID(); err == nil {
		t.Errorf("identifier %d, though all are in use", id)
	}
}

// A new connection of a session begins to count at 1 again.
func TestQuirkPacketIdentifiersBeginAnewWithEachConnection(t *testing.T) {
	b := newBare(t, nil, new(open))
	pub := b.dial(5)
	pub.connect("pub", nil)
	for range 2 {
		c := b.dial(5)
		c.connect("c", persistent)
		c.Subscribe("a", 1)
		for want := uint16(1); want <= 3; want++ {
			pub.publish("a", 1)
			pub.Expect(packets.Puback)
			id := c.Expect(packets.Publish).PacketID
			if id != want {
				t.Errorf("identifier %d, want %d", id, want)
			}
			c.Send(ack(packets.Puback, id))
		}
		c.Ping()
	}
}

// A message of QoS 2 waits as a PUBLISH until PUBREC, then as a PUBREL until
// PUBCOMP, under one identifier. What is not known is answered all the same.
func TestQuirkQoS2WaitsUnderOneIdentifier(t *testing.T) {
	b := newBare(t, nil, new(open))
	c, pub := b.dial(5), b.dial(5)
	c.connect("c", nil)
	c.Subscribe("a", 2)
	pub.connect("pub", nil)
	pub.publish("a", 2)
	pub.Expect(packets.Pubrec)
	id := c.Expect(packets.Publish).PacketID
	cl, _ := b.Clients.Get("c")
	waits := func(want byte) {
		t.Helper()
		pk, ok := cl.State.Inflight.Get(id)
		if got := pk.FixedHeader.Type; got != want || ok != (want != 0) {
			t.Errorf("%s waits, want %s", packets.PacketNames[got], packets.PacketNames[want])
		}
	}
	waits(packets.Publish)
	c.Send(ack(packets.Pubrec, id))
	c.Expect(packets.Pubrel)
	waits(packets.Pubrel)
	c.Send(ack(packets.Pubcomp, id))
	c.Ping()
	waits(0)

	c.Send(ack(packets.Pubrec, 77))
	if pk := c.Expect(packets.Pubrel); pk.PacketID != 77 || pk.ReasonCode != 0x92 {
		t.Errorf("PUBREL %d %#02x, want 77 0x92", pk.PacketID, pk.ReasonCode)
	}
	c.Send(ack(packets.Pubrel, 78))
	if pk := c.Expect(packets.Pubcomp); pk.PacketID != 78 || pk.ReasonCode != 0x92 {
		t.Errorf("PUBCOMP %d %#02x, want 78 0x92", pk.PacketID, pk.ReasonCode)
	}
	c.Send(ack(packets.Puback, 79)) // silence
	c.Ping()
}

// A PUBREL that waits is sent again, too, when the client comes back, and so is
// the receipt of a message of its own.
func TestQuirkPubrelAndReceiptsAreSentAgain(t *testing.T) {
	b := newBare(t, nil, new(open))
	c, pub := b.dial(5), b.dial(5)
	c.connect("c", persistent)
	c.Subscribe("a", 2)
	pub.connect("pub", nil)
	pub.publish("a", 2)
	pub.Expect(packets.Pubrec)
	id := c.Expect(packets.Publish).PacketID
	c.Send(ack(packets.Pubrec, id))
	c.Expect(packets.Pubrel)
	c.Send(message("b", 2, 500))
	c.Expect(packets.Pubrec)
	c.Close()
	c = b.dial(5)
	c.connect("c", persistent)
	got := make(map[byte]uint16)
	for range 2 {
		pk, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		got[pk.FixedHeader.Type] = pk.PacketID
	}
	if got[packets.Pubrel] != id || got[packets.Pubrec] != 500 {
		t.Errorf("got %v, want PUBREL %d and PUBREC 500", got, id)
	}
}

// All that waited is marked as sent again, also what was not sent before.
func TestQuirkResentMessagesAreAllDuplicates(t *testing.T) {
	b := newBare(t, nil, new(open))
	c, pub := b.dial(5), b.dial(5)
	c.connect("c", persistent)
	c.Subscribe("a", 1)
	c.Close()
	eventually(t, "the client is gone", func() bool {
		cl, _ := b.Clients.Get("c")
		return cl.Closed()
	})
	pub.connect("pub", nil)
	for range 3 {
		pub.publish("a", 1)
		pub.Expect(packets.Puback)
	}
	pub.Ping() // for PUBACK comes first
	c = b.dial(5)
	c.connect("c", persistent)
	for range 3 {
		if !c.Expect(packets.Publish).FixedHeader.Dup {
			t.Error("a message that the client gets for the first time is not marked any more")
		}
	}
}

// Messages of one second are sent again in random order.
func TestQuirkWaitingMessagesHaveNoOrder(t *testing.T) {
	waiting := mqtt.NewInflights()
	for id := range uint16(64) {
		waiting.Set(packets.Packet{PacketID: id, Created: 1})
	}
	for range 100 {
		if !slices.IsSortedFunc(waiting.GetAll(false), func(a, b packets.Packet) int { return int(a.PacketID) - int(b.PacketID) }) {
			return
		}
	}
	t.Error("they are in order now")
}

// OnQosPublish is called when a message waits already and has not been queued
// for the socket yet, and again when it is sent again, then with DUP.
func TestQuirkOnQosPublish(t *testing.T) {
	var notes diary
	w := newWire()
	h := new(events)
	h.qosPublish = func(cl *mqtt.Client, pk packets.Packet) {
		if pk.FixedHeader.Type != packets.Publish {
			return
		}
		_, waits := cl.State.Inflight.Get(pk.PacketID)
		time.Sleep(20 * time.Millisecond) // for the write that must not come
		notes.note("waits %t, dup %t, written %t", waits, pk.FixedHeader.Dup, strings.Contains(w.String(), "Publish"))
	}
	b := newBare(t, nil, h)
	cl := b.attach(w, 5, "w")
	cl.Properties.Props.SessionExpiryInterval = 60
	b.Topics.Subscribe("w", packets.Subscription{Filter: "a", Qos: 1})
	pub := b.dial(5)
	pub.connect("pub", nil)
	pub.publish("a", 1)
	pub.Expect(packets.Puback)
	eventually(t, "it is written", func() bool { return strings.Contains(w.String(), "Publish") })
	w.Close()
	w = newWire()
	again := connectAs("w")
	again.Connect.Clean = false
	b.conns.Go(func() { _ = b.EstablishConnection("bare", w) })
	w.put(5, again)
	eventually(t, "it is sent again", func() bool { return strings.Contains(w.String(), "Publish") })
	want := "waits true, dup false, written false, waits true, dup true, written false"
	if got := notes.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What OnSubscribe returns counts, and the codes that OnSubscribed is shown are
// those that are sent.
func TestQuirkCodesOfOnSubscribedAreSent(t *testing.T) {
	h := new(events)
	h.subscribe = func(pk packets.Packet) packets.Packet {
		pk.Filters[0].Filter = "b"
		return pk
	}
	h.subscribed = func(codes []byte) { codes[1] = 0x97 }
	b := newBare(t, nil, h)
	c := b.dial(5)
	c.connect("c", nil)
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: "a"}, {Filter: "c"}},
	})
	if got := c.Expect(packets.Suback).ReasonCodes; !slices.Equal(got, []byte{0, 0x97}) {
		t.Errorf("SUBACK % x, want 00 97", got)
	}
	if len(b.Topics.Subscribers("b").Subscriptions) != 1 || len(b.Topics.Subscribers("a").Subscriptions) != 0 {
		t.Error("the subscription is not the one that OnSubscribe has returned")
	}
}

// A subscription to sports/# gets messages on sports, but not what is retained
// there.
func TestQuirkRetainedMessageOfTheParentLevelIsMissing(t *testing.T) {
	b := newBare(t, nil, new(open))
	c := b.dial(5)
	c.connect("c", nil)
	pk := message("sports", 0, 0)
	pk.FixedHeader.Retain = true
	c.Send(pk)
	c.Subscribe("sports/#", 0)
	c.Ping()
	c.publish("sports", 0)
	c.Expect(packets.Publish)
}

// A message that is larger than its client takes is not sent, and waits for ever.
func TestQuirkTooLargeMessagesWaitForEver(t *testing.T) {
	b := newBare(t, nil, new(open))
	pub := b.dial(5)
	pub.connect("pub", nil)
	pk := message("a", 1, 1)
	pk.FixedHeader.Retain = true
	pk.Payload = make([]byte, 200)
	pub.Send(pk)
	pub.Expect(packets.Puback)
	pub.Ping() // for PUBACK comes first
	c := b.dial(5)
	c.connect("c", func(pk *packets.Packet) { persistent(pk); pk.Properties.MaximumPacketSize = 100 })
	c.Subscribe("a", 1)
	c.Ping()
	cl, _ := b.Clients.Get("c")
	if n := cl.State.Inflight.Len(); n != 1 {
		t.Errorf("%d messages wait, want 1", n)
	}
	c.Close()
	c = b.dial(5)
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect}, Properties: packets.Properties{MaximumPacketSize: 100},
		Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "c"},
	})
	c.Expect(packets.Connack)
	c.UntilEnd() // over the message that it cannot get
}

// The guard pads what is empty and legal, and takes the padding out in OnConnect.
func TestQuirkEmptyWillAndPasswordAreRefused(t *testing.T) {
	for name, connect := range map[string]string{
		"an empty will payload": "10 15 0004 4d515454 04 06 000a 0001 63 0004 77696c6c 0000",
		"an empty password":     "10 12 0004 4d515454 04 c2 000a 0001 63 0001 75 0000",
	} {
		c := newBare(t, nil, new(open)).dial(4)
		c.Raw(connect)
		if got, _ := io.ReadAll(c); len(got) >= 4 && got[3] == 0 {
			t.Errorf("%s is accepted now: % x", name, got)
		}
	}
}
