// Package servers has the tests of the store that need PostgreSQL.
package servers

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"mqttwarden/registry"
	"mqttwarden/registry/sqlstore"
	"mqttwarden/registry/sqlstore/pgtest"
	"mqttwarden/registry/storetest"
)

func TestMain(m *testing.M) {
	code := pgtest.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestStore runs the suite on one database, which is emptied for each case: to make one
// for each would take most of the time.
func TestStore(t *testing.T) {
	p := migrated(t)
	s, db := openAt(t, p), pgtest.Open(t, p.URL)
	storetest.Run(t, func(t *testing.T) registry.Store {
		empty(t, db)
		return s
	})
}

// empty takes everything from the store but its schema and its identity.
func empty(t *testing.T, db *sql.DB) {
	t.Helper()
	tables := pgtest.Column(t, db, `SELECT tablename FROM pg_tables WHERE schemaname = 'public'
		AND tablename NOT IN ('goose_db_version', 'store')`)
	statement := `DO $$ BEGIN DELETE FROM ` + strings.Join(tables, `; DELETE FROM `) + `;
		UPDATE store SET change = 0, audit = 0, mark = 0; END $$`
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// migrated returns a database whose store has had its migrations.
func migrated(tb testing.TB) *sqlstore.Postgres {
	tb.Helper()
	return &sqlstore.Postgres{URL: pgtest.Database(tb, "migrated", func(url string) error {
		s, err := sqlstore.Open(tb.Context(), sqlstore.Config{Postgres: &sqlstore.Postgres{URL: url}})
		if err != nil {
			return err
		}
		return s.Close()
	})}
}

// openAt opens a store; the test's end closes it.
func openAt(tb testing.TB, p *sqlstore.Postgres) *sqlstore.Store {
	tb.Helper()
	s, err := sqlstore.Open(tb.Context(), sqlstore.Config{Postgres: p})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
