package authhook_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/authhook"
	"mqttwarden/broker/mqtttest"
	"mqttwarden/registry"
)

func TestTakeover(t *testing.T) {
	for _, from := range []byte{4, 5} {
		for _, to := range []byte{4, 5} {
			for _, resume := range []bool{true, false} {
				t.Run(fmt.Sprintf("from version %d to %d, resume %t", from, to, resume), func(t *testing.T) {
					r := newRig(t, nil)
					r.user("alice", both("a/#"))
					o := as("alice", "c")
					o.Resume, o.Expiry = true, 600
					old := r.dial(from)
					old.MustConnect(o)
					old.MustSubscribe("a/#", 1)
					o.Resume = resume
					c := r.dial(to)
					if ack := c.MustConnect(o); ack.SessionPresent != resume {
						t.Errorf("session present: %t, want %t", ack.SessionPresent, resume)
					}
					want := byte(0)
					if from == 5 {
						want = 0x8E
					}
					if code := old.ExpectEnd(); code != want {
						t.Errorf("DISCONNECT %#02x, want %#02x", code, want)
					}
					r.settle(1, 0)
					r.connect(5, "alice", "pub").Publish("a/1", "x", 1, false)
					if resume {
						c.ExpectMessage("a/1")
					}
					c.Ping()
				})
			}
		}
	}
}

// Mochi lets sessions expire by its own clock, and then deletes whatever client
// has the ID, with none of its subscriptions.
func TestV09ExpiryByMochi(t *testing.T) {
	setUp := func(t *testing.T) (r *rig, o mqtttest.Connect, expire func()) {
		r = newRig(t, nil)
		r.user("alice", both("a/#"))
		o = as("alice", "c")
		o.Resume, o.Expiry = true, 600
		c := r.dial(5)
		c.MustConnect(o)
		c.MustSubscribe("a/#", 0)
		cl, _ := r.srv.Clients.Get("c")
		c.Close()
		r.settle(0, 1)
		return r, o, func() {
			r.hook.OnClientExpired(cl)
			r.srv.Clients.Delete("c")
		}
	}
	t.Run("of a stored session", func(t *testing.T) {
		r, _, expire := setUp(t)
		expire()
		r.hook.Sweep(t.Context(), r.clock.Now())
		r.settle(0, 0)
		if n := len(r.srv.Topics.Subscribers("a/1").Subscriptions); n != 0 {
			t.Error("its subscription is left")
		}
	})
	t.Run("of one that comes back at the last moment", func(t *testing.T) {
		r, o, expire := setUp(t)
		expire()
		c := r.dial(5)
		if ack := c.MustConnect(o); ack.SessionPresent {
			t.Error("the session is still there")
		}
		r.connect(5, "alice", "pub").Publish("a/1", "x", 1, false)
		c.Ping()
		if n := len(r.srv.Topics.Subscribers("a/1").Subscriptions); n != 0 {
			t.Error("the subscription of the old session is left")
		}
	})
	t.Run("hits the one that came back", func(t *testing.T) {
		r, o, expire := setUp(t)
		c := r.dial(5)
		c.MustConnect(o)
		c.Ping()
		expire()
		r.hook.Sweep(t.Context(), r.clock.Now())
		r.connect(5, "alice", "pub").Publish("a/1", "x", 1, false)
		c.ExpectMessage("a/1")
	})
}

// Mochi alone leaves connections that nobody knows, when several clients connect
// with one ID at a time (V12 of its defects).
func TestV12ConcurrentConnectsLeaveOneConnection(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	r := newRig(t, nil)
	r.user("alice", both("a/#"))
	for round := range rounds {
		id := fmt.Sprintf("c%d", round)
		clients := make([]*mqtttest.Client, 4)
		for i := range clients {
			clients[i] = r.dial([]byte{4, 5}[i%2])
		}
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() {
				o := as("alice", id)
				o.Resume, o.Expiry = i%3 == 0, 60*uint32(i%2)
				c.Send(o.Packet(c.Version))
			})
		}
		wg.Wait()
		for _, c := range clients {
			_, _ = c.Next(mqtttest.Patience) // the CONNACK, or the end
		}
		alive := 0
		for _, c := range clients {
			if stillServed(c) {
				alive++
			}
		}
		if alive != 1 {
			t.Fatalf("round %d: %d connections are alive, want 1", round, alive)
		}
		r.change("alice", func(rec *registry.Record) { rec.User.PasswordSet = rec.User.PasswordSet.Add(1) })
		for i, c := range clients {
			if stillServed(c) {
				t.Fatalf("round %d: client %d is still connected", round, i)
			}
		}
		r.settle(0, 0)
	}
	if n := r.srv.Clients.Len(); n != 0 {
		t.Errorf("mochi still has %d clients", n)
	}
}

// stillServed reports whether the broker still listens to c.
func stillServed(c *mqtttest.Client) bool {
	_, _ = c.Write([]byte{packets.Pingreq << 4, 0})
	for {
		pk, err := c.Next(mqtttest.Patience)
		if err != nil || pk.FixedHeader.Type == packets.Pingresp {
			return err == nil
		}
	}
}

// Whatever becomes of a connection, nothing of it is left in the end.
func TestReconnectStormLeavesNothing(t *testing.T) {
	cycles := 1000
	if testing.Short() {
		cycles = 100
	}
	r := newRig(t, nil)
	r.user("alice", both("#"))
	r.change("alice", func(rec *registry.Record) { rec.User.PublishPrefix = "p/" })
	r.user("bob", both("#"))
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range cycles / 8 {
				storm(r.addr(), worker, i)
			}
		})
	}
	wg.Wait()
	r.remove("alice")
	r.remove("bob")
	r.eventually("nothing is left", func() bool { return r.hook.Held() == 0 && r.srv.Clients.Len() == 0 })
	if n := len(r.srv.Topics.Subscribers("a").Subscriptions); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

// storm connects once and goes away in one of many ways.
func storm(addr string, worker, i int) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	user := []string{"alice", "bob"}[worker%2]
	o := as(user, fmt.Sprintf("%s%d", user, (worker+i)%3))
	o.Resume, o.Expiry, o.Will = i%5 == 0, uint32(i%2)*600, &mqtttest.Will{Topic: "will", Payload: "x"}
	version := []byte{4, 5}[i%2]
	b := mqtttest.Encode(o.Packet(version))
	if i%7 == 0 {
		b = b[:len(b)-3]
	}
	_, _ = conn.Write(b)
	if i%3 == 0 {
		return // without waiting for the CONNACK
	}
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = conn.Read(make([]byte, 64))
	_, _ = conn.Write(mqtttest.Encode(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: version,
		PacketID: 1, Filters: packets.Subscriptions{{Filter: "a", Qos: 1}},
	}))
	_, _ = conn.Write(mqtttest.Encode(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish}, ProtocolVersion: version, TopicName: "a",
	}))
	if i%4 == 0 {
		_, _ = conn.Write([]byte{packets.Disconnect << 4, 0})
	}
}

func TestPanicEndsOneConnection(t *testing.T) {
	t.Run("while signing in", func(t *testing.T) {
		r := newRig(t, func(cfg *authhook.Config) {
			cfg.SignIn = panics{cfg.SignIn}
		})
		r.user("alice", both("a/#"))
		r.user("mallory", both("a/#"))
		alice := r.connect(5, "alice", "alice")
		c := r.dial(5)
		c.Send(as("mallory", "c").Packet(5))
		c.ExpectEnd()
		alice.Ping()
		r.eventually("the panic is over", func() bool { return r.panics.Load() == 1 })
	})
	t.Run("while holding a client ID", func(t *testing.T) {
		r := newRig(t, func(cfg *authhook.Config) {
			cfg.TokenAlive = func(context.Context, registry.TokenID) (bool, error) { panic("out of luck") }
		})
		r.user("alice", both("a/#"))
		r.store.setToken("t", true)
		r.store.tokenEnd = r.clock.Now().Add(time.Hour)
		r.change("alice", func(rec *registry.Record) {
			rec.User.GrantTypes = append(rec.User.GrantTypes, registry.GrantType{Method: registry.MethodToken})
		})
		c := r.dial(5)
		o := as("alice", "c")
		o.Password = "token:t"
		c.Send(o.Packet(5))
		c.ExpectEnd()
		r.connect(5, "alice", "c") // the ID is free
	})
	t.Run("in the middle of a session", func(t *testing.T) {
		r := newRig(t, nil)
		r.user("alice", both("mine/#"))
		ops := r.watcher()
		c := r.willed(5, willOn, 600)
		c.MustSubscribe("mine/#", 1)
		// A SUBSCRIBE that ends after its filter: V1 of mochi's defects.
		c.SendBytes([]byte{0x82, 6, 0, 1, 0, 0, 1, 'a'})
		c.ExpectEnd()
		ops.ExpectMessage("mine/will")
		r.settle(1, 1)
		o := as("alice", "alice")
		o.Resume, o.Expiry = true, 600
		if ack := r.dial(5).MustConnect(o); !ack.SessionPresent {
			t.Error("the session is gone")
		}
	})
}

// panics signs nobody in whose name is mallory.
type panics struct{ authhook.SignIn }

func (p panics) In(ctx context.Context, a registry.Attempt) (registry.Login, error) {
	if a.Username == "mallory" {
		panic(errors.New("out of luck"))
	}
	return p.SignIn.In(ctx, a)
}
