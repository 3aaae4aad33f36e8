package rediscache

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"mqttwarden/registry"
)

// Sealer seals what goes to Redis and names what stands there; *secret.KeyRing
// is one. Context and parts are lists: no two different lists may be taken for
// the same, so they must not simply be joined.
type Sealer interface {
	// Seal encrypts plaintext so that it opens only for the same purpose and context.
	Seal(purpose string, plaintext []byte, context ...string) ([]byte, error)
	Open(purpose string, sealed []byte, context ...string) ([]byte, error)
	// MAC returns a name for parts that nobody can compute without the key.
	MAC(purpose string, parts ...[]byte) [32]byte
}

// Source is the store: it answers what Redis does not, and knows what changed
// before the cache was told of changes.
type Source interface {
	registry.RecordReader
	registry.ChangeLog
}

// Config says how records are cached. What is not marked optional must be set.
type Config struct {
	Connection
	Store  registry.Identity // whose records they are
	Node   string            // what this process is called among the nodes of the store; no other may have the name
	Seal   Sealer
	Source Source

	// Fresh says whether changes are being heard, as Follower.Fresh does. While
	// it says no, nothing that comes from Redis is believed. It must not say yes
	// before it is certain that every change from then on is given to Changed.
	Fresh func() bool

	TTL      time.Duration // no answer is older; at most a day; 0: one hour
	Skew     time.Duration // clocks of nodes may differ by that much; 0: 30 s
	Timeout  time.Duration // what Redis may cost one look-up; 0: 250 ms
	Lease    time.Duration // the bus makes a new connection when the old one is silent for so long; 0: 1 s
	MaxPause time.Duration // between two tries of a Redis that does not answer; 0: 15 s
	Remember int           // changes that are remembered; 0: a million
	Queue    int           // users whose records may wait to be written; 0: 4096

	Now func() time.Time // optional: time.Now
	Log *slog.Logger     // optional: nothing is logged
}

// maxTTL bounds Config.TTL, since it also bounds what is remembered.
const maxTTL = 24 * time.Hour

// validStoreID reports whether s may stand in a hash tag without ending it.
func validStoreID(s string) bool {
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && len(s) <= 64 && strings.Trim(s, chars) == ""
}

// withDefaults returns c with what is optional filled in, or every reason why it
// can't be used.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if _, err := c.target(); err != nil {
		errs = append(errs, err)
	}
	if !validStoreID(c.Store.StoreID) {
		errs = append(errs, fmt.Errorf("store id %q: must be 1 to 64 letters, digits, - or _", c.Store.StoreID))
	}
	if c.Node == "" || len(c.Node) > maxNodeID {
		errs = append(errs, fmt.Errorf("node %q: must be 1 to %d characters", c.Node, maxNodeID))
	}
	if c.Seal == nil || c.Source == nil || c.Fresh == nil {
		errs = append(errs, errors.New("a sealer, a source and the freshness of changes must be given"))
	}
	for _, d := range []struct {
		name    string
		value   *time.Duration
		standby time.Duration
		most    time.Duration
	}{
		{"TTL", &c.TTL, time.Hour, maxTTL},
		{"skew", &c.Skew, 30 * time.Second, maxTTL},
		{"timeout", &c.Timeout, 250 * time.Millisecond, time.Minute},
		{"lease", &c.Lease, time.Second, time.Minute},
		{"longest pause", &c.MaxPause, 15 * time.Second, time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.standby
		}
		if *d.value < time.Millisecond || *d.value > d.most {
			errs = append(errs, fmt.Errorf("%s %v: must be 1ms to %v", d.name, *d.value, d.most))
		}
	}
	if c.Remember <= 0 {
		c.Remember = 1_000_000
	}
	if c.Queue <= 0 {
		c.Queue = 4096
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("rediscache: %w", err)
	}
	return c, nil
}
