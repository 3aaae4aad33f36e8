package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// scenario is a piece of work, or several alike.
type scenario struct {
	name string
	run  func(context.Context, *bench) ([]row, error)
}

// scenarios are all there are, in the order of the table.
func scenarios() []scenario {
	return []scenario{
		{"qos0", publishQoS0},
		{"qos1", publishQoS1},
		{"fanout", fanOut},
		{"permissions", manyPermissions},
		{"denied", deniedPublishes},
		{"reconnect", reconnects},
		{"first", firstConnects},
		{"idle", idleConnections},
		{"change", changedRights},
		{"create", createUsers},
	}
}

// named is what may be selected.
type named interface{ title() string }

func (s scenario) title() string { return s.name }

func names[T named](all []T) string {
	titles := make([]string, len(all))
	for i, s := range all {
		titles[i] = s.title()
	}
	return strings.Join(titles, ", ")
}

// selectFrom returns those of all that a comma-separated list names, all if it is
// empty.
func selectFrom[T named](all []T, only string) ([]T, error) {
	if only == "" {
		return all, nil
	}
	var selected []T
	for name := range strings.SplitSeq(only, ",") {
		before := len(selected)
		for _, s := range all {
			if s.title() == strings.TrimSpace(name) {
				selected = append(selected, s)
			}
		}
		if len(selected) == before {
			return nil, fmt.Errorf("only: %q: must be of %s", name, names(all))
		}
	}
	return selected, nil
}

// The users of the broker; bare mochi takes them for anybody.
const (
	fewPermissions = 20
	allPermissions = 1000
	knownUsers     = 20
	workers        = 4
)

// bench holds the two brokers and what was set up in ours.
type bench struct {
	options
	dir     string
	program string
	bare    *process
	ours    *process
	api     *api
	few     credentials // a user with fewPermissions
	many    credentials // a user with allPermissions
	ids     atomic.Int64
}

// newBench starts both brokers and makes users in ours, as an operator would.
func newBench(ctx context.Context, o options, dir string) (_ *bench, err error) {
	b := &bench{
		options: o, dir: dir, program: o.program,
		few:  credentials{"bench-few", "bench-Device-1#"},
		many: credentials{"bench-many", "bench-Device-2#"},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop())
		}
	}()
	if b.program == "" {
		if b.program, err = build(ctx, dir); err != nil {
			return nil, err
		}
	}
	if b.bare, err = startBare(ctx); err != nil {
		return nil, err
	}
	if b.ours, err = startOurs(ctx, b.program, filepath.Join(dir, "data"), nil); err != nil {
		return nil, err
	}
	if b.api, err = signIn(ctx, b.ours.where["http"]); err != nil {
		return nil, err
	}
	for _, u := range []struct {
		who credentials
		n   int
	}{{b.few, fewPermissions}, {b.many, allPermissions}} {
		if err := addUser(ctx, b.api, u.who, u.n); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// addUser makes a user with a role of its own that gives n permissions.
func addUser(ctx context.Context, a *api, who credentials, n int) error {
	permissions := make([]permission, 0, n)
	for i := range n {
		permissions = append(permissions, both(fmt.Sprintf("plant/line%d/+/data/#", i)))
	}
	role, err := a.createRole(ctx, who.username, permissions...)
	if err != nil {
		return err
	}
	_, err = a.createUser(ctx, who, role)
	return err
}

// topic returns a topic that the i-th permission of a user with n permissions
// covers.
func topic(i, n int) string { return fmt.Sprintf("plant/line%d/cell7/data/temperature", i%n) }

// forbidden is a topic that nobody has a permission for.
const forbidden = "plant/line3/cell7/config/temperature"

// stop ends both brokers.
func (b *bench) stop() error {
	var errs []error
	if b.api != nil {
		b.api.close()
	}
	for _, p := range []*process{b.bare, b.ours} {
		if p != nil {
			errs = append(errs, p.stop())
		}
	}
	return errors.Join(errs...)
}

// clientID returns one that was not used before.
func (b *bench) clientID() string { return fmt.Sprintf("bench-%06d", b.ids.Add(1)) }

// dial connects a new client to a broker.
func (b *bench) dial(ctx context.Context, to *process, version byte, who credentials) (*client, error) {
	return dial(ctx, to.where["mqtt"], version, b.clientID(), who)
}

// lane is work that a broker is given in its turns. Each function is one piece
// of it and returns how many operations that was; several run at once.
type lane struct {
	on    *process
	parts []func() (int, error)
}

// takeTurns lets every lane run in each of the rounds, after one to warm up. A
// round goes round several times, so that a disturbance hits all lanes alike. It
// returns the CPU time of the lane's broker for one operation, in microseconds,
// lane by lane and round by round.
func (b *bench) takeTurns(ctx context.Context, lanes ...lane) ([][]float64, error) {
	const laps = 7
	cost := make([][]float64, len(lanes))
	for round := -1; round < b.rounds; round++ {
		spent, done := make([]time.Duration, len(lanes)), make([]int, len(lanes))
		for range laps {
			for i, l := range lanes {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				d, n, err := l.turn(b.slot / laps)
				if err != nil {
					return nil, err
				}
				spent[i], done[i] = spent[i]+d, done[i]+n
			}
		}
		for i := range lanes {
			if round >= 0 {
				cost[i] = append(cost[i], spent[i].Seconds()*1e6/float64(done[i]))
			}
		}
	}
	return cost, nil
}

// turn runs the lane for about d.
func (l lane) turn(d time.Duration) (spent time.Duration, operations int, err error) {
	before, err := l.on.cpu()
	if err != nil {
		return 0, 0, err
	}
	var n atomic.Int64
	var g errgroup.Group
	end := time.Now().Add(d)
	for _, part := range l.parts {
		g.Go(func() error {
			for time.Now().Before(end) {
				done, err := part()
				if err != nil {
					return err
				}
				n.Add(int64(done))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, 0, fmt.Errorf("%w\n%s", err, l.on.said())
	}
	after, err := l.on.cpu()
	return after - before, int(n.Load()), err
}
