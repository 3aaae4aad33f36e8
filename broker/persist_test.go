package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/keep"
	"mqttwarden/broker/message"
)

// owners answers for sessions by the name of their user.
type owners struct {
	mqtt.HookBase
	restored map[string]time.Time // until when, by client ID
}

func (o *owners) Owner(*mqtt.Client) (string, []byte) { return "user", []byte("owner") }

func (o *owners) Restore(cl *mqtt.Client, user string, owner []byte, until time.Time) (bool, error) {
	switch {
	case user == "gone":
		return false, nil
	case user == "unknown":
		return false, errors.New("the register is down")
	case string(owner) != "owner":
		return false, fmt.Errorf("owner %q", owner)
	}
	o.restored[cl.ID] = until
	return true, nil
}

// keeping returns a broker that keeps sessions in a file and serves nobody.
func keeping(tb testing.TB, file string) (*Broker, *owners) {
	tb.Helper()
	b, err := New(Config{MaxSessionExpiry: time.Hour, Sessions: Sessions{File: file, Flush: time.Minute}}, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	o := &owners{restored: make(map[string]time.Time)}
	b.persist.owners = o
	tb.Cleanup(func() { _ = b.Shutdown(tb.Context()) })
	return b, o
}

// closed ends a broker, so that its file has all.
func closed(tb testing.TB, b *Broker) {
	tb.Helper()
	if err := b.Shutdown(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func TestADeadlineIsExactOverARestart(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name    string
		session keep.Session
		want    time.Duration // from now; 0: it is not restored
	}{
		{"it has some time left", keep.Session{Version: 5, Expiry: 600, Until: now.Add(7 * time.Minute)}, 7 * time.Minute},
		{"it ended while the server was down", keep.Session{Version: 5, Expiry: 600, Until: now.Add(-time.Second)}, 0},
		{"it ends now", keep.Session{Version: 5, Expiry: 600, Until: now}, 0},
		{"it was connected", keep.Session{Version: 5, Expiry: 600}, 10 * time.Minute},
		{"it was connected, MQTT 3", keep.Session{Version: 4}, time.Hour},
		{"the longest is shorter by now", keep.Session{Version: 5, Expiry: 86400, Until: now.Add(24 * time.Hour)}, time.Hour},
		{"its user is gone", keep.Session{Version: 5, User: "gone", Expiry: 600}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sessions.db")
			b, _ := keeping(t, file)
			tt.session.ClientID, tt.session.Owner = "c", []byte("owner")
			b.persist.store.PutSession(tt.session)
			b.persist.store.PutSubscription("c", keep.Subscription{Filter: "a/#", QoS: 1})
			b.persist.store.PutDelivery("c", &keep.Delivery{PacketID: 1, Order: 1, Stage: keep.Queued, Message: message.Message{Topic: "a/1", QoS: 1}}, true)
			for round := range 2 { // a second crash does not make it longer
				closed(t, b)
				var o *owners
				b, o = keeping(t, file)
				at := now.Add(time.Duration(round) * time.Minute)
				if err := b.persist.restore(at); err != nil {
					t.Fatal(err)
				}
				until, ok := o.restored["c"]
				if ok != (tt.want > 0) || ok && !until.Equal(now.Add(tt.want)) {
					t.Fatalf("round %d: restored %t until %v, want %v", round, ok, until.Sub(now), tt.want)
				}
				_, has := b.srv.Clients.Get("c")
				if subs := b.srv.Topics.Subscribers("a/1").Subscriptions; has != ok || (len(subs) == 1) != ok {
					t.Errorf("round %d: the client is there: %t, subscriptions %v", round, has, subs)
				}
				if st := b.Stats(); (b.Inflight() == 1) != ok || (st.Subscriptions == 1) != ok {
					t.Errorf("round %d: counts %+v", round, st)
				}
			}
		})
	}
}

func TestAMessageThatHasExpiredIsNotRestored(t *testing.T) {
	now := time.Now()
	file := filepath.Join(t.TempDir(), "sessions.db")
	b, _ := keeping(t, file)
	b.persist.store.PutSession(keep.Session{ClientID: "c", Owner: []byte("owner"), Version: 5, Expiry: 600})
	for id, expires := range map[uint16]int64{1: 0, 2: now.Unix() + 60, 3: now.Unix() - 1} {
		m := message.Message{Topic: fmt.Sprint("t", id), Payload: []byte("x"), QoS: 1, Version: 5, Expires: expires}
		b.persist.store.PutDelivery("c", &keep.Delivery{PacketID: id, Order: uint64(id), Stage: keep.Sent, Message: m}, true)
		b.persist.store.PutRetained(&m)
	}
	for range 2 {
		closed(t, b)
		b, _ = keeping(t, file)
		if err := b.persist.restore(now); err != nil {
			t.Fatal(err)
		}
		cl, _ := b.srv.Clients.Get("c")
		if _, late := cl.State.Inflight.Get(3); late || cl.State.Inflight.Len() != 2 {
			t.Errorf("%d messages wait, want those that have not expired", cl.State.Inflight.Len())
		}
		if n := b.Stats().Retained; n != 2 {
			t.Errorf("%d retained messages, want 2", n)
		}
		now = now.Add(-time.Minute) // what was left out is out of the file
	}
}

func TestARegisterThatCantBeAskedStopsTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db")
	b, _ := keeping(t, file)
	b.persist.store.PutSession(keep.Session{ClientID: "c", User: "unknown", Owner: []byte("owner"), Version: 5, Expiry: 600})
	closed(t, b)
	b, _ = keeping(t, file)
	if err := b.Start(&owners{restored: make(map[string]time.Time)}); err == nil || !strings.Contains(err.Error(), "register is down") {
		t.Errorf("Start: %v", err)
	}
	closed(t, b)
	b, _ = keeping(t, file)
	b.persist.store.PutSession(keep.Session{ClientID: "c", User: "known", Owner: []byte("owner"), Version: 5, Expiry: 600})
	closed(t, b)
	b, o := keeping(t, file)
	if b.persist.restore(time.Now()) != nil || len(o.restored) != 1 {
		t.Error("the session was lost over it")
	}
}

func TestSessionsAreNotKeptForAHookThatDoesNotKnowThem(t *testing.T) {
	b, _ := keeping(t, filepath.Join(t.TempDir(), "sessions.db"))
	if err := b.Start(new(mqtt.HookBase)); err == nil {
		t.Error("started")
	}
}

// No field is zero: a zero comes back even if it is forgotten.
func TestAPacketComesBackAsItWas(t *testing.T) {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 2, Retain: true},
		TopicName:   "t", Payload: []byte("p"), PacketID: 7, ProtocolVersion: 5, Origin: "from", Created: 8, Expiry: 9,
		Properties: packets.Properties{
			ContentType: "c", ResponseTopic: "r", CorrelationData: []byte{1}, PayloadFormat: 1, PayloadFormatFlag: true,
			MessageExpiryInterval: 60, SubscriptionIdentifier: []int{3, 4},
			User: []packets.UserProperty{{Key: "k", Val: "v"}},
		},
	}
	if diff := cmp.Diff(pk, deliveryFrom(delivery(&pk, entry{1, true}))); diff != "" {
		t.Error(diff)
	}
	sub := packets.Subscription{Filter: "f", Identifier: 5, RetainHandling: 1, Qos: 2, RetainAsPublished: true, NoLocal: true}
	if diff := cmp.Diff(sub, subscriptionFrom(subscription(sub))); diff != "" {
		t.Error(diff)
	}
}

// Two who retain under one topic at a time are recorded in the order that they
// were retained in.
func TestTheFileHasTheMessageThatIsRetained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db")
	b, _ := keeping(t, file)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 200 {
				pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: fmt.Sprint("t", i%5), Payload: []byte(fmt.Sprint(w, " ", i))}
				if i%7 == 0 {
					pk.Payload = nil
				}
				b.retain(&pk)
				if i%50 == 0 {
					_ = b.persist.store.Flush(t.Context())
				}
			}
		})
	}
	all.Wait()
	b.ClearRetained("t1")
	want := make(map[string]string)
	for _, m := range b.retained.Match("#", 0) {
		want[m.Topic] = string(m.Payload)
	}
	closed(t, b)
	b, _ = keeping(t, file)
	got := make(map[string]string)
	if err := b.persist.store.Load(func(keep.Stored) {}, func(m message.Message) { got[m.Topic] = string(m.Payload) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A message that mochi drops without telling does not stay with the session.
func TestALedgerForgetsWhatMochiHasDropped(t *testing.T) {
	b, _ := keeping(t, filepath.Join(t.TempDir(), "sessions.db"))
	cl := aClient(b, "c")
	l := ledgerOf(cl)
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "t"}
	for i := range 3 * int(b.cfg.MaxInflight) {
		pk.PacketID = uint16(1 + i%65535)
		l.queued(cl, &pk) // and mochi does not have it
	}
	if n := len(l.waiting); n > int(b.cfg.MaxInflight)+slack {
		t.Errorf("%d messages are said to wait", n)
	}
	cl.State.Inflight.Set(pk)
	l.queued(cl, &pk)
	b.Store(cl, []byte("owner"), time.Now().Add(time.Hour))
	if n := len(l.waiting); n != 1 {
		t.Errorf("%d messages are said to wait, want one", n)
	}
}

// aClient returns a client with a session that is kept.
func aClient(b *Broker, id string) *mqtt.Client {
	cl := b.srv.NewClient(nil, "", id, false)
	cl.Properties.ProtocolVersion = 5
	cl.Properties.Props.SessionExpiryInterval = 600
	cl.Net.Conn = endedGuard(b, cl)
	b.persist.establish(cl, nil)
	return cl
}

// BenchmarkLedger is what a publisher pays for the record of a message of QoS 1
// or 2 to one session, and the receiver for taking it back.
func BenchmarkLedger(b *testing.B) {
	for _, kept := range []bool{true, false} {
		b.Run(fmt.Sprintf("kept %t", kept), func(b *testing.B) {
			br, _ := keeping(b, filepath.Join(b.TempDir(), "sessions.db"))
			cl := aClient(br, "c")
			l := ledgerOf(cl)
			l.kept = kept
			pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "a/b/c", Payload: make([]byte, 64)}
			b.ReportAllocs()
			for i := range b.N {
				pk.PacketID = uint16(1 + i%256)
				l.queued(cl, &pk)
				l.done(cl, pk.PacketID)
			}
		})
	}
}
