package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// What the messages are like.
const (
	pairs     = 4  // publishers, each with a subscriber of its own
	window    = 64 // messages under way between the two
	fanWidth  = 200
	fanWindow = 4
	mqtt311   = 4
	mqtt5     = 5
)

// payload is 64 bytes, the size of a reading with its time.
func payload() []byte { return bytes.Repeat([]byte("reading "), 8) }

// burst returns as many messages as the window holds, in one piece.
func burst(version byte, topic string, qos byte, n int) []byte {
	var b []byte
	for id := uint16(1); int(id) <= n; id++ {
		b = appendPublish(b, version, topic, qos, id, payload())
	}
	return b
}

// crew are the clients of a lane; they leave together.
type crew struct{ clients []*client }

// hire connects a client.
func (c *crew) hire(ctx context.Context, b *bench, on *process, version byte, who credentials) (*client, error) {
	cl, err := b.dial(ctx, on, version, who)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, on.said())
	}
	c.clients = append(c.clients, cl)
	return cl, nil
}

// dismiss disconnects all.
func (c *crew) dismiss() error {
	var errs []error
	for _, cl := range c.clients {
		errs = append(errs, cl.close())
	}
	return errors.Join(errs...)
}

// oneToOne returns a lane of publishers with one subscriber each, in a closed
// loop: the next burst leaves when all of the last one has arrived. The user has
// n permissions.
func (c *crew) oneToOne(ctx context.Context, b *bench, on *process, who credentials, n int, qos byte) (lane, error) {
	l := lane{on: on}
	for i := range pairs {
		subject := topic(i*n/pairs, n)
		pub, err := c.hire(ctx, b, on, mqtt311, who)
		if err != nil {
			return l, err
		}
		sub, err := c.hire(ctx, b, on, mqtt311, who)
		if err != nil {
			return l, err
		}
		if err := sub.subscribe(subject, qos); err != nil {
			return l, err
		}
		messages := burst(mqtt311, subject, qos, window)
		l.parts = append(l.parts, func() (int, error) {
			if err := errors.Join(pub.patient(), sub.patient()); err != nil {
				return 0, err
			}
			if _, err := pub.conn.Write(messages); err != nil {
				return 0, err
			}
			if err := sub.receive(window); err != nil {
				return 0, fmt.Errorf("subscriber: %w", err)
			}
			if qos == 0 {
				return window, nil
			}
			return window, pub.acknowledged(window, true)
		})
	}
	return l, nil
}

func publishQoS0(ctx context.Context, b *bench) ([]row, error) {
	return b.publish(ctx, "QoS 0 publish, 1:1", 0, 1.15)
}

func publishQoS1(ctx context.Context, b *bench) ([]row, error) {
	return b.publish(ctx, "QoS 1 publish, 1:1", 1, 0)
}

// publish compares both brokers at messages from one client to one.
func (b *bench) publish(ctx context.Context, work string, qos byte, most float64) (_ []row, err error) {
	var all crew
	defer func() { err = errors.Join(err, all.dismiss()) }()
	bare, err := all.oneToOne(ctx, b, b.bare, b.few, fewPermissions, qos)
	if err != nil {
		return nil, err
	}
	ours, err := all.oneToOne(ctx, b, b.ours, b.few, fewPermissions, qos)
	if err != nil {
		return nil, err
	}
	cost, err := b.takeTurns(ctx, bare, ours)
	if err != nil {
		return nil, err
	}
	return []row{times(work, cost, most)}, nil
}

// times returns the row of what costs ours so many times what it costs bare.
func times(work string, cost [][]float64, most float64) row {
	return row{
		work: work, bare: micros(cost[0]), ours: micros(cost[1]),
		found: spreadOf(pairwise(cost[0], cost[1], ratio)), unit: "×", most: most,
	}
}

// fanOut compares deliveries of one message to many.
func fanOut(ctx context.Context, b *bench) (_ []row, err error) {
	var all crew
	defer func() { err = errors.Join(err, all.dismiss()) }()
	var lanes []lane
	for _, on := range []*process{b.bare, b.ours} {
		l, err := all.oneToMany(ctx, b, on)
		if err != nil {
			return nil, err
		}
		lanes = append(lanes, l)
	}
	cost, err := b.takeTurns(ctx, lanes...)
	if err != nil {
		return nil, err
	}
	return []row{times(fmt.Sprintf("fan-out 1:%d, QoS 0, one delivery", fanWidth), cost, 1.10)}, nil
}

func (c *crew) oneToMany(ctx context.Context, b *bench, on *process) (lane, error) {
	l := lane{on: on}
	subject := topic(1, fewPermissions)
	pub, err := c.hire(ctx, b, on, mqtt311, b.few)
	if err != nil {
		return l, err
	}
	var subs []*client
	for range fanWidth {
		sub, err := c.hire(ctx, b, on, mqtt311, b.few)
		if err != nil {
			return l, err
		}
		if err := sub.subscribe(subject, 0); err != nil {
			return l, err
		}
		subs = append(subs, sub)
	}
	messages := burst(mqtt311, subject, 0, fanWindow)
	l.parts = append(l.parts, func() (int, error) {
		if err := pub.patient(); err != nil {
			return 0, err
		}
		if _, err := pub.conn.Write(messages); err != nil {
			return 0, err
		}
		for _, sub := range subs {
			if err := sub.patient(); err != nil {
				return 0, err
			}
			if err := sub.receive(fanWindow); err != nil {
				return 0, fmt.Errorf("subscriber: %w", err)
			}
		}
		return fanWidth * fanWindow, nil
	})
	return l, nil
}

// manyPermissions compares two users of ours.
func manyPermissions(ctx context.Context, b *bench) (_ []row, err error) {
	var all crew
	defer func() { err = errors.Join(err, all.dismiss()) }()
	few, err := all.oneToOne(ctx, b, b.ours, b.few, fewPermissions, 0)
	if err != nil {
		return nil, err
	}
	many, err := all.oneToOne(ctx, b, b.ours, b.many, allPermissions, 0)
	if err != nil {
		return nil, err
	}
	cost, err := b.takeTurns(ctx, few, many)
	if err != nil {
		return nil, err
	}
	return []row{{
		work: fmt.Sprintf("QoS 0 publish, %d permissions against %d", allPermissions, fewPermissions),
		ours: micros(cost[0]) + ", " + micros(cost[1]), found: spreadOf(pairwise(cost[0], cost[1], ratio)), unit: "×", most: 1.15,
	}}, nil
}

// deniedPublishes compares a publish that ours denies with the same one in bare
// mochi, which allows it and finds no subscriber.
func deniedPublishes(ctx context.Context, b *bench) ([]row, error) {
	var rows []row
	for _, kind := range []struct {
		work    string
		version byte
		qos     byte
	}{
		{"denied publish, QoS 0", mqtt5, 0},
		{"denied publish, QoS 1", mqtt5, 1},
		{"denied publish, QoS 0, MQTT 3.1.1", mqtt311, 0},
	} {
		logged := b.ours.logged()
		r, err := b.denied(ctx, kind.work, kind.version, kind.qos)
		if err != nil {
			return nil, err
		}
		if n := b.ours.logged() - logged; n > 10 {
			r.failed = fmt.Sprintf("%d log lines", n)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func (b *bench) denied(ctx context.Context, work string, version, qos byte) (_ row, err error) {
	var all crew
	defer func() { err = errors.Join(err, all.dismiss()) }()
	var lanes []lane
	for _, on := range []*process{b.bare, b.ours} {
		l, err := all.toNobody(ctx, b, on, version, qos)
		if err != nil {
			return row{}, err
		}
		lanes = append(lanes, l)
	}
	cost, err := b.takeTurns(ctx, lanes...)
	if err != nil {
		return row{}, err
	}
	return row{
		work: work, bare: micros(cost[0]), ours: micros(cost[1]),
		found: spreadOf(pairwise(cost[0], cost[1], difference)), unit: "µs more", most: 2,
	}, nil
}

// toNobody returns a lane of publishers of what ours denies. QoS 0 is not
// answered, so a ping tells when a burst has been dealt with.
func (c *crew) toNobody(ctx context.Context, b *bench, on *process, version, qos byte) (lane, error) {
	l := lane{on: on}
	for range pairs {
		pub, err := c.hire(ctx, b, on, version, b.few)
		if err != nil {
			return l, err
		}
		messages := burst(version, forbidden, qos, window)
		if qos == 0 {
			messages = appendPingreq(messages)
		}
		l.parts = append(l.parts, func() (int, error) {
			if err := pub.patient(); err != nil {
				return 0, err
			}
			if _, err := pub.conn.Write(messages); err != nil {
				return 0, err
			}
			if qos == 0 {
				_, err := pub.expect(typePingresp)
				return window, err
			}
			return window, pub.acknowledged(window, on == b.bare)
		})
	}
	return l, nil
}
