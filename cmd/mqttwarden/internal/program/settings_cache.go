package program

import (
	"net/url"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry/secret"
)

// cacheConfig is what is kept besides the store, and how long it is trusted.
type cacheConfig struct {
	redis    secret.Text // its URL; empty for none
	maxStale time.Duration
	users    int // bytes
}

func (c *cacheConfig) section() settings.Section {
	return settings.Section{Title: "Cache", Settings: []settings.Setting{
		{
			Name: "redis", Value: settings.OptionalURL(&c.redis, "a redis:// or rediss:// URL", isRedis), Placeholder: "URL",
			Help: "Shared cache. Losing it costs latency, never correctness.",
		},
		{
			Name: "max-stale", Value: settings.Duration(&c.maxStale, time.Second, 24*time.Hour), Default: "5m",
			Help: "How long rights in memory are trusted while the store can't be asked.",
		},
		{
			Name: "cache-users", Value: settings.Number(&c.users, 0, 1<<40), Default: "134217728", Unit: "bytes",
			Help: "What users and their roles may take in memory, beside those with a session; 0 for nothing. After the start it is filled from the store.",
		},
	}}
}

func isRedis(u *url.URL) bool { return u.Scheme == "redis" || u.Scheme == "rediss" }
