package sqlstore

import (
	"context"
	"database/sql"
)

// sqlTx is one transaction. After a statement has failed it runs no other: the
// database may have rolled back already (SQLite does on a full disk or an
// interrupt), and a further write would stand, and be committed, alone.
type sqlTx struct {
	ctx      context.Context // when it ends, the transaction is rolled back
	tx       *sql.Tx         // nil for a single statement; see pool.look
	pool     *pool
	prepared map[string]*sql.Stmt
	failed   error
}

// fail notes that a statement failed, and why.
func (t *sqlTx) fail(ctx context.Context, err error) error {
	if t.ctx.Err() != nil {
		ctx = t.ctx
	}
	t.failed = wrap(ctx, err)
	return t.failed
}

// begin has this transaction be the only one that changes the register.
func (t *sqlTx) begin(ctx context.Context) error {
	if t.pool.dialect.lock == "" {
		return nil
	}
	_, err := t.exec(ctx, t.pool.dialect.lock)
	return err
}

// querier runs statements: a transaction, or all connections.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (t *sqlTx) querier() querier {
	if t.tx == nil {
		return t.pool.db
	}
	return t.tx
}

func (t *sqlTx) run(ctx context.Context, query string, args []any) (sql.Result, error) {
	if t.pool.dialect.caches {
		return t.querier().ExecContext(ctx, query, args...)
	}
	s, err := t.stmt(ctx, query) //nolint:sqlclosecheck // closed with the transaction
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (t *sqlTx) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if t.pool.dialect.caches {
		return t.querier().QueryContext(ctx, query, args...)
	}
	s, err := t.stmt(ctx, query) //nolint:sqlclosecheck // closed with the transaction
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// stmt returns the statement, prepared for as long as the transaction, or the pool, is
// open.
func (t *sqlTx) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := t.prepared[query]; s != nil {
		return s, nil
	}
	known := t.pool.prepared[query]
	var s *sql.Stmt
	var err error
	switch {
	case t.tx == nil && known != nil:
		return known, nil
	case t.tx == nil:
		s, err = t.pool.db.PrepareContext(ctx, query)
	case known != nil:
		s = t.tx.StmtContext(ctx, known)
	default:
		s, err = t.tx.PrepareContext(ctx, query)
	}
	if err != nil {
		return nil, err
	}
	t.prepared[query] = s // closed with the transaction
	return s, nil
}

// close closes the statements of a look; those of a transaction go with it.
func (t *sqlTx) close() {
	for _, s := range t.prepared {
		_ = s.Close()
	}
}
