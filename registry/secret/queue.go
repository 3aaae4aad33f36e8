package secret

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// Kind is what a password is hashed for. Each kind has a share of the workers and of
// the queue of its own, so that a flood of one leaves the others their turn.
type Kind uint8

// The kinds of password work.
const (
	KnownName    Kind = iota // a sign-in over MQTT under a name that exists
	UnknownName              // one under a name that does not
	Request                  // anything over HTTP
	Registration             // a device that asks to be let in
	kinds
)

// Asker says on whose behalf a password is hashed.
type Asker struct {
	Kind    Kind
	Network netip.Prefix // where the client is; one that is not known counts as one network
}

type askerKey struct{}

// For returns a context for password work on behalf of a. Work without one is of kind
// KnownName and comes from nowhere.
func For(ctx context.Context, a Asker) context.Context { return context.WithValue(ctx, askerKey{}, a) }

// AskerOf returns on whose behalf ctx is, and whether that was said.
func AskerOf(ctx context.Context) (a Asker, said bool) {
	a, said = ctx.Value(askerKey{}).(Asker)
	return a, said
}

// queue hands out workers. Who waits is served by kind in turn, within a kind by
// network in turn, and within a network first come first served. When a kind has no
// seat left, the network with the most of its seats gives one up to a network that has
// fewer: one client can use all that nobody else wants, and never keeps others out.
type queue struct {
	seats int // of each kind

	mu        sync.Mutex
	idle      int // workers
	kinds     [kinds]row
	turn      int // the kind that comes first
	refused   uint64
	displaced uint64
}

// row are the calls of one kind that wait.
type row struct {
	waiting  int
	networks []*seated // that wait, in the order of their turns
}

// seated are the calls of one network that wait.
type seated struct {
	network netip.Prefix
	calls   []*call // the oldest first
}

// call is told nil when it may run, or why it may not.
type call struct{ told chan error }

// enter waits until the call may run, and returns ErrBusy when it can't wait or has to
// give up its seat, or the error of ctx when that ends. Whoever has entered must leave.
func (q *queue) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	asker, _ := AskerOf(ctx)
	c := q.wait(asker)
	if c == nil {
		return nil
	}
	select {
	case err := <-c.told:
		return err
	case <-ctx.Done():
		q.giveUp(asker, c)
		return ctx.Err()
	}
}

// wait gives the call a worker, and returns nil, or a seat.
func (q *queue) wait(asker Asker) *call {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.idle > 0 {
		q.idle--
		return nil
	}
	c := &call{told: make(chan error, 1)}
	l := &q.kinds[asker.Kind]
	if l.waiting >= q.seats && !q.displace(l, asker.Network) {
		q.refused++
		c.told <- ErrBusy
		return c
	}
	l.add(asker.Network, c)
	return c
}

// displace takes a seat from the network that has the most, if that is more than the
// asking one would have then, and reports whether it did. The newest call goes: those
// that have waited longest are served next.
func (q *queue) displace(l *row, network netip.Prefix) bool {
	var most *seated
	own := 0
	for _, s := range l.networks {
		if most == nil || len(s.calls) > len(most.calls) {
			most = s
		}
		if s.network == network {
			own = len(s.calls)
		}
	}
	if most == nil || len(most.calls) <= own+1 {
		return false
	}
	last := len(most.calls) - 1
	most.calls[last].told <- ErrBusy
	most.calls = most.calls[:last]
	l.waiting--
	q.refused++
	q.displaced++
	return true
}

// giveUp ends the wait of a call that nobody waits for any more.
func (q *queue) giveUp(asker Asker, c *call) {
	q.mu.Lock()
	waited := q.kinds[asker.Kind].remove(asker.Network, c)
	q.mu.Unlock()
	if !waited && <-c.told == nil { // it was given a worker meanwhile
		q.leave()
	}
}

// leave hands the worker to the next call.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range q.kinds {
		l := &q.kinds[q.turn]
		q.turn = (q.turn + 1) % len(q.kinds)
		if c := l.next(); c != nil {
			c.told <- nil
			return
		}
	}
	q.idle++
}

func (l *row) add(network netip.Prefix, c *call) {
	l.waiting++
	for _, s := range l.networks {
		if s.network == network {
			s.calls = append(s.calls, c)
			return
		}
	}
	l.networks = append(l.networks, &seated{network, []*call{c}})
}

// next takes the oldest call of the network whose turn it is, nil if none waits.
func (l *row) next() *call {
	if len(l.networks) == 0 {
		return nil
	}
	s := l.networks[0]
	c := s.calls[0]
	s.calls = s.calls[1:]
	l.networks = l.networks[1:]
	if len(s.calls) > 0 {
		l.networks = append(l.networks, s)
	}
	l.waiting--
	return c
}

// remove takes a call out, and reports whether it was there.
func (l *row) remove(network netip.Prefix, c *call) bool {
	for i, s := range l.networks {
		at := slices.Index(s.calls, c)
		if s.network != network || at < 0 {
			continue
		}
		if s.calls = slices.Delete(s.calls, at, at+1); len(s.calls) == 0 {
			l.networks = slices.Delete(l.networks, i, i+1)
		}
		l.waiting--
		return true
	}
	return false
}

func (q *queue) waiting() (n int) {
	for i := range q.kinds {
		n += q.kinds[i].waiting
	}
	return n
}
