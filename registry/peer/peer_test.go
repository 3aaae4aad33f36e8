package peer_test

import (
	"net"
	"net/netip"
	"testing"

	"mqttwarden/registry/peer"
)

func TestAddr(t *testing.T) {
	for _, tt := range []struct {
		name string
		addr net.Addr
		want string // empty: invalid
	}{
		{"IPv4", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, "192.0.2.1"},
		{"IPv4 of four bytes", &net.TCPAddr{IP: net.IP{192, 0, 2, 1}}, "192.0.2.1"},
		{"IPv6 with a zone", &net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}, "fe80::1"},
		{"TCP without an address", new(net.TCPAddr), ""},
		{"a socket of Unix", &net.UnixAddr{Name: "s"}, ""},
		{"none", nil, ""},
	} {
		got := peer.Addr(tt.addr)
		if got.IsValid() != (tt.want != "") || got.IsValid() && got.String() != tt.want {
			t.Errorf("%s: got %v, want %q", tt.name, got, tt.want)
		}
	}
}

func TestNetwork(t *testing.T) {
	for _, tt := range []struct{ name, addr, want string }{
		{"an IPv4 address is its own", "192.0.2.1", "192.0.2.1/32"},
		{"IPv4 written as IPv6 is the same", "::ffff:192.0.2.1", "192.0.2.1/32"},
		{"IPv6 counts by its first 64 bits", "2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"},
		{"a zone does not matter", "fe80::1%eth0", "fe80::/64"},
	} {
		if got := peer.Network(netip.MustParseAddr(tt.addr)).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := peer.Network(netip.Addr{}); got.IsValid() {
		t.Errorf("an invalid address counts as %v", got)
	}
}

func TestTrusts(t *testing.T) {
	proxies := peer.Proxies{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for addr, want := range map[string]bool{
		"192.0.2.7":        true,
		"::ffff:192.0.2.7": true,
		"198.51.100.7":     false,
		"2001:db8::1":      true,
		"2001:db8::1%eth0": true,
		"2001:db9::1":      false,
	} {
		if got := proxies.Trusts(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: trusted %t, want %t", addr, got, want)
		}
	}
	if proxies.Trusts(netip.Addr{}) || peer.Proxies(nil).Trusts(netip.MustParseAddr("192.0.2.7")) {
		t.Error("an invalid address is trusted, or any address by nobody's word")
	}
}

func TestClient(t *testing.T) {
	proxies := peer.Proxies{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.3/32")}
	for _, tt := range []struct {
		name, from string
		headers    []string
		want       string
	}{
		{"nobody is believed by default", "203.0.113.1", []string{"203.0.113.9"}, "203.0.113.1"},
		{"a proxy without the header speaks for itself", "192.0.2.1", nil, "192.0.2.1"},
		{"a proxy names its client", "192.0.2.1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"what the client wrote itself stands further in front", "192.0.2.1", []string{"203.0.113.66, 203.0.113.9"}, "203.0.113.9"},
		{"a chain of proxies is followed", "192.0.2.1", []string{"203.0.113.9, 198.51.100.3"}, "203.0.113.9"},
		{"several headers are one list", "192.0.2.1", []string{"203.0.113.9", "198.51.100.3"}, "203.0.113.9"},
		{"proxies alone: the first of them", "192.0.2.1", []string{"192.0.2.9,198.51.100.3"}, "192.0.2.9"},
		{"what is no address leads no further", "192.0.2.1", []string{"203.0.113.9, unknown, 198.51.100.3"}, "198.51.100.3"},
		{"an empty header neither", "192.0.2.1", []string{""}, "192.0.2.1"},
		{"IPv4 written as IPv6", "::ffff:192.0.2.1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"IPv6", "192.0.2.1", []string{" 2001:db8::7%eth0 "}, "2001:db8::7"},
	} {
		if got := proxies.Client(netip.MustParseAddr(tt.from), tt.headers).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := proxies.Client(netip.Addr{}, []string{"203.0.113.9"}); got.IsValid() {
		t.Errorf("nowhere is %v", got)
	}
}
