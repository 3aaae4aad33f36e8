package enrol

import (
	"net/netip"
	"sync"
	"time"
)

// maxThrottled bounds how many networks a throttle keeps apart.
const maxThrottled = 1 << 16

// throttle bounds how often one network may ask: a burst of requests at once, and
// then one for each interval (the generic cell rate algorithm, ITU-T I.371 annex
// A.2). A network is an IPv4 address or an IPv6 /64.
type throttle struct {
	interval  time.Duration
	tolerance time.Duration // how long before it is due a request may come

	mu    sync.Mutex
	due   map[netip.Prefix]time.Time // when the next request of a network is due
	swept time.Time
}

func newThrottle(rate float64, burst int) *throttle {
	interval := time.Duration(float64(time.Second) / rate)
	return &throttle{
		interval:  interval,
		tolerance: time.Duration(burst-1) * interval,
		due:       make(map[netip.Prefix]time.Time),
	}
}

// allow reports whether a request that comes from addr at now may be taken, and
// counts it if so. Once there are too many networks to keep apart, the new ones
// share one allowance.
func (t *throttle) allow(addr netip.Addr, now time.Time) bool {
	key := network(addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	due, known := t.due[key]
	if !known && len(t.due) >= maxThrottled {
		if t.sweep(now); len(t.due) >= maxThrottled {
			key = netip.Prefix{}
			due = t.due[key]
		}
	}
	switch early := due.Sub(now); {
	case early <= 0, early > t.tolerance+t.interval: // the latter: the clock was set back
		due = now
	case early > t.tolerance:
		return false
	}
	t.due[key] = due.Add(t.interval)
	return true
}

// sweep forgets the networks that have their whole allowance again, at most once
// a second. The caller holds mu.
func (t *throttle) sweep(now time.Time) {
	if since := now.Sub(t.swept); since >= 0 && since < time.Second {
		return
	}
	t.swept = now
	for key, due := range t.due {
		if !due.After(now) {
			delete(t.due, key)
		}
	}
}

func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil { // no address: all of these are one network
		return netip.Prefix{}
	}
	return p
}
