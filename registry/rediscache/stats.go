package rediscache

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats tells how well the cache does, since it was opened.
type Stats struct {
	Hits       uint64            // look-ups that Redis answered
	Misses     map[Reason]uint64 // look-ups that the store was asked, all reasons
	Written    uint64            // records and deletions that Redis was told
	Dropped    uint64            // those it was not: it is down, or there were too many
	Remembered int               // changes by which entries are judged
	Down       bool              // Redis does not answer and is passed by
}

// Stats returns how well the cache does.
func (c *Cache) Stats() Stats {
	s := Stats{
		Hits:       c.counts.hits.Load(),
		Misses:     make(map[Reason]uint64, len(c.counts.misses)),
		Written:    c.counts.written.Load(),
		Dropped:    c.counts.dropped.Load(),
		Remembered: c.trust.remembered(),
		Down:       !c.breaker.closed(),
	}
	for r, n := range c.counts.misses {
		s.Misses[r] = n.Load()
	}
	return s
}

// counts are the counters behind Stats.
type counts struct {
	hits, written, dropped atomic.Uint64
	misses                 map[Reason]*atomic.Uint64 // not changed once made
}

func newCounts() *counts {
	c := &counts{misses: make(map[Reason]*atomic.Uint64)}
	for _, r := range reasons() {
		c.misses[r] = new(atomic.Uint64)
	}
	return c
}

func (c *counts) hit()          { c.hits.Add(1) }
func (c *counts) miss(r Reason) { c.misses[r].Add(1) }
func (c *counts) wrote()        { c.written.Add(1) }
func (c *counts) drop()         { c.dropped.Add(1) }

// notices keeps the log quiet: one line a minute for each kind.
type notices struct {
	now func() time.Time

	mu   sync.Mutex
	last map[Reason]time.Time
}

// due reports whether a line about r may be logged, and notes that it is.
func (n *notices) due(r Reason) bool {
	const between = time.Minute

	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if last, ok := n.last[r]; ok && now.Sub(last) < between {
		return false
	}
	n.last[r] = now
	return true
}
