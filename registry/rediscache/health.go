package rediscache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// answered notes that Redis did.
func (c *Cache) answered() {
	if c.breaker.answered() {
		c.cfg.Log.Info("redis answers again")
	}
}

// unanswered notes that a request to Redis, made with ctx, failed. An error that
// Redis itself sends has cost nothing, so it is no reason to pass Redis by.
func (c *Cache) unanswered(ctx context.Context, err error) {
	c.lookAround(ctx)
	var reply redis.Error
	switch {
	case errors.Is(err, redis.ErrClosed), errors.Is(ctx.Err(), context.Canceled):
		// Whoever asked gave up, which says nothing about Redis.
	case errors.As(err, &reply):
		c.answered()
		if c.notices.due(Unanswered) {
			c.cfg.Log.Warn("redis answers with an error: records are read from the store", "err", err)
		}
	case c.breaker.failed():
		c.cfg.Log.Warn("redis does not answer: records are read from the store", "err", err)
	}
}

// lookAround has the client find out who has the slot, of a cluster, since whoever had
// it does not answer. It does not wait.
func (c *Cache) lookAround(ctx context.Context) {
	if of, ok := c.client.(*redis.ClusterClient); ok {
		of.ReloadState(ctx)
	}
}

// refusal logs, now and then, that something in Redis was no answer.
func (c *Cache) refusal(key string, why Reason) {
	switch {
	case why.suspect():
		if c.notices.due(why) {
			c.cfg.Log.Warn("redis holds what no node of this store wrote there as it is now: not believed",
				"reason", string(why), "key", key)
		}
	case why.old():
		if c.notices.due(why) {
			c.cfg.Log.Info("redis holds old records: not used", "reason", string(why), "key", key)
		}
	}
}
