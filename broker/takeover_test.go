package broker_test

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	"mqttwarden/broker/mqtttest"
)

// slowSweeps has a broker look at what is due only when a test says so.
func slowSweeps(cfg *broker.Config) { cfg.SweepInterval = time.Hour }

// settle waits until so many sessions are connected and stored.
func (b *started) settle(tb testing.TB, connected, stored int) {
	tb.Helper()
	eventually(tb, "the sessions that should be left", func() bool {
		st := b.Stats()
		return st.SessionsConnected == connected && st.SessionsStored == stored
	})
}

// TestAMessageCopiedByATakeoverComesOnce has a publisher stand still between the two
// things that mochi does for a message: it waits for the client, and whoever listens
// is told. Meanwhile the client comes back, gets the message and acknowledges it.
func TestAMessageCopiedByATakeoverComesOnce(t *testing.T) {
	b := start(t, new(open), slowSweeps)
	c := dial(t, b, 5)
	c.connect("c", persistent)
	c.MustSubscribe("a/#", 1)
	before := b.Client("c")
	late := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: 5,
		TopicName: "a/1", Payload: []byte("late"), PacketID: 9, Created: time.Now().Unix(), Origin: "source",
	}
	before.State.Inflight.Set(late)
	c.Close()
	b.settle(t, 0, 1)

	c = dial(t, b, 5)
	c.connect("c", persistent)
	if m := c.Message(); string(m.Payload) != "late" {
		t.Fatalf("got %q", m.Payload)
	}
	eventually(t, "the acknowledgement", func() bool { return b.Client("c").State.Inflight.Len() == 0 })
	b.Waits(before, late)
	source := dial(t, b, 5)
	source.connect("source", nil)
	source.Publish("a/2", "marker", 1, false)
	if m := c.Message(); string(m.Payload) != "marker" {
		t.Errorf("got %q once more", m.Payload)
	}
}

// Mochi lets sessions expire by its own clock, and then deletes whatever client
// has the ID, with none of its subscriptions.
func TestV09ExpiryByMochi(t *testing.T) {
	setUp := func(t *testing.T) (b *started, expire func()) {
		b = start(t, new(open), slowSweeps)
		c := dial(t, b, 5)
		c.connect("c", persistent)
		c.MustSubscribe("a/#", 0)
		cl := b.Client("c")
		c.Close()
		b.settle(t, 0, 1)
		return b, func() { b.ExpireInMochi(cl) }
	}
	t.Run("of a stored session", func(t *testing.T) {
		b, expire := setUp(t)
		expire()
		b.Sweep(t.Context(), time.Now())
		b.settle(t, 0, 0)
		if n, _ := b.Subscribers("a/1"); n != 0 {
			t.Error("its subscription is left")
		}
	})
	t.Run("of one that comes back at the last moment", func(t *testing.T) {
		b, expire := setUp(t)
		expire()
		c := dial(t, b, 5)
		pk := connectAs("c")
		persistent(&pk)
		c.Send(pk)
		if ack := c.Expect(packets.Connack); ack.SessionPresent {
			t.Error("the session is still there")
		}
		pub := dial(t, b, 5)
		pub.connect("pub", nil)
		pub.Publish("a/1", "x", 1, false)
		c.Ping()
		if n, _ := b.Subscribers("a/1"); n != 0 {
			t.Error("the subscription of the old session is left")
		}
	})
	t.Run("hits the one that came back", func(t *testing.T) {
		b, expire := setUp(t)
		c := dial(t, b, 5)
		c.connect("c", persistent)
		c.Ping()
		expire()
		b.Sweep(t.Context(), time.Now())
		pub := dial(t, b, 5)
		pub.connect("pub", nil)
		pub.Publish("a/1", "x", 1, false)
		c.ExpectMessage("a/1")
	})
}

// Mochi alone leaves connections that nobody knows, when several clients connect
// with one ID at a time (V12 of its defects).
func TestV12ConcurrentConnectsLeaveOneConnection(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	var revoked atomic.Bool
	b := start(t, &open{check: func() error {
		if revoked.Load() {
			return packets.ErrBadUsernameOrPassword
		}
		return nil
	}}, slowSweeps)
	for round := range rounds {
		revoked.Store(false)
		id := fmt.Sprint("c", round)
		clients := make([]*client, 4)
		for i := range clients {
			clients[i] = dial(t, b, []byte{4, 5}[i%2])
		}
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() {
				pk := connectAs(id)
				pk.Connect.Clean = i%3 != 0
				if i%2 == 1 {
					pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 60, true
				}
				c.Send(pk)
			})
		}
		wg.Wait()
		for _, c := range clients {
			_, _ = c.Next() // the CONNACK, or the end
		}
		alive := 0
		for _, c := range clients {
			if stillServed(c) {
				alive++
			}
		}
		if alive != 1 {
			t.Fatalf("round %d: %d connections are alive, want 1", round, alive)
		}
		revoked.Store(true)
		b.RejudgeAll(t.Context())
		for i, c := range clients {
			if stillServed(c) {
				t.Fatalf("round %d: client %d is still connected", round, i)
			}
			c.Close()
		}
		b.settle(t, 0, 0)
	}
	if n := b.MochiClients(); n != 0 {
		t.Errorf("mochi still has %d clients", n)
	}
}

// stillServed reports whether the broker still listens to c.
func stillServed(c *client) bool {
	_, _ = c.Write([]byte{packets.Pingreq << 4, 0})
	for {
		pk, err := c.Next()
		if err != nil || pk.FixedHeader.Type == packets.Pingresp {
			return err == nil
		}
	}
}

// Whatever becomes of a connection, nothing of it is left in the end.
func TestReconnectStormLeavesNothing(t *testing.T) {
	cycles := 1000
	if testing.Short() {
		cycles = 100
	}
	var revoked atomic.Bool
	b := start(t, &open{prefix: "p/", check: func() error {
		if revoked.Load() {
			return packets.ErrBadUsernameOrPassword
		}
		return nil
	}}, slowSweeps)
	addr := b.Addr("mqtt").String()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range cycles / 8 {
				storm(addr, worker, i)
			}
		})
	}
	wg.Wait()
	revoked.Store(true)
	b.RejudgeAll(t.Context())
	eventually(t, "nothing is left", func() bool { return b.Held() == 0 && b.MochiClients() == 0 })
	if n, _ := b.Subscribers("p/a"); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

// storm connects once and goes away in one of many ways.
func storm(addr string, worker, i int) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	o := mqtttest.Connect{
		ClientID: fmt.Sprintf("%s%d", []string{"alice", "bob"}[worker%2], (worker+i)%3),
		Resume:   i%5 == 0, Expiry: uint32(i%2) * 600, Will: &mqtttest.Will{Topic: "will", Payload: "x"},
	}
	version := []byte{4, 5}[i%2]
	b := mqtttest.Encode(o.Packet(version))
	if i%7 == 0 {
		b = b[:len(b)-3]
	}
	_, _ = conn.Write(b)
	if i%3 == 0 {
		return // without waiting for the CONNACK
	}
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = conn.Read(make([]byte, 64))
	_, _ = conn.Write(encode(version, packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1},
		PacketID:    1, Filters: packets.Subscriptions{{Filter: "p/a", Qos: 1}},
	}))
	_, _ = conn.Write(encode(version, message("a", 0, 0)))
	if i%4 == 0 {
		_, _ = conn.Write([]byte{packets.Disconnect << 4, 0})
	}
}

// Mochi calls nobody when a connection breaks before its CONNACK, and keeps the
// client (V19 of its defects).
func TestV19ConnectionThatBreaksDuringSignInLeavesNothing(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			asked, answer := make(chan struct{}), make(chan struct{})
			b := start(t, &open{connect: func(*mqtt.Client, packets.Packet) error {
				asked <- struct{}{}
				<-answer
				return nil
			}}, slowSweeps)
			for i := range 20 {
				c := dial(t, b, version)
				c.Send(connectAs(fmt.Sprint("c", i%2)))
				<-asked
				_ = c.Conn.(*net.TCPConn).SetLinger(0) // so that CONNACK cannot be written
				_ = c.Close()
				answer <- struct{}{}
			}
			eventually(t, "nothing is left", func() bool { return b.Held() == 0 && b.MochiClients() == 0 })
		})
	}
}

// What is acknowledged while a session goes from one connection to the next
// reaches it: mochi copies what waits, and lets more come before it has the new
// connection take the old one's place, which may be gone by then as well.
func TestMessagesSurviveTakeovers(t *testing.T) {
	b := start(t, new(open), nil)
	c, pub := dial(t, b, 5), dial(t, b, 5)
	c.connect("c", persistent)
	c.Subscribe("a", 1)
	pub.connect("pub", nil)
	const messages = 1000
	published := make(chan error, 1)
	room := make(chan struct{}, 100) // for messages that wait: far less than may
	go func() {
		for i := range uint16(messages) {
			room <- struct{}{}
			if _, err := pub.Write(encode(5, message("a", 1, i+1))); err != nil {
				published <- err
				return
			}
			if _, err := pub.Next(); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	got := make(map[string]bool)
	take := func() string {
		pk := c.Expect(packets.Publish)
		c.Send(ack(packets.Puback, pk.PacketID))
		if payload := string(pk.Payload); !got[payload] {
			got[payload] = true
			return payload
		}
		return ""
	}
	takeovers := 0
	for done := false; !done; {
		select {
		case err := <-published:
			if err != nil {
				t.Fatal(err)
			}
			done = true
			continue
		case room <- struct{}{}: // there is nothing to take, maybe
			<-room
		default:
			for range 50 {
				if take() != "" {
					<-room
				}
			}
		}
		next := dial(t, b, 5)
		next.connect("c", persistent)
		_ = c.Close()
		c = next
		takeovers++
	}
	end := message("a", 1, 1001)
	pub.Send(end)
	pub.Expect(packets.Puback)
	for take() != string(end.Payload) {
	}
	t.Logf("%d takeovers", takeovers)
	for i := range messages {
		if m := fmt.Sprint("a ", i+1); !got[m] {
			t.Errorf("message %q is lost", m)
		}
	}
}
