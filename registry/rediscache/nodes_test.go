package rediscache_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/node"
	"mqttwarden/registry/rediscache"
	"mqttwarden/registry/rediscache/redistest"
	"mqttwarden/registry/secret"
)

// newNode starts a node of a store that others have open too, which never looks for
// changes unasked.
func newNode(t *testing.T, file string, srv *redistest.Server) *node.Node {
	t.Helper()
	keys, err := secret.NewKeyRing(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), node.Config{
		Database: file, Keys: keys, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Redis: rediscache.Connection{URL: srv.URL}, Poll: time.Hour,
		Hash: secret.Params{Memory: 8, Time: 1, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Start(ctx); err != nil {
		t.Fatal(err)
	}
	running.Go(func() { n.Follower.Run(ctx) })
	for late := time.Now().Add(20 * time.Second); !n.Cache.Bus().Stats().Connected; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the bus does not connect")
		}
	}
	return n
}

func TestOneNodeEnforcesWithinMillisecondsWhatAnotherCommits(t *testing.T) {
	srv := redistest.Start(t)
	file := filepath.Join(t.TempDir(), "register.db")
	a := newNode(t, file, srv)
	if _, err := a.Service.Bootstrap(t.Context(), "a password of many words"); err != nil {
		t.Fatal(err)
	}
	b := newNode(t, file, srv)
	var took []time.Duration
	for i := range 50 {
		committed := time.Now()
		n, err := a.Editor.Do(t.Context(), registry.System("test"), func(_ context.Context, e *registry.Edit) error {
			e.TouchKind(registry.WindowChange, fmt.Sprint(i))
			committed = time.Now()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := b.Follower.WaitEnforced(ctx, n); err != nil {
			t.Fatalf("change %d: %v", n, err)
		}
		cancel()
		took = append(took, time.Since(committed))
	}
	slices.Sort(took)
	t.Logf("from before the commit on one node until the other enforces it: half within %v, all within %v", took[25], took[49])
	if half := took[25]; half > time.Second {
		t.Errorf("half of the changes took more than %v: nobody tells of them", half)
	}
}
