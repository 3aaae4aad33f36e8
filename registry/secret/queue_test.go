package secret

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Under each flood an honest client that signs in for the first time gets in, and
// soon: it waits for what runs, and for two turns of each kind when one other network
// floods its own, whatever the flood.
func TestFloodLeavesOthersTheirTurn(t *testing.T) {
	const hash = 30 * time.Millisecond
	here, there := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	honest := Asker{KnownName, there}
	for _, tt := range []struct {
		name   string
		floods []Asker
		honest Asker
	}{
		{"of wrong passwords of one name, from another address", []Asker{{KnownName, here}}, honest},
		{"of names that do not exist, from the same address", []Asker{{UnknownName, there}}, honest},
		{"of HTTP requests, from the same address", []Asker{{Request, there}}, honest},
		{"of registrations, from the same address", []Asker{{Registration, there}}, honest},
		{"of all kinds at once", []Asker{{KnownName, here}, {UnknownName, here}, {Request, here}, {Registration, here}}, honest},
		{"of HTTP requests, and an honest one", []Asker{{Request, here}}, Asker{Request, there}},
		{"of registrations, and an honest one", []Asker{{Registration, here}}, Asker{Registration, there}},
		{"that says from nowhere", []Asker{{}}, honest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool := NewPool(PoolConfig{Params: cheap, Workers: 1})
				pool.formats = []format{{"$timed$", func(string) (func(string) bool, error) {
					return func(string) bool { time.Sleep(hash); return false }, nil
				}}}
				verify := func(a Asker) error {
					_, err := pool.Verify(For(t.Context(), a), "$timed$", "pw")
					return err
				}
				var wg sync.WaitGroup
				defer wg.Wait()
				for _, flood := range tt.floods {
					for range 300 { // at once, and then 80 a second
						wg.Go(func() { _ = verify(flood) })
					}
					wg.Go(func() {
						for range 80 * 60 {
							wg.Go(func() { _ = verify(flood) })
							time.Sleep(time.Second / 80)
						}
					})
				}
				for n := range 60 {
					time.Sleep(time.Second)
					began := time.Now()
					if err := verify(tt.honest); err != nil {
						t.Fatalf("sign-in %d: %v", n, err)
					}
					if took, most := time.Since(began), time.Duration(1+2*kinds)*hash; took > most {
						t.Errorf("sign-in %d: got in after %v, want at most %v", n, took, most)
					}
				}
			})
		})
	}
}

// One network may have every seat, until another wants one.
func TestSeatsAreSharedByNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hash := slowPool(1, 4)
		var wg sync.WaitGroup
		got := make(map[string]error)
		var mu sync.Mutex
		ask := func(who string, network int) {
			a := Asker{Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(network)}), 32)}
			wg.Go(func() {
				_, err := pool.Verify(For(t.Context(), a), "$slow$pw", who)
				mu.Lock()
				defer mu.Unlock()
				got[who] = err
			})
			synctest.Wait()
		}
		ask("running", 1)
		for n := range 4 {
			ask(fmt.Sprint("greedy-", n), 1)
		}
		ask("greedy-4", 1) // no seat is left
		ask("modest-0", 2)
		ask("modest-1", 2)
		ask("modest-2", 2) // two and two is fair
		ask("third-0", 3)
		close(hash.end)
		wg.Wait()
		for who, err := range got {
			want := slices.Contains([]string{"greedy-1", "greedy-2", "greedy-3", "greedy-4", "modest-2"}, who)
			if errors.Is(err, ErrBusy) != want {
				t.Errorf("%s: got %v, want refused: %v", who, err, want)
			}
		}
		if st := pool.Stats(); st.Displaced != 3 || st.Refused != 5 {
			t.Errorf("got %+v, want 3 displaced of 5 refused", st)
		}
		for _, want := range []string{"running", "greedy-0", "modest-0", "third-0", "modest-1"} {
			if got := <-hash.begun; got != want {
				t.Errorf("got %s, want %s: networks have their turns", got, want)
			}
		}
	})
}

// A call that ends while it waits, or as it is called up, gives back what it has.
func TestWhoEndsGivesBackTheSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hash := slowPool(1, 100)
		var wg sync.WaitGroup
		for n := range 50 {
			ctx, cancel := context.WithTimeout(For(t.Context(), Asker{Kind: Kind(n % int(kinds))}), time.Duration(n%7)*time.Millisecond)
			wg.Go(func() {
				defer cancel()
				_, _ = pool.Verify(ctx, "$slow$pw", "pw")
			})
		}
		wg.Go(func() {
			for range 50 {
				time.Sleep(time.Millisecond)
				select {
				case hash.end <- struct{}{}:
				default:
				}
			}
			close(hash.end)
		})
		wg.Wait()
		if st := pool.Stats(); st.Running != 0 || st.Waiting != 0 {
			t.Errorf("got %+v, want nothing left", st)
		}
	})
}
