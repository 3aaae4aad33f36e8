// Package throttle bounds how often those who are known by a key may do something.
// It imports nothing of ours.
package throttle

import (
	"sync"
	"time"
)

// Limit is how often something may be done: Burst times at once, and Rate times a
// second in the long run. Both are above zero.
type Limit struct {
	Rate  float64
	Burst int
}

// Throttle keeps to a limit for each key, by the generic cell rate algorithm (ITU-T
// I.371 annex A.2). It is safe for concurrent use.
type Throttle[K comparable] struct {
	interval  time.Duration
	tolerance time.Duration // how early a key may come, against one for each interval
	most      int

	mu    sync.Mutex
	due   map[K]time.Time // when the next one would be in time
	swept time.Time
}

// New returns a throttle that keeps at most so many keys apart.
func New[K comparable](limit Limit, most int) *Throttle[K] {
	interval := time.Duration(float64(time.Second) / limit.Rate)
	return &Throttle[K]{
		interval:  interval,
		tolerance: time.Duration(limit.Burst-1) * interval,
		most:      most,
		due:       make(map[K]time.Time),
	}
}

// Allow reports whether key may do it now, and counts it if so. Once there are too
// many keys to keep apart, the new ones share the allowance of the zero key.
func (t *Throttle[K]) Allow(key K, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	due, known := t.due[key]
	if !known && len(t.due) >= t.most {
		if t.sweep(now); len(t.due) >= t.most {
			var zero K
			key, due = zero, t.due[zero]
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

// sweep forgets the keys that have their whole allowance again, at most once a
// second. The caller holds mu.
func (t *Throttle[K]) sweep(now time.Time) {
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
