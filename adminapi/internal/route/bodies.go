package route

import (
	"net/http"
	"net/netip"
	"sync"

	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// What a body costs: its bytes, and what its values take when they are decoded and
// found wrong, each by itself. The latter was measured with the smallest values there
// are, in arrays and objects of all sizes.
const (
	costOfValue = 400      // bytes
	freeOfBody  = 32 << 10 // bytes that every request may have beside the budget
)

// Bodies is the budget of memory that the bodies of requests share while they are
// read, decoded and handled. Small ones are free. It is safe for concurrent use.
type Bodies struct {
	most  int64 // bytes
	share int64 // bytes of one address, should it have several requests

	mu      sync.Mutex
	taken   int64
	of      map[netip.Prefix]int64
	refused uint64
}

// BodyStats tells how the budget is used.
type BodyStats struct {
	Taken   int64  // bytes, now
	Refused uint64 // requests
}

// NewBodies returns a budget of so many bytes. An address gets a quarter of them for
// all its requests, and one request at a time that takes more.
func NewBodies(most int64) *Bodies {
	return &Bodies{most: most, share: most / 4, of: make(map[netip.Prefix]int64)}
}

// Stats tells how the budget is used.
func (b *Bodies) Stats() BodyStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BodyStats{Taken: b.taken, Refused: b.refused}
}

// lease is what one request has of the budget.
type lease struct {
	bodies *Bodies
	from   netip.Prefix // the network of its client
	size   int64
}

// grow makes the lease one for a body of so many bytes and values. It returns an error
// when the budget does not have that now, or never has.
func (l *lease) grow(bytes int64, values int) error {
	size := bytes + int64(values)*costOfValue - freeOfBody
	if size <= l.size {
		return nil
	}
	if size > l.bodies.most {
		return wire.NewClientError(http.StatusRequestEntityTooLarge, "the body is too large to be handled: send several smaller ones")
	}
	if !l.bodies.take(l, size-l.size) {
		return registry.Errorf(registry.Busy, "", "the bodies of too many requests are being handled: try again")
	}
	return nil
}

// take adds n bytes to a lease, if they are there.
func (b *Bodies) take(l *lease, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	has := b.of[l.from]
	several := has > l.size
	if b.taken+n > b.most || several && has+n > b.share {
		b.refused++
		return false
	}
	b.taken += n
	b.of[l.from] = has + n
	l.size += n
	return true
}

// end gives back what the lease has.
func (l *lease) end() {
	if l.size == 0 {
		return
	}
	b := l.bodies
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken -= l.size
	if b.of[l.from] -= l.size; b.of[l.from] == 0 {
		delete(b.of, l.from)
	}
	l.size = 0
}
