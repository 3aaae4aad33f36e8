package authhook

import (
	"context"
	"fmt"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// connected returns a hook and a client that has a session of a user with n
// permissions.
func connected(tb testing.TB, n int, prefix string) (*Hook, *mqtt.Client) {
	tb.Helper()
	grants := make([]acl.Grant, n)
	for i := range grants {
		grants[i] = acl.Grant{Context: acl.MQTT, Operation: acl.ReadWrite, Resource: fmt.Sprintf("site%d/+/out/#", i)}
	}
	rec := registry.Record{Grants: grants, User: registry.User{
		ID: "1", Username: "gateway", Active: true, PublishPrefix: prefix,
		GrantTypes: []registry.GrantType{{Method: registry.MethodPassword}},
	}}
	principals := registry.NewPrincipals(one{rec}, 10, func() bool { return true })
	subject, err := principals.ByName(tb.Context(), "gateway")
	if err != nil {
		tb.Fatal(err)
	}
	h := New(Config{Now: time.Now})
	cl := &mqtt.Client{ID: "gw-1"}
	cl.Properties.ProtocolVersion = 5
	s := newSession(nil, cl, &packets.Packet{}, registry.Login{Subject: subject})
	cl.Net.Conn = s
	return h, cl
}

// one is a register with one user.
type one struct{ rec registry.Record }

func (o one) RecordByID(context.Context, registry.UserID) (registry.Record, error) {
	return o.rec, nil
}

func (o one) RecordByName(context.Context, string) (registry.Record, error) { return o.rec, nil }

func (o one) RecordByFingerprint(context.Context, string) (registry.Record, error) {
	return o.rec, nil
}

const topic = "site7/gw-1/out/temperature/1"

func TestSessionThatIsOverMayNothing(t *testing.T) {
	h, cl := connected(t, 20, "")
	sessionOf(cl).over.Store(true)
	for _, write := range []bool{true, false} {
		if h.OnACLCheck(cl, topic, write) {
			t.Errorf("allowed, write=%t", write)
		}
	}
}

func TestClientWithoutSessionMayNothing(t *testing.T) {
	h, _ := connected(t, 20, "")
	for _, cl := range []*mqtt.Client{{}, {Net: mqtt.ClientConnection{Inline: true}}} {
		for _, write := range []bool{true, false} {
			if h.OnACLCheck(cl, topic, write) {
				t.Errorf("allowed, write=%t, inline=%t", write, cl.Net.Inline)
			}
		}
		if h.OnConnectAuthenticate(cl, packets.Packet{}) {
			t.Error("let in")
		}
	}
}

// Mochi removes by its ID what is left of a client, after OnDisconnect. That must
// not happen in the middle of a CONNECT with the same ID.
func TestOnDisconnectWaitsForAConnectWithTheSameID(t *testing.T) {
	h, cl := connected(t, 1, "")
	s := sessionOf(cl)
	_, other := connected(t, 1, "")
	heir := sessionOf(other)
	if err := h.sessions.hold(t.Context(), heir); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.OnDisconnect(cl, nil, true)
	}()
	select {
	case <-done:
		t.Fatal("it did not wait")
	case <-time.After(20 * time.Millisecond): // something that does not happen
	}
	h.sessions.release(heir)
	<-done
	h.sessions.release(s)
	if n := h.Held(); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// While a CONNECT is being dealt with, mochi must not be given its client: it
// would take it for its own predecessor.
func TestSuspectsWaitForTheConnectWithTheirID(t *testing.T) {
	h, cl := connected(t, 1, "")
	s := sessionOf(cl)
	r := h.sessions
	if err := r.join(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.inherit(s)
	r.suspect(s.id)
	if got := r.chores(time.Now()).suspect; len(got) != 0 {
		t.Errorf("%d suspects while it connects", len(got))
	}
	r.release(s)
	if got := r.chores(time.Now()).suspect; len(got) != 1 {
		t.Errorf("%d suspects when it is connected, want 1", len(got))
	}
}
