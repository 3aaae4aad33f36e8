//go:build !race

package secret

import "testing"

// Under the race detector a sync.Pool drops what it is given at random, so this
// can be counted without it only.
func TestAHitDoesNotAllocate(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	v := NewVerifier(pool, VerifierConfig{})
	encoded, ctx := mustHash(t, pool, "pw"), t.Context()
	for _, password := range []string{"pw", "bad"} {
		if n := testing.AllocsPerRun(1000, func() { _, _ = v.Check(ctx, "alice", encoded, password) }); n != 0 {
			t.Errorf("Check(%q) allocates %v times a call, want 0", password, n)
		}
	}
}
