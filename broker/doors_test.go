package broker_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/pires/go-proxyproto"

	"mqttwarden/broker"
)

// kinds are the listeners that there are.
var kinds = []string{"mqtt", "mqtts", "ws", "wss"}

// doors is a broker with a listener of each kind.
type doors struct {
	*started
	ca *authority
}

func openDoors[L broker.Login](tb testing.TB, hook broker.Hook[L], change func(*broker.Config)) doors {
	tb.Helper()
	ca := newAuthority(tb)
	cert := ca.server(tb)
	b := start(tb, hook, func(cfg *broker.Config) {
		cfg.Listeners = nil
		for _, kind := range kinds {
			l := broker.Listener{Name: kind, Address: "127.0.0.1:0"}
			if strings.HasSuffix(kind, "s") && kind != "ws" {
				l.TLS = &broker.TLS{Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }}
			}
			if strings.HasPrefix(kind, "w") {
				l.WebSocket = new(broker.WebSocket)
			}
			cfg.Listeners = append(cfg.Listeners, l)
		}
		if change != nil {
			change(cfg)
		}
	})
	return doors{b, ca}
}

// socket connects to a listener, from an address if one is given, and sends what
// should come before anything else.
func (d doors) socket(tb testing.TB, kind, from string, first []byte) net.Conn {
	tb.Helper()
	var dialer net.Dialer
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	nc, err := dialer.DialContext(tb.Context(), "tcp", d.Addr(kind).String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { nc.Close() })
	if _, err := nc.Write(first); err != nil {
		tb.Fatal(err)
	}
	return nc
}

// through connects by nc, or a new socket if there is none, up to where MQTT
// begins.
func (d doors) through(tb testing.TB, kind string, nc net.Conn, cert *tls.Certificate, headers ...string) *client {
	tb.Helper()
	if nc == nil {
		nc = d.socket(tb, kind, "", nil)
	}
	if kind == "mqtts" || kind == "wss" {
		cfg := &tls.Config{RootCAs: d.ca.pool, ServerName: "127.0.0.1"}
		if cert != nil {
			cfg.Certificates = []tls.Certificate{*cert}
		}
		nc = tls.Client(nc, cfg)
	}
	if strings.HasPrefix(kind, "w") {
		ws, err := d.upgrade(tb, nc, "/mqtt", headers...)
		if err != nil {
			tb.Fatal(err)
		}
		nc = websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
	}
	return over(tb, nc, 5)
}

// upgrade asks for a WebSocket by nc, with further headers; the subprotocol is
// mqtt if they do not name one.
func (d doors) upgrade(tb testing.TB, nc net.Conn, path string, headers ...string) (*websocket.Conn, error) {
	tb.Helper()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nc, nil }}
	tb.Cleanup(transport.CloseIdleConnections)
	opts := &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{}, Subprotocols: []string{"mqtt"},
	}
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "Host":
			opts.Host = headers[i+1]
		case "Sec-WebSocket-Protocol":
			opts.Subprotocols = strings.Split(headers[i+1], ",")
		default:
			opts.HTTPHeader.Add(headers[i], headers[i+1])
		}
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws://broker"+path, opts)
	if err != nil && resp != nil {
		err = errors.New(resp.Status)
	}
	return ws, err
}

// web connects to the listener ws and returns the WebSocket itself.
func (d doors) web(tb testing.TB) *websocket.Conn {
	tb.Helper()
	ws, err := d.upgrade(tb, d.socket(tb, "ws", "", nil), "/mqtt")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// ended waits for the broker to close nc and returns what came before.
func ended(tb testing.TB, nc net.Conn) string {
	tb.Helper()
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(nc)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		tb.Fatal("still connected")
	}
	return string(b)
}

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
	d := openDoors(t, new(open), func(cfg *broker.Config) {
		cfg.ConnectTimeout = 50 * time.Millisecond
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		cfg.Listeners = append(cfg.Listeners, broker.Listener{Name: "proxied", Address: "127.0.0.1:0", ProxyProtocol: true})
	})
	hello := []byte{22, 3, 1, 2, 0, 1} // of TLS, and it promises more
	for _, tt := range []struct {
		name, kind string
		first      string
	}{
		{"TCP, nothing", "mqtt", ""},
		{"TCP, half a CONNECT", "mqtt", "\x10\x20\x00\x04MQ"},
		{"TLS, nothing", "mqtts", ""},
		{"TLS, half a handshake", "mqtts", string(hello)},
		{"WebSocket, nothing", "ws", ""},
		{"WebSocket, half a request line", "ws", "GET /mq"},
		{"WebSocket, half a request", "ws", "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgr"},
		{"secure WebSocket, nothing", "wss", ""},
		{"secure WebSocket, half a handshake", "wss", string(hello)},
		{"PROXY, nothing", "proxied", ""},
		{"PROXY, a header of version 1 cut off", "proxied", "PROXY TCP4 192."},
		{"PROXY, a header of version 2 cut off", "proxied", "\r\n\r\n\x00\r\nQUIT\n\x21\x11"},
		{"PROXY, nothing after the header", "proxied", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"},
	} {
		if got := ended(t, d.socket(t, tt.kind, "", []byte(tt.first))); got != "" {
			t.Errorf("%s: it was told %q", tt.name, got)
		}
	}
	for _, kind := range kinds[1:] { // silent where MQTT begins
		d.through(t, kind, nil, nil).UntilEnd()
	}
	eventually(t, "nothing is left", func() bool { st := d.Stats(); return st.Connections == 0 && st.HalfOpen == 0 })
}

func TestHalfOpenFlood(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) { cfg.MaxHalfOpen, cfg.MaxHalfOpenPerAddress = 5, 3 })
	early := d.through(t, "mqtt", nil, nil)
	early.connect("early", nil)
	for i, kind := range []string{"mqtt", "mqtts", "ws"} {
		d.socket(t, kind, "127.0.0.1", nil)
		eventually(t, "it is counted", func() bool { return d.Stats().HalfOpen == i+1 })
	}
	ended(t, d.socket(t, "wss", "127.0.0.1", nil)) // the fourth of its address
	if got := d.Stats().AddressHalfOpenRefused; got != 1 {
		t.Errorf("%d refused for their address, want 1", got)
	}
	d.socket(t, "mqtt", "127.0.0.2", nil)
	last := d.socket(t, "ws", "127.0.0.2", nil)
	eventually(t, "both are counted", func() bool { return d.Stats().HalfOpen == 5 })
	ended(t, d.socket(t, "mqtt", "127.0.0.3", nil)) // the sixth in all
	if got := d.Stats().HalfOpenRefused; got != 1 {
		t.Errorf("%d refused in all, want 1", got)
	}
	early.Ping() // those who are in do not notice
	last.Close()
	eventually(t, "there is room again", func() bool { return d.Stats().HalfOpen == 4 })
	c := over(t, d.socket(t, "mqtt", "127.0.0.3", nil), 5)
	if code := c.connect("late", nil); code != 0 {
		t.Errorf("CONNACK %#02x", code)
	}
	eventually(t, "who signs in is half-open no more", func() bool { return d.Stats().HalfOpen == 4 })
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

func TestClientsAddressBehindAProxy(t *testing.T) {
	saw := make(chan string, 1)
	d := openDoors(t, &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
		host, _, err := net.SplitHostPort(cl.Net.Remote)
		tcp, ok := cl.Net.Conn.RemoteAddr().(*net.TCPAddr)
		if err != nil || !ok || tcp.IP.String() != host {
			t.Errorf("mochi has %q, the connection %v", cl.Net.Remote, cl.Net.Conn.RemoteAddr())
		}
		saw <- host
		return nil
	}}, func(cfg *broker.Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("198.51.100.0/24")}
		for i := range cfg.Listeners {
			cfg.Listeners[i].ProxyProtocol = true
		}
		cfg.Listeners = append(cfg.Listeners, broker.Listener{Name: "wx", Address: "127.0.0.1:0", WebSocket: new(broker.WebSocket)})
	})
	header := func(version byte, from, to string) []byte {
		h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		b, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	v4 := func(version byte) []byte { return header(version, "192.0.2.7:4711", "192.0.2.1:1883") }
	long := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IP{192, 0, 2, 7}}, &net.TCPAddr{IP: net.IP{192, 0, 2, 1}})
	if err := long.SetTLVs([]proxyproto.TLV{{Type: 0xE0, Value: make([]byte, 2000)}}); err != nil {
		t.Fatal(err)
	}
	longer, err := long.Format()
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, kind string, first []byte, want string, headers ...string) {
		t.Helper()
		c := d.through(t, kind, d.socket(t, kind, "", first), nil, headers...)
		c.connect("c", nil)
		if got := <-saw; got != want {
			t.Errorf("%s, %s: the client is %s, want %s", name, kind, got, want)
		}
	}
	for _, kind := range kinds {
		check("version 1", kind, v4(1), "192.0.2.7")
		check("version 2", kind, v4(2), "192.0.2.7")
		check("IPv6", kind, header(2, "[2001:db8::7]:4711", "[2001:db8::1]:1883"), "2001:db8::7")
		check("a long header of version 2", kind, longer, "192.0.2.7")
		check("the proxy for itself, version 1", kind, []byte("PROXY UNKNOWN\r\n"), "127.0.0.1")
		check("the proxy for itself, version 2", kind, []byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"), "127.0.0.1")
	}
	const xff = "X-Forwarded-For"
	check("X-Forwarded-For", "wx", nil, "203.0.113.9", xff, "203.0.113.9")
	check("what the client wrote itself", "wx", nil, "203.0.113.9", xff, "192.0.2.66, 203.0.113.9")
	check("two proxies", "wx", nil, "203.0.113.9", xff, "203.0.113.9, 198.51.100.3")
	check("no address", "wx", nil, "127.0.0.1", xff, "unknown")
	check("none", "wx", nil, "127.0.0.1")
	check("behind another proxy", "wss", header(1, "198.51.100.3:1", "192.0.2.1:2"), "203.0.113.9", xff, "203.0.113.9")
	check("not behind another proxy", "wss", v4(1), "192.0.2.7", xff, "203.0.113.9")
}

func TestForwardedForIsNotBelievedFromAnybody(t *testing.T) {
	saw := make(chan string, 1)
	d := openDoors(t, &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
		saw <- cl.Net.Remote
		return nil
	}}, nil)
	c := d.through(t, "ws", nil, nil, "X-Forwarded-For", "203.0.113.9")
	c.connect("c", nil)
	if got := <-saw; !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("the client is %s", got)
	}
}

func TestConnectionsThatAProxyDidNotMake(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		for i := range cfg.Listeners {
			cfg.Listeners[i].ProxyProtocol = true
		}
	})
	const good = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 1883\r\n"
	tests := []struct{ name, from, first string }{
		{"a header from an address that is not trusted", "127.0.0.2", good},
		{"nothing from an address that is not trusted", "127.0.0.2", ""},
		{"no header", "127.0.0.1", "\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"},
		{"no protocol", "127.0.0.1", "PROXY \r\n"},
		{"no IP address", "127.0.0.1", "PROXY TCP4 a b 1 2\r\n"},
		{"a port too large", "127.0.0.1", "PROXY TCP4 192.0.2.7 192.0.2.1 70000 1883\r\n"},
		{"a line that does not end", "127.0.0.1", "PROXY TCP4 " + strings.Repeat("1", 200)},
		{"another signature", "127.0.0.1", "PROXYTCP4 192.0.2.7 192.0.2.1 1 2\r\n"},
		{"version 3", "127.0.0.1", "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c" + strings.Repeat("\x01", 12)},
		{"datagrams", "127.0.0.1", "\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c" + strings.Repeat("\x01", 12)},
		{"a socket of Unix", "127.0.0.1", "\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + strings.Repeat("\x01", 216)},
		{"an address block too short", "127.0.0.1", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x04\x01\x01\x01\x01"},
		{"a header of 64 KiB", "127.0.0.1", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + strings.Repeat("\x01", 12)},
	}
	for i, tt := range tests {
		if got := ended(t, d.socket(t, "mqtt", tt.from, []byte(tt.first))); got != "" {
			t.Errorf("%s: it was told %q", tt.name, got)
		}
		eventually(t, tt.name+": it is counted", func() bool { return d.Stats().ProxyHeadersRefused == uint64(i)+1 })
	}
	eventually(t, "nothing is left", func() bool { st := d.Stats(); return st.Connections == 0 && st.HalfOpen == 0 })
}

// The half-open connections of a proxy are its clients'.
func TestHalfOpenBehindAProxyCountsForTheClient(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) {
		cfg.MaxHalfOpenPerAddress = 1
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		cfg.Listeners[0].ProxyProtocol = true
	})
	for _, from := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		d.socket(t, "mqtt", "", []byte("PROXY TCP4 "+from+" 127.0.0.1 1 2\r\n"))
		d.through(t, "ws", nil, nil, "X-Forwarded-For", "203.0.113."+from[len(from)-1:])
	}
	eventually(t, "all are counted", func() bool { return d.Stats().HalfOpen == 6 })
	ended(t, d.socket(t, "mqtt", "", []byte("PROXY TCP4 192.0.2.2 127.0.0.1 1 2\r\n")))
	if _, err := d.upgrade(t, d.socket(t, "ws", "", nil), "/mqtt", "X-Forwarded-For", "203.0.113.2"); err == nil || !strings.HasPrefix(err.Error(), "503") {
		t.Errorf("err = %v, want 503", err)
	}
	if got := d.Stats().AddressHalfOpenRefused; got != 2 {
		t.Errorf("%d refused, want 2", got)
	}
}

// status sends a request and returns the status line of the answer.
func status(tb testing.TB, nc net.Conn, request string) string {
	tb.Helper()
	if _, err := io.WriteString(nc, request); err != nil {
		tb.Fatal(err)
	}
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(line)
}
