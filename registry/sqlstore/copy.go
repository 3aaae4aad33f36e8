package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Copied is what one table holds, the same in both stores.
type Copied struct {
	Table  string
	Rows   int
	Digest string // SHA-256 of all rows in the order of their keys
}

// Copy copies all that a store holds into one that is empty, in one transaction, and
// compares the two row by row before it commits. What is sealed stays sealed with the
// same key. One of the two is an SQLite file. Nobody else may use either store.
//
// The copy has the identity of the original, in the next epoch: what caches hold of the
// original counts for the original only, should that go on by itself.
func Copy(ctx context.Context, from, to *Store) (copied []Copied, err error) {
	catalog := from
	if from.dialect.caches {
		catalog = to
	}
	tables, err := catalog.tables(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range []*Store{from, to} {
		if err := s.alone(ctx); err != nil {
			return nil, err
		}
	}
	err = from.read.view(ctx, func(source *sqlTx) error {
		return to.write.run(ctx, to.dialect.writing, func(target *sqlTx) error {
			copied, err = copyAll(ctx, source, target, tables)
			return err
		})
	})
	return copied, err
}

// alone returns an error when others, who call themselves otherwise, are connected to
// the database as the same user.
func (s *Store) alone(ctx context.Context) error {
	if s.dialect.others == "" {
		return nil
	}
	n, err := look(ctx, s.reader, func(t *sqlTx) (int, error) { return one(ctx, t, column[int], s.dialect.others) })
	if err == nil && n > 0 {
		err = fmt.Errorf("%d other sessions of this user are open on the PostgreSQL database: stop all nodes first", n)
	}
	return err
}

func copyAll(ctx context.Context, source, target *sqlTx, tables []table) ([]Copied, error) {
	if err := target.begin(ctx); err != nil {
		return nil, err
	}
	if err := clearNew(ctx, target, tables); err != nil {
		return nil, err
	}
	for _, tab := range tables {
		if err := tab.fill(ctx, target, source); err != nil {
			return nil, fmt.Errorf("copy %s: %w", tab.name, err)
		}
	}
	var copied []Copied
	for _, tab := range tables {
		same, err := tab.compare(ctx, source, target)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", tab.name, err)
		}
		copied = append(copied, same)
	}
	_, err := target.exec(ctx, `UPDATE store SET epoch = epoch + 1`)
	return copied, err
}

// identityTable has one row in a store that is otherwise empty.
const identityTable = "store"

// clearNew takes the identity from a new store, and refuses one that holds anything
// else.
func clearNew(ctx context.Context, target *sqlTx, tables []table) error {
	for _, tab := range tables {
		if tab.name == identityTable {
			continue
		}
		n, err := one(ctx, target, column[int], `SELECT COUNT(*) FROM `+quoted(tab.name))
		if err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("the target is not empty: there are %d rows in %s", n, tab.name)
		}
	}
	_, err := target.exec(ctx, `DELETE FROM `+identityTable)
	return err
}

// fill copies all rows.
func (tab table) fill(ctx context.Context, target, source *sqlTx) error {
	head := `INSERT INTO ` + quoted(tab.name) + ` (` + tab.list(tab.columns) + `) VALUES`
	return tab.pages(ctx, source, func(rows [][]any) error {
		return insert(ctx, target, head, rows, func(r []any) []any { return r })
	})
}

// compare reads all rows of both, and returns an error that names the first that
// differ.
func (tab table) compare(ctx context.Context, source, target *sqlTx) (Copied, error) {
	digest, n := sha256.New(), 0
	var after []any
	for {
		want, err := tab.page(ctx, source, after)
		if err != nil {
			return Copied{}, err
		}
		got, err := tab.page(ctx, target, after)
		if err != nil {
			return Copied{}, err
		}
		if len(got) != len(want) {
			return Copied{}, fmt.Errorf("past row %d there are %d rows, want %d", n, len(got), len(want))
		}
		for i := range want {
			w, g := encoded(want[i]), encoded(got[i])
			if !slices.Equal(w, g) {
				return Copied{}, fmt.Errorf("row %d differs from the original", n+i+1)
			}
			digest.Write(w)
		}
		if n += len(want); len(want) < pageRows {
			return Copied{tab.name, n, hex.EncodeToString(digest.Sum(nil))}, nil
		}
		after = tab.keyOf(want[len(want)-1])
	}
}

// pageRows is how many rows are read at once.
const pageRows = 512

// pages hands all rows to each, a page at a time.
func (tab table) pages(ctx context.Context, t *sqlTx, each func([][]any) error) error {
	var after []any
	for {
		rows, err := tab.page(ctx, t, after)
		if err != nil {
			return err
		}
		if err := each(rows); err != nil {
			return err
		}
		if len(rows) < pageRows {
			return nil
		}
		after = tab.keyOf(rows[len(rows)-1])
	}
}

// page returns the rows past a key, in the order of their keys.
func (tab table) page(ctx context.Context, t *sqlTx, after []any) ([][]any, error) {
	query := `SELECT ` + tab.list(tab.columns) + ` FROM ` + quoted(tab.name)
	if after != nil {
		query += ` WHERE (` + tab.list(tab.key()) + `) > ` + list(1, len(after))
	}
	query += ` ORDER BY ` + tab.list(tab.key()) + fmt.Sprintf(" LIMIT %d", pageRows)
	return all(ctx, t, tab.scan, query, after...)
}

func (tab table) list(columns []tableColumn) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = quoted(c.name)
	}
	return strings.Join(names, ", ")
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// encoded returns bytes that are the same for the same values only.
func encoded(values []any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case string:
			b = fmt.Appendf(b, "s%d:%s", len(v), v)
		case []byte:
			b = fmt.Appendf(b, "b%d:%s", len(v), v)
		default:
			b = fmt.Appendf(b, "v%v;", v)
		}
	}
	return b
}
