package broker

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"mqttwarden/registry/peer"
)

// admission bounds how many connections are half-open, which means accepted and
// not signed in yet, and how many come from one address. A silent peer costs us
// memory for as long as ConnectTimeout; without a bound, a few machines hold all
// there is.
//
// Addresses count as peer.Network has it: one of IPv6 by its first 64 bits.
type admission struct {
	maxHalfOpen            int // in all
	maxHalfOpenPerAddress  int
	maxSignedInsPerAddress int // 0: no limit

	mu       sync.Mutex
	halfOpen int
	from     map[netip.Prefix]tally

	refused         atomic.Uint64 // above maxHalfOpen
	refusedHalfOpen atomic.Uint64 // above maxHalfOpenPerAddress
	refusedSignIn   atomic.Uint64 // above maxSignedInsPerAddress
}

// tally is what is counted for one address.
type tally struct{ halfOpen, signIns int }

// counted is what one connection is counted as, from open to closed.
type counted struct {
	from          netip.Prefix // invalid: not known yet, or no IP address
	halfOpen      bool
	signInCounted bool
}

func newAdmission(cfg Config) *admission {
	return &admission{
		maxHalfOpen:            cfg.MaxHalfOpen,
		maxHalfOpenPerAddress:  cfg.MaxHalfOpenPerAddress,
		maxSignedInsPerAddress: cfg.MaxConnectionsPerAddress,
		from:                   make(map[netip.Prefix]tally),
	}
}

// open counts a connection that was accepted. It reports false, and counts
// nothing, when too many are half-open.
func (a *admission) open(v *counted) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.halfOpen >= a.maxHalfOpen {
		a.refused.Add(1)
		return false
	}
	a.halfOpen++
	v.halfOpen = true
	return true
}

// setAddress counts a connection for the address of its client. Behind a proxy that
// is known later than that the connection is there. It reports false when too
// many of that address are half-open.
func (a *admission) setAddress(v *counted, addr net.Addr) bool {
	from := peer.Network(peer.Addr(addr))
	if !from.IsValid() {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.from.IsValid() || !v.halfOpen {
		return true
	}
	p := a.from[from]
	if p.halfOpen >= a.maxHalfOpenPerAddress {
		a.refusedHalfOpen.Add(1)
		return false
	}
	p.halfOpen++
	a.from[from] = p
	v.from = from
	return true
}

// signedIn says that the connection is half-open no more.
func (a *admission) signedIn(v *counted) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endHalfOpen(v)
}

// countSignIn counts a connection that is about to sign in among those of its address,
// once. It reports false when there are too many.
func (a *admission) countSignIn(v *counted) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.signInCounted || !v.from.IsValid() || a.maxSignedInsPerAddress == 0 {
		return true
	}
	p := a.from[v.from]
	if p.signIns >= a.maxSignedInsPerAddress {
		a.refusedSignIn.Add(1)
		return false
	}
	p.signIns++
	a.from[v.from] = p
	v.signInCounted = true
	return true
}

// closed says that the connection is gone.
func (a *admission) closed(v *counted) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endHalfOpen(v)
	if v.signInCounted {
		v.signInCounted = false
		p := a.from[v.from]
		p.signIns--
		a.update(v.from, p)
	}
}

// endHalfOpen takes a connection out of the half-open ones. It is called with mu held.
func (a *admission) endHalfOpen(v *counted) {
	if !v.halfOpen {
		return
	}
	v.halfOpen = false
	a.halfOpen--
	if v.from.IsValid() {
		p := a.from[v.from]
		p.halfOpen--
		a.update(v.from, p)
	}
}

// update remembers what is counted for an address, as long as there is anything.
func (a *admission) update(from netip.Prefix, p tally) {
	if p == (tally{}) {
		delete(a.from, from)
		return
	}
	a.from[from] = p
}

// halfOpenNow returns how many connections are half-open now.
func (a *admission) halfOpenNow() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.halfOpen
}
