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
	"strings"
	"sync"

	"mqttwarden/broker/message"
)

// Limits bound a store; 0 is no limit.
type Limits struct {
	Messages int
	Bytes    int64 // of topics, payloads and properties
}

// Store holds the retained messages.
type Store struct {
	limits Limits

	mu       sync.RWMutex
	root     node
	count    int
	bytes    int64
	refused  uint64
	expiring expiring
}

// node stands for the first levels of one or more topics.
type node struct {
	parent  *node // nil for the root
	level   string
	below   map[string]*node
	message *message.Message // nil: none at this very topic
	at      int              // its place in expiring, if it is there
}

// New returns an empty store.
func New(limits Limits) *Store { return &Store{limits: limits} }

// Put makes m the message of its topic, unless that would go over a limit. In
// place of an earlier message one that is not larger always fits. The strings of
// m must not be parts of something larger, which would live as long.
func (s *Store) Put(m *message.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	more, larger := 1, int64(m.Size())
	if n := s.seek(m.Topic); n != nil && n.message != nil {
		more, larger = 0, larger-int64(n.message.Size())
	}
	if more > 0 && s.limits.Messages > 0 && s.count >= s.limits.Messages ||
		larger > 0 && s.limits.Bytes > 0 && s.bytes > s.limits.Bytes-larger {
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

// Match returns the messages whose topics a filter matches (MQTT 5 section 4.7),
// without those that have expired at the time now, in any order.
func (s *Store) Match(filter string, now int64) []*message.Message {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f := finder{now: now}
	f.find(&s.root, filter)
	return f.found
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
	return Stats{Messages: s.count, Bytes: s.bytes, Refused: s.refused}
}

// The rest is called with mu held.

// seek returns the node of a topic, nil if there is none.
func (s *Store) seek(topic string) *node {
	n := &s.root
	for level := range strings.SplitSeq(topic, "/") {
		if n = n.below[level]; n == nil {
			return nil
		}
	}
	return n
}

// set makes m the message of its topic.
func (s *Store) set(m *message.Message) {
	n := &s.root
	for level := range strings.SplitSeq(m.Topic, "/") {
		next := n.below[level]
		if next == nil {
			if n.below == nil {
				n.below = make(map[string]*node)
			}
			next = &node{parent: n, level: level}
			n.below[level] = next
		}
		n = next
	}
	if n.message != nil {
		s.take(n)
	}
	n.message = m
	s.count++
	s.bytes += int64(m.Size())
	if m.Expires != 0 {
		heap.Push(&s.expiring, n)
	}
}

// clear removes the message of n, and n if nothing is left of it.
func (s *Store) clear(n *node) {
	s.take(n)
	for n.parent != nil && n.message == nil && len(n.below) == 0 {
		delete(n.parent.below, n.level)
		n = n.parent
		if len(n.below) == 0 {
			n.below = nil // a map does not shrink
		}
	}
}

// take takes the message of n out of the counts.
func (s *Store) take(n *node) {
	if n.message.Expires != 0 {
		heap.Remove(&s.expiring, n.at)
	}
	s.count--
	s.bytes -= int64(n.message.Size())
	n.message = nil
}

// finder collects messages.
type finder struct {
	now   int64
	found []*message.Message
}

// find collects what a filter finds below n.
func (f *finder) find(n *node, filter string) {
	level, rest, more := strings.Cut(filter, "/")
	switch level {
	case "#": // also matches the level in front of it ([MQTT-4.7.1-2])
		if more {
			return // no filter
		}
		f.add(n)
		f.all(n)
	case "+":
		for _, next := range n.below {
			if !hidden(next) {
				f.step(next, rest, more)
			}
		}
	default:
		if next := n.below[level]; next != nil {
			f.step(next, rest, more)
		}
	}
}

// step goes on with the rest of a filter, if there is more.
func (f *finder) step(n *node, rest string, more bool) {
	if more {
		f.find(n, rest)
	} else {
		f.add(n)
	}
}

// all collects what is below n.
func (f *finder) all(n *node) {
	for _, next := range n.below {
		if !hidden(next) {
			f.add(next)
			f.all(next)
		}
	}
}

func (f *finder) add(n *node) {
	if n.message != nil && !n.message.Expired(f.now) {
		f.found = append(f.found, n.message)
	}
}

// hidden reports whether no wildcard matches n: it is a first level that begins
// with $ ([MQTT-4.7.2-1]).
func hidden(n *node) bool { return n.parent.parent == nil && strings.HasPrefix(n.level, "$") }

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
