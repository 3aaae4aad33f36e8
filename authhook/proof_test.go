package authhook_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/authhook"
	"mqttwarden/broker/mqtttest"
	"mqttwarden/registry"
)

func TestProofEndsByItself(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("mine/#"))
	ops := r.watcher()
	r.store.setToken("t1", true)
	r.store.setToken("t2", true)
	r.store.tokenEnd = r.clock.Now().Add(time.Hour)
	r.change("alice", func(rec *account) {
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
	r.change("alice", func(*account) {})
	if code := c.ExpectEnd(); code != 0x98 {
		t.Errorf("token deleted: DISCONNECT %#02x, want 0x98", code)
	}
	r.settle(1, 0)
}

func TestCertificateEndsByItself(t *testing.T) {
	r := newRig(t, nil)
	r.user("gw1", both("#"))
	r.change("gw1", func(rec *account) {
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
		r.change("gw1", func(rec *account) {
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

// A session must not rest on a token that can't be checked; nor is it lost.
func TestTokenThatCannotBeChecked(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("mine/#"))
	ops := r.watcher()
	r.store.setToken("t", true)
	r.store.tokenEnd = r.clock.Now().Add(time.Hour)
	r.change("alice", func(rec *account) {
		rec.User.GrantTypes = append(rec.User.GrantTypes, registry.GrantType{Method: registry.MethodToken})
	})
	o := as("alice", "t")
	o.Password, o.Resume, o.Expiry, o.Will = "token:t", true, 600, &willOn
	c := r.dial(5)
	c.MustConnect(o)
	r.store.fail(registry.Errorf(registry.Unavailable, "", "connection refused"))
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
			r.change("alice", func(rec *account) { rec.User.PasswordSet = time.Time{}.Add(1) })
		}, 0x86},
		{"user removed", func(r *rig) { r.remove("alice") }, 0x86},
		{"client ID list changed", func(r *rig) {
			r.change("alice", func(rec *account) { rec.User.ClientIDs = []string{"other"} })
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
