package sqlstore

import (
	"context"
	"time"
)

// limit ends a context when something takes too long, while it is on. A transaction has
// one context for all that it does, and may itself take as long as it will.
type limit struct {
	timeout time.Duration
	timer   *time.Timer // nil without a limit
	cancel  context.CancelFunc
}

// limit returns a context that ends when the pool's timeout passes before the limit is
// paused.
func (p *pool) limit(ctx context.Context) (context.Context, *limit) {
	if p.timeout == 0 {
		return ctx, &limit{cancel: func() {}}
	}
	ctx, cancel := context.WithCancel(ctx)
	return ctx, &limit{timeout: p.timeout, timer: time.AfterFunc(p.timeout, cancel), cancel: cancel}
}

func (l *limit) pause() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *limit) start() {
	if l.timer != nil {
		l.timer.Reset(l.timeout)
	}
}

func (l *limit) end() {
	l.pause()
	l.cancel()
}

// within returns a context for one statement.
func (p *pool) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, p.timeout)
}
