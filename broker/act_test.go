package broker_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	messages "mqttwarden/broker/message"
)

// persistent makes a CONNECT one that goes on with a session, and leaves one behind.
func persistent(pk *packets.Packet) {
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 600, true
}

func TestRefuse(t *testing.T) {
	b := start(t, &open{connect: func(*mqtt.Client, packets.Packet) error {
		return fmt.Errorf("%w: for the log only", packets.ErrBadUsernameOrPassword)
	}}, nil)
	for version, want := range map[byte]byte{4: 4, 5: 0x86} {
		c := dial(t, b, version)
		c.Send(connectAs("c"))
		pk := c.Expect(packets.Connack)
		if pk.ReasonCode != want || strings.Contains(pk.Properties.ReasonString, "log") {
			t.Errorf("version %d: CONNACK %#02x %q, want %#02x", version, pk.ReasonCode, pk.Properties.ReasonString, want)
		}
		if code := c.UntilEnd(); code != 0 {
			t.Errorf("DISCONNECT %#02x after it", code)
		}
	}
	if got := b.Stats().ConnectsRefused[0x86]; got != 2 {
		t.Errorf("%d are counted, want 2", got)
	}
}

func TestEmptyClientIDWithASessionToKeepIsRefused(t *testing.T) {
	b := start(t, new(open), nil)
	if code := dial(t, b, 4).connect("", persistent); code != 2 {
		t.Errorf("empty client ID with a session to keep: CONNACK %#02x, want 2", code)
	}
}

func TestKick(t *testing.T) {
	for version, want := range map[byte]byte{4: 0, 5: 0x98} {
		b := start(t, new(open), nil)
		c := dial(t, b, version)
		c.connect("c", nil)
		cl := b.Client("c")
		b.Kick(cl, packets.ErrAdministrativeAction)
		if code := c.UntilEnd(); code != want {
			t.Errorf("version %d: DISCONNECT %#02x, want %#02x", version, code, want)
		}
		b.Kick(cl, packets.ErrAdministrativeAction) // nothing happens
		eventually(t, "it is gone", func() bool { return b.Stats().Connections == 0 })
	}
}

// A socket that is closed with unread data in it is reset, and may take the
// DISCONNECT back.
func TestKickOfAClientThatGoesOnSending(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	b := start(t, &open{acl: func(_ *mqtt.Client, name string, write bool) bool {
		if name == "a" && !write {
			close(begun)
			<-release
		}
		return true
	}}, func(cfg *broker.Config) { cfg.FinalTimeout = 5 * time.Second })
	sub, c := dial(t, b, 5), dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("+", 0)
	c.connect("c", nil)
	for range 1000 {
		c.publish("a", 0)
	}
	<-begun // the delivery of the first one
	b.Kick(b.Client("c"), packets.ErrAdministrativeAction)
	close(release)
	if pk := c.Expect(packets.Disconnect); pk.ReasonCode != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", pk.ReasonCode)
	}
	if _, err := c.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection ended with %v, want EOF", err)
	}
	eventually(t, "mochi is through with it", func() bool { return b.Stats().Clients == 1 })
	for range 20 {
		c.publish("a", 0) // no error yet
	}
	c.Close()
	eventually(t, "the broker is through with it", func() bool { return b.Stats().Connections == 1 })
	if got := b.Stats().MessagesReceived; got > 1 {
		t.Errorf("%d messages were read, want 1", got)
	}
}

// A client that does not read must not hold up whoever kicks it, though another
// goroutine is in the middle of writing to it.
func TestKickOfAClientThatDoesNotRead(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel() // it waits for a time-out
			b := start(t, new(open), func(cfg *broker.Config) { cfg.FinalTimeout, cfg.MaxQueued = 100*time.Millisecond, 8 })
			c := dial(t, b, version)
			if err := c.Conn.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
				t.Fatal(err)
			}
			c.connect("c", nil)
			c.Subscribe("a", 0)
			pub := dial(t, b, 5)
			pub.connect("pub", nil)
			eventually(t, "messages for it are dropped", func() bool {
				pub.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "a", Payload: make([]byte, 100_000)})
				pub.Ping()
				return b.Stats().MessagesDropped > 0
			})
			before := time.Now()
			b.Kick(b.Client("c"), packets.ErrAdministrativeAction)
			if took := time.Since(before); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			eventually(t, "it is gone", func() bool { return b.Stats().Connections == 1 })
			pub.Ping()
		})
	}
}

func TestPrune(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", persistent)
	for _, filter := range []string{"a/#", "b", "$share/g/a/1", "$SHARE/g/b"} {
		c.Subscribe(filter, 1)
	}
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	pub.publish("a/1", 0)
	c.Expect(packets.Publish)
	c.Close()
	eventually(t, "it is stored", func() bool { return b.Stats().Clients == 1 })
	for _, topic := range []string{"a/1", "b"} {
		pub.publish(topic, 1)
		pub.Expect(packets.Puback)
	}
	eventually(t, "both are routed", func() bool { return b.Inflight() == 2 })

	mayB := func(name string) bool { return name == "b" || name == "$SHARE/g/b" }
	b.Prune(b.Client("c"), mayB)
	if st := b.Stats(); st.Subscriptions != 2 || b.Inflight() != 1 {
		t.Errorf("%d subscriptions and %d messages are left, want 2 and 1", st.Subscriptions, b.Inflight())
	}
	c = dial(t, b, 5)
	c.connect("c", persistent)
	if pk := c.Expect(packets.Publish); pk.TopicName != "b" {
		t.Errorf("resent: %s, want b", pk.TopicName)
	}
	c.Ping()
}

func TestPurge(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", persistent)
	c.Subscribe("a", 1)
	old := b.Client("c")
	c.Close()
	eventually(t, "it is stored", func() bool { return b.Stats().Clients == 0 })
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	pub.publish("a", 1)
	pub.Expect(packets.Puback)
	eventually(t, "the message waits", func() bool { return b.Inflight() == 1 })

	b.Purge(old)
	if st := b.Stats(); st.Subscriptions != 0 || b.Inflight() != 0 {
		t.Errorf("%d subscriptions and %d messages are left", st.Subscriptions, b.Inflight())
	}
	c = dial(t, b, 5)
	c.connect("c", persistent)
	c.Ping()
	b.Purge(old) // its place is taken: nothing happens
	c.Subscribe("a", 0)
	pub.publish("a", 0)
	c.Expect(packets.Publish)
}

func TestPublish(t *testing.T) {
	b := start(t, &open{acl: func(_ *mqtt.Client, _ string, write bool) bool { return !write }}, nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	for qos := range byte(3) {
		c.Subscribe("a", qos)
		c.Ping() // what was retained has been looked for
		if err := b.Publish(&messages.Message{
			Origin: "c", QoS: qos, Retain: qos == 2, Topic: "a", Payload: []byte("x"),
			Properties: &messages.Properties{ContentType: "text/plain"},
		}); err != nil {
			t.Fatal(err)
		}
		pk := c.Expect(packets.Publish)
		if pk.FixedHeader.Qos != qos || pk.Properties.ContentType != "text/plain" || string(pk.Payload) != "x" {
			t.Errorf("got %+v", pk)
		}
	}
	if got := b.Stats().Retained; got == 0 {
		t.Error("not retained")
	}
}

// Mochi's own count is lower by what waits each time that a session is resumed.
func TestInflightIsCounted(t *testing.T) {
	b := start(t, new(open), nil)
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	for i := range 3 {
		c := dial(t, b, 5)
		c.connect("c", persistent)
		if i == 0 {
			c.Subscribe("a", 1)
		}
		c.Close()
		eventually(t, "it is gone", func() bool { return b.Stats().Clients == 1 })
		pub.publish("a", 1)
		pub.Expect(packets.Puback)
	}
	if n := b.Inflight(); n != 3 {
		t.Errorf("%d messages wait, want 3", n)
	}
}
