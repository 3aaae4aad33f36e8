package rediscache

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"mqttwarden/registry"
)

// stamp says how new an entry is.
type stamp struct {
	number uint64            // of the last change of the user
	line   registry.Position // every change up to it had been committed when the record was read
	asOf   time.Time         // when reading began, by the clock of the node that read
}

// compare returns +1 if s is the newer one, -1 if o is.
func (s stamp) compare(o stamp) int {
	return cmp.Or(cmp.Compare(s.number, o.number), cmp.Compare(s.line.Number, o.line.Number), s.asOf.Compare(o.asOf),
		cmp.Compare(s.line.Mark, o.line.Mark))
}

// trust decides whether a record that came back from Redis may answer; doc.go
// says why its rule holds. It knows which user each change of the last time
// touched. When it has to forget one, it takes no record any more that was read
// before that change was known.
//
// It waits for nobody and is safe for concurrent use.
type trust struct {
	ttl   time.Duration // no entry answers for longer
	skew  time.Duration // how far the clocks of two nodes may be apart
	limit int           // changes that are remembered
	now   func() time.Time
	start time.Time

	mu     sync.Mutex
	seeded bool
	line   line   // the last changes that were heard of, whatever they were
	floor  uint64 // what was forgotten, or never known, is no higher
	newest map[registry.UserID]uint64
	heard  fifo
}

// heard is one change as it is remembered.
type heard struct {
	user   registry.UserID
	number uint64
	at     time.Duration // when it was heard of, after start
}

func newTrust(ttl, skew time.Duration, limit int, now func() time.Time) *trust {
	return &trust{
		ttl:    ttl,
		skew:   skew,
		limit:  limit,
		line:   line{limit: limit},
		now:    now,
		start:  now(),
		newest: make(map[registry.UserID]uint64),
	}
}

// keep is how long a change is remembered. As long as an entry may live would
// do; the rest keeps entries of nodes that are behind from being refused.
func (t *trust) keep() time.Duration { return t.ttl + 2*t.skew }

// ready reports whether t was seeded. Before that, nothing may answer.
func (t *trust) ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seeded
}

// seed makes known what was changed before anybody told t: rows are the latest
// changes as far back as keep says, last is the end of the line then. Rows are
// chosen by clocks that may disagree, so only those that reach without a gap to the
// end of the line are taken for all there are.
func (t *trust) seed(rows []registry.Change, last registry.Position) {
	rows = slices.SortedFunc(slices.Values(rows), func(a, b registry.Change) int {
		return cmp.Compare(a.Number, b.Number)
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(rows); n > 0 && rows[n-1].Number > last.Number {
		last = rows[n-1].Position()
	}
	earlier, floor := line{limit: t.limit}, last.Number
	for i := len(rows) - 1; i >= 0 && rows[i].Number == floor; i-- {
		floor--
	}
	t.floor = max(t.floor, floor)
	for _, c := range rows {
		earlier.add(c.Position())
	}
	earlier.add(last)
	t.line = earlier.then(t.line)
	for _, c := range rows {
		t.remember(c.User(), c.Number)
	}
	t.seeded = true
}

// changed makes a change known.
func (t *trust) changed(c registry.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line.add(c.Position())
	t.remember(c.User(), c.Number)
}

// from makes known where the line stood when t began to be told of changes.
func (t *trust) from(p registry.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line.add(p)
}

// place returns the place of change n or, if t has not heard of that yet, of the
// last one that it has. It reports false when n is too old to be known.
func (t *trust) place(n uint64) (registry.Position, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.at(n)
}

// position returns a place up to which every change has been committed. Who takes
// it before reading the store has a record that knows of all of them.
func (t *trust) position() registry.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.end()
}

// judge returns why an entry about user id is no answer, or "" if it is one.
func (t *trust) judge(id registry.UserID, s stamp) Reason {
	switch age := t.now().Sub(s.asOf); {
	case age < -t.skew:
		return Future
	case age >= t.ttl:
		return Expired
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.seeded:
		return Unheard
	case s.number < t.newest[id]:
		return Outdated
	case s.line.Number < t.floor:
		return Forgotten
	}
	return t.line.holds(s.line)
}

// outdated reports whether a change of user id past n is known.
func (t *trust) outdated(id registry.UserID, n uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return n < t.newest[id]
}

// remembered returns how many changes are.
func (t *trust) remembered() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard.len()
}

// remember notes one change and forgets what is too old or too much. The caller
// holds mu.
func (t *trust) remember(id registry.UserID, n uint64) {
	at := t.now().Sub(t.start)
	if id != "" && n > t.newest[id] {
		t.newest[id] = n
		t.heard.push(heard{user: id, number: n, at: at})
	}
	for t.heard.len() > 0 && (t.heard.len() > t.limit || at-t.heard.oldest().at > t.keep()) {
		t.forget(t.heard.pop())
	}
}

// forget drops h. If a later change of the same user is known, h says nothing
// that is not still known.
func (t *trust) forget(h heard) {
	if t.newest[h.user] == h.number {
		delete(t.newest, h.user)
		t.floor = max(t.floor, h.number)
	}
}

// fifo is a queue of changes.
type fifo struct {
	items []heard
	head  int
}

func (q *fifo) len() int      { return len(q.items) - q.head }
func (q *fifo) oldest() heard { return q.items[q.head] }
func (q *fifo) push(h heard)  { q.items = append(q.items, h) }

func (q *fifo) pop() heard {
	h := q.items[q.head]
	q.items[q.head] = heard{}
	q.head++
	if q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return h
}
