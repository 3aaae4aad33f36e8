package broker

import (
	"strings"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// retainQuota counts the retained messages and keeps them within a number and a
// size. Mochi stores a message some time after it was let in, and tells of that
// later still: so room is reserved first, and what a topic really holds is read
// again when no more messages for it are under way.
//
// The topics of the broker itself, which begin with $, are not counted.
type retainQuota struct {
	index     *mqtt.TopicsIndex
	mostCount int
	mostBytes int64

	refused atomic.Uint64

	mu     sync.Mutex // held while mochi's index is changed by us: no store of mochi's comes between
	topics map[string]held
	count  int   // topics that hold or await a message
	bytes  int64 // of those
}

// held is what is counted for a topic.
type held struct {
	size    int64 // bytes; the most that it may hold while messages are under way
	pending int   // messages that were let in, and that mochi has not stored yet
}

func newRetainQuota(index *mqtt.TopicsIndex, count int, bytes int64) *retainQuota {
	return &retainQuota{index: index, mostCount: count, mostBytes: bytes, topics: make(map[string]held)}
}

// reserve makes room for a message of size bytes that mochi is about to store,
// and reports whether there is any. One that is not larger than what it replaces
// always has room.
func (q *retainQuota) reserve(topic string, size int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.topics[topic]
	if size > h.size {
		if h.size == 0 && q.count >= q.mostCount || q.bytes-h.size+size > q.mostBytes {
			q.refused.Add(1)
			return false
		}
	}
	h.pending++
	q.set(topic, h, max(h.size, size))
	return true
}

// stored is told when mochi has stored a message for which there was a
// reservation.
func (q *retainQuota) stored(topic string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.topics[topic]
	h.pending = max(h.pending-1, 0)
	q.settle(topic, h)
}

// cleared is told when mochi has removed what a topic held.
func (q *retainQuota) cleared(topic string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settle(topic, q.topics[topic])
}

// expired is told when the time of what a topic held is over. Mochi has removed
// it, and left its topic in the tree of its index.
func (q *retainQuota) expired(topic string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.topics[topic]
	if _, ok := q.index.Retained.Get(topic); !ok && h.pending == 0 {
		q.index.RetainMessage(packets.Packet{TopicName: topic})
	}
	q.settle(topic, h)
}

// remove removes what a topic holds and reports whether there was anything.
func (q *retainQuota) remove(topic string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	h, ok := q.topics[topic]
	if !ok {
		return false
	}
	_, ok = q.index.Retained.Get(topic)
	q.index.RetainMessage(packets.Packet{TopicName: topic})
	q.settle(topic, h)
	return ok
}

// settle counts what a topic holds, unless more is under way: then it is counted
// when that has come.
func (q *retainQuota) settle(topic string, h held) {
	size := h.size
	if h.pending == 0 {
		size = 0
		if pk, ok := q.index.Retained.Get(topic); ok {
			size = retainedSize(&pk)
		}
	}
	q.set(topic, h, size)
}

// set replaces what is counted for a topic, until now h.size, by size.
func (q *retainQuota) set(topic string, h held, size int64) {
	q.bytes += size - h.size
	if h.size == 0 && size > 0 {
		q.count++
	} else if h.size > 0 && size == 0 {
		q.count--
	}
	h.size = size
	if h == (held{}) {
		delete(q.topics, topic)
	} else {
		q.topics[topic] = h
	}
}

// names returns the topics that may hold a message, in no order.
func (q *retainQuota) names() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	names := make([]string, 0, len(q.topics))
	for topic := range q.topics {
		names = append(names, topic)
	}
	return names
}

// used returns how many messages are retained and the sum of their sizes.
func (q *retainQuota) used() (count int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count, q.bytes
}

// retainedSize returns the bytes that a retained message counts for: its topic,
// its payload and its properties.
func retainedSize(pk *packets.Packet) int64 {
	const pair = 32 // what a user property takes besides its text
	p := &pk.Properties
	n := len(pk.TopicName) + len(pk.Payload) + len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for _, u := range p.User {
		n += pair + len(u.Key) + len(u.Val)
	}
	return int64(n)
}

// detach copies the texts of a message out of the packet that it came in. Mochi
// does not, and would keep the whole packet beside the message.
func detach(pk *packets.Packet) {
	p := &pk.Properties
	for _, text := range []*string{&pk.TopicName, &p.ContentType, &p.ResponseTopic} {
		*text = strings.Clone(*text)
	}
	for i := range p.User {
		u := &p.User[i]
		u.Key, u.Val = strings.Clone(u.Key), strings.Clone(u.Val)
	}
}
