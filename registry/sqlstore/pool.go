package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"mqttwarden/registry"
)

// pool is a set of connections with the statements that are prepared on them.
type pool struct {
	db       *sql.DB
	dialect  dialect
	timeout  time.Duration        // of one statement, and of waiting for a connection; 0: none
	prepared map[string]*sql.Stmt // by their text; not altered after prepare
	failures atomic.Uint64        // transactions that ended because the database can't be used
	retries  atomic.Uint64        // transactions that were run once more
}

// prepare prepares queries on all connections, for as long as the pool is open.
// Others are prepared once in each transaction that runs them.
func (p *pool) prepare(ctx context.Context, queries ...string) error {
	p.prepared = make(map[string]*sql.Stmt)
	if p.dialect.caches {
		return nil
	}
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
	return p.live(ctx, func() error {
		return p.run(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}, read)
	})
}

// look runs read without a transaction. It must run one statement only: two would
// not see the same.
func (p *pool) look(ctx context.Context, read func(*sqlTx) error) error {
	return p.live(ctx, func() error {
		t := &sqlTx{ctx: ctx, pool: p, prepared: make(map[string]*sql.Stmt)}
		defer t.close()
		if err := read(t); err != nil {
			return err
		}
		return t.failed
	})
}

// live runs what may be run again, until it has a connection that is not lost. After a
// failover all are that were open, and each goes as it is found out.
func (p *pool) live(ctx context.Context, do func() error) error {
	for lost := 0; ; lost++ {
		err := do()
		if err == nil || ctx.Err() != nil || !p.dialect.lost(err) || lost >= p.db.Stats().MaxOpenConnections {
			return err
		}
	}
}

// attempts is how often a transaction is run while others are in its way.
const attempts = 10

// run runs work in one transaction and commits it, unless work or one of its
// statements fails: then it is rolled back, as also when ctx ends or work panics.
// Another transaction that was in the way is no failure: work is run once more.
func (p *pool) run(ctx context.Context, opts *sql.TxOptions, work func(*sqlTx) error) error {
	for attempt := 1; ; attempt++ {
		err := p.try(ctx, opts, work)
		switch {
		case err != nil && p.dialect.again(err) && attempt < attempts && ctx.Err() == nil:
			p.retries.Add(1)
			pause(ctx, attempt)
			continue
		case errors.Is(err, registry.Unavailable):
			p.failures.Add(1)
		}
		return err
	}
}

// pause waits a little, longer after each attempt and never as long as another one
// that failed at the same time.
func pause(ctx context.Context, attempt int) {
	most := time.Millisecond << attempt
	t := time.NewTimer(rand.N(most)) // #nosec G404 -- nobody gains by guessing it
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (p *pool) try(ctx context.Context, opts *sql.TxOptions, work func(*sqlTx) error) error {
	bounded, limit := p.limit(ctx)
	defer limit.end()
	var tx *sql.Tx
	err := p.live(bounded, func() (err error) {
		tx, err = p.db.BeginTx(bounded, opts)
		return err
	})
	if limit.pause(); err != nil {
		return wrap(ctx, err)
	}
	defer func() {
		limit.start()
		_ = tx.Rollback() // does nothing after the commit
	}()
	t := &sqlTx{ctx: ctx, tx: tx, pool: p, prepared: make(map[string]*sql.Stmt)}
	if err := work(t); err != nil {
		return err
	}
	if t.failed != nil {
		return t.failed
	}
	limit.start()
	return wrap(ctx, tx.Commit())
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
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled): // our own limit: the caller's is not reached
		err = fmt.Errorf("no answer in time: %v", err) //nolint:errorlint // callers must not take it for the end of their context
		fallthrough
	default:
		return &registry.Error{Code: registry.Unavailable, Detail: "the store can't be used", Err: fmt.Errorf("sqlstore: %w", err)}
	}
}
