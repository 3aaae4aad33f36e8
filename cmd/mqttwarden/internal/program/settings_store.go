package program

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry/secret"
)

// dataConfig is where the data is.
type dataConfig struct {
	dataDir, keyFile string
	database         database
	postgres         postgresConfig
}

func (c *dataConfig) section() settings.Section {
	return settings.Section{Title: "Store", Settings: []settings.Setting{
		{
			Name: "data-dir", Value: settings.Directory(&c.dataDir), Default: "./data",
			Help: "Where the store, the master key and made certificates are.",
		},
		{
			Name: "database", Value: settings.Concealed(&c.database, databaseForms, parseDatabase), Default: "sqlite",
			Help: "System of record: sqlite is a file in the data directory. A URL of PostgreSQL takes the parameters of libpq, such as sslmode and sslrootcert; a server elsewhere is verified (verify-full) unless sslmode says otherwise.",
		},
		{
			Name: "master-key-file", Value: settings.File(&c.keyFile), Placeholder: "FILE",
			Unset: "master.key in the data directory, made on the first start; not made with PostgreSQL, whose nodes share one",
			Help:  "Key that seals what is secret in the store.",
		},
	}, Check: func(*settings.Problems) {
		if c.keyFile == "" {
			c.keyFile = filepath.Join(c.dataDir, "master.key")
		}
	}}
}

// storeFile returns where the store is, if it is a file.
func (c *dataConfig) storeFile() string { return filepath.Join(c.dataDir, "mqttwarden.db") }

// storeThere reports whether there is a store. SQLite makes its file empty, and
// writes to it when it is opened.
func (c *dataConfig) storeThere() (bool, error) {
	info, err := os.Stat(c.storeFile())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() > 0, err
}

// logConfig is what is logged.
type logConfig struct {
	logLevel  slog.Level
	logFormat string
	logBuffer int
}

func (c *logConfig) section() settings.Section {
	return settings.Section{Name: "log", Title: "Log", Settings: []settings.Setting{
		{Name: "level", Value: settings.Parsed(&c.logLevel, "debug, info, warn or error", parseLevel), Default: "info", Help: "What is logged."},
		{Name: "format", Value: settings.Choice(&c.logFormat, "text", "json"), Default: "text", Help: "Form of the log."},
		{Name: "buffer", Value: settings.Number(&c.logBuffer, 4096, 1<<30), Default: "1048576", Unit: "bytes", Help: "What is kept of the log while it is not read; further lines are dropped, and counted."},
	}}
}

func parseLevel(text string) (level slog.Level, ok bool) {
	err := level.UnmarshalText([]byte(text))
	return level, err == nil
}

// hashConfig is how passwords are hashed.
type hashConfig struct {
	hash      secret.Params
	hashLimit int
	hashQueue int
	hashKept  bool // what is known to be right, over a restart
}

func (c *hashConfig) section() settings.Section {
	return settings.Section{Name: "hash", Title: "Password hashes", Settings: []settings.Setting{
		{Name: "memory", Value: settings.Number(&c.hash.Memory, 8, 1<<18), Default: "19456", Unit: "KiB", Help: "Argon2id memory of a new password hash."},
		{Name: "time", Value: settings.Number(&c.hash.Time, 1, 64), Default: "2", Help: "Argon2id passes of a new password hash."},
		{Name: "threads", Value: settings.Number(&c.hash.Threads, 1, 16), Default: "1", Help: "Argon2id lanes of a new password hash."},
		{Name: "workers", Value: settings.Number(&c.hashLimit, 0, 1024), Default: "0", Help: "Passwords hashed at once; 0: half the cores."},
		{
			Name: "queue", Value: settings.Number(&c.hashQueue, 1, 65536), Default: "256",
			Help: "Sign-ins that may wait for a hash: as many each under names that exist, under names that do not, over HTTP, and of registrations.",
		},
		{
			Name: "remember", Value: settings.Switch(&c.hashKept), Default: "on",
			Help: "Whether a stop writes down which sign-ins were right, sealed with the master key, so that the devices that come back need no hash each.",
		},
	}, Check: func(p *settings.Problems) {
		if err := c.hash.Validate(); err != nil {
			p.Add("hash-memory, hash-time, hash-threads", err.Error())
		}
	}}
}

// caConfig is how our own certificate authority issues.
type caConfig struct {
	caName, caURL     string
	caLife, caOverlap time.Duration
}

func (c *caConfig) section() settings.Section {
	return settings.Section{Name: "ca", Title: "Certificate authority", Settings: []settings.Setting{
		{Name: "name", Value: settings.Text(&c.caName), Default: "mqttwarden", Help: "Organization in the names of CAs that are made."},
		{
			Name: "url", Value: settings.OptionalURL(&c.caURL, "an http:// or https:// URL", settings.HTTP), Placeholder: "URL",
			Help: "Where others reach this API. With it, certificates name their CRL and OCSP responder.",
		},
		{Name: "life", Value: settings.Duration(&c.caLife, time.Minute, 10*365*24*time.Hour), Default: "8760h", Help: "Life of a device's certificate."},
		{Name: "overlap", Value: settings.Duration(&c.caOverlap, time.Minute, 365*24*time.Hour), Default: "24h", Help: "How long a renewed certificate goes on."},
	}, Check: func(*settings.Problems) { c.caURL = strings.TrimSuffix(c.caURL, "/") }}
}
