package broker

import (
	"sync"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/message"
)

// Messages of QoS 1 and 2 that wait for clients, connected or not, take memory for
// as long as their clients like. Their number is bounded for each client, and their
// bytes for each client, each user, and in all.

// waitingCost is what a message takes that waits, besides its own bytes.
const waitingCost = 512

// waitingGrain is how many bytes a queue may have that its user is not charged for
// yet: small queues, which most are, cost no lock.
const waitingGrain = 4 << 10

// waitingBytes are the bytes that wait in all, by user.
type waitingBytes struct {
	most  int64 // in all; of one user as much as it leaves free
	total atomic.Int64

	mu    sync.Mutex
	users map[string]*userBytes
}

// userBytes are the bytes that wait for the clients of one user.
type userBytes struct {
	bytes  atomic.Int64
	queues int // guarded by the mutex of waitingBytes
}

func newWaitingBytes(most int64) *waitingBytes {
	return &waitingBytes{most: most, users: make(map[string]*userBytes)}
}

// join returns where the queue of a session of a user is counted.
func (w *waitingBytes) join(user string) *userBytes {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.users[user]
	if u == nil {
		u = new(userBytes)
		w.users[user] = u
	}
	u.queues++
	return u
}

// leave says that a queue of the user is gone.
func (w *waitingBytes) leave(user string, u *userBytes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.queues--; u.queues == 0 {
		delete(w.users, user)
	}
}

// full reports whether nothing more may wait for the clients of a user.
func (w *waitingBytes) full(u *userBytes) bool {
	return u != nil && u.bytes.Load() >= w.most-w.total.Load()
}

// waitingTally is what of a queue is counted for its user.
type waitingTally struct {
	bytes atomic.Int64
	told  int64      // of them, to the user
	open  bool       // they are counted for the user
	user  *userBytes // set before others know of the queue; nil: they never are
	name  string     // of the user
}

// begin begins to count a queue of a user.
func (t *waitingTally) begin(w *waitingBytes, user string) {
	t.user, t.name, t.open = w.join(user), user, true
}

// add counts bytes that have come or, if negative, gone.
func (t *waitingTally) add(w *waitingBytes, n int64) {
	now := t.bytes.Add(n)
	if diff := now - t.told; t.open && (diff >= waitingGrain || diff <= -waitingGrain || now == 0) {
		t.told = now
		t.user.bytes.Add(diff)
		w.total.Add(diff)
	}
}

// close ends the count.
func (t *waitingTally) close(w *waitingBytes) {
	if !t.open {
		return
	}
	t.add(w, -t.bytes.Load())
	w.leave(t.name, t.user)
	t.open = false
}

// waitingSize is what a message is counted for.
func waitingSize(pk *packets.Packet) int64 {
	m := message.FromPacket(pk)
	return int64(m.Size()) + waitingCost
}

// overfull reports whether so much waits for the client that nothing more may. One
// message more than there is room for may have been let in before.
func (s *session) overfull() bool {
	q := s.queue
	if q == nil || s.subscribing.Load() { // a filter that is judged is no message
		return false
	}
	b := q.p.b
	if n := q.tally.bytes.Load(); n == 0 || n < b.cfg.MaxSessionBytes && !b.waiting.full(q.tally.user) {
		return false
	}
	b.count.waitingRefused.Add(1)
	return true
}
