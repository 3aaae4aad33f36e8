package rediscache

import (
	"context"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry"
)

// A look-up that reads the store before a change and tells Redis after it must
// not bring back what was.
func TestLoaderThatIsOvertakenByAChange(t *testing.T) {
	r := newRig(t)
	a := r.store.commit(alice())
	slow := r.node()
	var now registry.Record
	slow.store.reading = func(registry.Record, error) {
		r.store.reading = nil
		now = a
		now.User.Active = false
		now = r.change(now) // heard and written here, before the slow node goes on
	}
	got, err := slow.RecordByName(t.Context(), a.User.Username)
	if err != nil || !got.User.Active {
		t.Fatalf("got %+v, %v: this test wants the answer from before the change", got, err)
	}
	slow.settle()
	if n := r.numberAt(r.keys.user(a.User.ID)); n != now.User.Version {
		t.Errorf("redis holds number %d, want %d", n, now.User.Version)
	}
	r.expect(now, "")

	t.Run("also when Redis lost what was newer", func(t *testing.T) {
		r.raw.FlushAll(t.Context())
		slow.Put(a)
		slow.settle()
		if n := r.numberAt(r.keys.user(a.User.ID)); n != a.User.Version {
			t.Fatalf("redis holds number %d: this test wants the old one there", n)
		}
		r.expect(now, Outdated)
	})
}

// What a record is said to know of must be what was known before it was read:
// else a change that everybody has forgotten would not be missed.
func TestRecordDoesNotClaimToKnowOfChangesAfterIt(t *testing.T) {
	small := func(c *Config) { c.Remember = 1 }
	overtake := func(r *rig, a registry.Record) registry.Record {
		a.User.Active = false
		a = r.store.commit(a)
		r.Changed(userChange(a.User.ID, a.User.Version))
		other := r.store.commit(bob())
		r.Changed(userChange(other.User.ID, other.User.Version)) // and alice is forgotten
		return a
	}
	t.Run("read on a miss", func(t *testing.T) {
		r := newRig(t, small)
		a := r.store.commit(alice())
		now := a
		r.store.reading = func(registry.Record, error) {
			r.store.reading = nil
			now = overtake(r, a)
		}
		if _, err := r.RecordByName(t.Context(), a.User.Username); err != nil {
			t.Fatal(err)
		}
		r.settle()
		r.expect(now, Forgotten)
	})
	t.Run("put by the follower", func(t *testing.T) {
		r := newRig(t, small)
		a := r.store.commit(alice())
		now := overtake(r, a)
		r.Put(a)
		r.settle()
		r.expect(now, Absent)
	})
}

func TestWhatIsKnownToBeOldIsNotWritten(t *testing.T) {
	r := newRig(t)
	a := r.store.commit(alice())
	r.Changed(userChange(a.User.ID, a.User.Version+1))
	r.Put(a)
	r.settle()
	if all := r.dump(); len(all) != 0 {
		t.Errorf("redis holds %d keys", len(all))
	}
}

func TestNewerReplacesOlderAndNeverTheReverse(t *testing.T) {
	r := newRig(t)
	const versions = 60
	all := make([]registry.Record, versions)
	for i := range all {
		a := alice()
		a.User.Version = uint64(i + 1)
		all[i] = a
	}
	key := r.keys.user(all[0].User.ID)

	stop := make(chan struct{})
	var watch, write sync.WaitGroup
	watch.Go(func() {
		var last uint64
		for {
			if s, ok := parseHeader([]byte(r.raw.Get(context.Background(), key).Val())); ok {
				if s.number < last {
					t.Errorf("%d was replaced by %d", last, s.number)
				}
				last = s.number
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for _, stride := range []int{7, 11, 23, 59} { // each prime to versions, so that every one gets its turn
		n := r.node()
		write.Go(func() {
			for i := range versions {
				n.Put(all[i*stride%versions])
				n.settle()
			}
		})
	}
	write.Wait()
	close(stop)
	watch.Wait()
	if n := r.numberAt(key); n != versions {
		t.Errorf("redis holds number %d, want %d", n, versions)
	}
}

func TestOfOneNumberTheLaterReadStays(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	key := r.keys.user(a.User.ID)
	first := r.dump()[key]
	r.clock.move(time.Minute)
	r.Put(a)
	r.settle()
	later := r.dump()[key]
	if later == first {
		t.Error("a later read of the same number did not replace the earlier one")
	}
	r.clock.move(-time.Second)
	r.Put(a)
	r.settle()
	if r.dump()[key] != later {
		t.Error("an earlier read of the same number replaced the later one")
	}
}

func TestNodeThatForgotAChangeTakesNothingFromBeforeIt(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Remember = 2 })
	a := r.change(alice())
	before := r.dump()
	a.User.Active = false
	a = r.change(a)
	for i := range 2 { // crowds out the change of alice
		r.change(user(i))
	}
	if got := r.Stats().Remembered; got != 2 {
		t.Fatalf("remembers %d changes, want 2", got)
	}
	r.restore(before)
	r.expect(a, Forgotten)
	r.expect(a, "")
}
