package broker_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// known returns a hook that keeps the clients it has seen, and a way to get at
// the latest with an ID.
func known() (*open, func(id string) *mqtt.Client) {
	var mu sync.Mutex
	all := make(map[string]*mqtt.Client)
	h := &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
		mu.Lock()
		defer mu.Unlock()
		all[cl.ID] = cl
		return nil
	}}
	return h, func(id string) *mqtt.Client {
		mu.Lock()
		defer mu.Unlock()
		return all[id]
	}
}

func keep(pk *packets.Packet) {
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 600, true
}

func TestRefuse(t *testing.T) {
	var b *started
	b = start(t, &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
		if err := b.Refuse(cl, packets.ErrMalformedUsernameOrPassword); err != nil {
			t.Error(err)
		}
		return packets.ErrBadUsernameOrPassword
	}}, nil)
	c := dial(t, b, 4)
	if code := c.connect("c", nil); code != 4 {
		t.Errorf("CONNACK %#02x, want 4", code)
	}
	if code := c.expectEnd(); code != 0 {
		t.Errorf("DISCONNECT %#02x after it", code)
	}
}

func TestEmptyClientIDWithASessionToKeepIsRefused(t *testing.T) {
	b := start(t, new(open), nil)
	if code := dial(t, b, 4).connect("", keep); code != 2 {
		t.Errorf("empty client ID with a session to keep: CONNACK %#02x, want 2", code)
	}
}

func TestKick(t *testing.T) {
	for version, want := range map[byte]byte{4: 0, 5: 0x98} {
		hook, client := known()
		b := start(t, hook, nil)
		c := dial(t, b, version)
		c.connect("c", nil)
		b.Kick(client("c"), packets.ErrAdministrativeAction)
		if code := c.expectEnd(); code != want {
			t.Errorf("version %d: DISCONNECT %#02x, want %#02x", version, code, want)
		}
		b.Kick(client("c"), packets.ErrAdministrativeAction) // nothing happens
		eventually(t, "it is gone", func() bool { return b.Stats().Connections == 0 })
	}
}

// A socket that is closed with unread data in it is reset, and may take the
// DISCONNECT back.
func TestKickOfAClientThatGoesOnSending(t *testing.T) {
	hook, client := known()
	release := make(chan struct{})
	hook.acl = func(*mqtt.Client, string, bool) bool { <-release; return true }
	b := start(t, hook, func(cfg *broker.Config) { cfg.LastWords = 5 * time.Second })
	c := dial(t, b, 5)
	c.connect("c", nil)
	for range 1000 {
		c.publish("a", 0)
	}
	eventually(t, "the first one is being dealt with", func() bool { return b.Stats().MessagesReceived == 1 })
	b.Kick(client("c"), packets.ErrAdministrativeAction)
	close(release)
	if pk := c.expect(packets.Disconnect); pk.ReasonCode != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", pk.ReasonCode)
	}
	if _, err := c.next(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection ended with %v, want EOF", err)
	}
	eventually(t, "mochi is through with it", func() bool { return b.Stats().Clients == 0 })
	for range 20 {
		c.publish("a", 0) // no error yet
		time.Sleep(time.Millisecond)
	}
	if got := b.Stats().MessagesReceived; got > 1 {
		t.Errorf("%d messages were read, want 1", got)
	}
}

// A client that does not read must not hold up whoever kicks it, though another
// goroutine is in the middle of writing to it.
func TestKickOfAClientThatDoesNotRead(t *testing.T) {
	for _, version := range []byte{4, 5} {
		hook, client := known()
		b := start(t, hook, func(cfg *broker.Config) { cfg.LastWords, cfg.MaxQueued = 100*time.Millisecond, 8 })
		c := dial(t, b, version)
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
			t.Fatal(err)
		}
		c.connect("c", nil)
		c.subscribe("a", 0)
		pub := dial(t, b, 5)
		pub.connect("pub", nil)
		eventually(t, "messages for it are dropped", func() bool {
			pub.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "a", Payload: make([]byte, 100_000)})
			pub.ping()
			return b.Stats().MessagesDropped > 0
		})
		before := time.Now()
		b.Kick(client("c"), packets.ErrAdministrativeAction)
		if took := time.Since(before); took > 3*time.Second {
			t.Errorf("version %d: it took %v", version, took)
		}
		eventually(t, "it is gone", func() bool { return b.Stats().Connections == 1 })
		pub.ping()
	}
}

func TestPrune(t *testing.T) {
	hook, client := known()
	b := start(t, hook, nil)
	c := dial(t, b, 5)
	c.connect("c", keep)
	for _, filter := range []string{"a/#", "b", "$share/g/a/1", "$SHARE/g/b"} {
		c.subscribe(filter, 1)
	}
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	pub.publish("a/1", 0)
	c.expect(packets.Publish)
	c.Close()
	eventually(t, "it is stored", func() bool { return b.Stats().Clients == 1 })
	for _, topic := range []string{"a/1", "b"} {
		pub.publish(topic, 1)
		pub.expect(packets.Puback)
	}
	eventually(t, "both are routed", func() bool { return b.Inflight() == 2 })

	mayB := func(name string) bool { return name == "b" || name == "$SHARE/g/b" }
	subscriptions, messages := b.Prune(client("c"), mayB)
	if subscriptions != 2 || messages != 1 {
		t.Errorf("pruned %d subscriptions and %d messages, want 2 and 1", subscriptions, messages)
	}
	if st := b.Stats(); st.Subscriptions != 2 || b.Inflight() != 1 {
		t.Errorf("%d subscriptions and %d messages are left, want 2 and 1", st.Subscriptions, b.Inflight())
	}
	c = dial(t, b, 5)
	c.connect("c", keep)
	if pk := c.expect(packets.Publish); pk.TopicName != "b" {
		t.Errorf("resent: %s, want b", pk.TopicName)
	}
	c.ping()
}

func TestPurge(t *testing.T) {
	hook, client := known()
	b := start(t, hook, nil)
	c := dial(t, b, 5)
	c.connect("c", keep)
	c.subscribe("a", 1)
	old := client("c")
	c.Close()
	eventually(t, "it is stored", func() bool { return b.Stats().Clients == 0 })
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	pub.publish("a", 1)
	pub.expect(packets.Puback)
	eventually(t, "the message waits", func() bool { return b.Inflight() == 1 })

	b.Purge(old)
	if st := b.Stats(); st.Subscriptions != 0 || b.Inflight() != 0 {
		t.Errorf("%d subscriptions and %d messages are left", st.Subscriptions, b.Inflight())
	}
	c = dial(t, b, 5)
	c.connect("c", keep)
	c.ping()
	b.Purge(old) // its place is taken: nothing happens
	c.subscribe("a", 0)
	pub.publish("a", 0)
	c.expect(packets.Publish)
}

func TestPublish(t *testing.T) {
	b := start(t, &open{acl: func(_ *mqtt.Client, _ string, write bool) bool { return !write }}, nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	for qos := range byte(3) {
		c.subscribe("a", qos)
		c.ping() // what was retained has been looked for
		if err := b.Publish("c", packets.Packet{
			FixedHeader: packets.FixedHeader{Qos: qos, Retain: qos == 2}, TopicName: "a", Payload: []byte("x"),
			Properties: packets.Properties{ContentType: "text/plain"},
		}); err != nil {
			t.Fatal(err)
		}
		pk := c.expect(packets.Publish)
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
		c.connect("c", keep)
		if i == 0 {
			c.subscribe("a", 1)
		}
		c.Close()
		eventually(t, "it is gone", func() bool { return b.Stats().Clients == 1 })
		pub.publish("a", 1)
		pub.expect(packets.Puback)
	}
	if n := b.Inflight(); n != 3 {
		t.Errorf("%d messages wait, want 3", n)
	}
}
