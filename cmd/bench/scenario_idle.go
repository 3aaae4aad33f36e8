package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// idleConnections compares the live heap of clients that are connected and do
// nothing. Both brokers are started anew, with a trace of their garbage
// collections.
func idleConnections(ctx context.Context, b *bench) (_ []row, err error) {
	bare, err := startBare(ctx, tracing)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	ours, err := startOurs(ctx, b.program, filepath.Join(b.dir, "idle"), []string{tracing})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	a, err := signIn(ctx, ours.where["http"])
	if err != nil {
		return nil, err
	}
	defer a.close()
	if err := addUser(ctx, a, b.few, fewPermissions); err != nil {
		return nil, err
	}

	var text [2]string
	var heap float64
	for i, on := range []*process{bare, ours} {
		var resident float64
		if heap, resident, err = b.weigh(ctx, on); err != nil {
			return nil, err
		}
		text[i] = fmt.Sprintf("%s (RSS %s)", figure(heap, "KiB"), number(resident))
	}
	return []row{{
		work: fmt.Sprintf("idle connection, live heap (of %d)", b.idle), bare: text[0], ours: text[1],
		found: spread{heap, heap, heap}, unit: "KiB", most: 12,
	}}, nil
}

// weigh returns what an idle connection adds to the live heap and to the resident
// memory, in KiB.
func (b *bench) weigh(ctx context.Context, on *process) (heap, resident float64, err error) {
	var all crew
	defer func() { err = errors.Join(err, all.dismiss()) }()
	poker, err := all.hire(ctx, b, on, mqtt5, b.few)
	if err != nil {
		return 0, 0, err
	}
	heapBefore, err := settledHeap(on, poker)
	if err != nil {
		return 0, 0, err
	}
	rssBefore, err := on.resident()
	if err != nil {
		return 0, 0, err
	}
	for range b.idle {
		if _, err := all.hire(ctx, b, on, mqtt311, b.few); err != nil {
			return 0, 0, err
		}
	}
	rssAfter, err := on.resident()
	if err != nil {
		return 0, 0, err
	}
	heapAfter, err := settledHeap(on, poker)
	if err != nil {
		return 0, 0, err
	}
	each := func(after, before int) float64 { return float64(after-before) / 1024 / float64(b.idle) }
	return each(heapAfter, heapBefore), each(rssAfter, rssBefore), nil
}

// settledHeap makes garbage in the broker until it has collected three times, so
// that what is live is no more than what must be, and returns it. The garbage is
// of messages that nobody has subscribed to; those that are denied make none.
func settledHeap(on *process, poker *client) (int, error) {
	messages := appendPingreq(burst(mqtt5, topic(0, fewPermissions), 0, window))
	before := len(on.collections())
	if err := poker.patient(); err != nil {
		return 0, err
	}
	for end := time.Now().Add(stall); time.Now().Before(end); {
		if heaps := on.collections(); len(heaps) >= before+3 {
			return heaps[len(heaps)-1], nil
		}
		if _, err := poker.conn.Write(messages); err != nil {
			return 0, err
		}
		if _, err := poker.expect(typePingresp); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("no garbage was collected")
}
