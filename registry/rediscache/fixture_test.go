package rediscache

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"mqttwarden/registry"
	"mqttwarden/registry/rediscache/redistest"
	"mqttwarden/registry/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logbook collects log lines.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines returns the lines that hold s.
func (l *logbook) lines(s string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(strings.Split(l.b.String(), "\n"), func(line string) bool {
		return line == "" || !strings.Contains(line, s)
	})
}

// rig is a cache with all that it touches.
type rig struct {
	*Cache
	t     testing.TB
	clock *clock
	store *store
	log   *logbook
	redis *redistest.Server
	raw   *redis.Client // the adversary's
}

func keyRing(tb testing.TB, fill byte) *secret.KeyRing {
	tb.Helper()
	ring, err := secret.NewKeyRing(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// rawClient returns a client of srv for looking on and tampering.
func rawClient(tb testing.TB, srv *redistest.Server) *redis.Client {
	tb.Helper()
	c := redis.NewClient(&redis.Options{Addr: srv.Addr, Protocol: 2, DisableIdentity: true})
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// newRig starts a Redis and a cache of an empty store, which already knows that
// there were no changes.
func newRig(tb testing.TB, edit ...func(*Config)) *rig {
	tb.Helper()
	c := &clock{t: morning}
	r := &rig{t: tb, clock: c, store: newStore(c.now), redis: redistest.Start(tb)}
	r.raw = rawClient(tb, r.redis)
	r.join(edit...)
	return r
}

// node returns another node with the same store and Redis.
func (r *rig) node(edit ...func(*Config)) *rig {
	r.t.Helper()
	n := *r
	n.join(edit...)
	return &n
}

func (r *rig) join(edit ...func(*Config)) {
	r.t.Helper()
	r.log = &logbook{}
	node, err := registry.NewID()
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := Config{
		Connection: Connection{URL: r.redis.URL},
		Store:      epochOne,
		Node:       node,
		Seal:       keyRing(r.t, 1),
		Source:     r.store,
		Fresh:      func() bool { return true },
		// A test machine may be busy. Tests of what a hung Redis costs say less.
		Timeout: 5 * time.Second,
		Now:     r.clock.now,
		Log:     slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, e := range edit {
		e(&cfg)
	}
	cache, err := Open(r.t.Context(), cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cache.Close() })
	r.Cache = cache
	if end, err := r.store.Position(r.t.Context()); err == nil {
		cache.From(end)
	}
	cache.learn(r.t.Context())
}

// settle waits until the writer has nothing left to do.
func (r *rig) settle() {
	q := r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	for (len(q.order) > 0 || q.busy) && !q.closed {
		q.moved.Wait()
	}
}

// change commits rec, announces it and has Redis told, as a follower does.
func (r *rig) change(rec registry.Record) registry.Record {
	rec = r.store.commit(rec)
	r.Changed(userChange(rec.User.ID, rec.User.Version))
	r.Put(rec)
	r.settle()
	return rec
}

// lookUp is one way to ask for a user.
type lookUp struct {
	name string
	ask  func(*Cache, context.Context, registry.Record) (registry.Record, error)
}

var lookUps = []lookUp{
	{"by id", func(c *Cache, ctx context.Context, r registry.Record) (registry.Record, error) {
		return c.RecordByID(ctx, r.User.ID)
	}},
	{"by name", func(c *Cache, ctx context.Context, r registry.Record) (registry.Record, error) {
		return c.RecordByName(ctx, r.User.Username)
	}},
	{"by fingerprint", func(c *Cache, ctx context.Context, r registry.Record) (registry.Record, error) {
		return c.RecordByFingerprint(ctx, r.User.Fingerprints[0].SHA256)
	}},
}

// expect asks for want by name and fails unless that is the answer, given by
// the store or by Redis as told.
func (r *rig) expect(want registry.Record, why Reason) {
	r.t.Helper()
	r.expectBy(lookUps[1], want, want, why)
}

func (r *rig) expectBy(l lookUp, about, want registry.Record, why Reason) {
	r.t.Helper()
	before, asked := r.Stats(), r.store.asked
	got, err := l.ask(r.Cache, r.t.Context(), about)
	if err != nil {
		r.t.Fatalf("%s: %v", l.name, err)
	}
	want.Cached = why == ""
	if d := cmp.Diff(want, got); d != "" {
		r.t.Fatalf("%s: another record than the store holds (-want +got):\n%s", l.name, d)
	}
	r.expectCounts(l, before, asked, why)
}

// expectNobody asks about a user that the store does not have.
func (r *rig) expectNobody(l lookUp, about registry.Record, why Reason) {
	r.t.Helper()
	before, asked := r.Stats(), r.store.asked
	if got, err := l.ask(r.Cache, r.t.Context(), about); err == nil {
		r.t.Fatalf("%s: got %v, want not found", l.name, got.User.ID)
	}
	r.expectCounts(l, before, asked, why)
}

func (r *rig) expectCounts(l lookUp, before Stats, asked int, why Reason) {
	r.t.Helper()
	after := r.Stats()
	var got []string
	for reason := range after.Misses {
		if after.Misses[reason] != before.Misses[reason] {
			got = append(got, string(reason))
		}
	}
	if after.Hits != before.Hits {
		got = append(got, "")
	}
	if len(got) != 1 || Reason(got[0]) != why {
		r.t.Fatalf("%s: counted %q, want %q (\"\" is a hit)", l.name, got, why)
	}
	if asks := r.store.asked - asked; (asks == 0) != (why == "") {
		r.t.Fatalf("%s: the store was asked %d times although the answer was %q", l.name, asks, why)
	}
	r.settle()
}

// dump returns all that stands in Redis.
func (r *rig) dump() map[string]string {
	r.t.Helper()
	ctx := r.t.Context()
	all := make(map[string]string)
	for _, key := range r.raw.Keys(ctx, "*").Val() {
		all[key] = r.raw.Get(ctx, key).Val()
	}
	return all
}

// put lets the adversary write.
func (r *rig) put(key, value string) {
	r.t.Helper()
	if err := r.raw.Set(r.t.Context(), key, value, 0).Err(); err != nil {
		r.t.Fatal(err)
	}
}

// restore lets the adversary put everything back that once stood there.
func (r *rig) restore(old map[string]string) {
	r.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(old)) {
		r.put(key, old[key])
	}
}

func (r *rig) numberAt(key string) uint64 {
	r.t.Helper()
	s, ok := parseHeader([]byte(r.raw.Get(r.t.Context(), key).Val()))
	if !ok {
		r.t.Fatalf("nothing of ours at %s", key)
	}
	return s.number
}
