package rediscache

import (
	"testing"
	"time"
)

// BenchmarkByNameHit is a look-up that Redis answers: two round trips, opening
// and reading the record.
func BenchmarkByNameHit(b *testing.B) {
	r := newRig(b)
	a := r.change(alice())
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.RecordByName(ctx, a.User.Username); err != nil {
			b.Fatal(err)
		}
	}
	if s := r.Stats(); s.Hits < uint64(b.N) {
		b.Fatalf("%+v: want hits only", s)
	}
}

// BenchmarkOpen is the part of BenchmarkByNameHit that is not waiting for Redis.
func BenchmarkOpen(b *testing.B) {
	r := newRig(b)
	a := r.change(alice())
	key := r.keys.user(a.User.ID)
	value := []byte(r.dump()[key])
	b.ReportAllocs()
	b.ReportMetric(float64(len(value)), "bytes")
	for b.Loop() {
		s, _, content, _ := r.opened(key, value)
		if _, why := r.believed(a.User.ID, s, content); why != "" {
			b.Fatal(why)
		}
	}
}

// BenchmarkRoundTrip is the floor under BenchmarkByNameHit: one command that does nothing.
func BenchmarkRoundTrip(b *testing.B) {
	r := newRig(b)
	ctx := b.Context()
	for b.Loop() {
		if err := r.client.GetRange(ctx, "nothing", 0, 1).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkByNameRedisDown is what a Redis that is passed by costs.
func BenchmarkByNameRedisDown(b *testing.B) {
	r := newRig(b, func(c *Config) { c.MaxPause = time.Hour })
	a := r.change(alice())
	r.redis.Stop()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.RecordByName(ctx, a.User.Username); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite is what the writer does for one change.
func BenchmarkWrite(b *testing.B) {
	r := newRig(b)
	a := r.change(alice())
	b.ReportAllocs()
	for b.Loop() {
		a.User.Version++
		r.Put(a)
		r.settle()
	}
}
