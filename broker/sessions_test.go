package broker

import (
	"log/slog"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// idle returns a broker that serves nobody.
func idle(tb testing.TB) *Broker {
	tb.Helper()
	b, err := New(Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Shutdown(tb.Context()) })
	return b
}

// aConnecting returns a session that nobody knows yet.
func aConnecting(b *Broker, id string) *session {
	g := endedGuard(b)
	g.client = b.srv.NewClient(nil, "", id, false)
	g.client.Properties.ProtocolVersion = 5
	g.client.Net.Conn = g
	g.session = newSession(g, &aLogin{user: "u"}, true)
	return g.session
}

func TestSessionThatIsRevokedMayNothing(t *testing.T) {
	b := idle(t)
	s := aConnecting(b, "c")
	h := &mochiHook{b: b}
	if !h.OnACLCheck(s.client, "a", false) {
		t.Error("it may not read before")
	}
	s.revoked.Store(true)
	if h.OnACLCheck(s.client, "a", false) {
		t.Error("it may read")
	}
	if _, ok := s.mayPublish("a"); ok {
		t.Error("it may publish")
	}
}

func TestClientWithoutSessionMayNothing(t *testing.T) {
	h := &mochiHook{b: idle(t)}
	for _, cl := range []*mqtt.Client{{}, {Net: mqtt.ClientConnection{Inline: true}}} {
		for _, write := range []bool{true, false} {
			if h.OnACLCheck(cl, "a", write) {
				t.Errorf("allowed, write=%t, inline=%t", write, cl.Net.Inline)
			}
		}
		if h.OnConnectAuthenticate(cl, packets.Packet{}) {
			t.Error("let in")
		}
	}
}

// A client whose CONNECT was refused on the way is not let in by any detour.
func TestOnlyWhoWasAdmittedIsLetIn(t *testing.T) {
	b := idle(t)
	s := aConnecting(b, "c")
	if (&mochiHook{b: b}).OnConnectAuthenticate(s.client, packets.Packet{}) {
		t.Error("let in")
	}
}

// Mochi removes by its ID what is left of a client, after OnDisconnect. That must
// not happen in the middle of a CONNECT with the same ID.
func TestOnDisconnectWaitsForAConnectWithTheSameID(t *testing.T) {
	b := idle(t)
	s, successor := aConnecting(b, "c"), aConnecting(b, "c")
	if err := b.sessions.hold(t.Context(), successor); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&mochiHook{b: b}).OnDisconnect(s.client, nil, true)
	}()
	select {
	case <-done:
		t.Fatal("it did not wait")
	case <-time.After(20 * time.Millisecond): // something that does not happen
	}
	b.sessions.release(successor)
	<-done
	b.sessions.release(s)
	if n := b.Held(); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// While a CONNECT is being dealt with, mochi must not be given its client: it
// would take it for its own predecessor.
func TestUncertainClientsWaitForTheConnectWithTheirID(t *testing.T) {
	b := idle(t)
	s, r := aConnecting(b, "c"), b.sessions
	if err := r.claim(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.succeed(s)
	r.doubt(s.id)
	if got := r.due(time.Now()).uncertain; len(got) != 0 {
		t.Errorf("%d are uncertain while it connects", len(got))
	}
	r.release(s)
	if got := r.due(time.Now()).uncertain; len(got) != 1 {
		t.Errorf("%d are uncertain when it is connected, want 1", len(got))
	}
}
