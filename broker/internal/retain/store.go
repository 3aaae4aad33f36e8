// Package retain keeps retained messages: by topic, found by filter, within
// limits that hold exactly under any concurrency, until they expire.
//
// Mochi (v2.7.9) has a place for them, too. It copies all of them once a second
// to look for expired ones, under a lock that publishers wait for (0.13 s for
// 100,000 messages), never frees the nodes of those that expired, does not find
// the parent level of a filter, and has no limits.
package retain

import (
	"container/heap"
	"sync"

	"mqttwarden/broker/message"
)

// Limits bound a store; 0 is no limit. Those of one user come with another: what a
// user has is never more than what it leaves free, so that there is room for others
// however many take as much as they can (the dynamic threshold of Choudhury and
// Hahne, 1998).
type Limits struct {
	Messages int
	Bytes    int64 // of topics, payloads and properties

	UserMessages int
	UserBytes    int64
}

// Store holds the retained messages.
type Store struct {
	limits Limits

	mu       sync.RWMutex
	root     node
	stored   uint64 // messages so far
	all      usage
	users    map[string]usage
	refused  uint64
	expiring expiring
}

// usage is how much is retained.
type usage struct {
	messages int
	bytes    int64
}

func (u usage) plus(messages int, bytes int64) usage {
	return usage{u.messages + messages, u.bytes + bytes}
}

// New returns an empty store.
func New(limits Limits) *Store { return &Store{limits: limits, users: make(map[string]usage)} }

// Put makes m the message of its topic, unless that would go over a limit. In
// place of an earlier message of the same user one that is not larger always fits.
// The strings of m must not be parts of something larger, which would live as long.
func (s *Store) Put(m *message.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fits(m) {
		s.refused++
		return false
	}
	s.set(m)
	return true
}

// Restore is Put for a message from before a restart, which is kept whatever the
// limits are now.
func (s *Store) Restore(m *message.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(m)
}

// Delete removes the message of a topic and reports whether there was one.
func (s *Store) Delete(topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.seek(topic)
	if n == nil || n.message == nil {
		return false
	}
	s.clear(n)
	return true
}

// Get returns the message of a topic, nil if there is none.
func (s *Store) Get(topic string) *message.Message {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := s.seek(topic); n != nil {
		return n.message
	}
	return nil
}

// Expire removes the messages that have expired at the time now, and returns
// their topics.
func (s *Store) Expire(now int64) (topics []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.expiring) > 0 && s.expiring[0].message.Expired(now) {
		n := s.expiring[0]
		topics = append(topics, n.message.Topic)
		s.clear(n)
	}
	return topics
}

// Stats are counts of a store.
type Stats struct {
	Messages int    // now
	Bytes    int64  // now
	Refused  uint64 // messages above a limit
}

// Stats returns the counts as they are now.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{Messages: s.all.messages, Bytes: s.all.bytes, Refused: s.refused}
}

// The rest is called with mu held.

// fits reports whether there is room for m.
func (s *Store) fits(m *message.Message) bool {
	more, larger := 1, int64(m.Size())
	before, earlier := s.users[m.User], (*message.Message)(nil)
	if n := s.seek(m.Topic); n != nil {
		earlier = n.message
	}
	all := s.all.plus(more, larger)
	if earlier != nil {
		all = all.plus(-1, -int64(earlier.Size()))
	}
	own := before.plus(more, larger)
	if earlier != nil && earlier.User == m.User {
		own = own.plus(-1, -int64(earlier.Size()))
	}
	return within(s.limits.Messages, all.messages, s.all.messages) && within(s.limits.Bytes, all.bytes, s.all.bytes) &&
		(m.User == "" || s.fair(before, own, all))
}

// fair reports whether a user that has before may have own, when all there is are
// all. What takes the place of another user's message takes nothing from what is free.
func (s *Store) fair(before, own, all usage) bool {
	l := s.limits
	freeMessages, freeBytes := l.Messages-all.messages, l.Bytes-all.bytes
	if all.messages <= s.all.messages {
		freeMessages = l.Messages
	}
	if all.bytes <= s.all.bytes {
		freeBytes = l.Bytes
	}
	return within(share(l.UserMessages, freeMessages), own.messages, before.messages) &&
		within(share(l.UserBytes, freeBytes), own.bytes, before.bytes)
}

// share returns the limit of one user, where so much is free; 0 if there is none.
func share[N int | int64](limit, free N) N {
	if limit == 0 {
		return 0
	}
	return max(1, min(limit, free))
}

// within reports whether there may be n under a limit. Less than before always may.
func within[N int | int64](limit, n, before N) bool { return limit == 0 || n <= limit || n <= before }

// set makes m the message of its topic.
func (s *Store) set(m *message.Message) {
	n := s.root.make(m.Topic)
	if n.message != nil {
		s.take(n)
	}
	s.stored++
	n.message, n.stored = m, s.stored
	s.count(m, 1)
	if m.Expires != 0 {
		heap.Push(&s.expiring, n)
	}
}

// clear removes the message of n, and n if nothing is left of it.
func (s *Store) clear(n *node) {
	s.take(n)
	n.prune()
}

// take takes the message of n out of the counts.
func (s *Store) take(n *node) {
	if n.message.Expires != 0 {
		heap.Remove(&s.expiring, n.at)
	}
	s.count(n.message, -1)
	n.message = nil
}

// count counts a message in or, if by is -1, out.
func (s *Store) count(m *message.Message, by int) {
	size := int64(by * m.Size())
	s.all = s.all.plus(by, size)
	own := s.users[m.User].plus(by, size)
	if own == (usage{}) {
		delete(s.users, m.User)
		return
	}
	s.users[m.User] = own
}

func (s *Store) seek(topic string) *node { return s.root.seek(topic) }

// expiring are the nodes whose messages expire, as a heap: the first is the next.
type expiring []*node

// Len implements heap.Interface.
func (e expiring) Len() int { return len(e) }

// Less implements heap.Interface.
func (e expiring) Less(i, j int) bool { return e[i].message.Expires < e[j].message.Expires }

// Swap implements heap.Interface.
func (e expiring) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].at, e[j].at = i, j
}

// Push implements heap.Interface.
func (e *expiring) Push(x any) {
	n, _ := x.(*node)
	n.at = len(*e)
	*e = append(*e, n)
}

// Pop implements heap.Interface.
func (e *expiring) Pop() any {
	last := len(*e) - 1
	n := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return n
}
