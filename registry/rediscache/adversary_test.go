package rediscache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
)

// attack is something that somebody with write access to Redis does. It is given
// what stood there before the user lost a right, what stands there now, and the
// keys of the user's record and name.
type attack struct {
	name string
	do   func(r *rig, old, now map[string]string, record, name string)
	why  Reason
}

var attacks = []attack{
	{"record from before the change is put back", func(r *rig, old, _ map[string]string, record, _ string) {
		r.put(record, old[record])
	}, Outdated},
	{"everything from before the change is put back", func(r *rig, old, _ map[string]string, _, _ string) {
		r.restore(old)
	}, Outdated},
	{"old record with a higher number in its header", func(r *rig, old, _ map[string]string, record, _ string) {
		v := old[record]
		r.put(record, v[:1]+"18446744073709551615"+v[1+digits:])
	}, Forged},
	{"old record with the header of the new one", func(r *rig, old, now map[string]string, record, _ string) {
		r.put(record, now[record][:headerLen]+old[record][headerLen:])
	}, Forged},
	{"old record with a later line", func(r *rig, old, _ map[string]string, record, _ string) {
		v := old[record]
		r.put(record, v[:1+digits]+fmt.Sprintf("%0*d", digits, 999)+v[1+2*digits:])
	}, Forged},
	{"old record with a later time", func(r *rig, old, _ map[string]string, record, _ string) {
		v := old[record]
		later := fmt.Sprintf("%0*d", digits, r.clock.now().Add(time.Second).UnixNano())
		r.put(record, v[:1+2*digits]+later+v[1+3*digits:])
	}, Forged},
	{"another user's record", func(r *rig, _, now map[string]string, record, _ string) {
		r.put(record, now[r.keys.user("u-admin")])
	}, Forged},
	{"another user's name", func(r *rig, _, now map[string]string, _, name string) {
		r.put(name, now[r.keys.name("admin")])
	}, Forged},
	{"a fingerprint where the name belongs", func(r *rig, _, now map[string]string, _, name string) {
		for key, value := range now {
			if strings.Contains(key, ":f:") {
				r.put(name, value)
			}
		}
	}, Forged},
	{"a record where the name belongs", func(r *rig, _, now map[string]string, record, name string) {
		r.put(name, now[record])
	}, Forged},
	{"truncated record", func(r *rig, _, now map[string]string, record, _ string) {
		r.put(record, now[record][:len(now[record])-1])
	}, Forged},
	{"record cut after its header", func(r *rig, _, now map[string]string, record, _ string) {
		r.put(record, now[record][:headerLen])
	}, Forged},
	{"record cut within its header", func(r *rig, _, now map[string]string, record, _ string) {
		r.put(record, now[record][:headerLen-1])
	}, Malformed},
	{"one byte", func(r *rig, _, _ map[string]string, record, _ string) {
		r.put(record, "1")
	}, Malformed},
	{"text in the header", func(r *rig, _, now map[string]string, record, _ string) {
		r.put(record, "2+000"+now[record][5:])
	}, Malformed},
	{"numbers that no machine word holds", func(r *rig, _, now map[string]string, record, _ string) {
		r.put(record, "2"+strings.Repeat("9", 3*digits)+now[record][headerLen:])
	}, Malformed},
	{"another format", func(r *rig, _, now map[string]string, record, _ string) {
		r.put(record, "1"+now[record][1:])
	}, Malformed},
	{"more than may stand there", func(r *rig, _, now map[string]string, record, _ string) {
		r.put(record, now[record]+strings.Repeat("x", maxValue+1-len(now[record])))
	}, Malformed},
	{"a list", func(r *rig, _, _ map[string]string, record, _ string) {
		r.raw.Del(r.t.Context(), record)
		r.raw.RPush(r.t.Context(), record, "1")
	}, Malformed},
	{"record is gone", func(r *rig, _, _ map[string]string, record, _ string) {
		r.raw.Del(r.t.Context(), record)
	}, Absent},
	{"name is gone", func(r *rig, _, _ map[string]string, _, name string) {
		r.raw.Del(r.t.Context(), name)
	}, Absent},
}

func TestWhoWritesToRedisGivesNobodyARight(t *testing.T) {
	r := newRig(t)
	for i, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			r.t = t
			r.raw.FlushAll(t.Context())
			r.clock.move(2 * time.Minute) // so that each may be logged

			admin := user(0)
			admin.User.ID, admin.User.Username = "u-admin", "admin"
			r.change(admin)
			victim := alice()
			victim.User.ID = registry.UserID(fmt.Sprint("u-alice-", i))
			victim.User.Username = fmt.Sprint("alice", i)
			victim.User.Fingerprints = []registry.Fingerprint{{SHA256: fmt.Sprintf("%064d", i)}}
			victim = r.change(victim)
			old := r.dump()
			r.clock.move(time.Second)
			victim.User.Roles, victim.RoleVersions = nil, nil
			victim.User.PasswordHash = "another"
			victim = r.change(victim)
			r.expect(victim, "")

			lines := len(r.log.lines("reason=" + string(a.why)))
			a.do(r, old, r.dump(), r.keys.user(victim.User.ID), r.keys.name(victim.User.Username))
			r.expect(victim, a.why)
			if n := len(r.log.lines("reason="+string(a.why))) - lines; (n == 1) != (a.why != Absent) {
				t.Errorf("%d log lines", n)
			}
			r.expect(victim, "") // what the store said has taken its place
		})
	}
	if got := r.log.lines("level=ERROR"); len(got) != 0 {
		t.Errorf("logged %q", got)
	}
}

func TestEveryBitOfAValueCounts(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	for _, key := range []string{r.keys.user(a.User.ID), r.keys.name(a.User.Username)} {
		value := r.dump()[key]
		for i := range value {
			flipped := []byte(value)
			flipped[i] ^= 1 << (i % 8)
			if _, _, _, why := r.opened(key, flipped); why != Forged && why != Malformed {
				t.Fatalf("byte %d of %s may be flipped", i, key)
			}
			if _, _, _, why := r.opened(key, []byte(value[:i])); why != Forged && why != Malformed {
				t.Fatalf("%s may be cut at %d", key, i)
			}
		}
		if _, _, _, why := r.opened(key, []byte(value)); why != "" {
			t.Fatalf("what was written is %s", why)
		}
	}
}

func TestNoMoreIsReadThanMayBeThere(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	r.put(r.keys.user(a.User.ID), strings.Repeat("x", 8*maxValue))
	sent := func() (bytes int) {
		info := r.raw.InfoMap(t.Context(), "stats").Val()
		_, _ = fmt.Sscan(info["Stats"]["total_net_output_bytes"], &bytes)
		return bytes
	}
	before := sent()
	r.expect(a, Malformed)
	if n := sent() - before; before == 0 || n > 2*maxValue {
		t.Errorf("%d bytes were read, want at most about %d", n, maxValue)
	}
}

func TestEntriesOfAnotherStoreOrEpochAreNoAnswer(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Config)
	}{
		{"another store", func(c *Config) { c.Store.StoreID = "store-2" }},
		{"the same store before a restore", func(c *Config) { c.Store.Epoch = 0 }},
		{"another master key", func(c *Config) { c.Seal = keyRing(t, 2) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			other := r.node(tt.edit)
			other.change(alice())
			theirs := other.dump()
			a := alice()
			a.User.Roles, a.RoleVersions = nil, nil
			a = r.store.commit(a)
			r.expect(a, Absent) // they do not meet

			for key, value := range map[string]string{
				r.keys.user(a.User.ID):       theirs[other.keys.user(a.User.ID)],
				r.keys.name(a.User.Username): theirs[other.keys.name(a.User.Username)],
			} {
				r.put(key, value)
				r.expect(a, Forged)
			}
			r.expect(a, "")
		})
	}
}

func TestEntryFromTheFutureIsNoAnswerAndIsReplaced(t *testing.T) {
	r := newRig(t)
	ahead := r.node(func(c *Config) {
		c.Now = func() time.Time { return r.clock.now().Add(time.Hour) }
	})
	a := r.store.commit(alice())
	ahead.Put(a)
	ahead.settle()
	r.expect(a, Future)
	r.expect(a, "")

	near := r.node(func(c *Config) {
		c.Now = func() time.Time { return r.clock.now().Add(30 * time.Second) }
	})
	r.Changed(userChange(a.User.ID, a.User.Version))
	near.Put(a)
	near.settle()
	r.expect(a, "")
}

func TestRefusedEntriesAreLoggedOnceAMinute(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	key := r.keys.user(a.User.ID)
	for range 3 {
		r.put(key, "garbage")
		r.expect(a, Malformed)
	}
	if got := r.log.lines("reason=malformed"); len(got) != 1 {
		t.Errorf("logged %q, want one line", got)
	}
	r.clock.move(time.Minute)
	r.put(key, "garbage")
	r.expect(a, Malformed)
	if got := r.log.lines("reason=malformed"); len(got) != 2 {
		t.Errorf("logged %q, want another line after a minute", got)
	}
}
