package secret

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hashes tells how many hashes do computes.
func hashes(p *Pool, do func()) uint64 {
	before := p.Stats().Done
	do()
	return p.Stats().Done - before
}

func TestVerifierAsksThePoolOnlyOnce(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	v := NewVerifier(pool, VerifierConfig{})
	old, changed := mustHash(t, pool, "pw"), mustHash(t, pool, "new")
	oldAgain := mustHash(t, pool, "pw")

	// In this order: each step stands on those before.
	steps := []struct {
		name                    string
		user, encoded, password string
		ok                      bool
		hashes                  uint64
	}{
		{"the first time is a hash", "alice", old, "pw", true, 1},
		{"the second is not", "alice", old, "pw", true, 0},
		{"a wrong password is a hash", "alice", old, "bad", false, 1},
		{"and is remembered as wrong", "alice", old, "bad", false, 0},
		{"which does not end the right one", "alice", old, "pw", true, 0},
		{"another user with the same hash is another question", "bob", old, "pw", true, 1},
		{"a changed password ends the old one", "alice", changed, "pw", false, 1},
		{"and brings the new one", "alice", changed, "new", true, 1},
		{"which was wrong before, and is again when it is changed back", "alice", old, "new", false, 1},
		{"the same password set anew is another question", "alice", oldAgain, "pw", true, 1},
		{"the empty password is wrong for nothing", "alice", old, "", false, 0},
		{"and so is an endless one", "alice", old, strings.Repeat("x", 1<<20), false, 0},
		{"no division of the parts is confused with another: a, b-c", "a", old, "b-c", false, 1},
		{"no division of the parts is confused with another: a-b, c", "a-b", old, "c", false, 1},
	}
	for _, s := range steps {
		n := hashes(pool, func() {
			if ok, err := v.Check(t.Context(), s.user, s.encoded, s.password); ok != s.ok || err != nil {
				t.Errorf("%s: Check = %v, %v, want %v", s.name, ok, err, s.ok)
			}
		})
		if n != s.hashes {
			t.Errorf("%s: %d hashes, want %d", s.name, n, s.hashes)
		}
	}
	if right, wrong := len(v.right.slots), len(v.wrong.slots); right != 4 || wrong != 5 {
		t.Errorf("%d right and %d wrong answers remembered, want 4 and 5: one for each hash", right, wrong)
	}
}

func TestNobodyDoesTheWorkOfAWrongPassword(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	clock := time.Now()
	v := NewVerifier(pool, VerifierConfig{Now: func() time.Time { return clock }})
	encoded := mustHash(t, pool, "pw")

	known := func(password string) error {
		ok, err := v.Check(t.Context(), "alice", encoded, password)
		if ok {
			t.Errorf("%q is right", password)
		}
		return err
	}
	unknown := func(password string) error { return v.CheckNobody(t.Context(), "nobody", password) }
	broken := func(password string) error { // a user whose stored hash is malformed
		_, err := v.Check(t.Context(), "broken", "plain", password)
		if usable(password) && !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v, want ErrFormat", password, err)
		}
		return nil
	}
	steps := []struct {
		name     string
		password string
		later    time.Duration
		hashes   uint64
	}{
		{"first try", "bad", 0, 1},
		{"same password again", "bad", 0, 0},
		{"another password", "worse", 0, 1},
		{"just before it is forgotten", "bad", 10*time.Minute - 1, 0},
		{"when it is forgotten", "bad", 1, 1},
		{"empty password", "", 0, 0},
		{"long password", strings.Repeat("x", MaxPassword+1), 0, 0},
	}
	for _, s := range steps {
		clock = clock.Add(s.later)
		for who, check := range map[string]func(string) error{"known": known, "unknown": unknown, "broken": broken} {
			n := hashes(pool, func() {
				if err := check(s.password); err != nil {
					t.Errorf("%s, %s: %v", s.name, who, err)
				}
			})
			if n != s.hashes {
				t.Errorf("%s, %s: %d hashes, want %d", s.name, who, n, s.hashes)
			}
		}
	}
	dummy, err := parseArgon2id(v.nobody)
	if err != nil || dummy.params != cheap || pool.Outdated(v.nobody) {
		t.Errorf("the hash of nobody is not of the pool's kind: %+v, %v", dummy.params, err)
	}
}

func TestVerifierForgetsRightAnswers(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	clock := time.Now()
	v := NewVerifier(pool, VerifierConfig{TTL: time.Hour, Now: func() time.Time { return clock }})
	encoded := mustHash(t, pool, "pw")
	for _, s := range []struct {
		later  time.Duration
		hashes uint64
	}{{0, 1}, {time.Hour - 1, 0}, {1, 1}, {time.Hour - 1, 0}, {1, 1}} {
		clock = clock.Add(s.later)
		n := hashes(pool, func() {
			if ok, err := v.Check(t.Context(), "alice", encoded, "pw"); !ok || err != nil {
				t.Errorf("Check = %v, %v", ok, err)
			}
		})
		if n != s.hashes {
			t.Errorf("after %v: %d hashes, want %d", s.later, n, s.hashes)
		}
	}
	if n := len(v.right.slots); n != 1 {
		t.Errorf("%d entries for one answer", n)
	}
}

func TestVerifierIsBounded(t *testing.T) {
	const size = 8
	pool := NewPool(PoolConfig{Params: cheap})
	v := NewVerifier(pool, VerifierConfig{Size: size})
	encoded := mustHash(t, pool, "pw")
	check := func(name, password string) {
		if ok, err := v.Check(t.Context(), name, encoded, password); ok != (password == "pw") || err != nil {
			t.Fatalf("Check = %v, %v", ok, err)
		}
	}
	for i := range size {
		check(fmt.Sprint("user", i), "pw")
	}
	for i := range 10 * size { // someone guesses
		check("user0", fmt.Sprint("guess", i))
	}
	if n := hashes(pool, func() {
		for i := range size {
			check(fmt.Sprint("user", i), "pw")
		}
	}); n != 0 {
		t.Errorf("guesses pushed out %d right answers", n)
	}
	for i := range 10 * size {
		check(fmt.Sprint("more", i), "pw")
	}
	for name, m := range map[string]*memory{"right": v.right, "wrong": v.wrong} {
		if len(m.slots) != size || len(m.index) != size {
			t.Errorf("%s: %d slots, %d indexed, want %d", name, len(m.slots), len(m.index), size)
		}
	}
	if n := len(v.running); n != 0 {
		t.Errorf("%d checks left", n)
	}
}

// More devices than fit come back in the same order, again and again: a memory
// that forgets the oldest would know none of them.
func TestMemoryTooSmallStillHelps(t *testing.T) {
	const size, devices = 1000, 1500
	m := newMemory(size, time.Hour)
	k := newKeyed([]byte("key"))
	hits := 0
	for round := range 5 {
		for i := range devices {
			mac := sum(k, binary.BigEndian.AppendUint32(nil, uint32(i)))
			switch {
			case !m.has(mac, 0):
				m.add(mac, 0)
			case round > 0:
				hits++
			}
		}
	}
	if share := float64(hits) / (4 * devices); share < 0.3 {
		t.Errorf("%.0f %% remembered", 100*share)
	}
	for mac, i := range m.index {
		if m.slots[i].mac != mac {
			t.Fatal("the index points to another entry")
		}
	}
}

func TestMemoryForgetsAFleetThatIsGone(t *testing.T) {
	const size = 1000
	m := newMemory(size, time.Hour)
	k := newKeyed([]byte("key"))
	mac := func(i uint32) sum256 { return sum(k, binary.BigEndian.AppendUint32(nil, i)) }
	for i := range uint32(5 * size) {
		m.add(mac(i), 0)
	}
	known := func(from, to uint32) (n int) {
		for i := from; i < to; i++ {
			if m.has(mac(i), 0) {
				n++
			}
		}
		return n
	}
	if old, young := known(0, size), known(4*size, 5*size); old > size/10 || young < size/2 {
		t.Errorf("knows %d of the first %d and %d of the last", old, size, young)
	}
}

func TestManyAtOnceAreOneHash(t *testing.T) {
	for _, password := range []string{"pw", "bad"} {
		synctest.Test(t, func(t *testing.T) {
			pool, hash := slowPool(1, 1)
			v := NewVerifier(pool, VerifierConfig{})
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if ok, err := v.Check(t.Context(), "alice", "$slow$pw", password); ok != (password == "pw") || err != nil {
						t.Errorf("Check = %v, %v", ok, err)
					}
				})
			}
			synctest.Wait()
			if got, want := pool.Stats(), (Stats{Workers: 1, Running: 1}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			close(hash.end)
			wg.Wait()
			if n := pool.Stats().Done; n != 1 {
				t.Errorf("%d hashes, want 1", n)
			}
		})
	}
}

func TestBusyIsSharedAndNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hash := slowPool(1, -1)
		v := NewVerifier(pool, VerifierConfig{})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = v.Check(t.Context(), "bob", "$slow$pw", "pw") })
		synctest.Wait()
		if ok, err := v.Check(t.Context(), "alice", "$slow$pw", "pw"); ok || !errors.Is(err, ErrBusy) {
			t.Errorf("Check = %v, %v, want ErrBusy", ok, err)
		}
		if err := v.CheckNobody(t.Context(), "nobody", "pw"); !errors.Is(err, ErrBusy) {
			t.Errorf("CheckNobody: %v, want ErrBusy", err)
		}
		if _, err := v.Check(t.Context(), "broken", "plain", "pw"); !errors.Is(err, ErrBusy) {
			t.Errorf("Check of a malformed hash: %v, want ErrBusy", err)
		}
		close(hash.end)
		wg.Wait()
		if ok, err := v.Check(t.Context(), "alice", "$slow$pw", "pw"); !ok || err != nil {
			t.Errorf("Check = %v, %v, want yes", ok, err)
		}
	})
}

func TestWhoHangsUpDoesNotAnswerForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hash := slowPool(1, 1)
		v := NewVerifier(pool, VerifierConfig{})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = v.Check(t.Context(), "bob", "$slow$pw", "pw") }) // keeps the worker
		synctest.Wait()

		first, hangUp := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := v.Check(first, "alice", "$slow$pw", "pw"); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v, want context.Canceled", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if ok, err := v.Check(t.Context(), "alice", "$slow$pw", "pw"); !ok || err != nil {
				t.Errorf("the second: %v, %v, want yes", ok, err)
			}
		})
		third, hangUpToo := context.WithCancel(t.Context())
		gone := make(chan struct{})
		wg.Go(func() {
			defer close(gone)
			if _, err := v.Check(third, "alice", "$slow$pw", "pw"); !errors.Is(err, context.Canceled) {
				t.Errorf("the third: %v, want context.Canceled", err)
			}
		})
		synctest.Wait()
		hangUpToo()
		<-gone // and does not wait for the first
		hangUp()
		synctest.Wait()
		close(hash.end)
		wg.Wait()
		if n := pool.Stats().Done; n != 2 {
			t.Errorf("%d hashes, want 2", n)
		}
	})
}

func TestAPanicLetsNobodyWait(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	pool.formats = []format{{"$bad$", func(string) (func(string) bool, error) {
		return func(string) bool { panic("bad") }, nil
	}}}
	v := NewVerifier(pool, VerifierConfig{})
	for range 2 { // the second would wait for the first for ever
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_, _ = v.Check(t.Context(), "alice", "$bad$", "pw")
		}()
	}
	if len(v.right.slots)+len(v.wrong.slots)+len(v.running) != 0 {
		t.Error("something was remembered")
	}
}
