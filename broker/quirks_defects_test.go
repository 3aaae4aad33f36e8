package broker_test

import (
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The defects of bare mochi that deploy/docs/defects.md lists, as far as they can
// be shown without harm to the tests. One that is gone lets its defence go, too.

// V1.
func TestQuirkV01TruncatedSubscribePanics(t *testing.T) {
	b := newBare(t, nil, new(open))
	w := newWire()
	panicked := make(chan any, 1)
	b.conns.Go(func() {
		defer func() { panicked <- recover() }()
		_ = b.EstablishConnection("bare", w)
	})
	w.put(5, connectAs("c"))
	w.in <- []byte{0x82, 6, 0, 1, 0, 0, 1, 'a'}
	if p := <-panicked; p == nil {
		t.Error("it is refused now")
	}
	w.Close()
	cl, ok := b.Clients.Get("c") // as the connection of the client that panicked
	if !ok {
		t.Fatal("the client is forgotten now")
	}
	cl.Stop(nil)
}

// V2.
func TestQuirkV02NoDeadlineBeforeConnect(t *testing.T) {
	b := newBare(t, nil, new(open))
	w := newWire()
	w.timed = func(time.Time) { w.note("deadline") }
	b.attach(w, 5, "c")
	if got := w.String(); !strings.HasPrefix(got, "read, deadline, ") {
		t.Errorf("got %s, want no deadline before the first read", got)
	}
}

// V3.
func TestQuirkV03PromisesCostMemory(t *testing.T) {
	const promised = 32 << 20
	b := newBare(t, nil, new(open))
	c := b.dial(5)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.Raw("10 80808010")
	eventually(t, "the memory is taken", func() bool {
		runtime.ReadMemStats(&after)
		return after.TotalAlloc-before.TotalAlloc >= promised
	})
}

// failing is a listener whose Accept fails.
type failing struct{ net.Listener }

func (failing) Accept() (net.Conn, error) { return nil, errors.New("too many open files") }

// V4.
func TestQuirkV04AcceptLoopEndsWithItsFirstError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l := listeners.NewNet("failing", failing{ln})
	if err := l.Init(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	l.Serve(func(string, net.Conn) error { return nil }) // returns
}

// V5.
func TestQuirkV05KeepAliveOverflows(t *testing.T) {
	for asked, want := range map[uint16]time.Duration{43690: 65535 * time.Second, 43691: 0, 65535: 32766 * time.Second} {
		b := newBare(t, nil, new(open))
		w := newWire()
		deadlines := make(chan time.Duration, 4)
		w.timed = func(at time.Time) { deadlines <- time.Until(at) }
		pk := connectAs("c")
		pk.Connect.Keepalive = asked
		b.conns.Go(func() { _ = b.EstablishConnection("bare", w) })
		w.put(4, pk)
		if got := <-deadlines; got > want || got < want-10*time.Second {
			t.Errorf("keep alive %d s: %v, want %v", asked, got, want)
		}
		eventually(t, "it is signed in", func() bool { return strings.HasSuffix(w.String(), "Connack, read") })
	}
}

// V6.
func TestQuirkV06WillGoesAnywhereAndShortDisconnectLosesIt(t *testing.T) {
	b := newBare(t, nil, new(open))
	sub := b.dial(5)
	sub.connect("sub", nil)
	sub.Subscribe("$SYS/will", 0)
	willed := func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "$SYS/will", []byte("x")
	}
	short := b.dial(5)
	short.connect("short", willed)
	short.Raw("e0 01 04")
	short.UntilEnd()
	sub.Ping()
	long := b.dial(5)
	long.connect("long", willed)
	long.Raw("e0 02 04 00")
	sub.Expect(packets.Publish)
}

// V7.
func TestQuirkV07FiltersThatAreNone(t *testing.T) {
	b := newBare(t, nil, new(open))
	c := b.dial(5)
	c.connect("c", nil)
	for _, filter := range []string{"a+/b", "a#", "$share//x", "$SHARE/g/x"} {
		if code := c.Subscribe(filter, 0); code != 0 {
			t.Errorf("%s: SUBACK %#02x, want 0", filter, code)
		}
	}
	c.Subscribe("$share/g/#", 0)
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "$SYS/x", Payload: []byte("x")}
	inline := b.NewClient(nil, mqtt.LocalListener, "i", true)
	if err := b.InjectPacket(inline, pk); err != nil {
		t.Fatal(err)
	}
	c.Expect(packets.Publish)
}

// V8 and V20.
func TestQuirkV20AnythingIsAClientID(t *testing.T) {
	b := newBare(t, nil, new(open))
	for _, id := range []string{mqtt.InlineClientId, "a\nb", "#", strings.Repeat("x", 65535)} {
		if code := b.dial(5).connect(id, nil); code != 0 {
			t.Errorf("%.10q: CONNACK %#02x, want 0", id, code)
		}
	}
}

// V9.
func TestQuirkV09ExpiredSessionsLeaveSubscriptions(t *testing.T) {
	t.Parallel() // mochi looks once a second
	b := newBare(t, func(caps *mqtt.Capabilities) { caps.MaximumSessionExpiryInterval = 0 }, new(open))
	c := b.dial(4)
	c.connect("c", persistent)
	c.Subscribe("a", 0)
	c.Close()
	eventually(t, "the session has expired", func() bool {
		_, ok := b.Clients.Get("c")
		return !ok
	})
	other := b.dial(4)
	other.connect("c", nil) // clean, and with no subscription
	pub := b.dial(4)
	pub.connect("pub", nil)
	pub.publish("a", 0)
	other.Expect(packets.Publish)
}

// V10.
func TestQuirkV10SlowReaderHoldsTheClientLock(t *testing.T) {
	b := newBare(t, nil, new(open))
	w := newWire()
	stuck, release := make(chan struct{}), make(chan struct{})
	w.write = func(p []byte) {
		if p[0]>>4 == packets.Publish {
			close(stuck)
			<-release
		}
	}
	cl := b.attach(w, 4, "c")
	b.Topics.Subscribe("c", packets.Subscription{Filter: "a"})
	pub := b.dial(4)
	pub.connect("pub", nil)
	pub.publish("a", 0)
	<-stuck
	done := make(chan struct{})
	go func() { _, _ = cl.NextPacketID(); close(done) }()
	select {
	case <-done:
		t.Error("an identifier can be had while the client is written to")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	<-done
}

// V12. Two clients take over the session of a third; mochi closes it for each of
// them, and then lets both stay.
func TestQuirkV12ConcurrentConnectsLeaveTwoConnections(t *testing.T) {
	closing := make(chan struct{}, 8)
	h := new(events)
	h.encode = func(pk packets.Packet) {
		if pk.FixedHeader.Type == packets.Disconnect {
			closing <- struct{}{}
		}
	}
	b := newBare(t, nil, h)
	old := newWire()
	both := make(chan struct{})
	old.write = func(p []byte) {
		if p[0]>>4 == packets.Disconnect {
			<-both
		}
	}
	b.attach(old, 5, "c")
	wires := []*wire{newWire(), newWire()}
	for _, w := range wires {
		b.conns.Go(func() { _ = b.EstablishConnection("bare", w) })
		w.put(5, connectAs("c"))
		<-closing
	}
	close(both)
	for _, w := range wires {
		eventually(t, "both are let in", func() bool { return strings.HasSuffix(w.String(), "Connack, read") })
		w.put(5, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
		eventually(t, "both are served", func() bool { return strings.Contains(w.String(), "Pingresp") })
	}
	for _, w := range wires {
		w.Close() // mochi knows one of them only
	}
}

// V14. The same code deadlocks under load (V13), which a test cannot show and end.
func TestQuirkV14ReceiveMaximumIsUsedUp(t *testing.T) {
	b := newBare(t, nil, new(open))
	c, pub := b.dial(5), b.dial(5)
	c.connect("c", func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 2 })
	c.Subscribe("a", 1)
	pub.connect("pub", nil)
	for range 8 {
		pub.publish("a", 1)
		pub.Expect(packets.Puback)
	}
	pub.Ping()
	got := 0
	for {
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
		pk, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if pk.FixedHeader.Type == packets.Pingresp && got >= 2 {
			break
		}
		if pk.FixedHeader.Type == packets.Publish {
			got++
			c.Send(ack(packets.Puback, pk.PacketID))
		}
	}
	if got == 8 {
		t.Error("all messages arrive now")
	}
}

// V16.
func TestQuirkV16DepthHasNoLimit(t *testing.T) {
	b := newBare(t, nil, new(open))
	c := b.dial(5)
	c.connect("c", nil)
	deep := strings.Repeat("/", 1000)
	if code := c.Subscribe(deep, 0); code != 0 {
		t.Errorf("SUBACK %#02x, want 0", code)
	}
	c.publish(deep, 0)
	c.Expect(packets.Publish)
}

// V18.
func TestQuirkV18SecondConnectIsLoggedWithItsPassword(t *testing.T) {
	b := newBare(t, nil, new(open))
	c := b.dial(5)
	secret := func(pk *packets.Packet) {
		pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte("alice")
		pk.Connect.PasswordFlag, pk.Connect.Password = true, []byte("hunter2")
	}
	c.connect("c", secret)
	pk := connectAs("c")
	secret(&pk)
	c.Send(pk)
	c.UntilEnd()
	b.conns.Wait()
	if !strings.Contains(b.log.String(), "104 117 110 116 101 114 50") {
		t.Error("the password is not in the log any more")
	}
}

// V23.
func TestQuirkV23MQTT3GetsDisconnects(t *testing.T) {
	b := newBare(t, nil, new(open))
	c := b.dial(4)
	c.connect("c", nil)
	cl, _ := b.Clients.Get("c")
	_ = b.DisconnectClient(cl, packets.ErrServerShuttingDown)
	c.Expect(packets.Disconnect)
}

// Messages on a parent level are delivered, unless the level before # is a +:
// TestParentLevelOfAWildcard has what the broker does about it.
func TestQuirkWildcardBeforeHashMissesTheParentLevel(t *testing.T) {
	b := newBare(t, nil, new(open))
	c := b.dial(5)
	c.connect("c", nil)
	c.Subscribe("+/#", 0)
	c.publish("sports", 0)
	c.Ping()
}

// OnDisconnect is called once for each connection that got its CONNACK, taken over
// or not.
func TestQuirkOneDisconnectForEachConnection(t *testing.T) {
	var mu sync.Mutex
	n := 0
	b := newBare(t, nil, &open{more: map[byte]func(string){mqtt.OnDisconnect: func(string) {
		mu.Lock()
		defer mu.Unlock()
		n++
	}}})
	for range 3 { // each takes over from the one before
		b.dial(5).connect("c", persistent)
	}
	cl, _ := b.Clients.Get("c")
	cl.Stop(nil)
	b.conns.Wait()
	mu.Lock()
	defer mu.Unlock()
	if n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}
