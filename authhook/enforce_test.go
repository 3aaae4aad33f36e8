package authhook_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

func TestLostRightsEndSubscriptionsAndNothingElse(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			r := newRig(t, nil)
			r.user("alice", both("a/#"), both("b/#"))
			r.user("bystander", both("a/#"))
			alice := r.connect(version, "alice", "alice")
			for _, filter := range []string{"a/#", "a/+", "$share/g/a/#", "$SHARE/h/a/1", "b/#", "$share/g/b/2"} {
				alice.MustSubscribe(filter, 1)
			}
			other := r.connect(5, "bystander", "other")
			other.MustSubscribe("a/#", 1)

			r.grant("alice", both("b/#"))

			if got := r.Stats().Subscriptions; got != 3 {
				t.Errorf("%d subscriptions are left, want two and the bystander's", got)
			}
			alice.Ping()
			other.Publish("a/1", "x", 1, false)
			other.ExpectMessage("a/1")
			if code := alice.Publish("a/1", "x", 1, false); version == 5 && code != 0x87 {
				t.Errorf("publish without the right: %#02x, want 0x87", code)
			}
			alice.Publish("b/1", "x", 1, false)
			alice.ExpectMessage("b/1")

			r.grant("alice", both("a/#")) // what is granted anew acts at once, too
			if code := alice.Publish("a/1", "x", 1, false); code >= 0x80 {
				t.Errorf("publish with the right: %#02x", code)
			}
			alice.MustSubscribe("a/#", 0)
		})
	}
}

func TestSessionThatCouldNotBeOpenedAgainIsEnded(t *testing.T) {
	user := func(f func(u *registry.User)) func(*rig) {
		return func(r *rig) { r.change("alice", func(rec *account) { f(&rec.User) }) }
	}
	for _, tt := range []struct {
		name string
		what func(*rig)
	}{
		{"its user is removed", func(r *rig) { r.remove("alice") }},
		{"its user is disabled", user(func(u *registry.User) { u.Active = false })},
		{"its user is renamed", user(func(u *registry.User) { u.Username = "alicia" })},
		{"the password is changed", user(func(u *registry.User) { u.PasswordSet = u.PasswordSet.Add(1) })},
		{"the grant type is taken away", user(func(u *registry.User) { u.GrantTypes = nil })},
		{"another grant type becomes required", user(func(u *registry.User) {
			u.GrantTypes = append(u.GrantTypes, registry.GrantType{Method: registry.MethodCertificate, Required: true})
		})},
		{"the client ID is not in the list any more", user(func(u *registry.User) { u.ClientIDs = []string{"other"} })},
	} {
		for version, want := range map[byte]byte{4: 0, 5: 0x98} {
			for _, live := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, version %d, live %t", tt.name, version, live), func(t *testing.T) {
					r := newRig(t, nil)
					r.user("alice", both("mine/#"))
					ops := r.watcher()
					c := r.willed(version, willOn, 600)
					c.MustSubscribe("mine/#", 1)
					if live {
						tt.what(r)
						if code := c.ExpectEnd(); code != want {
							t.Errorf("DISCONNECT %#02x, want %#02x", code, want)
						}
					} else {
						c.Disconnect()
						r.settle(1, 1)
						tt.what(r)
					}
					st := r.Stats()
					if st.Subscriptions != 1 {
						t.Errorf("%d subscriptions are left, want that of ops alone", st.Subscriptions)
					}
					if st.SessionsConnected != 1 || st.SessionsStored != 0 || st.SessionsEnded != 1 {
						t.Errorf("connected %d, stored %d, ended %d: want 1, 0, 1", st.SessionsConnected, st.SessionsStored, st.SessionsEnded)
					}
					r.nothingCame(ops) // no will
					if !strings.Contains(r.log.String(), "session ended") {
						t.Error("nothing in the log")
					}
				})
			}
		}
	}
}

func TestRevokedSessionDoesNotComeBackWithItsUser(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("mine/#"))
	o := as("alice", "c")
	o.Resume, o.Expiry = true, 600
	c := r.dial(5)
	c.MustConnect(o)
	c.MustSubscribe("mine/#", 1)
	r.change("alice", func(rec *account) { rec.User.Active = false })
	c.ExpectEnd()
	if ack := r.dial(5).Connect(o); ack.ReasonCode != 0x87 {
		t.Errorf("CONNACK %#02x, want 0x87", ack.ReasonCode)
	}
	r.change("alice", func(rec *account) { rec.User.Active = true })
	if ack := r.dial(5).MustConnect(o); ack.SessionPresent {
		t.Error("the session of a revoked user is still there")
	}
}

func TestChangeOfRightsDisconnectsNobody(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("a/#"))
	c := r.connect(4, "alice", "c")
	for _, g := range [][]acl.Grant{nil, {read("x")}, {both("a/#")}} {
		r.grant("alice", g...)
		c.Ping()
	}
	r.change("alice", func(rec *account) { rec.User.PublishPrefix = "p/" })
	r.change("alice", func(rec *account) { rec.User.ClientIDs = []string{"c"} })
	c.Ping()
}

func TestWaitingMessagesAreNotResentAfterRevocation(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos := byte(1); qos <= 2; qos++ {
			for _, live := range []bool{true, false} {
				t.Run(fmt.Sprintf("version=%d qos=%d revoked while connected=%t", version, qos, live), func(t *testing.T) {
					r := newRig(t, nil)
					r.user("alice", read("a/#"), read("b/#"))
					r.user("pub", both("#"))
					o := as("alice", "sub")
					o.Resume, o.Expiry = true, 600
					sub := r.dial(version)
					sub.MustConnect(o)
					sub.MustSubscribe("a/#", qos)
					sub.MustSubscribe("b/#", qos)
					pub := r.connect(5, "pub", "pub")
					if live {
						pub.Publish("a/1", "x", 1, false)
						pub.Publish("b/1", "x", qos, false)
						sub.Expect(packets.Publish) // and no acknowledgement
						sub.Expect(packets.Publish)
						r.grant("alice", read("b/#"))
						sub.Close()
						r.settle(1, 1)
					} else {
						sub.Close()
						r.settle(1, 1)
						pub.Publish("a/1", "x", qos, false)
						pub.Publish("b/1", "x", qos, false)
						pub.Ping()
						r.grant("alice", read("b/#"))
					}
					sub = r.dial(version)
					if ack := sub.MustConnect(o); !ack.SessionPresent {
						t.Fatal("the session is gone")
					}
					sub.ExpectMessage("b/1")
					sub.Ping()
				})
			}
		}
	}
}

// When a CA is trusted no more, no user has changed.
func TestEnforceAll(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("#"))
	r.store.setToken("t", true)
	r.store.tokenEnd = r.clock.Now().Add(time.Hour)
	r.change("alice", func(rec *account) {
		rec.User.GrantTypes = append(rec.User.GrantTypes, registry.GrantType{Method: registry.MethodToken})
	})
	o := as("alice", "t")
	o.Password = "token:t"
	byToken, byPassword := r.dial(5), r.connect(5, "alice", "p")
	byToken.MustConnect(o)
	r.store.setToken("t", false) // stands for whatever a proof rests on besides the user
	r.hook.EnforceAll(t.Context())
	if code := byToken.ExpectEnd(); code != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", code)
	}
	byPassword.Ping()
}

// The end of a token is the end of the sessions that rest on it, and of no others.
func TestEndTokens(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("#"))
	r.store.tokenEnd = r.clock.Now().Add(time.Hour)
	r.change("alice", func(rec *account) {
		rec.User.GrantTypes = append(rec.User.GrantTypes, registry.GrantType{Method: registry.MethodToken})
	})
	with := func(token string) *mqtttest.Client {
		r.store.setToken(registry.TokenID(token), true)
		o := as("alice", token)
		o.Password = "token:" + token
		c := r.dial(5)
		c.MustConnect(o)
		return c
	}
	first, second, third, byPassword := with("t1"), with("t2"), with("t3"), r.connect(5, "alice", "p")
	for _, token := range []registry.TokenID{"t1", "t2"} {
		r.store.setToken(token, false)
	}
	r.hook.EndTokens(t.Context(), []registry.EndedTokens{{User: "alice-id", Token: "t1"}, {User: "nobody", Token: "t3"}})
	if code := first.ExpectEnd(); code != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", code)
	}
	second.Ping() // nobody has asked after its token
	r.hook.EndTokens(t.Context(), []registry.EndedTokens{{User: "alice-id"}})
	if code := second.ExpectEnd(); code != 0x98 {
		t.Errorf("when all were asked after: DISCONNECT %#02x, want 0x98", code)
	}
	third.Ping()
	byPassword.Ping()
}

func TestClientThatDoesNotReadIsEndedInTime(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("#"))
	r.user("pub", both("#"))
	alice := r.connect(5, "alice", "alice")
	if err := alice.Conn.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
		t.Fatal(err)
	}
	alice.MustSubscribe("a/#", 0)
	pub := r.connect(5, "pub", "pub")
	payload := strings.Repeat("x", 100_000)
	dropped := func() bool {
		pub.Publish("a/1", payload, 0, false)
		pub.Ping()
		return r.Stats().MessagesDropped > 0
	}
	r.eventually("a message is dropped since alice does not read", dropped)

	before := time.Now()
	r.remove("alice")
	if took := time.Since(before); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	r.settle(1, 0)
	pub.Ping()
}
