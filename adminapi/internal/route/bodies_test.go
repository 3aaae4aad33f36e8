package route

import (
	"errors"
	"net/netip"
	"testing"

	"mqttwarden/registry"
)

// One address can't spend what all share: it gets a quarter, or one request.
func TestShareOfOneAddress(t *testing.T) {
	b := NewBodies(1000)
	one, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	grow := func(l *lease, size int64) error { return l.grow(size+freeOfBody, 0) }
	large, second := &lease{bodies: b, from: one}, &lease{bodies: b, from: one}
	if err := grow(large, 600); err != nil {
		t.Errorf("a large request alone: %v", err)
	}
	if err := grow(second, 10); !errors.Is(err, registry.Busy) {
		t.Errorf("another one beside it: got %v", err)
	}
	if err := grow(large, 700); err != nil {
		t.Errorf("the large one goes on: %v", err)
	}
	foreign := &lease{bodies: b, from: other}
	if err := grow(foreign, 300); err != nil {
		t.Errorf("another address: %v", err)
	}
	large.end()
	large.end()
	for _, size := range []int64{125, 250} {
		for _, l := range []*lease{{bodies: b, from: one}, {bodies: b, from: one}} {
			err := grow(l, size)
			if size == 125 && err != nil || size == 250 && !errors.Is(err, registry.Busy) {
				t.Errorf("%d bytes: got %v", size, err)
			}
			if size == 250 {
				l.end()
			}
		}
	}
	foreign.end()
	if got := b.Stats(); got.Taken != 250 || got.Refused != 3 {
		t.Errorf("got %+v", got)
	}
}

// A request that the whole budget does not hold is not told to try again.
func TestLargerThanTheBudget(t *testing.T) {
	l := &lease{bodies: NewBodies(1000)}
	if err := l.grow(0, 1000); err == nil || errors.Is(err, registry.Busy) {
		t.Errorf("got %v", err)
	}
}
