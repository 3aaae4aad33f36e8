package authhook_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttwarden/authhook"
	"mqttwarden/broker"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// stored makes a session of alice, with the client ID c, that outlives its
// connection by ten minutes: with a subscription to each filter, and a message
// waiting for each topic.
func (r *rig) stored(filters, topics []string) {
	r.tb.Helper()
	r.user("alice", both("#"))
	o := as("alice", "c")
	o.Expiry = 600
	c := r.dial(5)
	c.MustConnect(o)
	for _, f := range filters {
		c.MustSubscribe(f, 1)
	}
	c.Disconnect()
	r.settle(0, 1)
	pub := r.connect(5, "alice", "pub")
	for _, topic := range topics {
		pub.Publish(topic, "x", 1, false)
	}
	pub.Disconnect()
	r.settle(0, 1)
}

// resume has alice come back to her session.
func (r *rig) resume() (present bool, next func() (topic string)) {
	r.tb.Helper()
	o := as("alice", "c")
	o.Resume, o.Expiry = true, 600
	c := r.dial(5)
	return c.MustConnect(o).SessionPresent, func() string { return c.Message().TopicName }
}

func TestARestoredSessionIsItsUsersAsAnyOther(t *testing.T) {
	old := newRig(t, nil)
	old.stored([]string{"mine/#"}, []string{"mine/1"})
	old.user("bob", both("#"))
	r := old.restart(nil, nil)
	r.settle(0, 1)
	if ack := r.dial(5).Connect(as("bob", "c")); ack.ReasonCode != 0x85 {
		t.Errorf("bob with the client ID of alice: CONNACK %#02x, want 0x85", ack.ReasonCode)
	}
	present, next := r.resume()
	if !present {
		t.Error("alice does not find her session")
	}
	if topic := next(); topic != "mine/1" {
		t.Errorf("got %s", topic)
	}
	r.settle(1, 0)
}

func TestARestoredSessionEndsInTime(t *testing.T) {
	old := newRig(t, nil)
	old.stored([]string{"mine/#"}, nil)
	r := old.restart(nil, nil)
	r.Sweep(t.Context(), r.clock.advance(10*time.Minute-time.Second))
	r.settle(0, 1)
	r.Sweep(t.Context(), r.clock.advance(time.Second))
	r.settle(0, 0)
	if n := r.Stats().Subscriptions; n > 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

func TestARestoredSessionCountsAmongThoseOfItsUser(t *testing.T) {
	old := newRig(t, nil)
	old.stored(nil, nil)
	r := old.restart(nil, func(s *settings) { s.broker.MaxStoredSessions = 1 })
	o := as("alice", "another")
	o.Expiry = 600
	if ack := r.dial(5).Connect(o); ack.ReasonCode != 0x97 {
		t.Errorf("one session more: CONNACK %#02x, want 0x97", ack.ReasonCode)
	}
}

func TestWhatChangesAfterTheRestartReachesARestoredSession(t *testing.T) {
	old := newRig(t, nil)
	old.stored([]string{"mine/#", "mine/1"}, []string{"mine/1", "mine/2"})
	r := old.restart(nil, nil)
	if subs, n := r.Stats().Subscriptions, r.Inflight(); subs != 2 || n != 2 {
		t.Fatalf("%d subscriptions and %d messages were restored, want 2 and 2", subs, n)
	}
	r.grant("alice", read("mine/1"))
	if subs, n := r.Stats().Subscriptions, r.Inflight(); subs != 1 || n != 1 {
		t.Errorf("%d subscriptions and %d messages are left, want those of mine/1", subs, n)
	}
	r.remove("alice")
	r.settle(0, 0)
	if n := r.Inflight(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// Whatever was revoked while the server was down acts before anybody connects.
func TestWhatDoesNotHoldAnyMoreIsNotRestored(t *testing.T) {
	user := func(f func(u *registry.User)) func(*store) {
		return func(st *store) { st.change("alice", func(rec *account) { f(&rec.User) }) }
	}
	for _, tt := range []struct {
		name string
		what func(*store)
	}{
		{"its user is removed", func(st *store) { st.remove("alice") }},
		{"its user is disabled", user(func(u *registry.User) { u.Active = false })},
		{"its user is renamed", user(func(u *registry.User) { u.Username = "alicia" })},
		{"the password is changed", user(func(u *registry.User) { u.PasswordSet = u.PasswordSet.Add(1) })},
		{"the grant type is taken away", user(func(u *registry.User) { u.GrantTypes = nil })},
		{"the client ID is not in the list any more", user(func(u *registry.User) { u.ClientIDs = []string{"other"} })},
		{"another user has the name", func(st *store) {
			st.remove("alice")
			st.change("bob", func(rec *account) {
				rec.User.ID, rec.User.Username = "bob-id", "alice"
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := newRig(t, nil)
			old.stored([]string{"mine/#"}, []string{"mine/1"})
			r := old.restart(func() { tt.what(old.store) }, nil)
			st := r.Stats()
			if st.SessionsStored != 0 || st.Subscriptions != 0 || r.Inflight() != 0 {
				t.Errorf("%d sessions, %d subscriptions, %d messages are restored", st.SessionsStored, st.Subscriptions, r.Inflight())
			}
			if !strings.Contains(r.log.String(), "session not restored") {
				t.Error("the log does not tell")
			}
			// Nor with another start, though the right may be there again.
			again := r.restart(func() {
				old.store.change("alice", func(rec *account) {
					rec.User.ID, rec.User.Username, rec.User.Active = "alice-id", "alice", true
				})
			}, nil)
			if n := again.Stats().SessionsStored; n != 0 {
				t.Errorf("%d sessions are restored by the start after that", n)
			}
		})
	}
}

func TestATokenThatIsGoneRestoresNothing(t *testing.T) {
	old := newRig(t, nil)
	old.store.setToken("t1", true)
	old.store.tokenEnd = old.clock.Now().Add(time.Hour)
	old.user("alice", both("mine/#"))
	old.change("alice", func(rec *account) {
		rec.User.GrantTypes = append(rec.User.GrantTypes, registry.GrantType{Method: registry.MethodToken})
	})
	o := as("alice", "c")
	o.Password, o.Expiry = "token:t1", 600
	c := old.dial(5)
	c.MustConnect(o)
	c.Disconnect()
	old.settle(0, 1)
	with := old.restart(nil, nil)
	if n := with.Stats().SessionsStored; n != 1 {
		t.Errorf("with the token: %d sessions are restored, want 1", n)
	}
	without := with.restart(func() { old.store.setToken("t1", false) }, nil)
	if n := without.Stats().SessionsStored; n != 0 {
		t.Errorf("without the token: %d sessions are restored", n)
	}
}

func TestARestoredSessionIsPruned(t *testing.T) {
	old := newRig(t, nil)
	old.stored([]string{"mine/#", "mine/1", "other"}, []string{"mine/1", "mine/2", "other"})
	r := old.restart(func() {
		old.store.change("alice", func(rec *account) {
			deny := acl.Grant{Context: acl.MQTT, Operation: acl.Read, Resource: "mine/2", Effect: acl.Deny}
			rec.Grants = []acl.Grant{read("mine/+"), deny}
		})
	}, nil)
	if n := r.Stats().Subscriptions; n != 1 {
		t.Errorf("%d subscriptions, want that to mine/1", n)
	}
	if n := r.Inflight(); n != 1 {
		t.Errorf("%d messages are left, want that to mine/1", n)
	}
	if _, next := r.resume(); next() != "mine/1" {
		t.Error("another message came")
	}
}

// A register that can't be asked is no refusal: the start stops, and the next one
// finds the session.
func TestARegisterThatCantBeAskedIsNoRefusal(t *testing.T) {
	r := newRig(t, nil)
	r.stored(nil, nil)
	r.stop()
	r.store.fail(registry.Errorf(registry.Unavailable, "", "disk on fire"))
	principals := r.store.principals()
	s := r.settings(t, principals)
	b, err := broker.New(s.broker, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := broker.Start(b, authhook.New(s.hook)); !errors.Is(err, registry.Unavailable) {
		t.Errorf("Start: %v; want Unavailable", err)
	}
	if err := b.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	r.store.fail(nil)
	if n := r.restart(nil, nil).Stats().SessionsStored; n != 1 {
		t.Errorf("%d sessions are restored by the start after that, want 1", n)
	}
}

func TestAProofThatCantBeReadIsNobodys(t *testing.T) {
	r := newRig(t, func(s *settings) { s.broker.Sessions.File = filepath.Join(t.TempDir(), "s") })
	r.user("alice", both("#"))
	for _, proof := range []string{"", "{", `{"username":"alice"}`, `{"username":"alice","passwordSet":"2020-01-01T00:00:00Z"}`} {
		login, err := r.hook.Recall(t.Context(), "c", "alice-id", []byte(proof))
		if err == nil {
			err = login.Check(t.Context(), true)
		}
		if err == nil || errors.Is(err, registry.Unavailable) {
			t.Errorf("%q: %v, want a refusal", proof, err)
		}
	}
}

func TestAWillThatWaitsSurvivesTheRestart(t *testing.T) {
	setUp := func(t *testing.T) *rig {
		old := newRig(t, nil)
		old.user("alice", write("mine/#"))
		old.willed(5, delayed(60), 600).Close()
		old.settle(0, 1)
		return old
	}
	t.Run("and is sent when its delay is over", func(t *testing.T) {
		r := setUp(t).restart(nil, nil)
		ops := r.watcher()
		r.Sweep(t.Context(), r.clock.advance(59*time.Second))
		r.nothingCame(ops)
		r.Sweep(t.Context(), r.clock.advance(time.Second))
		want := delayed(60)
		m := ops.ExpectMessage("mine/will")
		if string(m.Payload) != want.Payload || m.Properties.ContentType != want.Properties.ContentType {
			t.Errorf("got %q %+v", m.Payload, m.Properties)
		}
		ops.Disconnect()
		r.settle(0, 1)
		again := r.restart(nil, nil)
		ops = again.watcher()
		again.Sweep(t.Context(), again.clock.advance(time.Minute))
		again.nothingCame(ops)
	})
	t.Run("unless it was sent before", func(t *testing.T) {
		old := setUp(t)
		old.Sweep(t.Context(), old.clock.advance(time.Minute))
		r := old.restart(nil, nil)
		ops := r.watcher()
		r.Sweep(t.Context(), r.clock.advance(time.Minute))
		r.nothingCame(ops)
	})
	t.Run("and is judged when it is sent", func(t *testing.T) {
		old := setUp(t)
		r := old.restart(func() {
			old.store.change("alice", func(rec *account) { rec.Grants = []acl.Grant{write("other/#")} })
		}, nil)
		ops := r.watcher()
		r.Sweep(t.Context(), r.clock.advance(time.Minute))
		r.nothingCame(ops)
	})
}
