package sqlstore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// page selects rows in the order of their names.
type page struct {
	table, columns, order string
	conds                 []string
	args                  []any
	names                 []string // only these; nil: all
	offset, limit         int      // limit 0: all
}

// where adds the condition that column is value.
func (p *page) where(column string, value any) {
	p.args = append(p.args, value)
	p.conds = append(p.conds, fmt.Sprintf("%s = $%d", column, len(p.args)))
}

// is adds the condition that a flag is set, or is not. Written so, and not as a
// comparison, SQLite does not expect it to select few rows and sort those, but
// reads them in the order of their names.
func (p *page) is(flag string, set bool) {
	if !set {
		flag = "NOT " + flag
	}
	p.conds = append(p.conds, flag)
}

// text returns the statement that selects what under the page's conditions.
func (p *page) text(what string, conds ...string) string {
	conds = slices.Concat(p.conds, conds)
	s := "SELECT " + what + " FROM " + p.table
	if len(conds) > 0 {
		s += " WHERE " + strings.Join(conds, " AND ")
	}
	return s
}

// find returns the page and the number of all rows that match.
func find[T any](ctx context.Context, t *sqlTx, p page, scan func(row) (T, error)) ([]T, int, error) {
	if p.limit <= 0 {
		p.limit = math.MaxInt
	}
	p.offset = max(p.offset, 0)
	if p.names != nil {
		return findNamed(ctx, t, p, scan)
	}
	total, err := one(ctx, t, column[int], p.text("COUNT(*)"), p.args...)
	if err != nil {
		return nil, 0, err
	}
	n := len(p.args)
	found, err := all(ctx, t, scan,
		p.text(p.columns)+fmt.Sprintf(" ORDER BY %s LIMIT $%d OFFSET $%d", p.order, n+1, n+2),
		slices.Concat(p.args, []any{p.limit, p.offset})...)
	return found, total, err
}

// findNamed reads all that have one of the names, batch by batch, and cuts the
// page out of them: there are at most as many as names were asked for.
func findNamed[T any](ctx context.Context, t *sqlTx, p page, scan func(row) (T, error)) ([]T, int, error) {
	names := slices.Compact(slices.Sorted(slices.Values(p.names)))
	var matching []T
	for batch := range batches(names) {
		found, err := all(ctx, t, scan,
			p.text(p.columns, p.order+" IN "+list(len(p.args)+1, len(batch)))+" ORDER BY "+p.order,
			slices.Concat(p.args, anys(batch))...)
		if err != nil {
			return nil, 0, err
		}
		matching = append(matching, found...)
	}
	total := len(matching)
	from := min(p.offset, total)
	return matching[from : from+min(p.limit, total-from)], total, nil
}
