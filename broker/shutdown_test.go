package broker_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Silent peers hold Shutdown up no longer than others (V2), nor do those that
// connect at that moment (V15).
func TestV02ShutdownDoesNotWaitForSilentPeers(t *testing.T) {
	b := start(t, new(open), nil)
	for range 100 {
		dial(t, b, 5)
	}
	eventually(t, "they are accepted", func() bool { return b.Stats().Connections == 100 })
	within(t, 3*time.Second, func() {
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestV15ShutdownWhileClientsConnect(t *testing.T) {
	for range 10 {
		b := start(t, new(open), nil)
		addr := b.Addr("mqtt").String()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for ctx.Err() == nil {
					conn, err := net.Dial("tcp", addr)
					if err != nil {
						return
					}
					_, _ = conn.Write(encode(5, connectAs(fmt.Sprint("c", i%8))))
					_ = conn.SetReadDeadline(time.Now().Add(patience))
					_, _ = conn.Read(make([]byte, 64))
					_ = conn.Close()
				}
			})
		}
		eventually(t, "they connect", func() bool { return b.Stats().Connections > 8 })
		within(t, 5*time.Second, func() {
			if err := b.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
		cancel()
		wg.Wait()
	}
}

// within ends the test if f takes longer than it may.
func within(tb testing.TB, limit time.Duration, f func()) {
	tb.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > limit {
		tb.Errorf("it took %v, want at most %v", took, limit)
	}
}
