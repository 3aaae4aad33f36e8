package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// What honest clients may notice of hostile ones.
const (
	mostMQTT   = 20  // milliseconds, at the 99th percentile
	mostHTTP   = 100 // likewise
	mostChange = 50  // likewise
	mostGrowth = 100 // MiB of resident memory, during one load
)

// hostile is our program with its default limits, one honest client of each kind, and
// those who attack.
type hostile struct {
	ours    *process
	api     *api
	honest  credentials
	mallory credentials // may do anything below x
	heavy   credentials // has large roles
	changed credentials // whose rights change
	id      string      // of that user
	attack  time.Duration
}

// load is what hostile clients do until their context ends. What they are told is of
// no interest.
type load struct {
	name string
	run  func(ctx context.Context, h *hostile)
}

func (l load) title() string { return l.name }

// measureHostile runs the hostile loads, one after the other.
func measureHostile(ctx context.Context, o options, selected []load, progress io.Writer) (_ []row, err error) {
	dir, err := os.MkdirTemp("", "mqttwarden-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(progress, "build and start")
	h, err := newHostile(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		h.api.close()
		err = errors.Join(err, h.ours.stop())
	}()
	var rows []row
	for _, l := range append([]load{{"nobody", func(context.Context, *hostile) {}}}, selected...) {
		found, err := h.under(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", l.name, err, h.ours.said())
		}
		rows = append(rows, found...)
		fmt.Fprintln(progress, l.name)
	}
	return rows, nil
}

func newHostile(ctx context.Context, o options, dir string) (*hostile, error) {
	h := &hostile{honest: credentials{"honest", "bench-Device-1#"}, mallory: credentials{"mallory", "bench-Device-2#"}, changed: credentials{"changed", "bench-Device-4#"}, heavy: credentials{"heavy", "bench-Device-3#"}, attack: o.attack}
	program := o.program
	var err error
	if program == "" {
		if program, err = build(ctx, dir); err != nil {
			return nil, err
		}
	}
	h.ours, err = launch(ctx, []string{"mqtt", "http"}, nil, program, "serve", "--data-dir", filepath.Join(dir, "data"),
		"--mqtt-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-password", adminPassword)
	if err != nil {
		return nil, err
	}
	if err := h.setUp(ctx); err != nil {
		return nil, errors.Join(err, h.ours.stop())
	}
	return h, nil
}

func (h *hostile) setUp(ctx context.Context) error {
	var err error
	if h.api, err = signIn(ctx, h.ours.where["http"]); err != nil {
		return err
	}
	for _, u := range []struct {
		who    credentials
		filter string
	}{{h.honest, "honest/#"}, {h.mallory, "x/#"}, {h.changed, "changed/#"}} {
		role, err := h.api.createRole(ctx, u.who.username, both(u.filter))
		if err != nil {
			return err
		}
		if h.id, err = h.api.createUser(ctx, u.who, role); err != nil {
			return err
		}
	}
	return h.makeHeavy(ctx)
}

// under returns what the honest clients notice of a load.
func (h *hostile) under(ctx context.Context, l load) ([]row, error) {
	before, err := h.ours.resident()
	if err != nil {
		return nil, err
	}
	if before, err = h.settle(ctx, before); err != nil {
		return nil, err
	}
	attacking, stop := context.WithTimeout(ctx, h.attack)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { l.run(attacking, h) })
	mqtt, web, changes := newNotes(), newNotes(), newNotes()
	all.Go(func() { mqtt.take(attacking, h.roundTrips) })
	all.Go(func() { mqtt.take(attacking, h.comeAgain) })
	all.Go(func() { web.take(attacking, h.requests) })
	all.Go(func() { changes.take(attacking, h.changes) })
	peak := before
	for attacking.Err() == nil {
		now, err := h.ours.resident()
		if err != nil {
			return nil, err
		}
		peak = max(peak, now)
		pause(attacking, 20*time.Millisecond)
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	const mib = 1 << 20
	growth := float64(peak-before) / mib
	return []row{
		mqtt.row(l.name+": MQTT p99", mostMQTT), web.row(l.name+": HTTP p99", mostHTTP),
		changes.row(l.name+": change enforced p99", mostChange),
		{
			work: l.name + ": growth of memory", ours: fmt.Sprintf("%d MiB", peak/mib), unit: "MiB", most: mostGrowth,
			found: spread{median: growth, low: growth, high: growth},
		},
	}, nil
}

// settle waits until the program has dealt with what an earlier load has left, but not
// for ever, and returns its resident memory then.
func (h *hostile) settle(ctx context.Context, resident int) (int, error) {
	const look, quiet, patience = 200 * time.Millisecond, 20 * time.Millisecond, 10 * time.Second
	for begun := time.Now(); time.Since(begun) < patience && ctx.Err() == nil; {
		before, err := h.ours.cpu()
		if err != nil {
			return resident, err
		}
		pause(ctx, look)
		after, err := h.ours.cpu()
		if err != nil {
			return resident, err
		}
		if after-before < quiet {
			break
		}
	}
	return h.ours.resident()
}

// pause waits, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// notes are what honest clients have noticed.
type notes struct {
	mu     sync.Mutex
	took   []float64 // milliseconds
	failed int
	why    error // of the last that failed
}

func newNotes() *notes { return new(notes) }

// note adds one piece of work, unless it failed because the time was over.
func (n *notes) note(ctx context.Context, took time.Duration, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case err == nil:
		n.took = append(n.took, took.Seconds()*1e3)
	case ctx.Err() == nil:
		n.failed++
		n.why = err
	}
}

// take lets an honest client work until ctx ends, anew whenever it fails.
func (n *notes) take(ctx context.Context, work func(context.Context, *notes) error) {
	for ctx.Err() == nil {
		if err := work(ctx, n); err != nil {
			n.note(ctx, 0, err)
			pause(ctx, 50*time.Millisecond)
		}
	}
}

func (n *notes) row(name string, most float64) row {
	r := row{work: name, unit: "ms", most: most}
	if len(n.took) == 0 {
		r.failed = fmt.Sprintf("nothing was served: %v", n.why)
		return r
	}
	sorted := slices.Sorted(slices.Values(n.took))
	p99 := quantile(sorted, 0.99)
	r.found = spread{median: p99, low: p99, high: p99}
	r.ours = fmt.Sprintf("%d, median %s", len(sorted), figure(quantile(sorted, 0.5), "ms"))
	if n.failed > 0 {
		r.failed = fmt.Sprintf("%d of %d failed: %v", n.failed, n.failed+len(sorted), n.why)
	}
	return r
}

// roundTrips publishes to itself, every few milliseconds.
func (h *hostile) roundTrips(ctx context.Context, n *notes) error {
	c, err := dial(ctx, h.ours.where["mqtt"], 5, "honest-1", h.honest)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if err := c.subscribe("honest/t", 0); err != nil {
		return err
	}
	for ctx.Err() == nil {
		began := time.Now()
		if err := c.patient(); err != nil {
			return err
		}
		c.out = appendPublish(c.out[:0], 5, "honest/t", 0, 0, []byte("21.5"))
		if err := c.flush(); err != nil {
			return err
		}
		if err := c.receive(1); err != nil {
			return err
		}
		n.note(ctx, time.Since(began), nil)
		pause(ctx, 5*time.Millisecond)
	}
	return nil
}

// comeAgain connects again and again, as a device that sleeps in between does.
func (h *hostile) comeAgain(ctx context.Context, n *notes) error {
	began := time.Now()
	c, err := dial(ctx, h.ours.where["mqtt"], 4, "honest-2", h.honest)
	if err != nil {
		return err
	}
	n.note(ctx, time.Since(began), nil)
	err = c.close()
	pause(ctx, 100*time.Millisecond)
	return err
}

// requests asks the API for something small, every few milliseconds.
func (h *hostile) requests(ctx context.Context, n *notes) error {
	began := time.Now()
	err := h.api.call(ctx, http.MethodGet, "/api/session", nil, nil)
	if err == nil {
		n.note(ctx, time.Since(began), nil)
	}
	pause(ctx, 10*time.Millisecond)
	return err
}

// changes alters a user with a session, and waits until that is enforced.
func (h *hostile) changes(ctx context.Context, n *notes) error {
	c, err := dial(ctx, h.ours.where["mqtt"], 4, "changed-1", h.changed)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		change := map[string]any{"clientIds": []string{"changed-1", fmt.Sprint("another-", i)}}
		if err := h.api.call(ctx, http.MethodPut, "/api/users/"+h.id, change, nil, "wait=5"); err != nil {
			return err
		}
		n.note(ctx, time.Since(began), nil)
		pause(ctx, 10*time.Millisecond)
	}
	return nil
}
