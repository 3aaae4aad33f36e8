package rediscache

import (
	"slices"
	"sync"

	"mqttwarden/registry"
)

// queue holds what waits to be written: at most one job for each user, the
// newest, in the order in which users came.
type queue struct {
	limit int

	mu     sync.Mutex
	moved  sync.Cond // something came, was done, or the queue was closed
	jobs   map[registry.UserID]job
	order  []registry.UserID
	busy   bool // a job was taken and is not done
	closed bool
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit, jobs: make(map[registry.UserID]job)}
	q.moved.L = &q.mu
	return q
}

// put adds j and reports whether there is room, or whether it made an older job
// unnecessary. It does not wait.
func (q *queue) put(j job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if old, ok := q.jobs[j.user]; ok {
		q.jobs[j.user] = merge(old, j)
		return true
	}
	if q.closed || len(q.order) >= q.limit {
		return false
	}
	q.jobs[j.user] = j
	q.order = append(q.order, j.user)
	q.moved.Broadcast()
	return true
}

// merge returns the newer of two jobs about one user. It may replace what was
// seen before either was read, since the newer record is no older than the other.
func merge(a, b job) job {
	const most = 8 // sightings; those of later look-ups are the same again

	if a.stamp.compare(b.stamp) > 0 {
		a, b = b, a
	}
	b.seen = slices.Concat(a.seen, b.seen)
	b.seen = b.seen[max(0, len(b.seen)-most):]
	return b
}

// take waits for a job. ok is false once the queue is closed.
func (q *queue) take() (j job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.order) == 0 && !q.closed {
		q.moved.Wait()
	}
	if q.closed {
		return job{}, false
	}
	id := q.order[0]
	q.order[0] = ""
	q.order = q.order[1:]
	j = q.jobs[id]
	delete(q.jobs, id)
	q.busy = true
	return j, true
}

// done says that the job taken last is done.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = false
	q.moved.Broadcast()
}

// close drops what waits and lets take return.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.jobs, q.order = nil, nil
	q.moved.Broadcast()
}
