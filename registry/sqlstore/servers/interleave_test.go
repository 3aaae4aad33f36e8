package servers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
	"mqttwarden/registry/sqlstore"
	"mqttwarden/registry/sqlstore/pgtest"
)

// bootstrapped returns the URL of a database whose store has had its first start.
func bootstrapped(tb testing.TB) string {
	tb.Helper()
	return pgtest.Database(tb, "bootstrapped", func(url string) error {
		n, err := node.Open(tb.Context(), node.Config{
			Postgres: &sqlstore.Postgres{URL: url}, Keys: registrytest.KeyRing(tb), Now: time.Now, Hash: registrytest.Cheap,
			Log: slog.New(slog.DiscardHandler), Policy: registry.DefaultPasswordPolicy(),
		})
		if err != nil {
			return err
		}
		_, err = n.Service.Bootstrap(tb.Context(), registrytest.AdminPassword)
		return errors.Join(err, n.Close())
	})
}

// nodeOn returns a node whose register is in a database.
func nodeOn(tb testing.TB, url string, options ...registrytest.Option) *registrytest.Rig {
	tb.Helper()
	return registrytest.New(tb, append(options, func(cfg *node.Config) { cfg.Postgres = &sqlstore.Postgres{URL: url} })...)
}

// act is what one of two nodes does: it returns the number of its change.
type act func(ctx context.Context, r *registrytest.Rig) (uint64, error)

// outcome is what came of an act.
type outcome struct {
	number uint64
	err    error
}

// duel is two acts of which a rule has something to say.
type duel struct {
	a, b act
	rule func(a, b outcome) error
}

// second is how the connections of the second node call themselves.
const second = "second"

// interleave has two nodes do two things at once: for each statement of the one, the
// other begins when that statement is about to run, and goes on until it is done or has
// to wait; then the one goes on. scene is called for each time and sets the stage anew.
func interleave(t *testing.T, scene func(t *testing.T, r *registrytest.Rig, i int) duel, options ...registrytest.Option) {
	t.Helper()
	url := bootstrapped(t)
	gate := pgtest.NewGate(t, url)
	one, two := nodeOn(t, gate.URL, options...), nodeOn(t, url+"&application_name="+second, options...)
	watch := pgtest.Open(t, url)
	stands := func() bool { // whether the second node waits for a lock
		return len(pgtest.Column(t, watch, `SELECT pid::text FROM pg_stat_activity WHERE datname = current_database()
			AND application_name = $1 AND wait_event_type = 'Lock'`, second)) > 0
	}
	times := 0
	for _, swapped := range []bool{false, true} {
		for n, ended := 1, false; !ended; n++ {
			times++
			d := scene(t, two, times)
			first, other := d.a, d.b
			if swapped {
				first, other = d.b, d.a
			}
			held := gate.HoldAt(n)
			x := start(t.Context(), one, first)
			var y <-chan outcome
			select {
			case <-held:
				y = start(t.Context(), two, other)
				waitFor(t, y, stands)
				gate.Open()
			case got := <-x:
				ended = true
				gate.Open()
				x = given(got)
				y = start(t.Context(), two, other)
			}
			a, b := <-x, <-y
			if swapped {
				a, b = b, a
			}
			if err := d.rule(a, b); err != nil {
				t.Errorf("swapped %t, held at statement %d: %v\n\tone: %d, %v\n\tother: %d, %v", swapped, n, err, a.number, a.err, b.number, b.err)
			}
		}
	}
	if times < 10 {
		t.Errorf("they met in %d places only: the gate holds nothing", times)
	}
}

func start(ctx context.Context, r *registrytest.Rig, do act) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		n, err := do(ctx, r)
		done <- outcome{n, err}
	}()
	return done
}

// given returns a channel that has what is there already.
func given(o outcome) <-chan outcome {
	c := make(chan outcome, 1)
	c <- o
	return c
}

// waitFor returns when an act is done, or stands still. What it takes out of the
// channel it puts back.
func waitFor(t *testing.T, done <-chan outcome, stands func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(30 * time.Second); len(done) == 0 && !stands(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the second node neither ends nor waits for a lock")
		}
	}
}

// onlyOne says that of two acts one comes to be, and the other is refused so.
func onlyOne(codes ...registry.Code) func(a, b outcome) error {
	return func(a, b outcome) error {
		for _, pair := range [][2]outcome{{a, b}, {b, a}} {
			if pair[0].err != nil {
				continue
			}
			for _, code := range codes {
				if errors.Is(pair[1].err, code) {
					return nil
				}
			}
		}
		return fmt.Errorf("want one to succeed and the other to be refused as one of %q", codes)
	}
}

// judgedBefore says that a, which b makes forbidden, is refused unless it came before.
func judgedBefore(a, b outcome) error {
	switch {
	case b.err != nil:
		return errors.New("want the other to succeed")
	case a.err == nil && a.number < b.number, errors.Is(a.err, registry.Forbidden):
		return nil
	default:
		return errors.New("want the one to be refused, or to come before the other")
	}
}
