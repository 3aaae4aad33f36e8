// Package sqlstore keeps the register in an SQL database: the system of record.
//
// The SQL text is one for all databases. What differs between them, opening and
// telling errors apart, stands in files of their own: dialect_sqlite.go,
// dialect_postgres.go, postgres.go.
//
//	store.go      opening and closing
//	pool.go       connections, transactions; limit.go how long they may take
//	statement.go  what one transaction runs, and keeps prepared
//	query.go      running a statement and reading its rows
//	tx.go         Update: the change, its numbers, its audit entries
//	users.go …    one file for each thing that is stored
package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"mqttwarden/registry"
)

// Config says where the store is.
type Config struct {
	Path     string           // SQLite file; made, for its owner's eyes only, if it isn't there
	Postgres *Postgres        // in place of the file
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: none
	Readers  int              // SQLite: connections for reading; 0: two for each processor, at least four
}

// Store is a registry.Store. It is safe for use by several goroutines.
type Store struct {
	reader
	dialect dialect
	write   *pool // of one connection: who writes waits in line
	read    *pool
	now     func() time.Time
}

var _ registry.Store = (*Store)(nil)

// Open opens the store, makes it if it isn't there, and brings its schema up to
// date. It refuses a database that a newer program has migrated.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Readers <= 0 {
		cfg.Readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	s := &Store{now: cfg.Now}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("sqlstore: open %w", err), s.Close())
		}
	}()
	open := s.openSQLite
	if cfg.Postgres != nil {
		open = s.openPostgres
	}
	if err := open(ctx, cfg); err != nil {
		return nil, err
	}
	s.reader = reader{s.read.view, s.read.look}
	if err := s.identify(ctx); err != nil {
		return nil, err
	}
	if err := s.read.prepare(ctx, slices.Concat(signIn(), registering())...); err != nil {
		return nil, err
	}
	return s, s.write.prepare(ctx, slices.Concat(signIn(), smallChange())...)
}

// signIn returns the statements behind a sign-in and what keeps it true: finding
// a record, a token, changes.
func signIn() []string {
	return []string{
		recordByID, recordByName, recordByFingerprint, rolesOfUsers(1), fingerprintsOfUsers(1), heldRoles(1), heldRoles(8), heldRoles(atOnce),
		tokenByID, changesPast,
	}
}

// smallChange returns the statements behind a change of one user.
func smallChange() []string {
	return []string{
		insertUser, updateUser, insertUserRoles + " " + tuples(1, 2), insertFingerprints + " " + tuples(1, 5), insertToken, namedClientIDs, insertReservation + " " + tuples(1, 2),
		takeNumbers, insertChanges + " " + tuples(1, 5), updateVersions, updateRoleVersions, insertAudit + " " + tuples(1, 12),
	}
}

// probeKey is the setting that Ping writes, and probeRoom how large it is: as much as
// a change of a user needs.
const (
	probeKey  = "probe"
	probeRoom = 32 << 10 // bytes
)

// Ping reports whether the store can be read and written. It commits a write that
// needs new pages and leaves nothing behind: one that changed nothing, or what has its
// room already, would succeed on a full disk. It costs what a small Update costs.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := s.Position(ctx); err != nil {
		return err
	}
	return s.write.run(ctx, s.dialect.writing, func(t *sqlTx) error {
		if _, err := t.exec(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2)`, probeKey, make([]byte, probeRoom)); err != nil {
			return err
		}
		_, err := t.exec(ctx, `DELETE FROM settings WHERE key = $1`, probeKey)
		return err
	})
}

// Checkpoint brings the main file up to date with what is committed, except for what
// a reader still needs otherwise. People copy that file alone; SQLite by itself leaves
// it megabytes behind. PostgreSQL looks after its files itself.
func (s *Store) Checkpoint(ctx context.Context) error {
	if s.dialect.checkpoint == "" {
		return nil
	}
	_, err := s.read.db.ExecContext(ctx, s.dialect.checkpoint)
	return wrap(ctx, err)
}

// Close ends all connections. It must not be called while a method runs.
func (s *Store) Close() error {
	var errs []error
	for _, p := range []*pool{s.read, s.write} { // the writer last: it tidies the write-ahead log
		if p != nil {
			errs = append(errs, p.close())
		}
	}
	return errors.Join(errs...)
}
