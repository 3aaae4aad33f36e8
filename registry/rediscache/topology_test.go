package rediscache

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/registry"
	"mqttwarden/registry/rediscache/redistest"
)

// newRigAt is newRig with Redis elsewhere, and with what it may cost as it is by
// default.
func newRigAt(t *testing.T, url string) *rig {
	t.Helper()
	c := &clock{t: morning}
	r := &rig{t: t, clock: c, store: newStore(c.now), redis: &redistest.Server{URL: url}}
	r.join(func(c *Config) { c.Timeout = 250 * time.Millisecond })
	return r
}

// recovers changes a user again and again until Redis answers about it, and fails when
// any answer is not what the store holds, or when that takes too long. It returns the
// user as it is then.
func (r *rig) recovers(rec registry.Record) registry.Record {
	r.t.Helper()
	const enough = 20 * time.Second // the machine may be busy
	for start := time.Now(); time.Since(start) < enough; {
		rec.User.Active = !rec.User.Active
		rec = r.change(rec)
		r.clock.move(time.Second) // a pause is over
		got, err := r.RecordByName(r.t.Context(), rec.User.Username)
		if err != nil {
			r.t.Fatal(err)
		}
		cached := got.Cached
		got.Cached = false
		if d := cmp.Diff(rec, got); d != "" {
			r.t.Fatalf("another record than the store holds (-want +got):\n%s", d)
		}
		if cached {
			r.t.Logf("Redis answers again after %v", time.Since(start).Round(time.Millisecond))
			return rec
		}
	}
	r.t.Fatal("Redis does not answer again")
	return rec
}

func TestMasterIsKilledAndSentinelsMakeAnother(t *testing.T) {
	t.Parallel()
	f := redistest.StartFailover(t)
	r := newRigAt(t, f.URL)
	heard := r.listen()
	r.expectTold(heard, missed)
	a := r.change(alice())
	r.expect(a, "")
	f.Sentinels[0].Stop()
	f.Servers[0].Stop()
	r.expectTold(heard, missed) // the bus has the new master
	a = r.recovers(a)
	r.expect(a, "")
}

func TestSlotMovesAndItsMasterIsKilled(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	for _, s := range c.Servers {
		allow(t, rawClient(t, s), "+cluster|slots", "+asking")
	}
	r := newRigAt(t, strings.Replace(c.URL, "://", "://mqttwarden:hunter22@", 1))
	heard := r.listen()
	r.expectTold(heard, missed)
	a, b := r.change(alice()), r.change(bob())
	r.expect(a, "")

	owner := c.Move(r.keys.user(a.User.ID))
	r.expect(b, "") // whatever the client knows, it is sent to where the slot is
	a.User.Active = false
	a = r.change(a) // with a script that this server has not seen yet
	r.expect(a, "")
	if s := r.Stats(); s.Dropped != 0 {
		t.Errorf("%d records were not written", s.Dropped)
	}

	allow(t, rawClient(t, c.AddReplica(owner)), "+cluster|slots", "+asking")
	owner.Stop()
	a = r.recovers(a)
	r.expect(a, "")
	other := r.node()
	other.expectTold(other.listen(), missed)
	other.Bus().Tell(progress(7))
	r.expectTold(heard, told{other.cfg.Node, progress(7)})
}
