package broker_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// ids returns the IDs of the clients that q selects.
func (b *started) ids(q broker.ClientQuery) []string {
	all, _ := b.Clients(q, 0, 100)
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestClientsAreListed(t *testing.T) {
	b := start(t, new(open), nil)
	old := dial(t, b, 4)
	old.connect("old", func(pk *packets.Packet) { pk.Connect.Keepalive = 30 })
	gone := dial(t, b, 5)
	gone.connect("gone", persistent)
	gone.Subscribe("a/#", 1)
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	gone.Close()
	eventually(t, "its session is stored", func() bool { return len(b.ids(broker.ClientQuery{State: broker.Stored})) == 1 })
	pub.publish("a/1", 1)
	pub.Expect(packets.Puback)
	pub.Ping()

	loopback := netip.MustParseAddr("127.0.0.1")
	for _, test := range []struct {
		name string
		q    broker.ClientQuery
		want []string
	}{
		{"all", broker.ClientQuery{}, []string{"gone", "old", "pub"}},
		{"those that are connected", broker.ClientQuery{State: broker.Connected}, []string{"old", "pub"}},
		{"those that are stored", broker.ClientQuery{State: broker.Stored}, []string{"gone"}},
		{"one by its ID", broker.ClientQuery{ID: "pub"}, []string{"pub"}},
		{"one by its ID in a state in which it is not", broker.ClientQuery{ID: "pub", State: broker.Stored}, nil},
		{"those of a user", broker.ClientQuery{Username: "the user of old"}, []string{"old"}},
		{"those of a protocol level", broker.ClientQuery{Protocol: 4}, []string{"old"}},
		{"those from an address", broker.ClientQuery{Address: loopback}, []string{"gone", "old", "pub"}},
		{"those from another address", broker.ClientQuery{Address: netip.MustParseAddr("192.0.2.1")}, nil},
		{"an ID that nobody has", broker.ClientQuery{ID: "nobody"}, nil},
	} {
		if got := b.ids(test.q); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if page, total := b.Clients(broker.ClientQuery{}, 1, 1); total != 3 || len(page) != 1 || page[0].ID != "old" {
		t.Errorf("the second of pages of one is %+v of %d", page, total)
	}
	if page, total := b.Clients(broker.ClientQuery{}, 7, 5); total != 3 || len(page) != 0 {
		t.Errorf("a page behind the last is %+v of %d", page, total)
	}

	c, subs, _ := b.ClientByID("gone")
	if len(subs) != 1 || subs[0].Filter != "a/#" || subs[0].QoS != 1 {
		t.Errorf("it has subscribed to %+v", subs)
	}
	if c.Connected || !c.Persists || c.Waiting != 1 || c.Since.IsZero() || c.Left.Before(c.Since) || !c.Expires.After(c.Left) || c.Address != loopback {
		t.Errorf("the stored one is %+v", c)
	}
	c, _, _ = b.ClientByID("pub")
	if !c.Connected || c.Persists || c.Protocol != 5 || c.Received.Messages != 1 || c.Received.Bytes == 0 || c.Sent.Bytes == 0 || c.Listener != "mqtt" {
		t.Errorf("the connected one is %+v", c)
	}
	if c, _, _ := b.ClientByID("old"); c.KeepAlive.Seconds() != 30 {
		t.Errorf("the keep alive is %v, want 30 s", c.KeepAlive)
	}
	if _, _, ok := b.ClientByID("nobody"); ok {
		t.Error("there is a client that nobody is")
	}
}

func TestEndClient(t *testing.T) {
	b := start(t, new(open), nil)
	stays := dial(t, b, 5)
	stays.connect("c", persistent)
	stays.Subscribe("a/#", 1)
	if b.EndClient(t.Context(), "c", "another user", "", false) {
		t.Error("a client was ended that another user has")
	}
	stays.Ping()
	if !b.EndClient(t.Context(), "c", "the user of c", "moved away", false) {
		t.Fatal("it was not ended")
	}
	pk := stays.Expect(packets.Disconnect)
	if pk.ReasonCode != packets.ErrAdministrativeAction.Code || pk.Properties.ReasonString != "moved away" {
		t.Errorf("the client was told %#x %q", pk.ReasonCode, pk.Properties.ReasonString)
	}
	stays.UntilEnd()
	if got := b.ids(broker.ClientQuery{State: broker.Stored}); !slices.Equal(got, []string{"c"}) {
		t.Errorf("stored are %q, want its session", got)
	}
	if !b.EndClient(t.Context(), "c", "the user of c", "", true) {
		t.Error("the stored session was not dropped")
	}
	if got := b.ids(broker.ClientQuery{}); got != nil || b.Stats().Subscriptions != 0 {
		t.Errorf("%q and %d subscriptions are left", got, b.Stats().Subscriptions)
	}
	if b.EndClient(t.Context(), "c", "the user of c", "", true) {
		t.Error("what nobody has was ended")
	}
}

func TestEndClientWithItsSession(t *testing.T) {
	b := start(t, new(open), nil)
	c := dial(t, b, 5)
	c.connect("c", func(pk *packets.Packet) {
		persistent(pk)
		pk.Properties.MaximumPacketSize = 20
	})
	c.Subscribe("a/#", 1)
	if !b.EndClient(t.Context(), "c", "the user of c", "longer than the client takes", true) {
		t.Fatal("it was not ended")
	}
	if pk := c.Expect(packets.Disconnect); pk.Properties.ReasonString != "" {
		t.Errorf("a client that takes 20 bytes was told %q", pk.Properties.ReasonString)
	}
	if got := b.ids(broker.ClientQuery{}); got != nil {
		t.Errorf("%q is left", got)
	}
	again := dial(t, b, 5)
	pk := connectAs("c")
	persistent(&pk)
	again.Send(pk)
	if got := again.Expect(packets.Connack); got.SessionPresent || got.ReasonCode != 0 {
		t.Errorf("the next one got session present %t and %#x", got.SessionPresent, got.ReasonCode)
	}
}
