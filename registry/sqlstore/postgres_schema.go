package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
)

// migrationsLock is the lock of those who migrate. It belongs to a schema, since a
// database may hold several stores.
const migrationsLock = `SELECT pg_advisory_lock(hashtextextended('mqttwarden migrations of ' || current_schema(), 0))`

// migratePostgres brings the schema up to date, on one connection. Others that migrate
// at the same time wait until it is closed, or the process ends.
func migratePostgres(ctx context.Context, p *Postgres, cfg *pgx.ConnConfig, log *slog.Logger) error {
	db := p.connections(cfg, 1, 0, 0) // a migration, and waiting for one, takes as long as it takes
	defer db.Close()
	if _, err := db.ExecContext(ctx, migrationsLock); err != nil {
		return err
	}
	if err := checkEncoding(ctx, db); err != nil {
		return err
	}
	if err := migrate(ctx, db, postgresDialect(), log); err != nil {
		return err
	}
	return orderByBytes(ctx, db)
}

// checkEncoding refuses a database that can't hold every text.
func checkEncoding(ctx context.Context, db *sql.DB) error {
	var encoding string
	if err := db.QueryRowContext(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database has the encoding %s: make one with ENCODING 'UTF8'", encoding)
	}
	return nil
}

// otherwiseOrdered are the columns, with their tables, that are ordered in another way
// than by their bytes, as SQLite and this program order them.
const otherwiseOrdered = `SELECT c.table_name, c.column_name FROM information_schema.columns c
	JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
	WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND t.table_name <> 'goose_db_version'
	AND c.data_type = 'text' AND c.collation_name IS DISTINCT FROM 'C'
	ORDER BY c.table_name, c.ordinal_position`

// orderByBytes has every text column ordered by bytes, whatever the language of the
// database: migrations are one text for all databases, and can't say so themselves.
func orderByBytes(ctx context.Context, db *sql.DB) error {
	changes, tables, err := orderings(ctx, db)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := db.ExecContext(ctx, `ALTER TABLE `+table+` `+strings.Join(changes[table], ", ")); err != nil {
			return fmt.Errorf("order %s by bytes: %w", table, err)
		}
	}
	return nil
}

// orderings returns what has to be changed of which tables.
func orderings(ctx context.Context, db *sql.DB) (changes map[string][]string, tables []string, err error) {
	rows, err := db.QueryContext(ctx, otherwiseOrdered)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	changes = make(map[string][]string)
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, nil, err
		}
		if changes[table] == nil {
			tables = append(tables, table)
		}
		changes[table] = append(changes[table], `ALTER COLUMN `+column+` TYPE TEXT COLLATE "C"`)
	}
	return changes, tables, rows.Err()
}
