package rediscache

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"mqttwarden/registry"
)

// RecordByID implements registry.RecordReader.
func (c *Cache) RecordByID(ctx context.Context, id registry.UserID) (registry.Record, error) {
	return c.record(ctx, &question{
		id:   id,
		fits: func(registry.Record) bool { return true },
	}, func() (registry.Record, error) { return c.cfg.Source.RecordByID(ctx, id) })
}

// RecordByName implements registry.RecordReader.
func (c *Cache) RecordByName(ctx context.Context, username string) (registry.Record, error) {
	return c.record(ctx, &question{
		reference: c.keys.name(username),
		fits:      func(r registry.Record) bool { return r.User.Username == username },
	}, func() (registry.Record, error) { return c.cfg.Source.RecordByName(ctx, username) })
}

// RecordByFingerprint implements registry.RecordReader.
func (c *Cache) RecordByFingerprint(ctx context.Context, sha256 string) (registry.Record, error) {
	return c.record(ctx, &question{
		reference: c.keys.fingerprint(sha256),
		fits: func(r registry.Record) bool {
			return slices.ContainsFunc(r.User.Fingerprints, func(f registry.Fingerprint) bool { return f.SHA256 == sha256 })
		},
	}, func() (registry.Record, error) { return c.cfg.Source.RecordByFingerprint(ctx, sha256) })
}

// question is one look-up.
type question struct {
	id        registry.UserID            // whose record, or
	reference string                     // the key at which that stands
	fits      func(registry.Record) bool // whether the record is what was asked for
	seen      []sighting

	fetched map[string]string // what stood where, so far as it is known
	failed  error             // why nothing is known
}

// sighting is the header of a value that stood at key before the store was
// asked. What the store says then is no older, so it may replace that value
// whatever number the header claims.
type sighting struct{ key, header string }

// record answers q from Redis or, if that is no answer, from the store, and then
// has Redis keep what the store said.
func (c *Cache) record(
	ctx context.Context, q *question, ask func() (registry.Record, error),
) (registry.Record, error) {
	r, why := c.cached(ctx, q)
	if why == "" {
		c.counts.hit()
		return r, nil
	}
	c.counts.miss(why)

	s := stamp{line: c.trust.position(), asOf: c.cfg.Now()} // before the store is asked
	r, err := ask()
	if err != nil {
		return registry.Record{}, err
	}
	s.number = r.User.Version
	c.enqueue(job{user: r.User.ID, record: &r, stamp: s, seen: q.seen})
	return r, nil
}

// cached answers q from Redis, or says why not.
func (c *Cache) cached(ctx context.Context, q *question) (registry.Record, Reason) {
	if !c.hearing() {
		return registry.Record{}, Unheard
	}
	if !c.breaker.closed() {
		return registry.Record{}, Skipped
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()

	id := q.id
	if q.reference != "" {
		c.fetch(ctx, q)
		_, content, why := c.entry(ctx, q, q.reference, kindReference)
		if why != "" {
			return registry.Record{}, why
		}
		id = registry.UserID(content) // a hint: the record proves it
	}
	key := c.keys.user(id)
	s, content, why := c.entry(ctx, q, key, kindRecord)
	if why != "" {
		return registry.Record{}, why
	}
	r, why := c.believed(id, s, content)
	if why != "" {
		c.refusal(key, why)
		return registry.Record{}, why
	}
	if !q.fits(r) {
		c.refusal(q.reference, Moved)
		return registry.Record{}, Moved
	}
	r.Cached = true
	return r, ""
}

// hearing reports whether this node knows of every change that it has to know of
// to judge what Redis says.
func (c *Cache) hearing() bool { return c.cfg.Fresh() && c.trust.ready() }

// entry returns what stands at key and is of that kind, or why it is no answer.
func (c *Cache) entry(ctx context.Context, q *question, key string, kind byte) (stamp, []byte, Reason) {
	value, why := c.get(ctx, q, key)
	if why == Absent || why == Unanswered {
		return stamp{}, nil, why
	}
	q.seen = append(q.seen, sighting{key, headerOf(value)})
	var (
		s       stamp
		got     byte
		content []byte
	)
	if why == "" {
		s, got, content, why = c.opened(key, value)
	}
	switch {
	case why != "":
	case got == kind:
		return s, content, ""
	case got == kindGone && kind == kindRecord:
		why = Gone
	default:
		why = Malformed
	}
	c.refusal(key, why)
	return stamp{}, nil, why
}

// believed returns the record that an entry about user id holds, if it answers.
func (c *Cache) believed(id registry.UserID, s stamp, content []byte) (registry.Record, Reason) {
	if why := c.trust.judge(id, s); why != "" {
		return registry.Record{}, why
	}
	r, err := decode(content)
	if err != nil || r.User.ID != id || r.User.Version != s.number {
		return registry.Record{}, Malformed
	}
	return r, ""
}

// get returns the value at key, of which no more is read than may be there.
func (c *Cache) get(ctx context.Context, q *question, key string) ([]byte, Reason) {
	value, err := c.value(ctx, q, key)
	if err == nil {
		c.answered()
		if len(value) == 0 {
			return nil, Absent
		}
		return []byte(value), ""
	}
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		c.answered()
		return nil, Malformed
	}
	c.unanswered(ctx, err)
	return nil, Unanswered
}
