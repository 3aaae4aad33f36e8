package request

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestRemote(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		name      string
		peer      string
		forwarded []string
		want      string
	}{
		{"a client without a proxy", "198.51.100.7:1", nil, "198.51.100.7"},
		{"a client that pretends", "198.51.100.7:1", []string{"203.0.113.1"}, "198.51.100.7"},
		{"behind a proxy", "10.0.0.1:1", []string{"203.0.113.1"}, "203.0.113.1"},
		{"behind two proxies", "10.0.0.1:1", []string{"203.0.113.1, 10.0.0.2"}, "203.0.113.1"},
		{"behind two proxies, a line each", "10.0.0.1:1", []string{"203.0.113.1", "10.0.0.2"}, "203.0.113.1"},
		{"a client behind a proxy that pretends", "10.0.0.1:1", []string{"192.0.2.99, 203.0.113.1"}, "203.0.113.1"},
		{"a client behind a proxy that pretends to be one", "10.0.0.1:1", []string{"10.0.0.9, 203.0.113.1"}, "203.0.113.1"},
		{"a proxy that wrote nothing", "10.0.0.1:1", nil, "10.0.0.1"},
		{"a proxy that wrote no address", "10.0.0.1:1", []string{"203.0.113.1, unknown"}, "10.0.0.1"},
		{"a proxy in front of one that wrote no address", "10.0.0.1:1", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"only proxies", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"IPv6", "[2001:db8::1]:1", nil, "2001:db8::1"},
		{"IPv6 behind a proxy", "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		{"IPv6 with a zone", "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"no address at all", "@", nil, "invalid IP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			if got := remote(r, proxies).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
