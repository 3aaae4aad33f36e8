package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"mqttwarden/registry/secret"
)

// visit connects and disconnects.
func (b *bench) visit(ctx context.Context, on *process, who credentials) error {
	c, err := b.dial(ctx, on, mqtt311, who)
	if err != nil {
		return err
	}
	return c.close()
}

// reconnects compares clients that come back. Ours has verified their passwords
// with the strong hash before, in the slot to warm up.
func reconnects(ctx context.Context, b *bench) ([]row, error) {
	users := make([]credentials, 0, knownUsers)
	for i := range knownUsers {
		who := credentials{fmt.Sprintf("bench-known-%d", i), fmt.Sprintf("bench-Device-%d#", i)}
		if _, err := b.api.createUser(ctx, who); err != nil {
			return nil, err
		}
		if err := b.visit(ctx, b.ours, who); err != nil {
			return nil, err
		}
		users = append(users, who)
	}
	var lanes []lane
	for _, on := range []*process{b.bare, b.ours} {
		l := lane{on: on}
		for w := range workers {
			next := w
			l.parts = append(l.parts, func() (int, error) {
				next++
				return 1, b.visit(ctx, on, users[next%len(users)])
			})
		}
		lanes = append(lanes, l)
	}
	cost, err := b.takeTurns(ctx, lanes...)
	if err != nil {
		return nil, err
	}
	return []row{times("reconnect of a known client", cost, 1.15)}, nil
}

// weak are the least parameters that the hash takes. What a first connect costs
// besides the hash is lost in the spread of a strong one.
func weak() secret.Params { return secret.Params{Memory: 8, Time: 1, Threads: 1} }

// firstConnects compares clients whose password ours has not seen since it was
// started: it is hashed. The first row has users that ours has read into memory by
// itself, as it does after the start, and the second one users for whom there was no
// room: they are read from the store.
func firstConnects(ctx context.Context, b *bench) ([]row, error) {
	one, err := hashCost(ctx, weak(), 300)
	if err != nil {
		return nil, err
	}
	strong, err := hashCost(ctx, secret.DefaultParams(), 7)
	if err != nil {
		return nil, err
	}
	dir, users, err := b.strangers(ctx)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, variant := range []struct {
		work     string
		most     float64
		settings []string
	}{
		{fmt.Sprintf("first connect, less its hash (%.0f ms)", strong/1000), 60, nil},
		{"the same, of a user who must be read from the store", 0, []string{"--cache-users", "0"}},
	} {
		cost, err := b.newcomers(ctx, dir, users, variant.settings)
		if err != nil {
			return nil, err
		}
		less := minus(cost[1], one)
		rows = append(rows, row{
			work: variant.work, bare: micros(cost[0]), ours: micros(less),
			found: spreadOf(pairwise(cost[0], less, difference)), unit: "µs more", most: variant.most,
		})
	}
	return rows, nil
}

// newcomers returns what the first connects of users cost bare mochi and ours, in
// microseconds.
func (b *bench) newcomers(ctx context.Context, dir string, users []credentials, settings []string) (cost [2][]float64, err error) {
	ours, err := startOurs(ctx, b.program, dir, nil, append(b.weakHash(), settings...)...)
	if err != nil {
		return cost, err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	for round := range b.rounds + 1 { // the first one to warm up
		for i, on := range []*process{b.bare, ours} {
			spent, err := b.come(ctx, on, users[round*b.newcome:][:b.newcome])
			if err != nil {
				return cost, fmt.Errorf("%w\n%s", err, on.said())
			}
			if round > 0 {
				cost[i] = append(cost[i], spent.Seconds()*1e6/float64(b.newcome))
			}
		}
	}
	return cost, nil
}

func (b *bench) weakHash() []string {
	p := weak()
	return []string{"--hash-memory", fmt.Sprint(p.Memory), "--hash-time", fmt.Sprint(p.Time), "--hash-threads", fmt.Sprint(p.Threads)}
}

// stranger returns a user who comes once.
func stranger(i int) credentials {
	return credentials{fmt.Sprintf("bench-stranger-%d", i), "bench-Device-9#"}
}

// strangers makes a store with new users for every round, and stops the server
// that did it.
func (b *bench) strangers(ctx context.Context) (dir string, users []credentials, err error) {
	dir = filepath.Join(b.dir, "strangers")
	p, err := startOurs(ctx, b.program, dir, nil, b.weakHash()...)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	a, err := signIn(ctx, p.where["http"])
	if err != nil {
		return "", nil, err
	}
	defer a.close()
	role, err := a.createRole(ctx, "strangers", both("plant/#"))
	if err != nil {
		return "", nil, err
	}
	users = make([]credentials, (b.rounds+1)*b.newcome)
	var g errgroup.Group
	g.SetLimit(workers)
	for i := range users {
		users[i] = stranger(i)
		g.Go(func() error {
			_, err := a.createUser(ctx, users[i], role)
			return err
		})
	}
	return dir, users, g.Wait()
}

// come lets each of users connect once and returns the CPU time of the broker.
func (b *bench) come(ctx context.Context, on *process, users []credentials) (time.Duration, error) {
	before, err := on.cpu()
	if err != nil {
		return 0, err
	}
	var g errgroup.Group
	g.SetLimit(workers)
	for _, who := range users {
		g.Go(func() error { return b.visit(ctx, on, who) })
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	after, err := on.cpu()
	return after - before, err
}

// hashCost returns the CPU time of verifying a password, in microseconds.
func hashCost(ctx context.Context, p secret.Params, times int) (float64, error) {
	pool := secret.NewPool(secret.PoolConfig{Params: p})
	who := stranger(0)
	hash, err := pool.Hash(ctx, who.password)
	if err != nil {
		return 0, err
	}
	before, err := cpuOf("self")
	if err != nil {
		return 0, err
	}
	for range times {
		if ok, err := pool.Verify(ctx, hash, who.password); !ok {
			return 0, errors.Join(err, errors.New("the hash does not verify"))
		}
	}
	after, err := cpuOf("self")
	return (after - before).Seconds() * 1e6 / float64(times), err
}
