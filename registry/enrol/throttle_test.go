package enrol

import (
	"net/netip"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, tt := range []struct {
		name  string
		steps []time.Duration // when a asks
		want  string          // y or n for each
	}{
		{"so many at once, then no more", []time.Duration{0, 0, 0, 0}, "yyyn"},
		{"one more for each second", []time.Duration{0, 0, 0, time.Second, time.Second, 2 * time.Second}, "yyyyny"},
		{"what was refused does not count", []time.Duration{0, 0, 0, 0, 0, 0, time.Second}, "yyynnny"},
		{"a rest gives all back", []time.Duration{0, 0, 0, time.Hour, time.Hour, time.Hour, time.Hour}, "yyyyyyn"},
		{"a clock that is set back locks nobody out", []time.Duration{time.Hour, 0, 0, 0, 0}, "yyyyn"},
	} {
		th := newThrottle(1, 3)
		got := ""
		for _, at := range tt.steps {
			if th.allow(a, start.Add(at)) {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if !th.allow(b, start) {
			t.Errorf("%s: another address is refused", tt.name)
		}
	}
}

func TestNetworksOfAThrottle(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if same := network(netip.MustParseAddr(tt.a)) == network(netip.MustParseAddr(tt.b)); same != tt.same {
			t.Errorf("%s and %s: same %v, want %v", tt.a, tt.b, same, tt.same)
		}
	}
	if network(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("no address is a network")
	}
}

func TestAThrottleStaysBounded(t *testing.T) {
	th, now := newThrottle(1, 3), time.Unix(1_000_000, 0)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range maxThrottled {
		if !th.allow(addr(i), now) {
			t.Fatalf("address %d is refused", i)
		}
	}
	allowed := 0
	for i := range 100 { // these share one allowance
		if th.allow(addr(maxThrottled+i), now) {
			allowed++
		}
	}
	if allowed != 3 || len(th.due) > maxThrottled+1 {
		t.Errorf("%d of the late ones are allowed, %d are kept", allowed, len(th.due))
	}
	if !th.allow(addr(0), now) {
		t.Error("a known address lost its allowance")
	}
	now = now.Add(time.Minute)
	if !th.allow(addr(maxThrottled), now) || len(th.due) > 2 {
		t.Errorf("after a rest %d are kept", len(th.due))
	}
}
