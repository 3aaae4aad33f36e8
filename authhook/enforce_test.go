package authhook_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/authhook"
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
		return func(r *rig) { r.change("alice", func(rec *registry.Record) { f(&rec.User) }) }
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
	r.change("alice", func(rec *registry.Record) { rec.User.Active = false })
	c.ExpectEnd()
	if ack := r.dial(5).Connect(o); ack.ReasonCode != 0x87 {
		t.Errorf("CONNACK %#02x, want 0x87", ack.ReasonCode)
	}
	r.change("alice", func(rec *registry.Record) { rec.User.Active = true })
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
	r.change("alice", func(rec *registry.Record) { rec.User.PublishPrefix = "p/" })
	r.change("alice", func(rec *registry.Record) { rec.User.ClientIDs = []string{"c"} })
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

func TestSessionOfAnotherCertificateInheritsOnlyWhatItMayRead(t *testing.T) {
	r := newRig(t, nil)
	r.user("fleet", read("${cert.cn}/#"), read("all"))
	r.user("pub", both("#"))
	var sums []registry.Fingerprint
	var certs []*tls.Certificate
	for _, cn := range []string{"gw1", "gw2"} {
		p := certificate(t, cn, false)
		certs = append(certs, p)
		sums = append(sums, registry.Fingerprint{SHA256: fingerprint(p.Leaf)})
	}
	r.change("fleet", func(rec *registry.Record) {
		rec.User.Fingerprints = sums
		rec.User.GrantTypes = []registry.GrantType{{Method: registry.MethodCertificate}}
	})
	o := mqtttest.Connect{ClientID: "c", Resume: true, Expiry: 600}
	one := r.dialTLS(certs[0])
	one.MustConnect(o)
	one.MustSubscribe("gw1/#", 1)
	one.MustSubscribe("all", 1)
	one.Close()
	pub := r.connect(5, "pub", "pub")
	r.settle(1, 1)
	pub.Publish("gw1/x", "", 1, false)
	pub.Publish("all", "", 1, false)
	pub.Ping()
	two := r.dialTLS(certs[1])
	two.MustConnect(o)
	two.ExpectMessage("all")
	pub.Publish("gw1/x", "", 1, false)
	two.Ping()
	if n := r.Stats().Subscriptions; n != 1 {
		t.Errorf("%d subscriptions, want that to all: the other was inherited", n)
	}
}

// signedInAs ends the test unless the client is signed in as that user.
func (r *rig) signedInAs(c *mqtttest.Client, name string) {
	r.tb.Helper()
	r.grant(name, both("only/"+name))
	c.MustSubscribe("only/"+name, 0)
}

func TestCertificates(t *testing.T) {
	r := newRig(t, nil)
	byCertificate := []registry.GrantType{{Method: registry.MethodCertificate}}
	r.user("gw1", both("#"))
	r.user("gw2", both("#"))
	r.user("gw3", both("#"))
	pinned := certificate(t, "whatever", false)
	for name, sums := range map[string][]registry.Fingerprint{
		"gw1": nil, "gw2": {{SHA256: fingerprint(pinned.Leaf)}},
	} {
		r.change(name, func(rec *registry.Record) {
			rec.User.GrantTypes, rec.User.Fingerprints = byCertificate, sums
		})
	}
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
		user string // in CONNECT
		want byte
		as   string
	}{
		{"trusted, by its common name", certificate(t, "gw1", true), "", 0, "gw1"},
		{"the same with the name in CONNECT", certificate(t, "gw1", true), "gw1", 0, "gw1"},
		{"trusted, with another name in CONNECT", certificate(t, "gw1", true), "gw3", 0x87, ""},
		{"not trusted", certificate(t, "gw1", false), "", 0x87, ""},
		{"registered, trusted or not", pinned, "", 0, "gw2"},
		{"trusted, but another one is registered", certificate(t, "gw2", true), "", 0x87, ""},
		{"trusted, of a user that signs in otherwise", certificate(t, "gw3", true), "", 0x87, ""},
		{"trusted, of nobody", certificate(t, "nobody", true), "", 0x87, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := r.dialTLS(tt.cert)
			if ack := c.Connect(mqtttest.Connect{ClientID: "c" + tt.as, Username: tt.user}); ack.ReasonCode != tt.want {
				t.Fatalf("CONNACK %#02x, want %#02x", ack.ReasonCode, tt.want)
			}
			if tt.as != "" {
				r.signedInAs(c, tt.as)
			}
		})
	}
}

func TestProofEndsByItself(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("mine/#"))
	ops := r.watcher()
	r.store.setToken("t1", true)
	r.store.setToken("t2", true)
	r.store.tokenEnd = r.clock.Now().Add(time.Hour)
	r.change("alice", func(rec *registry.Record) {
		rec.User.GrantTypes = append(rec.User.GrantTypes, registry.GrantType{Method: registry.MethodToken})
	})
	o := as("alice", "c")
	o.Password, o.Resume, o.Expiry, o.Will = "token:t1", true, 3000, &willOn
	c := r.dial(5)
	c.MustConnect(o)
	c.MustSubscribe("mine/#", 1)

	r.Sweep(t.Context(), r.clock.advance(time.Hour-time.Second))
	c.Ping()
	r.Sweep(t.Context(), r.clock.advance(time.Second))
	if code := c.ExpectEnd(); code != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", code)
	}
	r.settle(1, 1)
	r.nothingCame(ops) // no will

	// Nothing was taken from the user: with another token it goes on. A change
	// of its rights does not alter that, and the token may be forgotten.
	r.store.setToken("t1", false)
	r.grant("alice", both("mine/#"), both("yours/#"))
	r.settle(1, 1)
	ops.Publish("mine/1", "x", 1, false)
	ops.ExpectMessage("mine/1")
	ops.Ping()
	r.store.tokenEnd = r.clock.Now().Add(time.Hour)
	o.Password = "token:t2"
	c = r.dial(5)
	if ack := c.MustConnect(o); !ack.SessionPresent {
		t.Error("the session is gone")
	}
	c.ExpectMessage("mine/1")

	r.store.setToken("t2", false)
	r.change("alice", func(*registry.Record) {})
	if code := c.ExpectEnd(); code != 0x98 {
		t.Errorf("token deleted: DISCONNECT %#02x, want 0x98", code)
	}
	r.settle(1, 0)
}

func TestCertificateEndsByItself(t *testing.T) {
	r := newRig(t, nil)
	r.user("gw1", both("#"))
	r.change("gw1", func(rec *registry.Record) {
		rec.User.GrantTypes = []registry.GrantType{{Method: registry.MethodCertificate}}
	})
	p := certificate(t, "gw1", true)
	c := r.dialTLS(p)
	c.MustConnect(mqtttest.Connect{ClientID: "c"})
	r.Sweep(t.Context(), r.clock.Now())
	c.Ping()
	r.Sweep(t.Context(), p.Leaf.NotAfter.Add(time.Second))
	if code := c.ExpectEnd(); code != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", code)
	}
}

// A certificate that was renewed goes on for as long as the two overlap, and no
// longer, though its own time is not up.
func TestARenewedCertificateEndsWithItsOverlap(t *testing.T) {
	r := newRig(t, nil)
	r.user("gw1", both("#"))
	p := certificate(t, "gw1", true)
	sum := sha256.Sum256(p.Leaf.Raw)
	register := func(until time.Time) {
		r.change("gw1", func(rec *registry.Record) {
			rec.User.GrantTypes = []registry.GrantType{{Method: registry.MethodCertificate}}
			rec.User.Fingerprints = []registry.Fingerprint{{SHA256: hex.EncodeToString(sum[:]), Expires: until}}
		})
	}
	register(time.Time{})
	c := r.dialTLS(p)
	c.MustConnect(mqtttest.Connect{ClientID: "c"})
	overlap := r.clock.Now().Add(time.Minute)
	register(overlap)
	r.Sweep(t.Context(), overlap.Add(-time.Second))
	c.Ping()
	r.Sweep(t.Context(), overlap)
	if code := c.ExpectEnd(); code != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", code)
	}
}

// When a CA is trusted no more, no user has changed.
func TestEnforceAll(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("#"))
	r.store.setToken("t", true)
	r.store.tokenEnd = r.clock.Now().Add(time.Hour)
	r.change("alice", func(rec *registry.Record) {
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

// A session must not rest on a token that can't be checked; nor is it lost.
func TestTokenThatCannotBeChecked(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("mine/#"))
	ops := r.watcher()
	r.store.setToken("t", true)
	r.store.tokenEnd = r.clock.Now().Add(time.Hour)
	r.change("alice", func(rec *registry.Record) {
		rec.User.GrantTypes = append(rec.User.GrantTypes, registry.GrantType{Method: registry.MethodToken})
	})
	o := as("alice", "t")
	o.Password, o.Resume, o.Expiry, o.Will = "token:t", true, 600, &willOn
	c := r.dial(5)
	c.MustConnect(o)
	r.store.fail(errors.New("connection refused"))
	r.hook.EnforceAll(t.Context())
	if code := c.ExpectEnd(); code != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", code)
	}
	r.settle(1, 1)
	r.hook.EnforceAll(t.Context()) // a stored session waits for the store
	r.settle(1, 1)
	r.nothingCame(ops)
	r.store.fail(nil)
	if ack := r.dial(5).MustConnect(o); !ack.SessionPresent {
		t.Error("the session is gone")
	}
}

// slowSignIn lets a test act after somebody has signed in and before the hook
// knows.
type slowSignIn struct {
	authhook.SignIn
	signedIn chan struct{}
	goOn     chan struct{}
}

func (s slowSignIn) In(ctx context.Context, a registry.Attempt) (registry.Login, error) {
	login, err := s.SignIn.In(ctx, a)
	if a.Username == "alice" {
		s.signedIn <- struct{}{}
		<-s.goOn
	}
	return login, err
}

func TestChangeInTheMiddleOfAConnect(t *testing.T) {
	for _, tt := range []struct {
		name string
		what func(r *rig)
		want byte
	}{
		{"password changed", func(r *rig) {
			r.change("alice", func(rec *registry.Record) { rec.User.PasswordSet = time.Time{}.Add(1) })
		}, 0x86},
		{"user removed", func(r *rig) { r.remove("alice") }, 0x86},
		{"client ID list changed", func(r *rig) {
			r.change("alice", func(rec *registry.Record) { rec.User.ClientIDs = []string{"other"} })
		}, 0x85},
		{"right to the will's topic taken away", func(r *rig) { r.grant("alice") }, 0x87},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slow := slowSignIn{signedIn: make(chan struct{}), goOn: make(chan struct{})}
			r := newRig(t, func(s *settings) { slow.SignIn, s.hook.SignIn = s.hook.SignIn, &slow })
			r.user("alice", both("mine/#"))
			c := r.dial(5)
			o := as("alice", "c")
			o.Will = &willOn
			c.Send(o.Packet(5))
			<-slow.signedIn
			tt.what(r)
			close(slow.goOn)
			if ack := c.Expect(packets.Connack); ack.ReasonCode != tt.want {
				t.Errorf("CONNACK %#02x, want %#02x", ack.ReasonCode, tt.want)
			}
		})
	}
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
