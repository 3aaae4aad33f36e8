package rediscache

import (
	"sync"
	"time"
)

// firstPause is how long Redis is left alone after it failed once.
const firstPause = time.Second

// breaker spares look-ups the wait for a Redis that does not answer. One failure
// opens it. While it is open only the writer tries Redis, whenever a pause is
// over, and the pauses grow; so no look-up ever pays for finding out whether
// Redis is back.
type breaker struct {
	now     func() time.Time
	longest time.Duration // pause

	mu    sync.Mutex
	pause time.Duration // 0: closed
	until time.Time
}

// closed reports whether look-ups may ask.
func (b *breaker) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pause == 0
}

// mayTry reports whether the writer may ask.
func (b *breaker) mayTry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pause == 0 || !b.now().Before(b.until)
}

// failed notes that Redis did not answer, and reports whether that is news.
// Failures during a pause began before it and change nothing.
func (b *breaker) failed() (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	switch {
	case b.pause == 0:
		b.pause, news = min(firstPause, b.longest), true
	case now.Before(b.until):
		return false
	default:
		b.pause = min(2*b.pause, b.longest)
	}
	b.until = now.Add(b.pause)
	return news
}

// answered notes that Redis did, and reports whether that is news.
func (b *breaker) answered() (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news = b.pause != 0
	b.pause = 0
	return news
}
