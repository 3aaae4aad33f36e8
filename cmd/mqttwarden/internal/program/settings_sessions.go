package program

import (
	"path/filepath"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// sessionConfig is whether sessions survive a restart, and how.
type sessionConfig struct {
	sessions        bool
	sessionsFile    string // empty: nothing survives
	sessionsFlush   time.Duration
	sessionsPending int
}

func (c *sessionConfig) section(data *dataConfig) settings.Section {
	return settings.Section{Title: "Sessions", Settings: []settings.Setting{
		{Name: "sessions", Value: settings.Switch(&c.sessions), Default: "on", Help: "Whether sessions and retained messages survive a restart."},
		{
			Name: "sessions-flush", Value: settings.Duration(&c.sessionsFlush, time.Millisecond, time.Minute), Default: "100ms",
			Help: "How often they are written to disk: what a kill may lose.",
		},
		{
			Name: "sessions-pending", Value: settings.Number(&c.sessionsPending, 1<<20, 1<<34), Default: "67108864", Unit: "bytes",
			Help: "How much of them may wait to be written; what is above does not survive a restart.",
		},
	}, Check: func(*settings.Problems) {
		if c.sessions {
			c.sessionsFile = filepath.Join(data.dataDir, "sessions.db")
		}
	}}
}
