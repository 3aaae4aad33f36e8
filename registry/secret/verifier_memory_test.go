package secret

import (
	"context"
	"testing"
	"time"
)

func TestVerifiersDoNotShareAKey(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	a, b := NewVerifier(pool, VerifierConfig{}), NewVerifier(pool, VerifierConfig{})
	if sum(a.mac, "x") == sum(b.mac, "x") {
		t.Error("the same MAC in two processes")
	}
	if a.nobody == b.nobody {
		t.Error("the same hash of nobody in two processes")
	}
}

func BenchmarkCheckHit(b *testing.B) {
	pool := NewPool(PoolConfig{Params: cheap})
	v := NewVerifier(pool, VerifierConfig{})
	encoded := mustHash(b, pool, "correct horse battery")
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := v.Check(b.Context(), "gateway-0042", encoded, "correct horse battery"); !ok {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckHitParallel(b *testing.B) {
	pool := NewPool(PoolConfig{Params: cheap})
	v := NewVerifier(pool, VerifierConfig{})
	encoded := mustHash(b, pool, "correct horse battery")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if ok, err := v.Check(context.Background(), "gateway-0042", encoded, "correct horse battery"); !ok {
				b.Error(err)
			}
		}
	})
}

// What one process knew to be right costs the next one no hash, and no longer than it
// would have done.
func TestVerifierRecallsWhatAnotherRemembered(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	clock := time.Now()
	cfg := VerifierConfig{TTL: time.Hour, Now: func() time.Time { return clock }}
	encoded := mustHash(t, pool, "right")
	before := NewVerifier(pool, cfg)
	check := func(v *Verifier, password string, want bool, hashes uint64) {
		t.Helper()
		done := pool.Stats().Done
		if ok, err := v.Check(t.Context(), "alice", encoded, password); ok != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", password, ok, err, want)
		}
		if got := pool.Stats().Done - done; got != hashes {
			t.Errorf("%s: got %d hashes, want %d", password, got, hashes)
		}
	}
	check(before, "right", true, 1)
	check(before, "wrong", false, 1)
	written := before.Remembered()

	clock = clock.Add(40 * time.Minute)
	after := NewVerifier(pool, cfg)
	if err := after.Recall(written); err != nil {
		t.Fatal(err)
	}
	check(after, "right", true, 0)
	check(after, "wrong", false, 1)
	clock = clock.Add(21 * time.Minute)
	check(after, "right", true, 1) // its hour is over

	late := NewVerifier(pool, cfg)
	if err := late.Recall(written); err != nil {
		t.Fatal(err)
	}
	check(late, "right", true, 1)
	for _, damaged := range [][]byte{nil, {2}, written[:len(written)-1], append([]byte{9}, written[1:]...)} {
		if err := NewVerifier(pool, cfg).Recall(damaged); err == nil {
			t.Errorf("%d bytes that are damaged are taken", len(damaged))
		}
	}
}
