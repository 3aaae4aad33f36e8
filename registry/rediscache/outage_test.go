package rediscache

import (
	"strings"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry/rediscache/redistest"
)

func TestRedisIsDownAtTheStart(t *testing.T) {
	srv := redistest.Start(t)
	srv.Stop()
	c := &clock{t: morning}
	r := &rig{t: t, clock: c, store: newStore(c.now), redis: srv}
	r.raw = rawClient(t, srv)
	r.join(func(c *Config) { c.URL = "redis://:hunter22@" + srv.Addr })
	a := r.store.commit(alice())
	if !r.Stats().Down {
		t.Error("not down")
	}
	if err := r.Ping(t.Context()); err == nil {
		t.Error("ping: no error")
	}
	for range 3 {
		r.expect(a, Skipped)
	}
	if got := r.log.lines("level=WARN"); len(got) != 1 {
		t.Errorf("logged %q, want one line", got)
	}
	if got := r.log.lines("hunter22"); len(got) != 0 {
		t.Errorf("the password is in the log: %q", got)
	}
}

func TestRedisDiesAndComesBack(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	r.expect(a, "")

	r.redis.Stop()
	r.expect(a, Unanswered)
	r.expect(a, Skipped)

	r.redis.Restart()
	r.clock.move(firstPause - 1)
	r.expect(a, Skipped)
	r.clock.move(1)
	r.expect(a, Skipped) // the store is asked; the writer finds that Redis is back
	r.expect(a, "")
	if err := r.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if got := r.log.lines("answers again"); len(got) != 1 {
		t.Errorf("logged %q, want one line", got)
	}
	if s := r.Stats(); s.Down || s.Dropped == 0 {
		t.Errorf("%+v: want up, and something dropped", s)
	}
}

// A Redis that hangs may slow one look-up, and then none.
func TestRedisHangs(t *testing.T) {
	const timeout = 250 * time.Millisecond
	r := newRig(t, func(c *Config) { c.Timeout = timeout })
	a := r.change(alice())
	r.expect(a, "")
	r.redis.Freeze()

	start := time.Now()
	r.expect(a, Unanswered)
	if d := time.Since(start); d < timeout || d > 10*time.Second {
		t.Errorf("the first look-up took %v, want a little more than %v", d, timeout)
	}
	for range 3 {
		r.clock.move(time.Minute) // every pause is over: the writer tries, look-ups do not
		r.expect(a, Skipped)
	}
	if err := r.Ping(t.Context()); err == nil {
		t.Error("ping: no error")
	}

	r.redis.Thaw()
	if err := r.raw.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	r.clock.move(time.Minute)
	r.expect(a, Skipped)
	r.expect(a, "")
}

func TestManyLookUpsAtOnceWhileRedisHangs(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Timeout = 250 * time.Millisecond })
	a := r.change(alice())
	r.redis.Freeze()
	var wg sync.WaitGroup
	start := time.Now()
	for range 200 {
		wg.Go(func() {
			if got, err := r.RecordByName(t.Context(), a.User.Username); err != nil || got.User.ID != a.User.ID {
				t.Errorf("got %v, %v", got.User.ID, err)
			}
		})
	}
	wg.Wait()
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("200 look-ups took %v: they wait one after the other", d)
	}
	if got := r.log.lines("level=WARN"); len(got) != 1 {
		t.Errorf("logged %q, want one line", got)
	}
}

func TestErrorsOfRedisDoNotTakeItAway(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	ctx := t.Context()
	if err := r.raw.Do(ctx, "ACL", "SETUSER", "default", "-getrange").Err(); err != nil {
		t.Fatal(err)
	}
	r.expect(a, Unanswered)
	r.expect(a, Unanswered)
	if got := r.log.lines("level=WARN"); len(got) != 1 || !strings.Contains(got[0], "NOPERM") {
		t.Errorf("logged %q, want one line that names the error", got)
	}
	if err := r.raw.Do(ctx, "ACL", "SETUSER", "default", "+getrange").Err(); err != nil {
		t.Fatal(err)
	}
	r.expect(a, "")
}

func TestBreaker(t *testing.T) {
	c := &clock{t: morning}
	b := &breaker{now: c.now, longest: 5 * time.Second}
	if !b.closed() || !b.mayTry() || b.answered() {
		t.Fatal("a new breaker is not closed")
	}
	if !b.failed() {
		t.Error("the first failure is no news")
	}
	if b.failed() {
		t.Error("a failure of the same time is news")
	}
	for _, pause := range []time.Duration{1, 2, 4, 5, 5} {
		pause *= time.Second
		c.move(pause - 1)
		if b.closed() || b.mayTry() {
			t.Errorf("a pause is over before %v", pause)
		}
		c.move(1)
		if b.closed() || !b.mayTry() {
			t.Errorf("after %v the writer may try, and look-ups may not", pause)
		}
		if b.failed() {
			t.Error("it still does not answer: no news")
		}
	}
	if !b.answered() || b.answered() || !b.closed() {
		t.Error("an answer closes the breaker, and is news once")
	}
	if !b.failed() {
		t.Error("a failure after an answer is no news")
	}
	c.move(time.Second)
	if !b.mayTry() {
		t.Error("an answer does not shorten the pauses again")
	}
}
