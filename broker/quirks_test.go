package broker_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry/logtest"
)

// What mochi v2.7.9 does, as far as broker and authhook rely on it or work
// around it. A test that fails after an upgrade tells what to look at again.

// bare is mochi alone, with hooks as they are given.
type bare struct {
	*mqtt.Server
	tb    testing.TB
	log   *logtest.Buffer
	conns sync.WaitGroup
}

func newBare(tb testing.TB, change func(*mqtt.Capabilities), hooks ...mqtt.Hook) *bare {
	tb.Helper()
	caps := mqtt.NewDefaultServerCapabilities()
	if change != nil {
		change(caps)
	}
	log, buf := logtest.New()
	b := &bare{tb: tb, log: buf}
	b.Server = mqtt.New(&mqtt.Options{Capabilities: caps, Logger: log, SysTopicResendInterval: 60})
	for _, h := range hooks {
		if err := b.AddHook(h, nil); err != nil {
			tb.Fatal(err)
		}
	}
	if err := b.Serve(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, cl := range b.Clients.GetAll() {
			cl.Stop(packets.ErrServerShuttingDown)
		}
		b.conns.Wait()
		if err := b.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func (b *bare) dial(version byte) *client {
	b.tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.tb.Fatal(err)
	}
	defer ln.Close()
	ours, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.tb.Fatal(err)
	}
	theirs, err := ln.Accept()
	if err != nil {
		b.tb.Fatal(err)
	}
	b.conns.Go(func() { _ = b.EstablishConnection("bare", theirs) })
	return over(b.tb, ours, version)
}

// closed lets nobody in and allows nothing.
type closed struct{ mqtt.HookBase }

func (*closed) ID() string { return "closed" }

func (*closed) Provides(b byte) bool { return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck }

func (*closed) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return false }

func (*closed) OnACLCheck(*mqtt.Client, string, bool) bool { return false }

func TestQuirkAnyYesCounts(t *testing.T) {
	b := newBare(t, nil, new(closed), new(open))
	c := b.dial(5)
	if code := c.connect("c", nil); code != 0 {
		t.Fatalf("CONNACK %#02x: a no counts now beside a yes", code)
	}
	if code := c.Subscribe("a", 0); code != 0 {
		t.Errorf("SUBACK %#02x: a no counts now beside a yes", code)
	}
	if code := newBare(t, nil).dial(5).connect("c", nil); code != 0x86 {
		t.Errorf("without a hook: CONNACK %#02x, want 0x86", code)
	}
}

func TestQuirkErrorOfOnConnectClosesWithoutConnack(t *testing.T) {
	b := newBare(t, nil, &open{connect: func(*mqtt.Client, packets.Packet) error { return packets.ErrBanned }})
	c := b.dial(5)
	if _, err := c.Write([]byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(c); len(rest) != 0 {
		t.Errorf("got % x before the end", rest)
	}
}

// What comes of a publish whose OnPublish returns an error.
func TestQuirkOnPublishFailsOpen(t *testing.T) {
	const none = 0
	for _, tt := range []struct {
		name      string
		err       error
		version   byte
		qos       byte
		ack       byte // type of the packet in answer
		code      byte
		delivered bool
	}{
		{"plain error", errors.New("no"), 4, 0, none, 0, true},
		{"plain error", errors.New("no"), 4, 1, packets.Puback, 0, true},
		{"plain error", errors.New("no"), 5, 1, packets.Puback, 0, true},
		{"plain error", errors.New("no"), 5, 2, packets.Pubrec, 0, true},
		{"a code", packets.ErrNotAuthorized, 4, 1, packets.Puback, 0, true},
		{"a code", packets.ErrNotAuthorized, 5, 0, none, 0, true},
		{"a code", packets.ErrNotAuthorized, 5, 1, packets.Puback, 0x87, false},
		{"a code", packets.ErrNotAuthorized, 5, 2, packets.Puback, 0x87, false}, // PUBREC is due
		{"ErrRejectPacket", packets.ErrRejectPacket, 4, 1, none, 0, false},
		{"ErrRejectPacket", packets.ErrRejectPacket, 5, 2, none, 0, false},
		// The one that the hook uses.
		{"CodeSuccessIgnore", packets.CodeSuccessIgnore, 4, 0, none, 0, false},
		{"CodeSuccessIgnore", packets.CodeSuccessIgnore, 4, 1, packets.Puback, 0, false},
		{"CodeSuccessIgnore", packets.CodeSuccessIgnore, 4, 2, packets.Pubrec, 0, false},
	} {
		t.Run(fmt.Sprintf("%s, version %d, QoS %d", tt.name, tt.version, tt.qos), func(t *testing.T) {
			b := newBare(t, nil, &open{publish: func(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
				if pk.TopicName == "marker" {
					return pk, nil
				}
				return pk, tt.err
			}})
			sub := b.dial(5)
			sub.connect("sub", nil)
			sub.Subscribe("#", 0)
			pub := b.dial(tt.version)
			pub.connect("pub", nil)
			pub.publish("a", tt.qos)
			if tt.ack != none {
				if ack := pub.Expect(tt.ack); ack.ReasonCode != tt.code {
					t.Errorf("answer %#02x, want %#02x", ack.ReasonCode, tt.code)
				}
			}
			pub.Ping()
			pub.publish("marker", 0)
			want := "marker"
			if tt.delivered {
				want = "a"
			}
			if got := sub.Expect(packets.Publish).TopicName; got != want {
				t.Errorf("first message on %s, want %s", got, want)
			}
		})
	}
}

func TestQuirkDeniedPublish(t *testing.T) {
	deny := func(_ *mqtt.Client, _ string, write bool) bool { return !write }
	b := newBare(t, nil, &open{acl: deny})
	v3 := b.dial(4)
	v3.connect("v3", nil)
	v3.publish("a", 0)
	v3.Ping() // silence
	v3.publish("a", 1)
	if pk := v3.Expect(packets.Disconnect); pk.FixedHeader.Type != packets.Disconnect {
		t.Error("MQTT 3 gets no DISCONNECT any more")
	}
	v5 := b.dial(5)
	v5.connect("v5", nil)
	v5.publish("a", 1)
	if pk := v5.Expect(packets.Puback); pk.ReasonCode != 0x87 {
		t.Errorf("PUBACK %#02x, want 0x87", pk.ReasonCode)
	}
	v5.publish("a", 2)
	if pk := v5.Expect(packets.Pubrec); pk.ReasonCode != 0x87 {
		t.Errorf("PUBREC %#02x, want 0x87", pk.ReasonCode)
	}
}

// The hook is asked about the empty topic of an alias before it is resolved.
func TestQuirkAliasIsJudgedBeforeItIsResolved(t *testing.T) {
	asked := make(chan string, 4)
	b := newBare(t, nil, &open{acl: func(_ *mqtt.Client, topic string, _ bool) bool {
		asked <- topic
		return true
	}})
	c := b.dial(5)
	c.connect("c", nil)
	for _, topic := range []string{"a", ""} {
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: topic,
			Properties: packets.Properties{TopicAlias: 1, TopicAliasFlag: true},
		})
		if got := <-asked; got != topic {
			t.Errorf("asked about %q, want %q", got, topic)
		}
	}
}

func TestQuirkFiltersAreJudgedVerbatimAndDeliveriesAgain(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	b := newBare(t, nil, &open{acl: func(cl *mqtt.Client, topic string, write bool) bool {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, fmt.Sprintf("%s %s %t", cl.ID, topic, write))
		return true
	}})
	sub, pub := b.dial(5), b.dial(5)
	sub.connect("sub", nil)
	sub.Subscribe("$SHARE/g/a", 0)
	pub.connect("pub", nil)
	pub.publish("a", 0)
	sub.Expect(packets.Publish)
	mu.Lock()
	defer mu.Unlock()
	want := "sub $SHARE/g/a false, pub a true, sub a false"
	if got := strings.Join(asked, ", "); got != want {
		t.Errorf("asked: %s\n want: %s", got, want)
	}
}

func TestQuirkNobodyIsAskedAboutAWill(t *testing.T) {
	b := newBare(t, nil, &open{acl: func(_ *mqtt.Client, _ string, write bool) bool { return !write }})
	sub := b.dial(5)
	sub.connect("sub", nil)
	sub.Subscribe("a/#", 0)
	c := b.dial(5)
	c.connect("c", func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "a/will", []byte("x")
	})
	c.Close()
	if got := sub.Expect(packets.Publish).TopicName; got != "a/will" {
		t.Errorf("got %s", got)
	}
}

func TestQuirkOrderOfEvents(t *testing.T) {
	var mu sync.Mutex
	var events []string
	note := func(event string) func(string) {
		return func(id string) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, event)
		}
	}
	h := &open{more: map[byte]func(string){
		mqtt.OnSessionEstablish: note("establish"), mqtt.OnSessionEstablished: note("established"),
		mqtt.OnDisconnect: note("disconnect"), mqtt.OnWill: note("will"),
	}}
	h.connect = func(*mqtt.Client, packets.Packet) error { note("connect")(""); return nil }
	h.acl = func(*mqtt.Client, string, bool) bool { note("acl")(""); return true }
	h.publish = func(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) { note("publish")(""); return pk, nil }
	b := newBare(t, nil, h)
	c := b.dial(5)
	c.connect("c", func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "w", []byte("x")
	})
	c.publish("a", 0)
	c.Ping()
	c.Close()
	want := "connect establish established acl publish will disconnect"
	eventually(t, want, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(events, " ") == want
	})
}

func TestQuirkTopicsOfTheBrokerGetNoAnswer(t *testing.T) {
	b := newBare(t, nil, new(open))
	for _, version := range []byte{4, 5} {
		c := b.dial(version)
		c.connect("c", nil)
		c.publish("$SYS/x", 1)
		c.Ping() // and no PUBACK
		c.publish("$sysadmin", 1)
		c.Ping() // nor here, for what only looks alike
	}
}

// The packet identifiers of both directions share one table.
func TestQuirkPacketIdentifiersOfBothDirectionsCollide(t *testing.T) {
	b := newBare(t, nil, new(open))
	c, pub := b.dial(5), b.dial(5)
	c.connect("c", nil)
	c.Subscribe("a", 1)
	pub.connect("pub", nil)
	pub.publish("a", 1)
	pub.Expect(packets.Puback)
	id := c.Expect(packets.Publish).PacketID // not acknowledged
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: id,
		Filters: packets.Subscriptions{{Filter: "b"}},
	})
	if code := c.Expect(packets.Suback).ReasonCodes[0]; code != 0x91 {
		t.Errorf("SUBACK %#02x, want 0x91", code)
	}
}

func TestQuirkWhoeverBringsTheClientIDTakesTheSession(t *testing.T) {
	b := newBare(t, nil, new(open))
	c := b.dial(5)
	c.connect("c", persistent)
	c.Subscribe("a", 1)
	thief := b.dial(5)
	thief.connect("c", func(pk *packets.Packet) {
		persistent(pk)
		pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte("mallory")
	})
	if code := c.UntilEnd(); code != 0x8E {
		t.Errorf("DISCONNECT %#02x, want 0x8E", code)
	}
	pub := b.dial(5)
	pub.connect("pub", nil)
	pub.publish("a", 0)
	thief.Expect(packets.Publish)
}

// A client that is gone before its CONNACK gets no OnDisconnect, and stays.
func TestQuirkNoDisconnectWithoutConnack(t *testing.T) {
	var mu sync.Mutex
	disconnects := 0
	h := &open{more: map[byte]func(string){mqtt.OnDisconnect: func(string) {
		mu.Lock()
		defer mu.Unlock()
		disconnects++
	}}}
	h.more[mqtt.OnSessionEstablish] = func(string) {}
	h.connect = func(cl *mqtt.Client, _ packets.Packet) error { return cl.Net.Conn.Close() }
	b := newBare(t, nil, h)
	c := b.dial(4)
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: "c"},
	})
	c.UntilEnd()
	b.conns.Wait()
	if _, ok := b.Clients.Get("c"); !ok {
		t.Error("the client is forgotten now")
	}
	if disconnects != 0 {
		t.Error("OnDisconnect is called now")
	}
}

// What waits for a session is sent again by the second that it came in, of which
// 16 bits are looked at; within one it goes in any order. The ledger gives Created
// another meaning; that nothing else reads it while no longest expiry is set is
// relied on, too.
func TestQuirkWaitingMessagesGoBySeconds(t *testing.T) {
	waiting := mqtt.NewInflights()
	for id, created := range map[uint16]int64{1: 70_000, 2: 5, 3: 65_536 + 4} {
		waiting.Set(packets.Packet{PacketID: id, Created: created, Expiry: 1 << 40, ProtocolVersion: 5})
	}
	var got []uint16
	for _, pk := range waiting.GetAll(false) {
		got = append(got, pk.PacketID)
	}
	if want := []uint16{3, 2, 1}; !slices.Equal(got, want) { // 4, 5, 4464
		t.Errorf("sent in the order %v, want %v", got, want)
	}
	cl := mqtt.New(nil).NewClient(nil, "", "c", false)
	cl.State.Inflight = waiting
	if gone := cl.ClearExpiredInflights(1<<30, 0); len(gone) > 0 {
		t.Errorf("%v expired by Created", gone)
	}
}
