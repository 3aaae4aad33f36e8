package rediscache

import (
	"fmt"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// aliceWith returns alice with n grants.
func aliceWith(n int) registry.Record {
	a := alice()
	for i := range n - len(a.Grants) {
		a.Grants = append(a.Grants, acl.Grant{
			Context: acl.MQTT, Operation: acl.Read, Resource: fmt.Sprintf("site%d/gw/+/temp/#", i),
			Permission: fmt.Sprintf("0193a5d2-7c1e-7e7e-8e11-%012d", i), Role: "0193a5d2-7c1e-7e7e-8e11-5f6a7b8c9d0e",
		})
	}
	return a
}

// BenchmarkByNameHit is a look-up that Redis answers: two round trips, opening
// and reading the record.
func BenchmarkByNameHit(b *testing.B) {
	for _, n := range []int{20, 1000} {
		b.Run(fmt.Sprintf("grants=%d", n), func(b *testing.B) {
			r := newRig(b)
			a := r.change(aliceWith(n))
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
		})
	}
}

// BenchmarkOpen is the part of BenchmarkByNameHit that is not waiting for Redis.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{20, 1000} {
		b.Run(fmt.Sprintf("grants=%d", n), func(b *testing.B) {
			r := newRig(b)
			a := r.change(aliceWith(n))
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
		})
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
	a := r.change(aliceWith(20))
	b.ReportAllocs()
	for b.Loop() {
		a.User.Version++
		r.Put(a)
		r.settle()
	}
}
