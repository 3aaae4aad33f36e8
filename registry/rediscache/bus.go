package rediscache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"mqttwarden/registry"
)

var _ registry.Bus = (*Bus)(nil)

// Bus is a channel in Redis on which the nodes of one store tell each other how far
// they are. Messages are sealed and numbered by their sender: what does not open, or was
// heard before, is dropped. Who can write to Redis can hold them back, no more.
//
// A node says again how far it is whenever it was silent for some time, and after every
// loss of the connection; so it does not matter which messages are lost.
type Bus struct {
	cache   *Cache
	channel string
	poke    chan struct{} // there is something to tell

	mu   sync.Mutex
	told registry.Progress
	seq  uint64

	inbox  inbox
	counts busCounts
}

// beats is how many times a node says how far it is while it is heard to be silent.
const beats = 4

func newBus(c *Cache) *Bus {
	return &Bus{cache: c, channel: c.keys.prefix() + "bus", poke: make(chan struct{}, 1), counts: newBusCounts()}
}

// Bus returns the bus between the nodes that share c.
func (c *Cache) Bus() *Bus { return c.bus }

// Tell implements registry.Bus. While something is on its way, only the latest of what
// is told waits.
func (b *Bus) Tell(p registry.Progress) {
	b.mu.Lock()
	b.told.Committed = max(b.told.Committed, p.Committed)
	if p.Enforced.Number > b.told.Enforced.Number {
		b.told.Enforced = p.Enforced
	}
	b.mu.Unlock()
	b.speak()
}

func (b *Bus) speak() {
	select {
	case b.poke <- struct{}{}:
	default:
	}
}

// Listen implements registry.Bus. It also sends what is told.
func (b *Bus) Listen(ctx context.Context, hear func(node string, p registry.Progress)) {
	var sending sync.WaitGroup
	sending.Go(func() { b.send(ctx) })
	defer sending.Wait()

	const first, longest = 50 * time.Millisecond, 2 * time.Second
	pause := first
	for ctx.Err() == nil {
		heard, err := b.subscribe(ctx, hear)
		if ctx.Err() != nil {
			return
		}
		b.lost(ctx, err)
		if heard {
			pause = first
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// errSilent says that a connection exists and nothing comes over it.
var errSilent = errors.New("rediscache: nothing is heard from redis any more")

// subscribe listens on one connection until that is of no use any more, and reports
// whether it ever was. The client would connect anew by itself, and not tell that
// something was missed; and it would not notice a connection that only seems to be there.
func (b *Bus) subscribe(ctx context.Context, hear func(string, registry.Progress)) (heard bool, err error) {
	sub := b.cache.client.Subscribe(ctx)
	defer func() { _ = sub.Close() }()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	if err := sub.Subscribe(ctx, b.channel); err != nil {
		return false, err
	}
	lease := b.cache.cfg.Lease
	for alive := time.Now(); ; {
		message, err := sub.ReceiveTimeout(ctx, lease/beats)
		switch {
		case err == nil:
			alive = time.Now()
		case !timedOut(err):
			return heard, err
		case time.Since(alive) > lease:
			return heard, errSilent
		default:
			if err := sub.Ping(ctx); err != nil {
				return heard, err
			}
		}
		switch m := message.(type) {
		case *redis.Subscription:
			heard = true
			b.found()
			hear("", registry.Progress{})
		case *redis.Message:
			b.receive(m.Payload, hear)
		}
	}
}

func timedOut(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// found notes that messages are heard from now on.
func (b *Bus) found() {
	if !b.counts.connected.Swap(true) {
		b.cache.cfg.Log.Info("other nodes are heard over redis")
	}
	b.cache.answered()
	b.speak() // others may have missed what was told meanwhile
}

// lost notes that nothing is heard any more.
func (b *Bus) lost(ctx context.Context, err error) {
	b.cache.lookAround(ctx)
	if b.counts.connected.Swap(false) || b.counts.losses.Load() == 0 {
		b.cache.cfg.Log.Warn("other nodes are not heard over redis: what they change is looked for now and then", "err", err)
	}
	b.counts.losses.Add(1)
}

// send publishes how far this node is, when that changes and now and then.
func (b *Bus) send(ctx context.Context) {
	beat := time.NewTicker(beats * b.cache.cfg.Lease)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		case <-b.poke:
		}
		if !b.counts.connected.Load() {
			continue // it is told as soon as there is a connection
		}
		if err := b.publish(ctx); err == nil {
			b.counts.sent.Add(1)
		} else if ctx.Err() == nil {
			b.counts.unsent.Add(1)
			b.cache.cfg.Log.Debug("other nodes could not be told how far this one is", "err", err)
		}
	}
}

func (b *Bus) publish(ctx context.Context) error {
	message, err := b.sealed(b.next())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.cache.cfg.Timeout)
	defer cancel()
	if err := b.cache.client.Publish(ctx, b.channel, message).Err(); err != nil {
		return fmt.Errorf("rediscache: %w", err)
	}
	return nil
}

// next returns what is to be told now.
func (b *Bus) next() news {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	return news{node: b.cache.cfg.Node, seq: b.seq, Progress: b.told}
}

// receive takes a message, if it is one.
func (b *Bus) receive(payload string, hear func(string, registry.Progress)) {
	n, ok := b.opened(payload)
	switch {
	case !ok:
		b.refuse(Forged)
	case n.node == b.cache.cfg.Node:
		// Our own comes back.
	case !b.inbox.take(n):
		b.refuse(Outdated)
	default:
		b.counts.received.Add(1)
		b.counts.heard.Store(b.cache.cfg.Now().UnixNano())
		hear(n.node, n.Progress)
	}
}

// refuse counts a message that is dropped.
func (b *Bus) refuse(why Reason) {
	b.counts.refused[why].Add(1)
	if b.cache.notices.due("bus " + why) {
		b.cache.cfg.Log.Warn("redis carries messages that no node of this store sends now: dropped", "reason", string(why))
	}
}

// inbox knows the last message of each node.
type inbox struct {
	last map[string]uint64
}

// maxNodes bounds an inbox. Each start of a node takes a place.
const maxNodes = 1024

// take reports whether n is newer than all that its node sent before. When too many
// nodes were heard they are forgotten; a message that is repeated then costs a look at
// the store, for it was true.
func (i *inbox) take(n news) bool {
	last, known := i.last[n.node]
	if n.seq <= last {
		return false
	}
	if i.last == nil || (!known && len(i.last) >= maxNodes) {
		i.last = make(map[string]uint64)
	}
	i.last[n.node] = n.seq
	return true
}

// BusStats tells how well the bus does, since it was opened.
type BusStats struct {
	Sent      uint64 // messages
	Unsent    uint64 // those that Redis did not take
	Received  uint64 // from other nodes
	Refused   map[Reason]uint64
	Losses    uint64 // of the connection, and tries to make it that failed
	Connected bool
	Heard     time.Time // when a message came last; zero: never
}

// Stats returns how well the bus does.
func (b *Bus) Stats() BusStats {
	s := BusStats{
		Sent: b.counts.sent.Load(), Unsent: b.counts.unsent.Load(), Received: b.counts.received.Load(),
		Losses: b.counts.losses.Load(), Connected: b.counts.connected.Load(),
		Refused: make(map[Reason]uint64, len(b.counts.refused)),
	}
	if at := b.counts.heard.Load(); at != 0 {
		s.Heard = time.Unix(0, at)
	}
	for r, n := range b.counts.refused {
		s.Refused[r] = n.Load()
	}
	return s
}

// busCounts are the counters behind BusStats.
type busCounts struct {
	sent, unsent, received, losses atomic.Uint64
	connected                      atomic.Bool
	heard                          atomic.Int64
	refused                        map[Reason]*atomic.Uint64 // not changed once made
}

func newBusCounts() busCounts {
	return busCounts{refused: map[Reason]*atomic.Uint64{Forged: new(atomic.Uint64), Outdated: new(atomic.Uint64)}}
}
