package program

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAQuestionIsAskedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, answer := 0, error(nil)
		s := &seldom{every: time.Second, within: 3 * time.Second, now: time.Now, question: func(context.Context) error {
			asked++
			return answer
		}}
		for range 5 {
			if err := s.ask(t.Context()); err != nil || asked != 1 {
				t.Fatalf("%v, asked %d times; want once", err, asked)
			}
		}
		answer = errors.New("disk full")
		time.Sleep(time.Second)
		if err := s.ask(t.Context()); !errors.Is(err, answer) || asked != 2 {
			t.Errorf("a second later: %v, asked %d times; want %v, twice", err, asked, answer)
		}
	})
}

// A store that hangs is told as what it is, in time and to all who ask, though it was
// well before; it is not asked again meanwhile.
func TestAStoreThatHangsIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		hung := make(chan struct{})
		s := &seldom{every: time.Second, within: 3 * time.Second, now: time.Now}
		s.question = func(context.Context) error {
			if asked.Add(1) == 2 {
				<-hung // whatever its context says
			}
			return nil
		}
		if err := s.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := s.ask(t.Context()); err == nil {
					t.Error("ready, from an answer of before")
				}
			})
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.ask(impatient); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("who waits for a second: %v after %v", err, time.Since(began))
		}
		all.Wait()
		if took := time.Since(began); took != s.within {
			t.Errorf("it took %v, want %v", took, s.within)
		}
		if err := s.ask(t.Context()); err == nil || time.Since(began) != s.within {
			t.Errorf("who comes later: %v after %v, want an error at once", err, time.Since(began))
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("asked %d times, want twice", n)
		}
		close(hung)
		synctest.Wait()
		if err := s.ask(t.Context()); err != nil || asked.Load() != 3 {
			t.Errorf("when it answers again: %v, asked %d times", err, asked.Load())
		}
	})
}

func TestStoppingGivesUpTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &seldom{every: time.Second, within: time.Minute, now: time.Now, question: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		if err := s.stop(t.Context()); err != nil {
			t.Errorf("nothing is asked: %v", err)
		}
		go func() { _ = s.ask(context.Background()) }()
		synctest.Wait()
		began := time.Now()
		if err := s.stop(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
