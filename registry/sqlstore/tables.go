package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// table is what SQLite knows of a table of ours. PostgreSQL has the same, for the same
// migrations made both.
type table struct {
	name    string
	columns []tableColumn
	refers  []string // to other tables
}

type tableColumn struct {
	name, kind string // TEXT, BIGINT, INTEGER, BOOLEAN or BYTEA
	key        int    // its place in the primary key; 0: none
}

// tables returns all tables, each behind those that it refers to.
func (s *Store) tables(ctx context.Context) ([]table, error) {
	if s.dialect.caches {
		return nil, errors.New("one of the two must be SQLite")
	}
	return view(ctx, s.reader, func(t *sqlTx) ([]table, error) {
		names, err := all(ctx, t, column[string], `SELECT name FROM sqlite_master WHERE type = 'table'
			AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version' ORDER BY name`)
		if err != nil {
			return nil, err
		}
		tables := make([]table, len(names))
		for i, name := range names {
			if tables[i], err = describe(ctx, t, name); err != nil {
				return nil, err
			}
		}
		return inOrder(tables)
	})
}

func describe(ctx context.Context, t *sqlTx, name string) (table, error) {
	tab := table{name: name}
	var err error
	tab.columns, err = all(ctx, t, func(r row) (c tableColumn, err error) {
		err = r.Scan(&c.name, &c.kind, &c.key)
		return c, err
	}, `SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid`, name)
	if err != nil {
		return tab, err
	}
	if len(tab.key()) == 0 {
		return tab, fmt.Errorf("table %s has no primary key", name)
	}
	tab.refers, err = all(ctx, t, column[string], `SELECT "table" FROM pragma_foreign_key_list($1)`, name)
	return tab, err
}

// inOrder puts each table behind those that it refers to.
func inOrder(tables []table) (ordered []table, err error) {
	waits := func(tab table) bool {
		return slices.ContainsFunc(tables, func(other table) bool {
			return other.name != tab.name && slices.Contains(tab.refers, other.name)
		})
	}
	for len(tables) > 0 {
		i := slices.IndexFunc(tables, func(tab table) bool { return !waits(tab) })
		if i < 0 {
			return nil, fmt.Errorf("table %s refers to itself by way of others", tables[0].name)
		}
		ordered = append(ordered, tables[i])
		tables = slices.Delete(tables, i, i+1)
	}
	return ordered, nil
}

// key returns the columns of the primary key, in their order.
func (tab table) key() []tableColumn {
	var key []tableColumn
	for _, c := range tab.columns {
		if c.key > 0 {
			key = append(key, c)
		}
	}
	slices.SortFunc(key, func(a, b tableColumn) int { return cmp.Compare(a.key, b.key) })
	return key
}

// keyOf returns the key of a row.
func (tab table) keyOf(row []any) []any {
	var values []any
	for _, c := range tab.key() {
		values = append(values, row[slices.Index(tab.columns, c)])
	}
	return values
}

// scan reads a row. Drivers differ in what they make of a column; its kind decides.
func (tab table) scan(r row) ([]any, error) {
	dest := make([]any, len(tab.columns))
	for i, c := range tab.columns {
		switch c.kind {
		case "TEXT":
			dest[i] = new(sql.Null[string])
		case "BIGINT", "INTEGER":
			dest[i] = new(sql.Null[int64])
		case "BOOLEAN":
			dest[i] = new(sql.Null[bool])
		case "BYTEA":
			dest[i] = new(sql.Null[[]byte])
		default:
			return nil, fmt.Errorf("column %s.%s has the unknown type %q", tab.name, c.name, c.kind)
		}
	}
	if err := r.Scan(dest...); err != nil {
		return nil, err
	}
	for i, d := range dest {
		dest[i] = nullable(d)
	}
	return dest, nil
}

// nullable returns what was scanned, nil for NULL.
func nullable(scanned any) any {
	switch v := scanned.(type) {
	case *sql.Null[string]:
		return valueOf(v)
	case *sql.Null[int64]:
		return valueOf(v)
	case *sql.Null[bool]:
		return valueOf(v)
	case *sql.Null[[]byte]:
		return valueOf(v)
	default:
		return nil
	}
}

func valueOf[T any](v *sql.Null[T]) any {
	if !v.Valid {
		return nil
	}
	return v.V
}
