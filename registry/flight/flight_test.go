package flight_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"mqttwarden/registry/flight"
)

func TestWhoGivesUpTakesNoAnswerAway(t *testing.T) {
	var g flight.Group[string]
	var asked atomic.Int32
	begun, ready := make(chan struct{}), make(chan struct{})
	ask := func(context.Context) (string, error) {
		if asked.Add(1) == 1 {
			close(begun)
		}
		<-ready
		return "yes", nil
	}
	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := g.Do(impatient, "ready?", time.Minute, ask)
		left <- err
	}()
	<-begun
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up got %v", err)
	}
	answered := make(chan string)
	go func() {
		answer, err := g.Do(t.Context(), "ready?", time.Minute, ask)
		if err != nil {
			t.Error(err)
		}
		answered <- answer
	}()
	close(ready)
	if got := <-answered; got != "yes" {
		t.Errorf("got %q, want yes", got)
	}
}

func TestAnAnswerThatIsLateIsAnError(t *testing.T) {
	var g flight.Group[int]
	got, err := g.Do(t.Context(), "how many?", time.Millisecond, func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 7, ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) || got != 7 {
		t.Errorf("got %d, %v, want what the question came to", got, err)
	}
}
