package main

import (
	"context"
	"fmt"
	"time"
)

// createUsers measures how many users without a password single calls of the API
// create, over connections that stay open.
func createUsers(ctx context.Context, b *bench) ([]row, error) {
	l := lane{on: b.ours}
	for w := range workers {
		n := 0
		l.parts = append(l.parts, func() (int, error) {
			n++
			_, err := b.api.createUser(ctx, credentials{username: fmt.Sprintf("bench-made-%d-%d", w, n)})
			return 1, err
		})
	}
	var rate, cost []float64
	for range b.rounds {
		began := time.Now()
		spent, n, err := l.turn(2 * b.slot)
		if err != nil {
			return nil, err
		}
		rate = append(rate, float64(n)/time.Since(began).Seconds())
		cost = append(cost, spent.Seconds()*1e6/float64(n))
	}
	return []row{{
		work: "users created, one API call each, no password",
		ours: micros(cost), found: spreadOf(rate), unit: "/s", least: 500,
	}}, nil
}
