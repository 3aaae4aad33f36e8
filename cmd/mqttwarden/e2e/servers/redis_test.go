package servers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mqttwarden/cmd/mqttwarden/internal/rig"
	"mqttwarden/registry/rediscache/redistest"
)

// Redis makes the program fast. It is not believed, and not needed.

// cached is a Redis server that the program uses, and a way to meddle with it.
type cached struct {
	*redistest.Server
	t   *testing.T
	raw *redis.Client
}

func newCached(t *testing.T) cached {
	server := redistest.Start(t)
	raw := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = raw.Close() })
	return cached{server, t, raw}
}

// entries waits for at least n entries, which the program writes beside its
// answers, and returns them.
func (c cached) entries(n int) map[string]string {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(rig.Patience); ; {
		keys, err := c.raw.Keys(c.t.Context(), "*").Result()
		if err != nil {
			c.t.Fatal(err)
		}
		if len(keys) >= n {
			all := make(map[string]string, len(keys))
			for _, key := range keys {
				if all[key], err = c.raw.Get(c.t.Context(), key).Result(); err != nil {
					c.t.Fatal(err)
				}
			}
			return all
		}
		select {
		case <-tick.C:
		case <-late:
			c.t.Fatalf("%d entries, want %d", len(keys), n)
		}
	}
}

// replace puts entries in place of those that are there.
func (c cached) replace(all map[string]string) {
	c.t.Helper()
	for key, value := range all {
		if err := c.raw.Set(c.t.Context(), key, value, 0).Err(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// TestWarmCacheSurvivesARestart has many users come back: the first of them are
// read from the store, since Redis is believed only once the program knows what
// has changed.
func TestWarmCacheSurvivesARestart(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	p := rig.Launch(t, "--redis", c.URL, "--cache-users", "0")
	const users = 40
	name := func(i int) string { return fmt.Sprintf("gw%02d", i) }
	for i := range users {
		p.User(name(i), rig.Both("a/#"))
		p.Connect(rig.As(name(i), name(i)))
	}
	c.entries(2 * users)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p = rig.LaunchIn(t, p.Dir, "--redis", c.URL, "--cache-users", "0")
	for i := range users {
		gw := p.Connect(rig.As(name(i), name(i)))
		if p.Metric("mqttwarden_cache_hits_total") == 0 {
			continue
		}
		gw.MustSubscribe("a/#", 1)
		rig.WantCode(t, "publish", gw.Publish("a/1", "", 0, false), rig.Success)
		gw.ExpectMessage("a/1")
		return
	}
	t.Errorf("%d users came back, and the cache answered for none", users)
}

// TestWhoWritesToRedisGivesNobodyARight lets an attacker have Redis while the
// program is down, so that nothing in memory knows better.
func TestWhoWritesToRedisGivesNobodyARight(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	p := rig.Launch(t, "--redis", c.URL, "--cache-users", "0")
	role := p.Role("writers", rig.Both("a/#"))
	id := p.UserWith("gw1", rig.Object{"roles": []string{role}})
	p.Connect(rig.As("gw1", "g"))
	p.AsAdmin()
	before := c.entries(4) // of two users, by id and by name
	p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"password": "a new one", "roles": []string{}})

	for _, attack := range []struct {
		name string
		do   func()
	}{
		{"what stood there before is put back", func() { c.replace(before) }},
		{"everybody is each other", func() {
			for key := range before {
				for other, value := range before {
					if other != key && strings.Contains(other, ":u:") == strings.Contains(key, ":u:") {
						c.replace(map[string]string{key: value})
					}
				}
			}
		}},
		{"entries are cut", func() {
			for key, value := range before {
				c.replace(map[string]string{key: value[:len(value)/2]})
			}
		}},
		{"entries are empty", func() {
			for key := range before {
				c.replace(map[string]string{key: ""})
			}
		}},
		{"one bit of the end is another", func() {
			for key, value := range before {
				c.replace(map[string]string{key: value[:len(value)-1] + string(value[len(value)-1]^1)})
			}
		}},
		{"all is gone", func() { c.raw.FlushAll(t.Context()) }},
	} {
		t.Run(attack.name, func(t *testing.T) {
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
			attack.do()
			token := p.Token
			p = rig.LaunchIn(t, p.Dir, "--redis", c.URL, "--cache-users", "0")
			p.Token = token
			old, next := rig.As("gw1", "g"), rig.As("gw1", "g")
			next.Password = "a new one"
			rig.WantCode(t, "CONNECT with the old password", p.Dial(5).Connect(old).ReasonCode, rig.BadCredentials)
			gw := p.Connect(next)
			rig.WantCode(t, "publish", gw.Publish("a/1", "", 1, false), rig.NotAuthorized)
			rig.WantCode(t, "subscribe", gw.Subscribe("a/#", 1), rig.NotAuthorized)
			rig.WantCode(t, "publish as admin would", gw.Publish("b", "", 1, false), rig.NotAuthorized)
		})
	}
}

func TestLosingRedisCostsNoLogin(t *testing.T) {
	c := newCached(t)
	p := rig.Launch(t, "--redis", c.URL)
	bounded := func(what, name string) {
		t.Helper()
		p.User(name, rig.Both("a/#")) // in nobody's memory
		asked := time.Now()
		gw := p.Connect(rig.As(name, name))
		if took := time.Since(asked); took > 5*time.Second {
			t.Errorf("with Redis %s a login takes %v", what, took)
		}
		rig.WantCode(t, "publish", gw.Publish("a/1", "", 1, false)&^0x10, rig.Success)
	}
	bounded("up", "user-1")
	c.Freeze()
	bounded("frozen", "user-2")
	bounded("frozen for a while", "user-3")
	c.Thaw()
	c.Stop()
	bounded("down", "user-4")
	c.Restart()
	bounded("empty", "user-5")
	if err := c.raw.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	bounded("flushed", "user-6")
}
