package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

func TestMQTTOverEveryListener(t *testing.T) {
	d := openDoors(t, new(open), nil)
	for _, kind := range kinds {
		c := d.through(t, kind, nil, nil)
		if code := c.connect(kind, nil); code != 0 {
			t.Fatalf("%s: CONNACK %#02x", kind, code)
		}
		c.Subscribe("a/"+kind, 0)
		for _, from := range kinds {
			other := d.through(t, from, nil, nil)
			other.connect("from "+from, nil)
			other.publish("a/"+kind, 1)
			other.Expect(packets.Puback)
			c.Expect(packets.Publish)
		}
	}
	if st := d.Stats(); st.HalfOpen != 0 {
		t.Errorf("%d half-open, want none", st.HalfOpen)
	}
}

func TestCertificateIsSeenOverEveryTLSListener(t *testing.T) {
	saw := make(chan string, 1)
	d := openDoors(t, &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
		saw <- shown(cl)
		return nil
	}}, nil)
	cert := d.ca.client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour))
	for kind, want := range map[string]string{"mqtt": "", "mqtts": "gw1", "ws": "", "wss": "gw1"} {
		d.through(t, kind, nil, cert).connect(kind, nil)
		if got := <-saw; got != want {
			t.Errorf("%s: certificate of %q, want %q", kind, got, want)
		}
	}
}

func TestWhoeverIsSilentIsCut(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.server(t)
	secure := &broker.TLS{Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }}
	listeners := map[string]broker.Listener{
		"mqtt": {}, "mqtts": {TLS: secure}, "ws": {WebSocket: new(broker.WebSocket)},
		"wss": {TLS: secure, WebSocket: new(broker.WebSocket)}, "proxied": {ProxyProtocol: true},
	}
	const timeout, goodbye = 5 * time.Second, 400 * time.Millisecond // the latter for a close frame
	settings := func(cfg *broker.Config) {
		cfg.ConnectTimeout = timeout
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}
	hello := []byte{22, 3, 1, 2, 0, 1} // of TLS, and it promises more
	for _, tt := range []struct {
		name, kind string
		first      string
		soon       bool // it need not be waited for
	}{
		{"TCP, nothing", "mqtt", "", false},
		{"TCP, half a CONNECT", "mqtt", "\x10\x20\x00\x04MQ", false},
		{"TLS, nothing", "mqtts", "", false},
		{"TLS, half a handshake", "mqtts", string(hello), false},
		{"WebSocket, nothing", "ws", "", false},
		{"WebSocket, half a request line", "ws", "GET /mq", false},
		{"WebSocket, half a request", "ws", "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgr", false},
		{"secure WebSocket, nothing", "wss", "", false},
		{"secure WebSocket, half a handshake", "wss", string(hello), false},
		{"PROXY, nothing", "proxied", "", false},
		{"PROXY, a header of version 1 cut off", "proxied", "PROXY TCP4 192.", true}, // which comes in one piece
		{"PROXY, a header of version 2 cut off", "proxied", "\r\n\r\n\x00\r\nQUIT\n\x21\x11", false},
		{"PROXY, nothing after the header", "proxied", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", false},
	} {
		inBubble(t, new(open), settings, func(t *testing.T, b *started) {
			nc := b.Pipe(listeners[tt.kind], local)
			go func() { _, _ = nc.Write([]byte(tt.first)) }()
			began := time.Now()
			got, took := ended(t, nc), time.Since(began)
			if got != "" || took < timeout && !tt.soon || took > timeout+goodbye {
				t.Errorf("%s: it was told %q, and cut after %v", tt.name, got, took)
			}
			wantNobody(t, b)
		})
	}
	for _, kind := range kinds[1:] { // silent where MQTT begins
		inBubble(t, new(open), settings, func(t *testing.T, b *started) {
			began := time.Now()
			doors{b, ca}.through(t, kind, b.Pipe(listeners[kind], local), nil).UntilEnd()
			if took := time.Since(began); took < timeout || took > timeout+goodbye {
				t.Errorf("%s: cut after %v", kind, took)
			}
			wantNobody(t, b)
		})
	}
}

// wantNobody waits for the broker to have nothing more to do, and ends the test
// unless all connections are over then.
func wantNobody(t *testing.T, b *started) {
	t.Helper()
	time.Sleep(time.Second) // what is still done about a closed connection is over
	synctest.Wait()
	if st := b.Stats(); st.Connections != 0 || st.HalfOpen != 0 {
		t.Errorf("%d connections are left, %d half-open", st.Connections, st.HalfOpen)
	}
}

func TestHalfOpenFlood(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) { cfg.MaxHalfOpen, cfg.MaxHalfOpenPerAddress = 6, 3 })
	early := d.through(t, "mqtt", nil, nil)
	early.connect("early", nil)
	var silent []net.Conn
	for i, kind := range []string{"mqtt", "mqtts", "ws"} {
		silent = append(silent, d.socket(t, kind, "127.0.0.1", nil))
		eventually(t, "it is counted", func() bool { return d.Stats().HalfOpen == i+1 })
	}
	d.socket(t, "wss", "127.0.0.1", nil) // the fourth of its address
	ended(t, silent[0])
	if got := d.Stats().AddressHalfOpenRefused; got != 1 {
		t.Errorf("%d refused for their address, want 1", got)
	}
	var last net.Conn
	for _, from := range []string{"127.0.0.2", "127.0.0.4", "127.0.0.5"} {
		last = d.socket(t, "ws", from, nil)
	}
	eventually(t, "all are counted", func() bool { return d.Stats().HalfOpen == 6 })
	d.socket(t, "mqtt", "127.0.0.6", nil) // the seventh in all
	ended(t, silent[1])
	if got := d.Stats().HalfOpenRefused; got != 1 {
		t.Errorf("%d refused in all, want 1", got)
	}
	early.Ping() // those who are in do not notice
	last.Close()
	eventually(t, "there is room again", func() bool { return d.Stats().HalfOpen == 5 })
	c := over(t, d.socket(t, "mqtt", "127.0.0.3", nil), 5)
	if code := c.connect("late", nil); code != 0 {
		t.Errorf("CONNACK %#02x", code)
	}
	eventually(t, "who signs in is half-open no more", func() bool { return d.Stats().HalfOpen == 5 })
	if n := strings.Count(d.log.String(), "a limit is reached"); n != 1 {
		t.Errorf("the log tells it %d times, want once", n)
	}
}

// One that was refused stays half-open until it is gone.
func TestARefusedConnectIsNotSignedIn(t *testing.T) {
	for _, version := range []byte{3, 4, 5} {
		d := openDoors(t, &open{connect: func(*mqtt.Client, packets.Packet) error { return packets.ErrBadUsernameOrPassword }},
			func(cfg *broker.Config) { cfg.FinalTimeout = time.Minute })
		c := over(t, d.socket(t, "mqtt", "", nil), version)
		c.connect("c", func(pk *packets.Packet) {
			if version == 3 {
				pk.Connect.ProtocolName = []byte("MQIsdp")
			}
		})
		if got := d.Stats().HalfOpen; got != 1 { // it waits for the client to close its half
			t.Errorf("version %d: %d half-open, want 1", version, got)
		}
		c.Close()
		eventually(t, "it is gone", func() bool { return d.Stats().HalfOpen == 0 })
	}
}

func TestLastWordsArriveOverEveryListener(t *testing.T) {
	d := openDoors(t, new(open), nil)
	for _, kind := range kinds {
		c := d.through(t, kind, nil, nil)
		c.connect(kind, nil)
		d.Kick(d.Client(kind), packets.ErrAdministrativeAction)
		if code := c.UntilEnd(); code != 0x98 {
			t.Errorf("%s: DISCONNECT %#02x, want 0x98", kind, code)
		}
	}
	eventually(t, "nothing is left", func() bool { return d.Stats().Connections == 0 })
}

// TestShutdownWithEverySortOfPeer has peers of every listener at every stage,
// and some that do not read what they are sent.
func TestShutdownWithEverySortOfPeer(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) {
		cfg.FinalTimeout = 50 * time.Millisecond
		cfg.ConnectTimeout, cfg.WriteTimeout = time.Hour, time.Hour
	})
	feed := d.through(t, "mqtt", nil, nil)
	feed.connect("feed", nil)
	for _, kind := range kinds {
		d.socket(t, kind, "", nil)
		d.socket(t, kind, "", []byte("\x16\x03"))
		d.through(t, kind, nil, nil) // ready for MQTT
		slow := d.through(t, kind, nil, nil)
		slow.connect("slow "+kind, nil)
		slow.Subscribe("big", 0)
	}
	big := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "big", Payload: make([]byte, 200<<10)}
	for range 60 { // more than the buffers of a socket hold
		feed.Send(big)
	}
	feed.Ping()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if got := d.Stats().Connections; got != 0 {
		t.Errorf("%d connections are left", got)
	}
}
