package rediscache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"mqttwarden/registry"
)

var (
	_ registry.RecordReader = (*Cache)(nil)
	_ registry.RecordCache  = (*Cache)(nil)
)

// Cache is a store of records with Redis in front of it. Look-ups return what
// the store would, or what it would have returned at most [Config.TTL] ago if
// nothing was announced since by Changed.
//
// Its methods are safe for concurrent use.
type Cache struct {
	cfg     Config
	keys    keys
	client  redis.UniversalClient
	replace *redis.Script
	follow  *redis.Script
	trust   *trust
	breaker *breaker
	queue   *queue
	counts  *counts
	notices *notices
	bus     *Bus

	stop    context.CancelFunc
	writing sync.WaitGroup
	close   func() error
}

// Open starts a cache. A Redis that does not answer is no error: the cache then
// asks the store, logs that once, and finds out when Redis is back. Opening may
// take as long as a look-up may. The cache lives until Close, whatever becomes
// of ctx.
func Open(ctx context.Context, cfg Config) (*Cache, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	// The client would print failed dials to standard error, past our log. All
	// of them reach us as errors, too.
	logging.Disable()

	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	client, err := cfg.connect(life, cfg)
	if err != nil {
		stop()
		return nil, fmt.Errorf("rediscache: %w", err)
	}
	c := &Cache{
		cfg:     cfg,
		keys:    newKeys(cfg.Seal, cfg.Store),
		client:  client,
		replace: redis.NewScript(replaceScript),
		follow:  redis.NewScript(followScript),
		trust:   newTrust(cfg.TTL, cfg.Skew, cfg.Remember, cfg.Now),
		breaker: &breaker{now: cfg.Now, longest: cfg.MaxPause},
		queue:   newQueue(cfg.Queue),
		counts:  newCounts(),
		notices: &notices{now: cfg.Now, last: make(map[Reason]time.Time)},
		stop:    stop,
	}
	c.bus = newBus(c)
	c.close = sync.OnceValue(c.shut)
	if err := c.Ping(ctx); err != nil {
		c.unanswered(ctx, err)
	}
	c.writing.Go(func() { c.write(life) })
	return c, nil
}

// Close stops the writer, dropping what waits to be written, and the client.
// Look-ups then ask the store.
func (c *Cache) Close() error { return c.close() }

func (c *Cache) shut() error {
	c.queue.close()
	c.stop()
	err := c.client.Close()
	c.writing.Wait()
	return err
}

// Ping asks Redis whether it is there, also while look-ups pass it by. It takes
// no longer than a look-up may.
func (c *Cache) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := c.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("rediscache: %w", err)
	}
	return nil
}

// Changed implements registry.RecordCache: whatever Redis holds or will hold,
// no look-up that begins when Changed has returned is answered by an entry about
// its user that is older than the change. One that is no user's is noted, too,
// which spares entries read before it from being taken for old.
func (c *Cache) Changed(ch registry.Change) { c.trust.changed(ch) }

// From implements registry.RecordCache.
func (c *Cache) From(p registry.Position) { c.trust.from(p) }

// Put implements registry.RecordCache.
func (c *Cache) Put(r registry.Record) {
	c.keep(job{user: r.User.ID, record: &r}, r.User.Version)
}

// Bury implements registry.RecordCache.
func (c *Cache) Bury(id registry.UserID, n uint64) {
	c.keep(job{user: id}, n)
}

// keep has Redis keep what was read after change n was committed. Changes become
// visible in the order of their numbers, so it knows of all before that one.
func (c *Cache) keep(j job, n uint64) {
	at, ok := c.trust.place(n)
	if !ok {
		c.counts.drop()
		return
	}
	j.stamp = stamp{number: n, line: at, asOf: c.cfg.Now()}
	c.enqueue(j)
}
