package request

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// remote returns the address that r came from. X-Forwarded-For is believed as
// far as proxies in trusted wrote it: it is read from its end, where the nearest
// proxy appends, and the first address that is no trusted proxy is the client.
func remote(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := plain(peer.Addr())
	if !within(client, trusted) {
		return client
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return client // what a trusted proxy did not write as an address leads no further
		}
		client = plain(addr)
		if !within(client, trusted) {
			return client
		}
	}
	return client
}

// plain returns addr without its zone, and as IPv4 if it is IPv4 mapped to IPv6: so
// are networks in the settings.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func within(addr netip.Addr, nets []netip.Prefix) bool {
	return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(addr) })
}
