package keep

import "mqttwarden/broker/message"

// batch is what was recorded since the last commit.
type batch struct {
	sessions map[string]*changes // by client ID
	retained map[string]change[message.Message]
	bytes    int // waiting to be written
}

func newBatch() *batch {
	return &batch{sessions: make(map[string]*changes), retained: make(map[string]change[message.Message])}
}

// empty reports whether there is nothing to be written: what was recorded and
// taken back has left nothing.
func (b *batch) empty() bool {
	for id, c := range b.sessions {
		if c.empty() {
			delete(b.sessions, id)
		}
	}
	return len(b.sessions) == 0 && len(b.retained) == 0
}

func (c *changes) empty() bool {
	return !c.wiped && c.session == nil && len(c.subscriptions)+len(c.deliveries)+len(c.received) == 0
}

// changes are what becomes of a session.
type changes struct {
	wiped         bool // what the file has of it goes first
	session       *Session
	subscriptions map[string]change[Subscription]
	deliveries    map[uint16]change[Delivery]
	received      map[uint16]change[struct{}]
}

// change is what becomes of a record.
type change[T any] struct {
	value *T   // nil: it is deleted
	fresh bool // the file has nothing under its key
	size  int
}

// of returns the changes of a session.
func (b *batch) of(clientID string) *changes {
	c := b.sessions[clientID]
	if c == nil {
		c = new(changes)
		b.sessions[clientID] = c
	}
	return c
}

// put notes a record to be written. fresh says that the file has nothing under
// its key, as far as the caller knows; what is noted already knows better.
func put[K comparable, T any](b *batch, m *map[K]change[T], k K, value *T, size int, fresh bool) {
	if *m == nil {
		*m = make(map[K]change[T])
	}
	if had, ok := (*m)[k]; ok {
		fresh = had.fresh
		b.bytes -= had.size
	}
	(*m)[k] = change[T]{value, fresh, size}
	b.bytes += size
}

// drop notes a record to be deleted. One that the file does not have is taken
// back.
func drop[K comparable, T any](b *batch, m *map[K]change[T], k K, wiped bool) {
	had, ok := (*m)[k]
	b.bytes -= had.size
	if ok && had.fresh || wiped {
		delete(*m, k)
		return
	}
	if *m == nil {
		*m = make(map[K]change[T])
	}
	(*m)[k] = change[T]{size: tombstone}
	b.bytes += tombstone
}

// tombstone is the size of a deletion. Those are never refused: there are no more
// of them than records in the file.
const tombstone = 16

// wipe notes that nothing is left of a session. known says that the file has
// some of it.
func (b *batch) wipe(clientID string, known bool) {
	c := b.sessions[clientID]
	if c != nil {
		b.bytes -= c.bytes()
		known = known || c.wiped
		delete(b.sessions, clientID)
	}
	if known {
		b.sessions[clientID] = &changes{wiped: true}
	}
}

// bytes is what the changes wait with.
func (c *changes) bytes() int {
	n := 0
	if c.session != nil {
		n += c.session.size()
	}
	return n + sizes(c.subscriptions) + sizes(c.deliveries) + sizes(c.received)
}

func sizes[K comparable, T any](m map[K]change[T]) int {
	n := 0
	for _, ch := range m {
		n += ch.size
	}
	return n
}

// after makes b the batch that has what was recorded before it as well, in a
// batch that could not be committed. Whether the file has any of that is not
// known.
func (b *batch) after(before *batch) {
	for id, old := range before.sessions {
		c := b.sessions[id]
		switch {
		case c == nil:
			c = new(changes)
			b.sessions[id] = c
		case c.wiped:
			continue
		}
		c.wiped = old.wiped
		if c.session == nil {
			c.session = old.session
		}
		merge(&c.subscriptions, old.subscriptions)
		merge(&c.deliveries, old.deliveries)
		merge(&c.received, old.received)
	}
	merge(&b.retained, before.retained)
	b.bytes = sizes(b.retained)
	for _, c := range b.sessions {
		b.bytes += c.bytes()
	}
}

func merge[K comparable, T any](m *map[K]change[T], before map[K]change[T]) {
	if *m == nil {
		*m = make(map[K]change[T], len(before))
	}
	for k, ch := range *m {
		ch.fresh = false
		(*m)[k] = ch
	}
	for k, ch := range before {
		if _, ok := (*m)[k]; !ok {
			ch.fresh = false
			(*m)[k] = ch
		}
	}
}
