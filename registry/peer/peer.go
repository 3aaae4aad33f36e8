// Package peer tells where a connection comes from: its address in one form, the
// network that the address counts as, and the client behind proxies that are
// trusted. It imports nothing of ours, so that every part may use it.
package peer

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Addr returns the IP address of a, as Plain has it. It is invalid if a is no
// address of TCP.
func Addr(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return Plain(tcp.AddrPort().Addr())
}

// Plain returns an address in the form that networks are written in: IPv4 as
// such, also when it came as ::ffff:192.0.2.1, and IPv6 without a zone. An
// invalid address stays invalid.
func Plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// Network returns the network that an address counts as where something is
// limited for each address: the address itself for IPv4, its first 64 bits for
// IPv6, below which a subscriber may choose what it likes (RFC 6177 section 2).
// It is invalid for an invalid address.
func Network(addr netip.Addr) netip.Prefix {
	addr = Plain(addr)
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}

// Proxies are the networks of proxies whose word about the address of their
// client is taken.
type Proxies []netip.Prefix

// Trusts reports whether addr is that of a trusted proxy.
func (p Proxies) Trusts(addr netip.Addr) bool {
	addr = Plain(addr)
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// Client returns the address of the client on whose behalf a request came from
// an address, with these values of X-Forwarded-For.
//
// The header is believed as far as trusted proxies wrote it. It is read from its
// end, where the nearest proxy appends, and the first address that is no trusted
// proxy is the client. What a trusted proxy did not write as an address leads no
// further.
func (p Proxies) Client(from netip.Addr, forwardedFor []string) netip.Addr {
	client := Plain(from)
	hops := strings.Split(strings.Join(forwardedFor, ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !p.Trusts(client) {
			return client
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return client
		}
		client = Plain(next)
	}
	return client
}
