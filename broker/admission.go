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
	from     map[netip.Prefix]presence

	refused         atomic.Uint64 // above maxHalfOpen
	refusedHalfOpen atomic.Uint64 // above maxHalfOpenPerAddress
	refusedSeat     atomic.Uint64 // above maxSignedInsPerAddress
}

// presence is what is counted for one address.
type presence struct{ halfOpen, seats int }

// visit is one connection as admission counts it, from arrive to leave.
type visit struct {
	from     netip.Prefix // invalid: not known yet, or no IP address
	halfOpen bool
	seated   bool
}

func newAdmission(cfg Config) *admission {
	return &admission{
		maxHalfOpen:            cfg.MaxHalfOpen,
		maxHalfOpenPerAddress:  cfg.MaxHalfOpenPerAddress,
		maxSignedInsPerAddress: cfg.MaxConnectionsPerAddress,
		from:                   make(map[netip.Prefix]presence),
	}
}

// arrive counts a connection that was accepted. It reports false, and counts
// nothing, when too many are half-open.
func (a *admission) arrive(v *visit) bool {
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

// locate counts a connection for the address of its client. Behind a proxy that
// is known later than that the connection is there. It reports false when too
// many of that address are half-open.
func (a *admission) locate(v *visit, addr net.Addr) bool {
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
func (a *admission) signedIn(v *visit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settle(v)
}

// seat counts a connection that is about to sign in among those of its address,
// once. It reports false when there are too many.
func (a *admission) seat(v *visit) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.seated || !v.from.IsValid() || a.maxSignedInsPerAddress == 0 {
		return true
	}
	p := a.from[v.from]
	if p.seats >= a.maxSignedInsPerAddress {
		a.refusedSeat.Add(1)
		return false
	}
	p.seats++
	a.from[v.from] = p
	v.seated = true
	return true
}

// leave says that the connection is gone.
func (a *admission) leave(v *visit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settle(v)
	if v.seated {
		v.seated = false
		p := a.from[v.from]
		p.seats--
		a.keep(v.from, p)
	}
}

// settle takes a connection out of the half-open ones. It is called with mu held.
func (a *admission) settle(v *visit) {
	if !v.halfOpen {
		return
	}
	v.halfOpen = false
	a.halfOpen--
	if v.from.IsValid() {
		p := a.from[v.from]
		p.halfOpen--
		a.keep(v.from, p)
	}
}

// keep remembers what is counted for an address, as long as there is anything.
func (a *admission) keep(from netip.Prefix, p presence) {
	if p == (presence{}) {
		delete(a.from, from)
		return
	}
	a.from[from] = p
}

// open returns how many connections are half-open now.
func (a *admission) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.halfOpen
}
