package pgtest

import (
	"database/sql"
	"testing"
)

// Open returns connections to a database, which end with the test.
func Open(tb testing.TB, url string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// Column returns the one column that a query finds.
func Column(tb testing.TB, db *sql.DB, query string, args ...any) (found []string) {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), query, args...)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			tb.Fatal(err)
		}
		found = append(found, s)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return found
}

// OpenSQLite is Open for an SQLite file.
func OpenSQLite(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}
