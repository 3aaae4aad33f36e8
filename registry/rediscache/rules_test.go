package rediscache

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mqttwarden/registry/rediscache/redistest"
)

// What is lost with a connection, or in Redis, costs a question to the store at most.
func TestWhatIsLostIsAskedOfTheStore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.change(alice())
	for _, tt := range []struct {
		name, command string
		args          []any
		why           Reason
	}{
		{"connections", "CLIENT", []any{"KILL", "TYPE", "normal"}, ""},
		{"scripts", "SCRIPT", []any{"FLUSH"}, ""},
		{"entries", "FLUSHALL", nil, Absent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.t = t
			r.expect(a, "")
			if err := r.raw.Do(t.Context(), append([]any{tt.command}, tt.args...)...).Err(); err != nil {
				t.Fatal(err)
			}
			r.expect(a, tt.why)
			a.User.Active = !a.User.Active
			a = r.change(a)
			r.expect(a, "")
			if s := r.Stats(); s.Down || s.Dropped != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// What others change while a node's link to Redis only seems to be there is known to it
// from the store; what Redis held before gives nothing when the link heals.
func TestLinkToRedisIsHalfOpenAndHeals(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond
	r := newRig(t)
	p := redistest.StartProxy(t, r.redis)
	far := r.node(func(c *Config) { c.URL, c.Timeout = "redis://"+p.Addr, timeout })
	a := r.change(alice())
	far.Changed(userChange(a.User.ID, a.User.Version))
	far.expect(a, "")

	p.Stall()
	start := time.Now()
	far.expect(a, Unanswered)
	if took := time.Since(start); took < timeout || took > 10*time.Second {
		t.Errorf("the first look-up took %v, want a little more than %v", took, timeout)
	}
	before := r.dump()
	a.User.Active = false
	a = r.change(a)
	far.Changed(userChange(a.User.ID, a.User.Version)) // as its follower found, by looking
	far.expect(a, Skipped)
	r.restore(before)

	p.Heal()
	far.clock.move(time.Minute)
	far.expect(a, Skipped) // the writer finds that Redis is back
	far.expect(a, "")
}

func TestNameIsGivenToAnotherUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := r.node()
	first := r.change(alice())
	other.Changed(userChange(first.User.ID, first.User.Version))
	other.expect(first, "")
	before := r.dump()

	gone := r.store.remove(first.User.ID)
	second := alice()
	second.User.ID, second.User.Fingerprints = "u-alice-2", nil
	second.User.Roles, second.RoleVersions = nil, nil
	second = r.store.commit(second)
	for _, n := range []*rig{r, other} {
		n.Changed(userChange(first.User.ID, gone))
		n.Changed(userChange(second.User.ID, second.User.Version))
	}
	r.Bury(first.User.ID, gone)
	r.Put(second)
	r.settle()
	other.expect(second, "")
	other.expectNobody(lookUps[0], first, Gone)
	other.expectNobody(lookUps[2], first, Gone)

	r.restore(before) // the name leads to the first user again
	other.expect(second, Outdated)
	other.expect(second, "")
	other.expectNobody(lookUps[2], first, Outdated)
}

// Two deployments have the same names in one Redis, even under the same master key.
func TestTwoDeploymentsShareARedis(t *testing.T) {
	t.Parallel()
	ours := newRig(t)
	theirs := *ours
	theirs.store = newStore(ours.clock.now)
	theirs.join(func(c *Config) { c.Store.StoreID = "store-2" })
	heard, theyHear := ours.listen(), theirs.listen()
	ours.expectTold(heard, missed)
	theirs.expectTold(theyHear, missed)

	a, b := alice(), alice()
	b.User.Active, b.User.PasswordHash = false, "another"
	a, b = ours.change(a), theirs.change(b)
	ours.expect(a, "")
	theirs.expect(b, "")
	if got := len(ours.dump()); got != 2*(2+len(a.User.Fingerprints)) {
		t.Errorf("there are %d entries", got)
	}

	third := ours.node()
	theirs.Bus().Tell(progress(99))
	ours.Bus().Tell(progress(7))
	third.expectTold(third.listen(), told{ours.cfg.Node, progress(7)})
	for len(heard) > 0 {
		if got := <-heard; got.node == theirs.cfg.Node || got.Committed == 99 {
			t.Errorf("heard from the other deployment: %+v", got)
		}
	}
	if s := ours.Bus().Stats(); s.Refused[Forged] != 0 {
		t.Errorf("%+v: want nothing from the other deployment", s)
	}
}

// allow gives a user of Redis what doc.go and the manual say that it needs.
func allow(t *testing.T, raw *redis.Client, more ...any) {
	t.Helper()
	err := raw.Do(t.Context(), append([]any{
		"ACL", "SETUSER", "mqttwarden", "on", ">hunter22", "~{mw:*", "&{mw:*", "-@all",
		"+hello", "+auth", "+select", "+ping", "+getrange", "+set", "+eval", "+evalsha", "+publish", "+subscribe",
	}, more...)...).Err()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRedisHasToAllowNoMoreThanIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	allow(t, r.raw)
	n := r.node(func(c *Config) { c.URL = "redis://mqttwarden@" + r.redis.Addr; c.Password = "hunter22" })
	a := n.change(alice())
	for _, l := range lookUps {
		n.expectBy(l, a, a, "")
	}
	n.Bury(a.User.ID, a.User.Version)
	n.settle()
	other := r.node()
	heard, theyHear := n.listen(), other.listen()
	n.expectTold(heard, missed)
	other.expectTold(theyHear, missed)
	n.Bus().Tell(progress(7))
	other.expectTold(theyHear, told{n.cfg.Node, progress(7)})
	if err := n.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if got := n.log.lines("level=WARN"); len(got) != 0 {
		t.Errorf("logged %q", got)
	}
	if log := r.raw.Do(t.Context(), "ACL", "LOG").Val(); len(log.([]any)) != 0 {
		t.Errorf("Redis refused %v", log)
	}
}
