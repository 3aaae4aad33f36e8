package servers

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/registrytest"
)

// BenchmarkCreateUser is what a creation costs that many ask for at once, of two nodes.
func BenchmarkCreateUser(b *testing.B) {
	for _, writers := range []int{1, 2, 16} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			url := bootstrapped(b)
			nodes := []*registrytest.Rig{nodeOn(b, url), nodeOn(b, url)}
			var next atomic.Int64
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := next.Add(1); int(i) <= b.N; i = next.Add(1) {
						_, _, err := nodes[w%2].Service.CreateUser(context.Background(), nodes[0].Admin,
							registry.UserSpec{Username: fmt.Sprint("user-", i), Provider: registry.ProviderLocal})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "users/s")
		})
	}
}

// BenchmarkRecord is what a first connect asks of the store.
func BenchmarkRecord(b *testing.B) {
	n := nodeOn(b, bootstrapped(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Store.RecordByName(b.Context(), registry.AdminUsername); err != nil {
			b.Fatal(err)
		}
	}
}
