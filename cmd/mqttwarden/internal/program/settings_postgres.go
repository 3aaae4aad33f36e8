package program

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry/secret"
	"mqttwarden/registry/sqlstore"
)

// database is the system of record: sqlite, or the URL of a PostgreSQL database, which
// may hold a password.
type database struct{ url secret.Text }

const databaseForms = "sqlite, or a URL as in postgres://user@host/database whose parameters PostgreSQL knows and whose files can be read"

func parseDatabase(text string) (database, bool) {
	if text == "sqlite" {
		return database{}, true
	}
	return database{secret.Text(text)}, (&sqlstore.Postgres{URL: text}).Check() == nil
}

// isPostgres reports whether the register is in PostgreSQL.
func (d database) isPostgres() bool { return d.url != "" }

// postgresConfig is how PostgreSQL is used, if it is.
type postgresConfig struct {
	password     secret.Text
	passwordFile string
	connections  int
	connect      time.Duration
	statement    time.Duration
	lock         time.Duration
}

func (c *postgresConfig) section() settings.Section {
	return settings.Section{Name: "postgres", Title: "PostgreSQL", Settings: []settings.Setting{
		{Name: "password", Value: settings.Secret(&c.password), Help: "Password of the user in the URL of --database, in place of one in the URL."},
		{Name: "password-file", Value: settings.File(&c.passwordFile), Placeholder: "FILE", Help: "File that holds that password."},
		{Name: "connections", Value: settings.Number(&c.connections, 2, 1000), Default: "16", Help: "Connections of this node at once; a quarter of them, at most 8, writes. All nodes together need fewer than the server's max_connections."},
		{Name: "connect-timeout", Value: settings.Duration(&c.connect, 100*time.Millisecond, time.Minute), Default: "5s", Help: "Longest time to connect to one server."},
		{Name: "statement-timeout", Value: settings.Duration(&c.statement, 100*time.Millisecond, 10*time.Minute), Default: "10s", Help: "Longest time of one statement, and that a transaction does nothing; a second more where the server does not answer at all."},
		{Name: "lock-timeout", Value: settings.Duration(&c.lock, 10*time.Millisecond, 10*time.Minute), Default: "5s", Help: "Longest time that a change waits for those before it."},
	}, Check: func(p *settings.Problems) {
		if c.password != "" && c.passwordFile != "" {
			p.Add("postgres-password, postgres-password-file", "must not both be given")
		}
	}}
}

// used returns an error when there is no store in a PostgreSQL database: only serve makes
// one.
func used(ctx context.Context, p *sqlstore.Postgres) error {
	there, err := p.Used(ctx)
	if err == nil && !there {
		err = errors.New("database: no store in the PostgreSQL database: `mqttwarden serve` makes one")
	}
	return err
}

// postgresOf says how a PostgreSQL database is used.
func (c *dataConfig) postgresOf(d database) (*sqlstore.Postgres, error) {
	password, err := secretOf(c.postgres.password, c.postgres.passwordFile)
	if err != nil {
		return nil, fmt.Errorf("postgres-password-file: %w", err)
	}
	return &sqlstore.Postgres{
		URL: d.url.Reveal(), Password: password.Reveal(), Connections: c.postgres.connections, ConnectTimeout: c.postgres.connect,
		StatementTimeout: c.postgres.statement, LockTimeout: c.postgres.lock,
	}, nil
}
