package rediscache

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"mqttwarden/registry"
)

// enqueue has Redis told soon, or not at all: what it does not hear of is asked
// of the store.
func (c *Cache) enqueue(j job) {
	if !c.breaker.mayTry() || !c.queue.put(j) {
		c.counts.drop()
	}
}

// write carries what is queued to Redis until the queue is closed. Along the way
// it does what no look-up shall wait for: it finds out what changed before the
// cache was told of changes, and whether a Redis that failed is back.
func (c *Cache) write(ctx context.Context) {
	for {
		j, ok := c.queue.take()
		if !ok {
			return
		}
		c.learn(ctx)
		c.carry(ctx, j)
		c.queue.done()
	}
}

// learn makes known, once, what changed before Changed was called first. That
// can't be done when the cache is opened: changes between then and the moment
// from which on they are told would be missed. If it fails, the next job is
// another chance; until then nothing that comes from Redis is believed.
func (c *Cache) learn(ctx context.Context) {
	if c.trust.ready() || !c.cfg.Fresh() {
		return
	}
	rows, last, err := c.latest(ctx)
	if err != nil {
		if ctx.Err() == nil && c.notices.due(Unheard) {
			c.cfg.Log.Warn("the latest changes can't be read: redis is not believed yet", "err", err)
		}
		return
	}
	c.trust.seed(rows, last)
}

// latest returns the changes of the time that entries may come from, the one before
// them if it is still known, and the end of the line.
func (c *Cache) latest(ctx context.Context) ([]registry.Change, registry.Position, error) {
	last, err := c.cfg.Source.Position(ctx)
	if err != nil {
		return nil, last, err
	}
	rows, err := c.cfg.Source.ChangesSince(ctx, c.cfg.Now().Add(-c.trust.keep()))
	if err != nil || len(rows) == 0 {
		return nil, last, err
	}
	first := slices.MinFunc(rows, func(a, b registry.Change) int { return cmp.Compare(a.Number, b.Number) })
	if first.Number < 2 {
		return rows, last, nil
	}
	before, err := c.cfg.Source.Changes(ctx, first.Number-2, 1)
	return append(rows, before...), last, err
}

// carry writes one job, unless it is known to be old by now.
func (c *Cache) carry(ctx context.Context, j job) {
	if c.trust.outdated(j.user, j.stamp.number) {
		return
	}
	if !c.breaker.mayTry() {
		c.counts.drop()
		return
	}
	keys, args, err := c.values(j)
	if err != nil {
		c.counts.drop()
		if c.notices.due(oversize) {
			c.cfg.Log.Warn("a record can't be kept in redis", "user", j.user, "err", err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := c.replace.Run(ctx, c.client, keys, args...).Err(); err != nil {
		c.counts.drop()
		c.unanswered(ctx, err)
		return
	}
	c.answered()
	c.counts.wrote()
}

// oversize is the kind of notice about records that Redis can't hold.
const oversize Reason = "oversize"

// values returns the keys of a job and, for the script, what belongs there.
func (c *Cache) values(j job) (keys []string, args []any, err error) {
	seen := make(map[string]string, len(j.seen))
	for _, s := range j.seen {
		seen[s.key] = s.header
	}
	args = append(args, c.cfg.TTL.Milliseconds())
	add := func(key string, kind byte, content []byte) {
		value, e := c.sealed(key, j.stamp, kind, content)
		switch {
		case e != nil:
			err = e
		case len(value) > maxValue:
			err = errors.New("rediscache: it is too large")
		}
		keys = append(keys, key)
		args = append(args, value, seen[key])
	}
	if j.record == nil {
		add(c.keys.user(j.user), kindGone, nil)
		return keys, args, err
	}
	content, err := encode(*j.record)
	if err != nil {
		return nil, nil, err
	}
	add(c.keys.user(j.user), kindRecord, content)
	add(c.keys.name(j.record.User.Username), kindReference, []byte(j.user))
	for _, f := range j.record.User.Fingerprints {
		add(c.keys.fingerprint(f.SHA256), kindReference, []byte(j.user))
	}
	return keys, args, err
}

// job is one thing to tell Redis.
type job struct {
	user   registry.UserID
	record *registry.Record // nil: the user is gone
	stamp  stamp
	seen   []sighting // at keys of this user
}
