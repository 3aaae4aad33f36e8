package rediscache

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mqttwarden/registry"
)

// world is a simple model of several nodes, their store and their clocks, which
// may be wrong by hours. The adversary keeps every entry that was ever sealed.
type world struct {
	time    time.Time
	latest  map[registry.UserID]uint64 // number of the last change, as the store has it
	gone    map[registry.UserID]bool
	deleted map[uint64]bool // marks of changes with which a user was gone
	marks   uint64          // that were given out
	changes []registry.Change
	nodes   []*node
	loads   []*entryInTheMaking
	archive []sealedEntry
	limit   int
}

type node struct {
	*trust
	offset time.Duration // of its clock
	heard  int           // of world.changes
}

type entryInTheMaking struct {
	by   *node
	user registry.UserID
	stamp
}

type sealedEntry struct {
	user registry.UserID
	stamp
}

var worldUsers = []registry.UserID{"u", "v", "w"}

func (w *world) start(offset time.Duration) *node {
	n := &node{offset: offset}
	n.trust = newTrust(time.Hour, 30*time.Second, w.limit, func() time.Time { return w.time.Add(n.offset) })
	n.heard = len(w.changes) // as Follower.Start
	return n
}

func (w *world) end() registry.Position {
	if len(w.changes) == 0 {
		return registry.Position{}
	}
	return w.changes[len(w.changes)-1].Position()
}

func (w *world) anyNode(t *rapid.T) *node { return rapid.SampledFrom(w.nodes).Draw(t, "node") }

// TestNothingThatIsPutBackIsOlderThanWhatANodeHasHeard is the promise of trust:
// whatever is replayed, wherever clocks stand, whatever was forgotten, an entry
// that is taken for an answer knows of every change that was announced.
func TestNothingThatIsPutBackIsOlderThanWhatANodeHasHeard(t *testing.T) {
	answers := 0
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			time:   morning,
			latest: make(map[registry.UserID]uint64),
			gone:   make(map[registry.UserID]bool),

			deleted: make(map[uint64]bool),
			limit:   rapid.IntRange(1, 6).Draw(t, "limit"),
		}
		for range 3 {
			w.nodes = append(w.nodes, w.start(0))
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				w.marks++
				c := registry.Change{Number: uint64(len(w.changes) + 1), Time: w.anyNode(t).now(), Mark: w.marks}
				if rapid.IntRange(0, 4).Draw(t, "whom") > 0 {
					user := rapid.SampledFrom(worldUsers).Draw(t, "user")
					c.Kind, c.ID = registry.UserChange, string(user)
					w.latest[user] = c.Number
					w.gone[user] = rapid.IntRange(0, 9).Draw(t, "gone") == 0
					w.deleted[c.Mark] = w.gone[user]
				}
				w.changes = append(w.changes, c)
			},
			"announce": func(t *rapid.T) {
				n := w.anyNode(t)
				end := rapid.IntRange(n.heard, len(w.changes)).Draw(t, "up to")
				for ; n.heard < end; n.heard++ {
					n.changed(w.changes[n.heard])
				}
			},
			"seed": func(t *rapid.T) {
				n := w.anyNode(t)
				since := n.now().Add(-n.keep())
				rows := slices.DeleteFunc(slices.Clone(w.changes), func(c registry.Change) bool { return c.Time.Before(since) })
				if first := len(w.changes) - len(rows); len(rows) > 0 && rows[0].Number == uint64(first+1) && first > 0 {
					rows = append(rows, w.changes[first-1])
				}
				n.seed(rows, w.end())
			},
			"the store is put back": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
					t.Skip("not this time")
				}
				w.changes = w.changes[:rapid.IntRange(0, len(w.changes)).Draw(t, "to")]
				w.latest, w.gone, w.loads = make(map[registry.UserID]uint64), make(map[registry.UserID]bool), nil
				for _, c := range w.changes {
					w.latest[c.User()], w.gone[c.User()] = c.Number, w.deleted[c.Mark]
				}
				for i, n := range w.nodes {
					w.nodes[i] = w.start(n.offset)
				}
			},
			"restart": func(t *rapid.T) {
				i := rapid.IntRange(0, len(w.nodes)-1).Draw(t, "node")
				w.nodes[i] = w.start(w.nodes[i].offset)
			},
			"begin to load": func(t *rapid.T) {
				n := w.anyNode(t)
				w.loads = append(w.loads, &entryInTheMaking{
					by: n, user: rapid.SampledFrom(worldUsers).Draw(t, "user"),
					stamp: stamp{line: n.position(), asOf: n.now()},
				})
			},
			"read": func(t *rapid.T) {
				for _, l := range w.loads {
					if l.number == 0 && !w.gone[l.user] && rapid.Bool().Draw(t, "this one") {
						l.number = w.latest[l.user]
					}
				}
			},
			"seal": func(t *rapid.T) {
				w.loads = slices.DeleteFunc(w.loads, func(l *entryInTheMaking) bool {
					sealed := l.number > 0 && rapid.Bool().Draw(t, "this one")
					if sealed {
						w.archive = append(w.archive, sealedEntry{l.user, l.stamp})
					}
					return sealed
				})
			},
			"time goes by": func(t *rapid.T) {
				w.time = w.time.Add(time.Duration(rapid.Int64Range(0, int64(40*time.Minute)).Draw(t, "time")))
			},
			"a clock is set": func(t *rapid.T) {
				w.anyNode(t).offset = time.Duration(rapid.Int64Range(int64(-3*time.Hour), int64(3*time.Hour)).Draw(t, "offset"))
			},
			"": func(t *rapid.T) {
				for i, n := range w.nodes {
					announced := make(map[registry.UserID]uint64)
					for _, c := range w.changes[:n.heard] {
						announced[c.User()] = c.Number
					}
					for _, e := range w.archive {
						if n.judge(e.user, e.stamp) != "" {
							continue
						}
						answers++
						if l := int(e.line.Number); l > len(w.changes) || l > 0 && w.changes[l-1].Mark != e.line.Mark {
							t.Fatalf("node %d takes what was read of %s at line %d of another history", i, e.user, l)
						}
						if e.number < announced[e.user] {
							t.Fatalf("node %d takes number %d (line %v) of %s although change %d was announced to it",
								i, e.number, e.line, e.user, announced[e.user])
						}
					}
				}
			},
		})
	})
	if answers == 0 {
		t.Error("no entry was ever an answer: this test has shown nothing")
	}
}

// TestWhateverTheAdversaryDoesToRedis plays against the whole cache.
func TestWhateverTheAdversaryDoesToRedis(t *testing.T) {
	r := newRig(t)
	hits := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		r.raw.FlushAll(r.t.Context())
		r.store = newStore(r.clock.now)
		r.join(func(c *Config) { c.Remember = rapid.IntRange(1, 4).Draw(t, "remember") })
		defer func() { _ = r.Close() }()
		var (
			ctx       = r.t.Context()
			history   = make(map[registry.UserID][]registry.Record)
			archive   = make(map[string][]string) // all that ever stood at a key
			announced = make(map[registry.UserID]uint64)
			told      int
		)
		pick := func(t *rapid.T) int { return rapid.IntRange(0, 2).Draw(t, "user") }
		name := func(t *rapid.T) string { return fmt.Sprint("name", pick(t)) }
		keep := func() {
			for key, value := range r.dump() {
				if !slices.Contains(archive[key], value) {
					archive[key] = append(archive[key], value)
				}
			}
		}
		somewhere := func(t *rapid.T) (key, value string) {
			keys := slices.Sorted(maps.Keys(archive))
			if len(keys) == 0 {
				t.Skip("nothing there yet")
			}
			key = rapid.SampledFrom(keys).Draw(t, "key")
			return key, rapid.SampledFrom(archive[key]).Draw(t, "value")
		}
		check := func(t *rapid.T, got registry.Record, err error, by func(registry.Record) bool) {
			switch {
			case errors.Is(err, registry.NotFound):
				return // nobody got anything
			case err != nil:
				t.Fatal(err)
			case !by(got):
				t.Fatalf("got %+v: not who was asked for", got.User)
			case got.User.Version < announced[got.User.ID]:
				t.Fatalf("got number %d of %s although %d was announced", got.User.Version, got.User.ID, announced[got.User.ID])
			case !slices.ContainsFunc(history[got.User.ID], func(h registry.Record) bool {
				return h.User.Version == got.User.Version && h.User.Username == got.User.Username && h.User.Active == got.User.Active
			}):
				t.Fatalf("got %+v: never was in the store", got.User)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"change": func(t *rapid.T) {
				u := user(pick(t))
				u.User.Username = name(t)
				u.User.Fingerprints = []registry.Fingerprint{{SHA256: name(t)}}
				u.User.Active = rapid.Bool().Draw(t, "active")
				for id, other := range r.store.records {
					if id != u.User.ID && (other.User.Username == u.User.Username ||
						other.User.Fingerprints[0].SHA256 == u.User.Fingerprints[0].SHA256) {
						t.Skip("taken")
					}
				}
				u = r.store.commit(u)
				history[u.User.ID] = append(history[u.User.ID], u)
			},
			"delete": func(t *rapid.T) {
				id := user(pick(t)).User.ID
				if _, ok := r.store.records[id]; !ok {
					t.Skip("not there")
				}
				r.store.remove(id)
			},
			"announce": func(t *rapid.T) {
				for _, c := range r.store.changes[told:] {
					told++
					r.Changed(c)
					announced[c.User()] = c.Number
					if rec, ok := r.store.records[c.User()]; ok {
						r.Put(rec)
					} else {
						r.Bury(c.User(), c.Number)
					}
				}
				r.settle()
				keep()
			},
			"by name": func(t *rapid.T) {
				want := name(t)
				got, err := r.RecordByName(ctx, want)
				check(t, got, err, func(r registry.Record) bool { return r.User.Username == want })
			},
			"by fingerprint": func(t *rapid.T) {
				want := name(t)
				got, err := r.RecordByFingerprint(ctx, want)
				check(t, got, err, func(r registry.Record) bool { return r.User.Fingerprints[0].SHA256 == want })
			},
			"by id": func(t *rapid.T) {
				want := user(pick(t)).User.ID
				got, err := r.RecordByID(ctx, want)
				check(t, got, err, func(r registry.Record) bool { return r.User.ID == want })
			},
			"writes settle": func(*rapid.T) {
				r.settle()
				keep()
			},
			"the adversary puts something back": func(t *rapid.T) {
				key, value := somewhere(t)
				r.put(key, value)
			},
			"the adversary puts something elsewhere": func(t *rapid.T) {
				key, _ := somewhere(t)
				_, value := somewhere(t)
				r.put(key, value)
			},
			"the adversary flips a bit": func(t *rapid.T) {
				key, value := somewhere(t)
				b := []byte(value)
				b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				r.put(key, string(b))
			},
			"the adversary removes something": func(t *rapid.T) {
				key, _ := somewhere(t)
				r.raw.Del(ctx, key)
			},
			"time goes by": func(t *rapid.T) {
				r.clock.move(time.Duration(rapid.Int64Range(0, int64(40*time.Minute)).Draw(t, "time")))
			},
		})
		r.settle()
		hits += r.Stats().Hits
	})
	if hits == 0 {
		t.Error("redis never answered: this test has shown nothing")
	}
}
