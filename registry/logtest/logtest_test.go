package logtest_test

import (
	"sync"
	"testing"
	"time"

	"mqttwarden/registry/logtest"
)

func TestEveryLineIsThere(t *testing.T) {
	log, buf := logtest.New()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				log.Debug("a line", "key", "value")
				_ = buf.String()
			}
		})
	}
	all.Wait()
	if got := buf.Count("level=DEBUG msg=\"a line\" key=value\n"); got != 800 {
		t.Errorf("%d lines, want 800", got)
	}
}

func TestAwait(t *testing.T) {
	const patience = 10 * time.Second
	log, buf := logtest.New()
	go func() {
		log.Info("one")
		log.Info("two")
	}()
	if !buf.Await("msg=two", nil, patience) {
		t.Error("a line that comes is not seen")
	}
	if !buf.Await("msg=one", nil, 0) {
		t.Error("a line that is there is not seen")
	}
	if buf.Await("msg=three", nil, time.Millisecond) {
		t.Error("a line is seen that does not come")
	}
	done := make(chan struct{})
	close(done)
	if buf.Await("msg=three", done, patience) {
		t.Error("a line is seen that does not come any more")
	}
}
