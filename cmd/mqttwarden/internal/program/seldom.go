package program

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// seldom asks a question that costs something at most once in a while, however often it
// is asked itself, and never twice at the same time. Anybody may ask whether we are
// ready.
type seldom struct {
	question func(context.Context) error
	every    time.Duration // how old an answer may be
	within   time.Duration // how long the answer may take
	now      func() time.Time

	mu     sync.Mutex
	asked  time.Time // when what was answered last was asked
	answer error
	asking *asking // nil: nothing is asked now
}

// asking is a question under way. It is of nobody who asked in particular.
type asking struct {
	ctx    context.Context // ends when the answer is late
	cancel context.CancelFunc
	done   chan struct{}
	answer error // once done is closed
}

// ask returns the answer. Who asks while the question is under way waits for that: an
// answer of before does not stand for one that does not come.
func (s *seldom) ask(ctx context.Context) error {
	q, answer := s.latest(ctx)
	if q == nil {
		return answer
	}
	select {
	case <-q.done:
		return q.answer
	case <-q.ctx.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-q.done: // it was answered, or gave up, in time
		return q.answer
	default:
		return fmt.Errorf("no answer within %v", s.within)
	}
}

// latest returns the question under way, which it asks if need be, or the answer that
// still stands.
func (s *seldom) latest(ctx context.Context) (*asking, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.asking == nil && (s.asked.IsZero() || now.Sub(s.asked) >= s.every || now.Before(s.asked)) {
		q := &asking{done: make(chan struct{})}
		q.ctx, q.cancel = context.WithTimeout(context.WithoutCancel(ctx), s.within)
		s.asking = q
		go s.run(q, now)
	}
	return s.asking, s.answer
}

func (s *seldom) run(q *asking, asked time.Time) {
	defer q.cancel()
	q.answer = s.question(q.ctx)
	s.mu.Lock()
	s.asked, s.answer, s.asking = asked, q.answer, nil
	s.mu.Unlock()
	close(q.done)
}

// stop gives up the question under way, if there is one, and returns when it is over.
func (s *seldom) stop(ctx context.Context) error {
	s.mu.Lock()
	q := s.asking
	s.mu.Unlock()
	if q == nil {
		return nil
	}
	q.cancel()
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
