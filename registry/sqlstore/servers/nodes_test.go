package servers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
	"mqttwarden/registry/sqlstore"
	"mqttwarden/registry/sqlstore/pgtest"
)

// Nodes that start together on a database that nobody has used make one register: one
// first user, one certificate authority, one key for tokens.
func TestAFirstStartOfManyNodesAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t, "", nil)
	const nodes = 4
	var wg sync.WaitGroup
	made := make(chan bool, nodes)
	authorities := make(chan string, nodes)
	for range nodes {
		wg.Go(func() {
			n, err := node.Open(t.Context(), node.Config{
				Postgres: &sqlstore.Postgres{URL: url}, Keys: registrytest.KeyRing(t), Now: time.Now, Hash: registrytest.Cheap,
				Log: slog.New(slog.DiscardHandler), Policy: registry.DefaultPasswordPolicy(),
			})
			if err != nil {
				t.Error(err)
				return
			}
			defer n.Close()
			first, err := n.Service.Bootstrap(t.Context(), registrytest.AdminPassword)
			if err != nil {
				t.Error(err)
			}
			made <- first
			authorities <- ca.Fingerprint(n.PKI.Issuer().Current().Certificates()[0])
		})
	}
	wg.Wait()
	close(made)
	close(authorities)
	count := 0
	for first := range made {
		if first {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d nodes made the first user, want one", count)
	}
	seen := make(map[string]bool)
	for fingerprint := range authorities {
		seen[fingerprint] = true
	}
	if all := pgtest.Column(t, pgtest.Open(t, url), `SELECT generation::text FROM authorities`); len(all) != 1 || len(seen) != 1 {
		t.Errorf("there are the authorities %v, and nodes issue as %v: want one", all, seen)
	}
}

// Who has seen a number never finds a smaller one later, whichever node gave it out.
func TestNumbersOfTwoNodesBecomeVisibleInOrder(t *testing.T) {
	t.Parallel()
	p := migrated(t)
	stores := []*sqlstore.Store{openAt(t, p), openAt(t, p)}
	const writers, each, users = 4, 10, 3
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				_, err := stores[w%2].Update(t.Context(), func(_ context.Context, tx registry.Tx) error {
					for u := range users {
						tx.Touch(registry.UserChange, fmt.Sprintf("u-%d-%d-%d", w, i, u))
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	var seen uint64
	for over := false; !over; {
		select {
		case <-done:
			over = true // and look once more
		default:
		}
		rows, err := stores[0].Changes(t.Context(), seen, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range rows {
			if seen++; c.Number != seen {
				t.Fatalf("number %d came where %d was due", c.Number, seen)
			}
		}
		if seen%users != 0 {
			t.Errorf("number %d is in the middle of a commit", seen)
		}
	}
	if seen != writers*each*users {
		t.Errorf("saw %d numbers, want %d", seen, writers*each*users)
	}
}
