package authhook_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/authhook"
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

func TestPanicEndsOneConnection(t *testing.T) {
	t.Run("while signing in", func(t *testing.T) {
		r := newRig(t, func(s *settings) { s.hook.SignIn = panics{s.hook.SignIn} })
		r.user("alice", both("a/#"))
		r.user("mallory", both("a/#"))
		alice := r.connect(5, "alice", "alice")
		c := r.dial(5)
		c.Send(as("mallory", "c").Packet(5))
		c.ExpectEnd()
		alice.Ping()
		r.eventually("the panic is over", func() bool { return r.Stats().Panics == 1 })
	})
	t.Run("while holding a client ID", func(t *testing.T) {
		r := newRig(t, func(s *settings) {
			s.hook.TokenAlive = func(context.Context, registry.TokenID) (bool, error) { panic("out of luck") }
		})
		r.user("alice", both("a/#"))
		r.store.setToken("t", true)
		r.store.tokenEnd = r.clock.Now().Add(time.Hour)
		r.change("alice", func(rec *account) {
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
		boom := func(filter string) {
			if filter == "mine/boom" {
				panic("out of luck")
			}
		}
		r.judged.Store(&boom)
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
			Filters: packets.Subscriptions{{Filter: "mine/boom"}},
		})
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
