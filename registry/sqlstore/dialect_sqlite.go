package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func sqliteDialect() dialect {
	return dialect{
		migrations: goose.DialectSQLite3,
		broken:     brokenInSQLite,
		again:      func(error) bool { return false }, // one connection writes, and begins with the lock
		lost:       func(error) bool { return false }, // it is in this process
		checkpoint: `PRAGMA wal_checkpoint(PASSIVE)`,  // a reader's connection may, and writers go on
	}
}

// openSQLite opens the file and brings its schema up to date.
func (s *Store) openSQLite(ctx context.Context, cfg Config) error {
	named := func(err error) error {
		if err != nil {
			err = fmt.Errorf("%s: %w", cfg.Path, err)
		}
		return err
	}
	s.dialect = sqliteDialect()
	write, err := openSQLiteWriter(ctx, cfg.Path)
	if err != nil {
		return named(err)
	}
	s.write = &pool{db: write, dialect: s.dialect}
	if err := migrate(ctx, write, s.dialect, cfg.Log); err != nil {
		return named(err)
	}
	read, err := openSQLiteReaders(ctx, cfg.Path, cfg.Readers)
	if err != nil {
		return named(err)
	}
	s.read = &pool{db: read, dialect: s.dialect}
	return nil
}

func brokenInSQLite(err error) constraint {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return none
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return primaryKey
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return unique
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return foreignKey
	default:
		return none
	}
}

// sqliteDSN returns the name by which the driver opens path. Waiting for a lock
// comes first: switching to the write-ahead log may already need it. The driver
// refuses a misspelt value.
func sqliteDSN(path string, options ...string) (string, error) {
	path, err := filepath.Abs(path) // or else ":memory:" would be a special name
	if err != nil {
		return "", err
	}
	options = append([]string{"_busy_timeout=5000", "_foreign_keys=ON", "_defensive=1", "_dqs=0"}, options...)
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.Join(options, "&"), nil
}

// openSQLiteWriter opens the one connection that writes. A commit is on the disk
// when it returns (synchronous=FULL).
func openSQLiteWriter(ctx context.Context, path string) (*sql.DB, error) {
	if err := keepPrivate(path); err != nil {
		return nil, err
	}
	dsn, err := sqliteDSN(path, "_txlock=immediate", "_journal_mode=WAL", "_synchronous=FULL",
		"_pragma=cache_size(-16384)",           // KiB; ids are random, so a bulk of users touches pages everywhere
		"_pragma=journal_size_limit(67108864)") // a long transaction does not leave a long log behind
	if err != nil {
		return nil, err
	}
	db, err := openPool(dsn, 1)
	if err != nil {
		return nil, err
	}
	var mode string
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if mode != "wal" { // SQLite falls back without an error, for example on a network file system
		return nil, errors.Join(fmt.Errorf("journal mode is %q: the file system must support a write-ahead log", mode), db.Close())
	}
	return db, nil
}

// openSQLiteReaders opens the connections that read. They see what was committed
// when their transaction began, and never wait for the writer.
func openSQLiteReaders(ctx context.Context, path string, n int) (*sql.DB, error) {
	dsn, err := sqliteDSN(path, "_query_only=ON")
	if err != nil {
		return nil, err
	}
	db, err := openPool(dsn, n)
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func openPool(dsn string, n int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// keepPrivate makes the database file unless it is there, and takes it and the
// files beside it from everybody but the owner: they hold password hashes.
// SQLite gives new files beside it the mode of the database file.
func keepPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// An existing file is not opened here: closing it again would drop the locks
	// that this process may hold on it (fcntl locks, SQLite, "How To Corrupt").
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		if info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(name, 0o600); err != nil {
			return err
		}
	}
	return nil
}
