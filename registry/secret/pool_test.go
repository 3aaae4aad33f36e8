package secret

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

func TestPoolBoundsWhatRunsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hash := slowPool(2, 3)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if ok, err := pool.Verify(t.Context(), "$slow$pw", "pw"); !ok || err != nil {
					t.Errorf("Verify = %v, %v", ok, err)
				}
			})
		}
		synctest.Wait()
		if got, want := pool.Stats(), (Stats{Workers: 2, Running: 2, Waiting: 3}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if n := len(hash.begun); n != 2 {
			t.Errorf("%d hashes begun, want 2", n)
		}

		if _, err := pool.Verify(t.Context(), "$slow$pw", "pw"); !errors.Is(err, ErrBusy) {
			t.Errorf("Verify: %v, want ErrBusy", err)
		}
		if _, err := pool.Hash(t.Context(), "pw"); !errors.Is(err, ErrBusy) {
			t.Errorf("Hash: %v, want ErrBusy", err)
		}

		hash.end <- struct{}{}
		synctest.Wait()
		if got, want := pool.Stats(), (Stats{Workers: 2, Running: 2, Waiting: 2, Done: 1, Refused: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		close(hash.end)
		wg.Wait()
		if got, want := pool.Stats(), (Stats{Workers: 2, Done: 5, Refused: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestPoolServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hash := slowPool(1, 10)
		var wg sync.WaitGroup
		for _, pw := range []string{"first", "second", "third"} {
			wg.Go(func() { _, _ = pool.Verify(t.Context(), "$slow$", pw) })
			synctest.Wait()
		}
		close(hash.end)
		wg.Wait()
		for _, want := range []string{"first", "second", "third"} {
			if got := <-hash.begun; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

func TestPoolWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hash := slowPool(1, 1)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = pool.Verify(t.Context(), "$slow$pw", "pw") })
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if ok, err := pool.Verify(ctx, "$slow$pw", "pw"); ok || !errors.Is(err, context.Canceled) {
				t.Errorf("Verify = %v, %v, want context.Canceled", ok, err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if got, want := pool.Stats(), (Stats{Workers: 1, Running: 1}); got != want {
			t.Errorf("got %+v, want %+v: the call is still counted", got, want)
		}
		if _, err := pool.Hash(ctx, "pw"); !errors.Is(err, context.Canceled) {
			t.Errorf("Hash: %v, want context.Canceled", err)
		}
		close(hash.end)
		wg.Wait()
		if _, err := pool.Hash(ctx, "pw"); !errors.Is(err, context.Canceled) {
			t.Errorf("Hash with a free worker: %v, want context.Canceled", err)
		}
	})
}

func TestPoolWithoutQueueRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hash := slowPool(1, -1)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = pool.Verify(t.Context(), "$slow$pw", "pw") })
		synctest.Wait()
		if _, err := pool.Hash(t.Context(), "pw"); !errors.Is(err, ErrBusy) {
			t.Errorf("%v, want ErrBusy", err)
		}
		close(hash.end)
		wg.Wait()
	})
}

func TestPoolFreesItsWorkerWhenAHashPanics(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap, Workers: 1})
	pool.formats = []format{{"$bad$", func(string) (func(string) bool, error) {
		return func(string) bool { panic("bad") }, nil
	}}}
	func() {
		defer func() { _ = recover() }()
		_, _ = pool.Verify(t.Context(), "$bad$", "pw")
	}()
	if s := pool.Stats(); s.Running != 0 || s.Waiting != 0 {
		t.Errorf("got %+v, want nothing running", s)
	}
}

func TestPoolDefaults(t *testing.T) {
	pool := NewPool(PoolConfig{})
	if got, want := pool.Stats().Workers, max(1, runtime.GOMAXPROCS(0)/2); got != want {
		t.Errorf("%d workers, want %d", got, want)
	}
	if pool.params != DefaultParams() {
		t.Errorf("params %+v", pool.params)
	}
	if got, want := pool.queue.seats, 256; got != want {
		t.Errorf("%d calls of a kind may wait, want %d", got, want)
	}
}

func TestPoolRefuses(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	long := strings.Repeat("x", MaxPassword+1)
	for name, password := range map[string]string{"the empty password": "", "a long password": long} {
		if _, err := pool.Hash(t.Context(), password); !errors.Is(err, ErrPassword) {
			t.Errorf("Hash of %s: %v, want ErrPassword", name, err)
		}
		stored := argon2id{params: cheap, salt: make([]byte, saltLen)}
		stored.sum = stored.derive(password, sumLen)
		if ok, err := pool.Verify(t.Context(), stored.String(), password); ok || err != nil {
			t.Errorf("Verify of %s = %v, %v, want no", name, ok, err)
		}
	}
	longest := long[1:]
	if ok, err := pool.Verify(t.Context(), mustHash(t, pool, longest), longest); !ok || err != nil {
		t.Errorf("Verify of the longest password = %v, %v", ok, err)
	}
	for _, encoded := range []string{"", "plain", "$2b$10$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"} {
		if ok, err := pool.Verify(t.Context(), encoded, "plain"); ok || !errors.Is(err, ErrFormat) {
			t.Errorf("Verify(%q) = %v, %v, want ErrFormat", encoded, ok, err)
		}
	}
	tooMuch := NewPool(PoolConfig{Params: Params{Memory: 4 << 20, Time: 1, Threads: 1}})
	if _, err := tooMuch.Hash(t.Context(), "pw"); err == nil {
		t.Error("hashed with 4 GiB")
	}
	if n := tooMuch.Stats().Done; n != 0 {
		t.Errorf("%d hashes done", n)
	}
}

func TestOutdated(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	ours := mustHash(t, pool, "pw")
	stronger := NewPool(PoolConfig{Params: Params{Memory: 16, Time: 1, Threads: 1}})
	tests := []struct {
		name    string
		pool    *Pool
		encoded string
		want    bool
	}{
		{"our own", pool, ours, false},
		{"less memory than ours", stronger, ours, true},
		{"more memory than ours", pool, mustHash(t, stronger, "pw"), true},
		{"a short salt", pool, "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", true},
		{"a short sum", pool, "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", true},
		{"another format", pool, "$2b$10$abcdefghijklmnopqrstuv", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.pool.Outdated(tt.encoded); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	pool := NewPool(PoolConfig{})
	encoded := mustHash(b, pool, "hunter2")
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := pool.Verify(b.Context(), encoded, "hunter2"); !ok {
			b.Fatal(err)
		}
	}
}
