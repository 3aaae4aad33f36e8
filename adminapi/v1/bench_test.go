package v1_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"mqttwarden/adminapi/internal/apitest"

	"mqttwarden/adminapi"
)

// BenchmarkCreateUser is one user a call, without a password, over HTTP into a
// store on disk: alone, and from eight clients at once.
func BenchmarkCreateUser(b *testing.B) {
	for _, clients := range []int{1, 8} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			benchmark(b, clients, http.StatusCreated, "POST", "/api/users", func(n uint64) string {
				return fmt.Sprintf(`{"username": "user-%d", "identityProvider": "local"}`, n)
			})
		})
	}
}

// BenchmarkSession is a read: the token, the user, its tokens and its roles.
func BenchmarkSession(b *testing.B) {
	benchmark(b, 8, http.StatusOK, "GET", "/api/session", func(uint64) string { return "" })
}

// BenchmarkOwnPermissions is the least that a request with a token costs.
func BenchmarkOwnPermissions(b *testing.B) {
	benchmark(b, 8, http.StatusOK, "GET", "/api/permissions", func(uint64) string { return "" })
}

func benchmark(b *testing.B, clients, want int, method, path string, body func(n uint64) string) {
	api := apitest.New(b)
	url := api.Serve(adminapi.Server)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	b.Cleanup(client.CloseIdleConnections)
	var n atomic.Uint64
	b.SetParallelism(max(1, clients/2)) // times the two processors that CI has
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := http.NewRequest(method, url+path, strings.NewReader(body(n.Add(1))))
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+api.Admin)
			r.Header.Set("Content-Type", "application/json")
			res, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != want {
				b.Errorf("got %d %v", res.StatusCode, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
