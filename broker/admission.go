package broker

import (
	"container/list"
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
// At a bound the one that has kept us waiting longest for its CONNECT goes, and the
// newcomer comes in: who has something to say does so at once. An address may have
// no more half-open connections than it leaves free for others, so its share
// shrinks as they become many; above it the oldest of its own goes.
//
// Addresses count as peer.Network has it: one of IPv6 by its first 64 bits.
type admission struct {
	maxHalfOpen            int // in all
	maxHalfOpenPerAddress  int
	maxSignedInsPerAddress int // 0: no limit

	mu       sync.Mutex
	halfOpen int
	silent   list.List // of *counted: those whose CONNECT is waited for, the oldest first
	from     map[netip.Prefix]tally

	refused         atomic.Uint64 // above maxHalfOpen; the newcomer, or another in its place
	refusedHalfOpen atomic.Uint64 // above maxHalfOpenPerAddress, or above the share of an address; likewise
	refusedSignIn   atomic.Uint64 // above maxSignedInsPerAddress
}

// tally is what is counted for one address.
type tally struct {
	halfOpen, signIns int
	silent            *list.List // of *counted: as in admission; nil: none was there
}

// counted is what one connection is counted as, from open to closed.
type counted struct {
	from          netip.Prefix // invalid: not known yet, or no IP address
	halfOpen      bool
	signInCounted bool

	source netip.Prefix                  // its address, if that is known from the start
	close  func(limit string, value int) // ends it, for a limit, while its CONNECT is waited for; nil: it can't be
	inAll  *list.Element                 // in admission.silent; nil: its CONNECT is not waited for
	inFrom *list.Element                 // in the silent ones of its address; nil: likewise
}

func newAdmission(cfg Config) *admission {
	return &admission{
		maxHalfOpen:            cfg.MaxHalfOpen,
		maxHalfOpenPerAddress:  cfg.MaxHalfOpenPerAddress,
		maxSignedInsPerAddress: cfg.MaxConnectionsPerAddress,
		from:                   make(map[netip.Prefix]tally),
	}
}

// open counts a connection that was accepted. When too many are half-open, one that
// is silent has to go; it reports false, and counts nothing, when there is none.
func (a *admission) open(v *counted) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.halfOpen >= a.maxHalfOpen && !a.evictOwn(v.source) {
		a.refused.Add(1)
		if !a.evict(&a.silent, "MaxHalfOpen", a.maxHalfOpen) {
			return false
		}
	}
	a.halfOpen++
	v.halfOpen = true
	if v.close != nil {
		v.inAll = a.silent.PushBack(v)
	}
	return true
}

// evictOwn ends the oldest silent connection of an address that has its share, in
// place of another's. It is called with mu held.
func (a *admission) evictOwn(from netip.Prefix) bool {
	p, known := a.from[from]
	if !known || p.halfOpen < a.share() || !a.evict(p.silent, "MaxHalfOpenPerAddress", a.share()) {
		return false
	}
	a.refusedHalfOpen.Add(1)
	return true
}

// evict ends the oldest of the connections whose CONNECT is waited for. It is called
// with mu held.
func (a *admission) evict(silent *list.List, limit string, value int) bool {
	if silent == nil || silent.Len() == 0 {
		return false
	}
	oldest, _ := silent.Front().Value.(*counted)
	a.endHalfOpen(oldest)
	go oldest.close(limit, value) // it does not wait for much, but others wait for mu
	return true
}

// share returns how many half-open connections an address may have now: no more
// than are free.
func (a *admission) share() int {
	return max(1, min(a.maxHalfOpenPerAddress, a.maxHalfOpen-a.halfOpen))
}

// setAddress counts a connection for the address of its client. Behind a proxy that
// is known later than that the connection is there. When too many of that address
// are half-open, one of them that is silent has to go; it reports false when there is
// none.
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
	if p := a.from[from]; p.halfOpen >= a.share() {
		a.refusedHalfOpen.Add(1)
		if !a.evict(p.silent, "MaxHalfOpenPerAddress", a.share()) {
			return false
		}
	}
	p := a.from[from]
	p.halfOpen++
	if v.inAll != nil {
		if p.silent == nil {
			p.silent = list.New()
		}
		v.inFrom = p.silent.PushBack(v)
	}
	a.from[from] = p
	v.from = from
	return true
}

// spoke says that the CONNECT of a connection is there: it is not silent any more.
func (a *admission) spoke(v *counted) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endSilence(v)
}

// endSilence takes a connection out of those that are silent. It is called with mu
// held.
func (a *admission) endSilence(v *counted) {
	if v.inAll != nil {
		a.silent.Remove(v.inAll)
		v.inAll = nil
	}
	if v.inFrom != nil {
		a.from[v.from].silent.Remove(v.inFrom)
		v.inFrom = nil
	}
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
	a.endSilence(v)
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
	if p.halfOpen == 0 && p.signIns == 0 {
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
