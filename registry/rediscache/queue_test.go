package rediscache

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
)

func TestQueue(t *testing.T) {
	about := func(id registry.UserID, n uint64, keys ...string) job {
		j := job{user: id, stamp: stamp{number: n, line: at(n), asOf: morning}}
		for _, k := range keys {
			j.seen = append(j.seen, sighting{k, "header"})
		}
		return j
	}
	put := func(q *queue, want bool, j job) {
		t.Helper()
		if got := q.put(j); got != want {
			t.Errorf("user %s: kept is %v, want %v", j.user, got, want)
		}
	}
	q := newQueue(2)
	put(q, true, about("a", 5, "x"))
	put(q, true, about("b", 6))
	put(q, false, about("c", 7)) // full
	put(q, true, about("a", 8, "y"))
	put(q, true, about("a", 7, "z")) // older than what waits

	j, ok := q.take()
	if !ok || j.user != "a" || j.stamp.number != 8 {
		t.Errorf("got user %s with %d, want a with 8", j.user, j.stamp.number)
	}
	var keys []string
	for _, s := range j.seen {
		keys = append(keys, s.key)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"x", "y", "z"}) {
		t.Errorf("may replace what was seen at %v, want x, y and z", keys)
	}
	put(q, true, about("c", 9))
	q.done()
	if j, ok := q.take(); !ok || j.user != "b" {
		t.Errorf("got user %s, want b", j.user)
	}
	q.close()
	if _, ok := q.take(); ok {
		t.Error("a closed queue gives jobs")
	}
	put(q, false, about("d", 10))
}

func TestSightingsDoNotPileUp(t *testing.T) {
	q := newQueue(1)
	for i := range 100 {
		q.put(job{user: "a", stamp: stamp{asOf: morning.Add(time.Duration(i))}, seen: []sighting{{"x", "h"}, {"y", "h"}}})
	}
	if j, _ := q.take(); len(j.seen) > 8 {
		t.Errorf("%d are kept", len(j.seen))
	}
}

func TestOverflowIsCountedAndHarmless(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Queue = 1; c.Timeout = time.Minute })
	r.redis.Freeze() // so that nothing leaves the queue
	for i := range 10 {
		rec := r.store.commit(user(i))
		r.Changed(userChange(rec.User.ID, rec.User.Version))
		r.Put(rec)
	}
	if got := r.Stats().Dropped; got < 8 {
		t.Errorf("%d were dropped, want at least 8 of 10", got)
	}
	r.redis.Thaw()
	r.settle()
	for i := range 10 {
		want := user(i)
		want.User.Version = uint64(i + 1)
		got, err := r.RecordByName(t.Context(), want.User.Username)
		if err != nil || got.User.Version != want.User.Version {
			t.Errorf("got %+v, %v", got.User, err)
		}
	}
}

func TestRecordThatIsTooLargeIsNotKept(t *testing.T) {
	r := newRig(t)
	a := alice()
	a.User.PublishPrefix = strings.Repeat("x", maxValue)
	a = r.change(a)
	r.expect(a, Absent)
	r.expect(a, Absent)
	if got := r.log.lines("too large"); len(got) != 1 {
		t.Errorf("logged %q, want one line", got)
	}
}
