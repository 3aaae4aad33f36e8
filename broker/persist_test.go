package broker

import (
	"context"
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

	"mqttwarden/broker/internal/frame"
	"mqttwarden/broker/internal/keep"
	"mqttwarden/broker/message"
)

// users is a hook that knows every user, but for those with a name that says
// otherwise.
type users struct{}

func (users) Connect(_ context.Context, cl *mqtt.Client, _ packets.Packet) (Login, error) {
	return &aLogin{user: cl.ID}, nil
}

func (users) Recall(_ context.Context, _, user string, proof []byte) (Login, error) {
	switch {
	case user == "gone":
		return nil, packets.ErrBadUsernameOrPassword
	case user == "unknown":
		return nil, fmt.Errorf("%w: the register is down", packets.ErrServerUnavailable)
	case string(proof) != "proof":
		return nil, fmt.Errorf("%w: proof %q", packets.ErrBadUsernameOrPassword, proof)
	}
	return &aLogin{user: user}, nil
}

// aLogin may do everything, unless why says otherwise.
type aLogin struct {
	user   string
	prefix string
	why    error // of Check
}

func (l *aLogin) User() string                      { return l.user }
func (l *aLogin) Username() string                  { return l.user }
func (l *aLogin) Proof() []byte                     { return []byte("proof") }
func (l *aLogin) MayPublish(string) (string, bool)  { return l.prefix, true }
func (l *aLogin) MayRead(string) bool               { return true }
func (l *aLogin) Check(context.Context, bool) error { return l.why }
func (l *aLogin) Token() string                     { return "" }
func (l *aLogin) Ends() time.Time                   { return time.Time{} }

// keeping returns a broker that keeps sessions in a file and serves nobody.
func keeping(tb testing.TB, file string) *Broker {
	tb.Helper()
	b, err := New(Config{MaxSessionExpiry: time.Hour, Sessions: Sessions{File: file, Flush: time.Minute}}, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	b.hook = users{}
	if err := b.persist.open(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Shutdown(tb.Context()) })
	return b
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
			b := keeping(t, file)
			tt.session.ClientID, tt.session.Proof = "c", []byte("proof")
			b.persist.store.PutSession(tt.session)
			b.persist.store.PutSubscription("c", keep.Subscription{Filter: "a/#", QoS: 1})
			b.persist.store.PutDelivery("c", &keep.Delivery{PacketID: 1, Order: 1, Stage: keep.Queued, Message: message.Message{Topic: "a/1", QoS: 1}}, true)
			for round := range 2 { // a second crash does not make it longer
				closed(t, b)
				b = keeping(t, file)
				at := now.Add(time.Duration(round) * time.Minute)
				if err := b.persist.restore(at); err != nil {
					t.Fatal(err)
				}
				s := b.session("c")
				ok := s != nil
				if ok != (tt.want > 0) || ok && !s.expires.Equal(now.Add(tt.want)) {
					t.Fatalf("round %d: restored %t: %+v, want %v", round, ok, s, tt.want)
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
	b := keeping(t, file)
	b.persist.store.PutSession(keep.Session{ClientID: "c", Proof: []byte("proof"), Version: 5, Expiry: 600})
	for id, expires := range map[uint16]int64{1: 0, 2: now.Unix() + 60, 3: now.Unix() - 1} {
		m := message.Message{Topic: fmt.Sprint("t", id), Payload: []byte("x"), QoS: 1, Version: 5, Expires: expires}
		b.persist.store.PutDelivery("c", &keep.Delivery{PacketID: id, Order: uint64(id), Stage: keep.Sent, Message: m}, true)
		b.persist.store.PutRetained(&m)
	}
	for range 2 {
		closed(t, b)
		b = keeping(t, file)
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
	b := keeping(t, file)
	b.persist.store.PutSession(keep.Session{ClientID: "c", User: "unknown", Proof: []byte("proof"), Version: 5, Expiry: 600})
	closed(t, b)
	b = keeping(t, file)
	if err := Start(b, users{}); err == nil || !strings.Contains(err.Error(), "register is down") {
		t.Errorf("Start: %v", err)
	}
	closed(t, b)
	b = keeping(t, file)
	b.persist.store.PutSession(keep.Session{ClientID: "c", User: "known", Proof: []byte("proof"), Version: 5, Expiry: 600})
	closed(t, b)
	b = keeping(t, file)
	if b.persist.restore(time.Now()) != nil || b.session("c") == nil {
		t.Error("the session was lost over it")
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
	if diff := cmp.Diff(pk, deliveryFrom(delivery(&pk, place{order: 1, sent: true}))); diff != "" {
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
	cfg := Config{Sessions: Sessions{File: file, Flush: time.Millisecond}} // commits come in between
	b, err := New(cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		err = b.persist.open()
	}
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 200 {
				pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: fmt.Sprint("t", i%5), Payload: []byte(fmt.Sprint(w, " ", i))}
				if i%7 == 0 {
					pk.Payload = nil
				}
				b.retain("u", &pk)
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
	b = keeping(t, file)
	got := make(map[string]string)
	if err := b.persist.store.Load(func(keep.Stored) {}, func(m message.Message) { got[m.Topic] = string(m.Payload) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A message that mochi drops without telling does not stay with the session.
func TestAQueueForgetsWhatMochiHasDropped(t *testing.T) {
	b := keeping(t, filepath.Join(t.TempDir(), "sessions.db"))
	s := aSession(b, "c")
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "t"}
	for i := range 3 * int(b.cfg.MaxInflight) {
		pk.PacketID = uint16(1 + i%65535)
		s.queue.add(s, &pk) // and mochi does not have it
	}
	if n := len(s.queue.waiting); n > int(b.cfg.MaxInflight)+slack {
		t.Errorf("%d messages are said to wait", n)
	}
	s.client.State.Inflight.Set(pk)
	s.queue.add(s, &pk)
	s.queue.store(s, time.Now().Add(time.Hour), nil, time.Time{})
	if n := len(s.queue.waiting); n != 1 {
		t.Errorf("%d messages are said to wait, want one", n)
	}
}

// aSession returns a session that is kept.
func aSession(b *Broker, id string) *session {
	cl := b.srv.NewClient(nil, "", id, false)
	cl.Properties.ProtocolVersion = 5
	cl.Properties.Props.SessionExpiryInterval = 600
	g := endedGuard(b)
	g.client = cl
	g.exchange.Store(frame.NewExchange(5, 1, 1))
	cl.Net.Conn = g
	g.session = newSession(g, &aLogin{user: "u"}, false)
	b.establish(g.session)
	return g.session
}

// BenchmarkQueue is what a publisher pays for the record of a message of QoS 1 or
// 2 to one session, and the receiver for taking it back.
func BenchmarkQueue(b *testing.B) {
	for _, kept := range []bool{true, false} {
		b.Run(fmt.Sprintf("kept %t", kept), func(b *testing.B) {
			br := keeping(b, filepath.Join(b.TempDir(), "sessions.db"))
			s := aSession(br, "c")
			s.queue.persisted = kept
			pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "a/b/c", Payload: make([]byte, 64)}
			b.ReportAllocs()
			for i := range b.N {
				pk.PacketID = uint16(1 + i%256)
				s.queue.add(s, &pk)
				s.queue.done(s, pk.PacketID)
			}
		})
	}
}
