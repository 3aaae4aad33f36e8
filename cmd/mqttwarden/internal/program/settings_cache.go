package program

import (
	"strings"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry/rediscache"
	"mqttwarden/registry/secret"
)

// cacheConfig is what is kept besides the store, and how long it is trusted.
type cacheConfig struct {
	redis    redisConfig
	maxStale time.Duration
	users    int // bytes
}

func (c *cacheConfig) section() settings.Section {
	return settings.Section{Title: "Cache", Settings: append(c.redis.settings(), []settings.Setting{
		{
			Name: "max-stale", Value: settings.Duration(&c.maxStale, time.Second, 24*time.Hour), Default: "5m",
			Help: "How long rights in memory are trusted while the store can't be asked.",
		},
		{
			Name: "cache-users", Value: settings.Number(&c.users, 0, 1<<40), Default: "134217728", Unit: "bytes",
			Help: "What users and their roles may take in memory, beside those with a session; 0 for nothing. After the start it is filled from the store.",
		},
	}...), Check: c.redis.check}
}

// redisConfig is where Redis is, and what is shown there.
type redisConfig struct {
	url                   secret.Text // empty for none
	password              secret.Text
	passwordFile          string
	sentinelPassword      secret.Text
	sentinelPasswordFile  string
	caFile, cert, certKey string
}

func (c *redisConfig) settings() []settings.Setting {
	return []settings.Setting{
		{
			Name: "redis", Value: settings.Concealed(&c.url, "a redis://, redis+sentinel:// or redis+cluster:// URL, with rediss for TLS", readRedis), Placeholder: "URL",
			Help: "Shared cache, and the way on which nodes tell each other of changes. Losing it costs latency, never correctness.",
		},
		{Name: "redis-password", Value: settings.Secret(&c.password), Help: "Password of Redis, if it does not stand in the URL."},
		{Name: "redis-password-file", Value: settings.File(&c.passwordFile), Placeholder: "FILE", Help: "File that holds the password of Redis."},
		{Name: "redis-sentinel-password", Value: settings.Secret(&c.sentinelPassword), Help: "Password of the sentinels."},
		{Name: "redis-sentinel-password-file", Value: settings.File(&c.sentinelPasswordFile), Placeholder: "FILE", Help: "File that holds the password of the sentinels."},
		{Name: "redis-ca", Value: settings.File(&c.caFile), Placeholder: "FILE", Unset: "those of the system", Help: "Authorities of which one must have issued the certificates of Redis (PEM)."},
		{Name: "redis-cert", Value: settings.File(&c.cert), Placeholder: "FILE", Help: "Certificate that is shown to Redis (PEM). It is read again for every connection."},
		{Name: "redis-key", Value: settings.File(&c.certKey), Placeholder: "FILE", Help: "Its key."},
	}
}

// readRedis takes a URL that is never shown: what is wrong with it may have moved its
// password to another place.
func readRedis(text string) (secret.Text, bool) {
	return secret.Text(text), text == "" || rediscache.ValidateURL(text) == nil
}

func (c *redisConfig) check(p *settings.Problems) {
	if c.password != "" && c.passwordFile != "" {
		p.Add("redis-password, redis-password-file", "must not both be given")
	}
	if c.sentinelPassword != "" && c.sentinelPasswordFile != "" {
		p.Add("redis-sentinel-password, redis-sentinel-password-file", "must not both be given")
	}
	if (c.cert == "") != (c.certKey == "") {
		p.Add("redis-cert, redis-key", "must be given together")
	}
	if (c.caFile != "" || c.cert != "") && !strings.HasPrefix(c.url.Reveal(), "rediss") {
		p.Add("redis-ca, redis-cert, redis-key", "are of use with a rediss URL only")
	}
	if c.url == "" && (c.password != "" || c.passwordFile != "") {
		p.Add("redis-password, redis-password-file", "are of use with redis only")
	}
}
