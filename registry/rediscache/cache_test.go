package rediscache

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
)

func TestSecondLookUpDoesNotAskTheStore(t *testing.T) {
	for _, first := range lookUps {
		t.Run("first "+first.name, func(t *testing.T) {
			r := newRig(t)
			a := r.store.commit(alice())
			r.expectBy(first, a, a, Absent)
			for _, second := range lookUps {
				r.expectBy(second, a, a, "")
			}
			other := r.node()
			other.expect(a, "")
		})
	}
}

func TestNobodyIsNotRemembered(t *testing.T) {
	r := newRig(t)
	for range 2 {
		for _, l := range lookUps {
			r.expectNobody(l, alice(), Absent)
		}
	}
	if all := r.dump(); len(all) != 0 {
		t.Errorf("redis holds %v", all)
	}
	a := r.store.commit(alice())
	r.expect(a, Absent)
}

func TestErrorOfTheStoreIsReturnedAsItIs(t *testing.T) {
	r := newRig(t)
	if _, err := r.RecordByName(t.Context(), "nobody"); !errors.Is(err, registry.NotFound) {
		t.Errorf("got %v, want NotFound", err)
	}
}

func TestChangeIsSeenAtOnce(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	r.expect(a, "")

	a.User.Active = false
	a = r.store.commit(a)
	r.Changed(userChange(a.User.ID, a.User.Version))
	r.expect(a, Outdated) // Redis has not heard of it
	r.expect(a, "")

	a.User.Active = true
	a = r.change(a)
	r.expect(a, "") // the follower told Redis
}

func TestDeletedUserStaysDeleted(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	before := r.dump()

	n := r.store.remove(a.User.ID)
	r.Changed(userChange(a.User.ID, n))
	r.Bury(a.User.ID, n)
	r.settle()
	for _, l := range lookUps {
		r.expectNobody(l, a, Gone)
	}

	// A node that read the record before it was deleted writes it now.
	late := r.node()
	late.trust.newest = nil // it has not heard
	late.Put(a)
	late.settle()
	for _, l := range lookUps {
		r.expectNobody(l, a, Gone)
	}

	r.restore(before)
	for _, l := range lookUps {
		r.expectNobody(l, a, Outdated)
	}

	t.Run("and is not who has the name next", func(t *testing.T) {
		next := bob()
		next.User.Username = a.User.Username
		next = r.store.commit(next) // Redis still says that the name is the old user's
		r.expect(next, Outdated)
		r.expect(next, "")
	})
}

func TestRename(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	old := a
	a.User.Username = "alice2"
	a = r.change(a)

	r.expect(a, "")
	r.expectNobody(lookUps[1], old, Moved)

	b := bob()
	b.User.Username = old.User.Username
	b = r.store.commit(b) // takes the name; Redis is not told
	r.expect(b, Moved)
	r.expect(b, "")
	r.expect(a, "")
}

func TestFingerprintMovesToAnotherUser(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	cert := a.User.Fingerprints
	a.User.Fingerprints = nil
	a = r.change(a)
	b := bob()
	b.User.Fingerprints = cert
	b = r.store.commit(b)

	byFP := lookUps[2]
	r.expectBy(byFP, b, b, Moved)
	r.expectBy(byFP, b, b, "")
	r.expect(a, "")
}

func TestOldRecordIsReadAnew(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	before := r.dump()
	r.clock.move(time.Hour - time.Nanosecond)
	r.expect(a, "")
	r.clock.move(time.Nanosecond)
	r.expect(a, Expired)
	r.expect(a, "")

	for key := range before {
		if ttl := r.raw.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("%s expires in %v, want at most the TTL", key, ttl)
		}
	}
}

func TestNothingIsBelievedWhileChangesAreNotHeard(t *testing.T) {
	fresh := false
	r := newRig(t, func(c *Config) { c.Fresh = func() bool { return fresh } })
	a := r.store.commit(alice())
	r.expect(a, Unheard)
	if len(r.dump()) == 0 {
		t.Error("what was read is of use to other nodes, but was not kept")
	}
	r.expect(a, Unheard)
	fresh = true
	r.expect(a, Unheard) // what changed before is not known yet; now it is being found out
	r.expect(a, "")
	fresh = false
	r.expect(a, Unheard)
}

func TestNothingIsBelievedBeforeTheLatestChangesAreKnown(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	before := r.dump()
	a.User.Active = false
	a = r.change(a)
	r.restore(before)

	r.store.broken = errors.New("the database is away")
	late := r.node()
	late.expect(a, Unheard)
	late.expect(a, Unheard)
	if got := late.log.lines("can't be read"); len(got) != 1 {
		t.Errorf("logged %q, want one line", got)
	}
	r.store.broken = nil
	late.expect(a, Unheard)
	r.restore(before)
	late.expect(a, Outdated) // the change was before its time, and it knows of it
}

func TestFlushAll(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	r.raw.FlushAll(t.Context())
	r.raw.ScriptFlush(t.Context())
	r.expect(a, Absent)
	r.expect(a, "")
}

func TestChangesOfNobodyKeepNodesTogether(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	r.store.touchNobody()
	r.clock.move(2 * time.Hour)
	r.expect(a, Expired)
	late := r.node() // there were no changes lately, so its floor is the end of the line
	late.expect(a, Forgotten)
	late.expect(a, "")
	r.Changed(registry.Change{Number: 2, Kind: registry.RoleChange, Mark: at(2).Mark})
	r.expect(a, "")

	r.clock.move(2 * time.Hour)
	r.expect(a, Expired)
	late.expect(a, "")
}

func TestClosedCacheAsksTheStore(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, l := range lookUps {
		r.expectBy(l, a, a, Unanswered)
	}
	r.Put(a)
	r.Bury(a.User.ID, 9)
	if got := r.log.lines("level=WARN"); len(got) != 0 {
		t.Errorf("logged %q", got)
	}
}

func TestGivingUpALookUpSaysNothingAboutRedis(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.RecordByName(ctx, a.User.Username); err != nil {
		t.Fatal(err)
	}
	if r.Stats().Down {
		t.Error("one caller who gave up took Redis away from everybody")
	}
	r.expect(a, "")
}

func TestStandsInRedisWithoutSecretsOrNames(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	b := r.change(bob())
	r.Bury(b.User.ID, 99)
	r.settle()
	r.expect(a, "")
	all := r.dump()
	if len(all) != 5 {
		t.Fatalf("redis holds %d keys, want a record, a deletion, two names and a fingerprint", len(all))
	}
	for key, value := range all {
		if !strings.HasPrefix(key, "{mw:store-1:1}:") {
			t.Errorf("key %s is outside our hash tag", key)
		}
		for _, s := range []string{
			a.User.PasswordHash, "argon2", "c2FsdHNhbHQ", a.User.Username, "alice", "bob", aliceCert,
			string(a.User.ID), "u-bob", "site1", "gw-", "username", "version",
		} {
			if strings.Contains(key, s) {
				t.Errorf("key %s shows %q", key, s)
			}
			if strings.Contains(value, s) {
				t.Errorf("the value of %s shows %q", key, s)
			}
		}
	}
}

func TestNamesOfKeysDoNotRunTogether(t *testing.T) {
	seal := keyRing(t, 1)
	at := func(store string, epoch uint64) keys {
		return newKeys(seal, registry.Identity{StoreID: store, Epoch: epoch})
	}
	k := at("s", 1)
	seen := make(map[string]string)
	for what, key := range map[string]string{
		"user ab":        k.user("ab"),
		"name ab":        k.name("ab"),
		"fingerprint ab": k.fingerprint("ab"),
		"name a":         k.name("a"),
		"name b":         k.name("b"),
		"store s1":       at("s1", 1).name("ab"),
		"epoch 11":       at("s", 11).name("ab"),
		"other key":      newKeys(keyRing(t, 2), registry.Identity{StoreID: "s", Epoch: 1}).name("ab"),
	} {
		mac := key[strings.LastIndex(key, ":")+1:]
		if len(mac) != 64 {
			t.Errorf("%s: %s: want 64 digits at the end", what, key)
		}
		if other, ok := seen[mac]; ok {
			t.Errorf("%s and %s have the same MAC", what, other)
		}
		seen[mac] = what
	}
}
