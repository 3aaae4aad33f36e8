package authhook_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/authhook"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// restart starts a rig with the register of another, as after a restart.
func restart(t *testing.T, old *rig, change func(*authhook.Config)) *rig {
	t.Helper()
	return startRig(t, &rig{store: old.store, clock: old.clock}, change)
}

// restore hands the hook a session that the broker has kept, with a subscription
// to each filter and a message waiting for each topic.
func (r *rig) restore(id, user string, rec record, filters, topics []string) (*mqtt.Client, bool, error) {
	r.tb.Helper()
	ours, theirs := net.Pipe()
	_, _ = ours.Close(), theirs.Close()
	cl := r.srv.NewClient(&conn{Conn: ours}, "test", id, false)
	cl.Properties.ProtocolVersion = 5
	cl.Properties.Props.SessionExpiryInterval, cl.Properties.Props.SessionExpiryIntervalFlag = 600, true
	cl.Stop(packets.ErrServerShuttingDown)
	r.srv.Clients.Add(cl)
	for _, f := range filters {
		sub := packets.Subscription{Filter: f, Qos: 1}
		r.srv.Topics.Subscribe(id, sub)
		cl.State.Subscriptions.Add(f, sub)
	}
	for i, topic := range topics {
		cl.State.Inflight.Set(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: topic, PacketID: uint16(i + 1),
		})
	}
	ok, err := r.hook.Restore(cl, user, rec.owner, rec.until)
	return cl, ok, err
}

// kept returns what the host keeps of a session.
func (r *rig) recorded(id string) (record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.kept[id]
	return rec, ok
}

// awaitRecord waits for a session to be recorded, which comes last of its connection.
func (r *rig) awaitRecord(id string) (rec record) {
	r.tb.Helper()
	r.eventually("the session is kept", func() (ok bool) {
		rec, ok = r.recorded(id)
		return ok
	})
	return rec
}

// stored makes a session of alice that outlives its connection, and returns what
// is kept of it.
func stored(t *testing.T, r *rig) record {
	t.Helper()
	r.user("alice", both("mine/#"))
	o := as("alice", "c")
	o.Expiry = 600
	c := r.dial(5)
	c.MustConnect(o)
	cl, _ := r.srv.Clients.Get("c")
	user, live := r.hook.Owner(cl)
	c.Disconnect()
	r.settle(0, 1)
	rec := r.awaitRecord("c")
	if user != "alice-id" || string(live) != string(rec.owner) || !rec.until.Equal(r.clock.Now().Add(10*time.Minute)) {
		t.Fatalf("kept %s of %q until %v, %s while it was connected", rec.owner, user, rec.until, live)
	}
	return rec
}

func TestARestoredSessionIsItsUsersAsAnyOther(t *testing.T) {
	old := newRig(t, nil)
	rec := stored(t, old)
	r := restart(t, old, nil)
	r.user("bob", both("#"))
	if _, ok, err := r.restore("c", "alice-id", rec, []string{"mine/#"}, []string{"mine/1"}); !ok || err != nil {
		t.Fatalf("not restored: %v", err)
	}
	r.settle(0, 1)
	if ack := r.dial(5).Connect(as("bob", "c")); ack.ReasonCode != 0x85 {
		t.Errorf("bob with the client ID of alice: CONNACK %#02x, want 0x85", ack.ReasonCode)
	}
	o := as("alice", "c")
	o.Resume, o.Expiry = true, 600
	c := r.dial(5)
	if ack := c.MustConnect(o); !ack.SessionPresent {
		t.Error("alice does not find her session")
	}
	c.ExpectMessage("mine/1")
	r.settle(1, 0)
}

func TestARestoredSessionEndsInTime(t *testing.T) {
	old := newRig(t, nil)
	rec := stored(t, old)
	r := restart(t, old, nil)
	if _, ok, err := r.restore("c", "alice-id", rec, []string{"mine/#"}, nil); !ok || err != nil {
		t.Fatalf("not restored: %v", err)
	}
	r.hook.Sweep(t.Context(), r.clock.advance(10*time.Minute-time.Second))
	r.settle(0, 1)
	r.hook.Sweep(t.Context(), r.clock.advance(time.Second))
	r.settle(0, 0)
	if subs := r.srv.Topics.Subscribers("mine/1").Subscriptions; len(subs) > 0 {
		t.Errorf("subscribers %v are left", subs)
	}
}

func TestARestoredSessionCountsAmongThoseOfItsUser(t *testing.T) {
	old := newRig(t, nil)
	rec := stored(t, old)
	r := restart(t, old, func(cfg *authhook.Config) { cfg.MaxStoredSessions = 1 })
	if _, ok, err := r.restore("c", "alice-id", rec, nil, nil); !ok || err != nil {
		t.Fatalf("not restored: %v", err)
	}
	o := as("alice", "another")
	o.Expiry = 600
	if ack := r.dial(5).Connect(o); ack.ReasonCode != 0x97 {
		t.Errorf("one session more: CONNACK %#02x, want 0x97", ack.ReasonCode)
	}
}

func TestWhatChangesAfterTheRestartReachesARestoredSession(t *testing.T) {
	old := newRig(t, nil)
	rec := stored(t, old)
	r := restart(t, old, nil)
	cl, ok, err := r.restore("c", "alice-id", rec, []string{"mine/#", "mine/1"}, []string{"mine/1", "mine/2"})
	if !ok || err != nil {
		t.Fatalf("not restored: %v", err)
	}
	r.grant("alice", read("mine/1"))
	if subs, n := cl.State.Subscriptions.GetAll(), cl.State.Inflight.Len(); len(subs) != 1 || n != 1 {
		t.Errorf("%v and %d messages are left, want those of mine/1", subs, n)
	}
	r.remove("alice")
	r.settle(0, 0)
	if _, ok := r.srv.Clients.Get("c"); ok {
		t.Error("the broker still has it")
	}
}

// Whatever was revoked while the server was down acts before anybody connects.
func TestWhatDoesNotHoldAnyMoreIsNotRestored(t *testing.T) {
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
		{"the client ID is not in the list any more", user(func(u *registry.User) { u.ClientIDs = []string{"other"} })},
		{"another user has the name", func(r *rig) {
			r.remove("alice")
			r.user("bob", both("mine/#"))
			r.change("bob", func(rec *registry.Record) { rec.User.Username = "alice" })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := newRig(t, nil)
			rec := stored(t, old)
			tt.what(old)
			r := restart(t, old, nil)
			cl, ok, err := r.restore("c", "alice-id", rec, []string{"mine/#"}, []string{"mine/1"})
			if ok || err != nil {
				t.Errorf("restored %t, %v", ok, err)
			}
			if r.hook.OnACLCheck(cl, "mine/1", false) {
				t.Error("it may read")
			}
			if n := r.hook.Held(); n != 0 {
				t.Errorf("%d entries are left", n)
			}
			if !strings.Contains(r.log.String(), "session not restored") {
				t.Error("the log does not tell")
			}
		})
	}
}

func TestATokenThatIsGoneRestoresNothing(t *testing.T) {
	old := newRig(t, nil)
	old.store.setToken("t1", true)
	old.store.tokenEnd = old.clock.Now().Add(time.Hour)
	old.user("alice", both("mine/#"))
	old.change("alice", func(rec *registry.Record) {
		rec.User.GrantTypes = append(rec.User.GrantTypes, registry.GrantType{Method: registry.MethodToken})
	})
	o := as("alice", "c")
	o.Password, o.Expiry = "token:t1", 600
	c := old.dial(5)
	c.MustConnect(o)
	c.Disconnect()
	old.settle(0, 1)
	rec := old.awaitRecord("c")
	if _, ok, err := restart(t, old, nil).restore("c", "alice-id", rec, nil, nil); !ok || err != nil {
		t.Errorf("with the token: restored %t, %v", ok, err)
	}
	old.store.setToken("t1", false)
	if _, ok, err := restart(t, old, nil).restore("c", "alice-id", rec, nil, nil); ok || err != nil {
		t.Errorf("without the token: restored %t, %v", ok, err)
	}
}

func TestARestoredSessionIsPruned(t *testing.T) {
	old := newRig(t, nil)
	rec := stored(t, old)
	old.grant("alice", read("mine/+"), acl.Grant{Context: acl.MQTT, Operation: acl.Read, Resource: "mine/2", Effect: acl.Deny})
	r := restart(t, old, nil)
	cl, ok, err := r.restore("c", "alice-id", rec, []string{"mine/#", "mine/1"}, []string{"mine/1", "mine/2", "other"})
	if !ok || err != nil {
		t.Fatalf("not restored: %v", err)
	}
	if _, has := cl.State.Subscriptions.Get("mine/1"); !has || cl.State.Subscriptions.Len() != 1 {
		t.Errorf("subscriptions %v, want mine/1", cl.State.Subscriptions.GetAll())
	}
	if left := cl.State.Inflight.GetAll(false); len(left) != 1 || left[0].TopicName != "mine/1" {
		t.Errorf("%d messages are left, want that to mine/1", len(left))
	}
}

func TestARegisterThatCantBeAskedIsNoRefusal(t *testing.T) {
	old := newRig(t, nil)
	rec := stored(t, old)
	r := restart(t, old, nil)
	r.store.fail(registry.Errorf(registry.Unavailable, "", "disk on fire"))
	if _, ok, err := r.restore("c", "alice-id", rec, nil, nil); ok || !errors.Is(err, registry.Unavailable) {
		t.Errorf("restored %t, %v; want Unavailable", ok, err)
	}
}

func TestAnOwnerThatCantBeReadIsNobody(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("#"))
	for _, owner := range []string{"", "{", `{"username":"alice"}`, `{"username":"alice","passwordSet":"2020-01-01T00:00:00Z"}`} {
		if _, ok, err := r.restore("c", "alice-id", record{owner: []byte(owner)}, nil, nil); ok || err != nil {
			t.Errorf("%q: restored %t, %v", owner, ok, err)
		}
	}
}

func TestAWillThatWaitsSurvivesTheRestart(t *testing.T) {
	setUp := func(t *testing.T) (*rig, record) {
		old := newRig(t, nil)
		old.user("alice", write("mine/#"))
		old.willed(5, delayed(60), 600).Close()
		old.settle(0, 1)
		return old, old.awaitRecord("alice")
	}
	t.Run("and is sent when its delay is over", func(t *testing.T) {
		old, rec := setUp(t)
		r := restart(t, old, nil)
		ops := r.watcher()
		if _, ok, err := r.restore("alice", "alice-id", rec, nil, nil); !ok || err != nil {
			t.Fatalf("not restored: %v", err)
		}
		r.hook.Sweep(t.Context(), r.clock.advance(59*time.Second))
		r.nothingCame(ops)
		r.hook.Sweep(t.Context(), r.clock.advance(time.Second))
		want := delayed(60)
		m := ops.ExpectMessage("mine/will")
		if string(m.Payload) != want.Payload || m.Properties.ContentType != want.Properties.ContentType {
			t.Errorf("got %q %+v", m.Payload, m.Properties)
		}
		if again, _ := r.recorded("alice"); strings.Contains(string(again.owner), "will") {
			t.Errorf("it would be sent again after another restart: %s", again.owner)
		}
	})
	t.Run("unless it was sent before", func(t *testing.T) {
		old, _ := setUp(t)
		old.hook.Sweep(t.Context(), old.clock.advance(time.Minute))
		if rec, _ := old.recorded("alice"); strings.Contains(string(rec.owner), "will") {
			t.Errorf("%s", rec.owner)
		}
	})
	t.Run("and is judged when it is sent", func(t *testing.T) {
		old, rec := setUp(t)
		old.grant("alice", write("other/#"))
		r := restart(t, old, nil)
		ops := r.watcher()
		if _, ok, err := r.restore("alice", "alice-id", rec, nil, nil); !ok || err != nil {
			t.Fatalf("not restored: %v", err)
		}
		r.hook.Sweep(t.Context(), r.clock.advance(time.Minute))
		r.nothingCame(ops)
	})
}
