package request

import (
	"net/http"
	"net/netip"

	"mqttwarden/registry/peer"
)

// remote returns the address that r came from, behind proxies that are trusted.
func remote(r *http.Request, trusted peer.Proxies) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return trusted.Client(from.Addr(), r.Header.Values("X-Forwarded-For"))
}
