package broker_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/pires/go-proxyproto"

	"mqttwarden/broker"
)

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
	silent := make(map[string]net.Conn)
	for _, from := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		silent[from] = d.socket(t, "mqtt", "", []byte("PROXY TCP4 "+from+" 127.0.0.1 1 2\r\n"))
		d.through(t, "ws", nil, nil, "X-Forwarded-For", "203.0.113."+from[len(from)-1:])
	}
	eventually(t, "all are counted", func() bool { return d.Stats().HalfOpen == 6 })
	d.socket(t, "mqtt", "", []byte("PROXY TCP4 192.0.2.2 127.0.0.1 1 2\r\n"))
	ended(t, silent["192.0.2.2"]) // the oldest of that client goes
	if _, err := d.upgrade(t, d.socket(t, "ws", "", nil), "/mqtt", "X-Forwarded-For", "203.0.113.2"); err != nil {
		t.Error(err)
	}
	if got := d.Stats().AddressHalfOpenRefused; got != 2 {
		t.Errorf("%d refused, want 2", got)
	}
}
