package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"mqttwarden/registry"
)

// pool is a set of connections with the statements that are prepared on them.
type pool struct {
	db       *sql.DB
	prepared map[string]*sql.Stmt // by their text; not altered after prepare
	failures atomic.Uint64        // transactions that ended because the database can't be used
}

// prepare prepares queries on all connections, for as long as the pool is open.
// Others are prepared once in each transaction that runs them.
func (p *pool) prepare(ctx context.Context, queries ...string) error {
	p.prepared = make(map[string]*sql.Stmt)
	for _, query := range queries {
		s, err := p.db.PrepareContext(ctx, query) //nolint:sqlclosecheck // closed with the pool
		if err != nil {
			return fmt.Errorf("prepare %q: %w", query, err)
		}
		p.prepared[query] = s
	}
	return nil
}

func (p *pool) close() error {
	var errs []error
	for _, s := range p.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, p.db.Close())...)
}

// view runs read in one snapshot.
func (p *pool) view(ctx context.Context, read func(*sqlTx) error) error {
	return p.run(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}, read)
}

// look runs read without a transaction. It must run one statement only: two would
// not see the same.
func (p *pool) look(ctx context.Context, read func(*sqlTx) error) error {
	t := &sqlTx{ctx: ctx, pool: p}
	defer t.close()
	if err := read(t); err != nil {
		return err
	}
	return t.failed
}

// run runs work in one transaction and commits it, unless work or one of its
// statements fails: then it is rolled back, as also when ctx ends or work panics.
func (p *pool) run(ctx context.Context, opts *sql.TxOptions, work func(*sqlTx) error) error {
	err := p.try(ctx, opts, work)
	if errors.Is(err, registry.Unavailable) {
		p.failures.Add(1)
	}
	return err
}

func (p *pool) try(ctx context.Context, opts *sql.TxOptions, work func(*sqlTx) error) error {
	tx, err := p.db.BeginTx(ctx, opts)
	if err != nil {
		return wrap(ctx, err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	t := &sqlTx{ctx: ctx, tx: tx, pool: p, prepared: make(map[string]*sql.Stmt)}
	if err := work(t); err != nil {
		return err
	}
	if t.failed != nil {
		return t.failed
	}
	return wrap(ctx, tx.Commit())
}

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

func (t *sqlTx) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if t.failed != nil {
		return nil, t.failed
	}
	if s := t.prepared[query]; s != nil {
		return s, nil
	}
	if t.tx == nil {
		return t.single(ctx, query)
	}
	var s *sql.Stmt
	var err error
	if known := t.pool.prepared[query]; known != nil {
		s = t.tx.StmtContext(ctx, known)
	} else if s, err = t.tx.PrepareContext(ctx, query); err != nil {
		return nil, t.fail(ctx, err)
	}
	t.prepared[query] = s // closed with the transaction
	return s, nil
}

// single returns a statement that runs without a transaction.
func (t *sqlTx) single(ctx context.Context, query string) (*sql.Stmt, error) {
	if known := t.pool.prepared[query]; known != nil {
		return known, nil
	}
	s, err := t.pool.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, t.fail(ctx, err)
	}
	t.prepared = map[string]*sql.Stmt{query: s}
	return s, nil
}

// close closes the statements of a look; those of a transaction go with it.
func (t *sqlTx) close() {
	for _, s := range t.prepared {
		_ = s.Close()
	}
}

// wrap makes Unavailable of a failure of the database. When ctx ended it says that
// instead: the driver may call it an interrupt or a closed transaction.
func wrap(ctx context.Context, err error) error {
	switch ended := ctx.Err(); {
	case err == nil:
		return nil
	case ended != nil && !errors.Is(err, ended):
		return fmt.Errorf("sqlstore: %w: %w", ended, err)
	case ended != nil:
		return fmt.Errorf("sqlstore: %w", err)
	default:
		return &registry.Error{Code: registry.Unavailable, Detail: "the store can't be used", Err: fmt.Errorf("sqlstore: %w", err)}
	}
}
