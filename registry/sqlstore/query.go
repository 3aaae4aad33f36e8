package sqlstore

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mqttwarden/registry"
)

// errNoRow is what one returns when there is none.
var errNoRow = errors.New("no row")

// row is what a scan function reads.
type row interface{ Scan(dest ...any) error }

// exec runs a statement and returns how many rows it changed.
func (t *sqlTx) exec(ctx context.Context, query string, args ...any) (int, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	args, storable, err := values(args)
	if err != nil {
		return 0, t.fail(ctx, err)
	}
	if !storable {
		t.failed = registry.Errorf(registry.Invalid, "", "a text holds NUL, or what is no UTF-8")
		return 0, t.failed
	}
	within, done := t.pool.within(ctx)
	defer done()
	res, err := t.run(within, query, args)
	if err != nil {
		return 0, t.fail(ctx, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, t.fail(ctx, err)
	}
	return int(n), nil
}

// each hands every row that the query finds to read.
func (t *sqlTx) each(ctx context.Context, read func(row) error, query string, args ...any) error {
	if t.failed != nil {
		return t.failed
	}
	args, storable, err := values(args)
	if err != nil {
		return t.fail(ctx, err)
	}
	if !storable { // and so not stored
		return nil
	}
	within, done := t.pool.within(ctx)
	defer done()
	rows, err := t.query(within, query, args)
	if err != nil {
		return t.fail(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return t.fail(ctx, err)
		}
	}
	if err := rows.Err(); err != nil {
		return t.fail(ctx, err)
	}
	return nil
}

// values returns the arguments of a statement as drivers take them, and whether every
// database can hold the texts among them: PostgreSQL takes UTF-8 without NUL only.
func values(args []any) (converted []any, storable bool, err error) {
	converted, storable = make([]any, len(args)), true
	for i, arg := range args {
		if converted[i], err = driver.DefaultParameterConverter.ConvertValue(arg); err != nil {
			return nil, false, err
		}
		if s, ok := converted[i].(string); ok && (strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)) {
			storable = false
		}
	}
	return converted, storable, nil
}

// all returns what the query finds.
func all[T any](ctx context.Context, t *sqlTx, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	var found []T
	err := t.each(ctx, func(r row) error {
		v, err := scan(r)
		found = append(found, v)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// one returns the row that the query finds, or errNoRow.
func one[T any](ctx context.Context, t *sqlTx, scan func(row) (T, error), query string, args ...any) (v T, err error) {
	found, err := all(ctx, t, scan, query, args...)
	if err != nil {
		return v, err
	}
	if len(found) == 0 {
		return v, errNoRow
	}
	return found[0], nil
}

// column scans a row of one column.
func column[T any](r row) (v T, err error) {
	err = r.Scan(&v)
	return v, err
}

// insert adds rows; head is the statement up to its values.
func insert[T any](ctx context.Context, t *sqlTx, head string, rows []T, args func(T) []any) error {
	for batch := range batches(rows) {
		var values []any
		for _, r := range batch {
			values = append(values, args(r)...)
		}
		if _, err := t.exec(ctx, head+" "+tuples(len(batch), len(values)/len(batch)), values...); err != nil {
			return err
		}
	}
	return nil
}

// batches cuts s into pieces of few different sizes, so that statements over
// them have few different texts and are prepared once.
func batches[T any](s []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for _, n := range []int{64, 8, 1} {
			for len(s) >= n {
				if !yield(s[:n]) {
					return
				}
				s = s[n:]
			}
		}
	}
}

// tuples returns n times a list of width placeholders: ($1, $2), ($3, $4).
func tuples(n, width int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(list(i*width+1, width))
	}
	return b.String()
}

// list returns n placeholders from the number first on: ($3, $4).
func list(first, n int) string {
	var b strings.Builder
	sep := "("
	for i := range n {
		fmt.Fprintf(&b, "%s$%d", sep, first+i)
		sep = ", "
	}
	b.WriteByte(')')
	return b.String()
}

// anys makes arguments of a list of values.
func anys[T any](s []T) []any {
	args := make([]any, len(s))
	for i, v := range s {
		args[i] = v
	}
	return args
}

// index returns pointers to the elements of s by their keys, and the keys as
// arguments.
func index[T any, K comparable](s []T, key func(*T) K) (map[K]*T, []any) {
	byKey, keys := make(map[K]*T, len(s)), make([]any, len(s))
	for i := range s {
		k := key(&s[i])
		byKey[k], keys[i] = &s[i], k
	}
	return byKey, keys
}

// asJSON keeps a value, or reads it through a pointer, as JSON in a TEXT column.
type asJSON struct{ v any }

// Value implements driver.Valuer.
func (j asJSON) Value() (driver.Value, error) {
	b, err := json.Marshal(j.v)
	return string(b), err
}

// Scan implements sql.Scanner.
func (j asJSON) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("JSON in a %T", src)
	}
	return json.Unmarshal([]byte(s), j.v)
}

// micros returns a time as it is stored: microseconds since 1970, NULL for the
// zero time, which stands for none.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// textTime reads a time of a list, which is empty where there is none.
func textTime(t *time.Time, s string) error {
	if s == "" {
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fmt.Errorf("time in a record: %w", err)
	}
	return asTime{t}.Scan(n)
}

// asTime reads what micros stored, in UTC.
type asTime struct{ t *time.Time }

// Scan implements sql.Scanner.
func (a asTime) Scan(src any) error {
	switch n := src.(type) {
	case nil:
		*a.t = time.Time{}
	case int64:
		*a.t = time.UnixMicro(n).UTC()
	default:
		return fmt.Errorf("time in a %T", src)
	}
	return nil
}
