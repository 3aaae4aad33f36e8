package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Postgres says how a PostgreSQL database is reached and used. The zero value of each
// field but the URL is its default.
type Postgres struct {
	// URL is postgres://user@host/database, with further parameters behind a question
	// mark, as libpq has them: sslmode, sslrootcert, several hosts, … Without sslmode the
	// server's certificate is verified, unless the server is on this machine. The schema
	// may be chosen with search_path.
	URL      string
	Password string // in place of one in the URL
	Name     string // of this program, as the server shows it; mqttwarden, unless the URL has application_name

	Connections      int           // at once; 16, of which a quarter writes
	ConnectTimeout   time.Duration // 5 s
	StatementTimeout time.Duration // of one statement, and of a transaction that does nothing; 10 s
	LockTimeout      time.Duration // how long a change waits for those before it; 5 s
}

// grace is how much longer than the server we wait for it to end a statement. A server
// that is frozen, or out of reach, does not end it at all.
const grace = time.Second

// connectionLife is how long a connection is used, so that connections move to where
// the name of the server points now.
const connectionLife = 30 * time.Minute

func (p *Postgres) complete() Postgres {
	c := *p
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&c.ConnectTimeout, 5*time.Second)
	def(&c.StatementTimeout, 10*time.Second)
	def(&c.LockTimeout, 5*time.Second)
	if c.Name == "" {
		c.Name = "mqttwarden"
	}
	if c.Connections == 0 {
		c.Connections = 16
	}
	return c
}

// split returns how many connections write and how many read. A second one that writes
// is in line for the lock while the first commits.
func (p *Postgres) split() (write, read int) {
	write = max(1, min(p.Connections/4, 8))
	return write, max(1, p.Connections-write)
}

// Check returns what is wrong with the URL. The error does not hold it.
func (p *Postgres) Check() error {
	_, err := p.config()
	return err
}

// Used reports whether there is a store in the database. It makes none.
func (p *Postgres) Used(ctx context.Context) (used bool, err error) {
	c := p.complete()
	cfg, err := c.config()
	if err != nil {
		return false, err
	}
	db := c.connections(cfg, 1, c.StatementTimeout, c.LockTimeout)
	defer db.Close()
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('store') IS NOT NULL`).Scan(&used); err != nil {
		return false, fmt.Errorf("%s: %w", where(cfg), err)
	}
	return used, nil
}

// config reads the URL. What pgx says of one that it does not understand may hold the
// password, and is not passed on.
func (p *Postgres) config() (*pgx.ConnConfig, error) {
	if !strings.HasPrefix(p.URL, "postgres://") && !strings.HasPrefix(p.URL, "postgresql://") {
		return nil, errors.New("must be a URL as in postgres://user@host/database")
	}
	cfg, err := pgx.ParseConfig(p.URL)
	if err != nil {
		return nil, errors.New("is no URL that PostgreSQL understands, or names a file that can't be read")
	}
	if !p.choosesTLS() && elsewhere(&cfg.Config) {
		strict, err := pgx.ParseConfig(p.with("sslmode", "verify-full"))
		if err != nil {
			return nil, errors.New("is no URL that PostgreSQL understands together with sslmode=verify-full")
		}
		cfg = strict
	}
	if p.Password != "" {
		cfg.Password = p.Password
	}
	return cfg, nil
}

// choosesTLS reports whether whoever wrote the URL, or runs this, has said how the
// connection is to be protected.
func (p *Postgres) choosesTLS() bool {
	_, query, _ := strings.Cut(p.URL, "?")
	values, err := url.ParseQuery(query)
	return err != nil || values.Has("sslmode") || os.Getenv("PGSSLMODE") != ""
}

// with returns the URL with one more parameter.
func (p *Postgres) with(key, value string) string {
	sep := "?"
	if strings.Contains(p.URL, "?") {
		sep = "&"
	}
	return p.URL + sep + key + "=" + value
}

// elsewhere reports whether one of the servers is not on this machine.
func elsewhere(cfg *pgconn.Config) bool {
	hosts := []string{cfg.Host}
	for _, f := range cfg.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, host := range hosts {
		ip := net.ParseIP(host)
		if host != "localhost" && !strings.HasPrefix(host, "/") && (ip == nil || !ip.IsLoopback()) {
			return true
		}
	}
	return false
}

// where returns what errors call the database: no user, no password.
func where(cfg *pgx.ConnConfig) string {
	return fmt.Sprintf("PostgreSQL database %s on %s", cfg.Database, net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))))
}

// connections returns a pool whose statements end in time. It connects when it is used.
//
// Of several hosts only one that takes writes will do: what is read of another may be
// old, and a right that was taken would still be there.
func (p *Postgres) connections(cfg *pgx.ConnConfig, n int, statement, lock time.Duration) *sql.DB {
	c := cfg.Copy()
	c.ConnectTimeout = p.ConnectTimeout
	for name, d := range map[string]time.Duration{
		"statement_timeout": statement, "lock_timeout": lock, "idle_in_transaction_session_timeout": statement,
	} {
		c.RuntimeParams[name] = strconv.FormatInt(d.Milliseconds(), 10)
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = p.Name
	}
	if c.ValidateConnect == nil {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxLifetime(connectionLife)
	return db
}

// openPostgres brings the schema up to date and opens the pools.
func (s *Store) openPostgres(ctx context.Context, cfg Config) (err error) {
	p := cfg.Postgres.complete()
	parsed, err := p.config()
	if err != nil {
		return fmt.Errorf("the URL of the database %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", where(parsed), err)
		}
	}()
	if err := migratePostgres(ctx, &p, parsed, cfg.Log); err != nil {
		return err
	}
	write, read := p.split()
	timeout := p.StatementTimeout + grace
	s.dialect = postgresDialect()
	s.write = &pool{db: p.connections(parsed, write, p.StatementTimeout, p.LockTimeout), dialect: s.dialect, timeout: timeout}
	s.read = &pool{db: p.connections(parsed, read, p.StatementTimeout, p.LockTimeout), dialect: s.dialect, timeout: timeout}
	return nil
}
