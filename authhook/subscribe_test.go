package authhook_test

import (
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry/acl"
)

func TestSubscribe(t *testing.T) {
	r := newRig(t, nil)
	deny := acl.Grant{Context: acl.MQTT, Operation: acl.Read, Effect: acl.Deny, Resource: "a/secret/#"}
	r.user("alice", read("a/#"), read("b/+"), deny)
	r.user("pub", both("#"))
	for _, tt := range []struct {
		filter string
		ok     bool
	}{
		{"a/1", true},
		{"a/#", true}, // the denied part is judged when a message is delivered
		{"a", true},
		{"b/+", true},
		{"b/#", false},
		{"#", false},
		{"+/1", false},
		{"a/secret/#", false},
		{"a/secret/1", false},
		{"c", false},
		{"$share/g/a/#", true},
		{"$SHARE/g/a/#", true},
		{"$Share/g/a/1", true},
		{"$share/g/c", false},
		{"$SHARE/g/c", false},
		{"$Share/g/#", false},
		{"$share/g/a/secret/1", false},
	} {
		for version, refused := range map[byte]byte{4: 0x80, 5: 0x87} {
			t.Run(fmt.Sprintf("%s, version %d", tt.filter, version), func(t *testing.T) {
				want := refused
				if tt.ok {
					want = 1
				}
				c := r.connect(version, "alice", "c")
				if code := c.Subscribe(tt.filter, 1); code != want {
					t.Errorf("%#02x, want %#02x", code, want)
				}
			})
		}
	}
}

// What a filter covers and a deny forbids is not delivered: not as it comes, not
// through a shared subscription, and not from what is retained.
func TestDeliveriesAreJudged(t *testing.T) {
	deny := acl.Grant{Context: acl.MQTT, Operation: acl.Read, Effect: acl.Deny, Resource: "a/secret"}
	for _, filter := range []string{"a/#", "$share/g/a/#", "$SHARE/g/a/+"} {
		t.Run(filter, func(t *testing.T) {
			r := newRig(t, nil)
			r.user("alice", read("a/#"), deny)
			r.user("pub", both("#"))
			pub := r.connect(5, "pub", "pub")
			pub.Publish("a/secret", "kept", 1, true)
			sub := r.connect(5, "alice", "sub")
			sub.MustSubscribe(filter, 1)
			pub.Publish("a/secret", "x", 1, false)
			pub.Publish("a/open", "x", 1, false)
			sub.ExpectMessage("a/open")
			st := r.Stats()
			if st.DeliveriesDenied == 0 || st.SubscribesDenied != 0 {
				t.Errorf("denied deliveries %d, subscribes %d: want some, and none", st.DeliveriesDenied, st.SubscribesDenied)
			}
		})
	}
}

func TestPlaceholdersAreThoseOfTheSession(t *testing.T) {
	r := newRig(t, nil)
	r.user("fleet", both("dev/${clientid}/#"), both("home/${username}/#"))
	r.change("fleet", func(rec *account) { rec.User.ClientIDs = []string{"gw-+"} })
	one, two := r.connect(5, "fleet", "gw-1"), r.connect(5, "fleet", "gw-2")
	one.MustSubscribe("dev/gw-1/#", 1)
	if code := one.Subscribe("dev/gw-2/#", 1); code != 0x87 {
		t.Errorf("gw-1 subscribes to what is gw-2's: %#02x, want 0x87", code)
	}
	if code := two.Publish("dev/gw-1/x", "", 1, false); code != 0x87 {
		t.Errorf("gw-2 publishes to what is gw-1's: %#02x, want 0x87", code)
	}
	two.Publish("home/fleet/x", "", 1, false)
	one.Publish("dev/gw-1/x", "1", 1, false)
	one.ExpectMessage("dev/gw-1/x")
}

// A subscription that was judged by what the user was a moment ago does not stay.
func TestRevocationInTheMiddleOfASubscribe(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", read("a/#"))
	c := r.connect(5, "alice", "c")
	revoke := func(string) {
		r.judged.Store(nil)
		r.grant("alice")
	}
	r.judged.Store(&revoke)
	c.MustSubscribe("a/#", 0)
	c.Ping()
	if n := r.Stats().Subscriptions; n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

// Nor does one that was judged before another connection took the session over,
// unless that one has the same.
func TestTakeoverInTheMiddleOfASubscribe(t *testing.T) {
	for _, same := range []bool{false, true} {
		r := newRig(t, nil)
		r.user("alice", read("a/#"))
		old := r.connect(5, "alice", "c")
		judged, goOn := make(chan struct{}), make(chan struct{})
		wait := func(string) {
			r.judged.Store(nil)
			close(judged)
			<-goOn
		}
		r.judged.Store(&wait)
		old.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
			Filters: packets.Subscriptions{{Filter: "a/1"}},
		})
		<-judged
		c := r.connect(5, "alice", "c")
		want := int64(0)
		if same {
			want = 1
			c.MustSubscribe("a/1", 0)
		}
		close(goOn)
		r.settle(1, 0)
		if n := r.Stats().Subscriptions; n != want {
			t.Errorf("the new connection has subscribed to the same: %t; %d subscriptions are left, want %d", same, n, want)
		}
	}
}

func TestAliasesOfTheBrokerAreNotUsed(t *testing.T) {
	// A message that waits would be kept without its topic.
	r := newRig(t, nil)
	r.user("alice", both("a/#"))
	o := as("alice", "sub")
	o.Resume, o.Expiry, o.Properties.TopicAliasMaximum = true, 600, 10
	sub := r.dial(5)
	sub.MustConnect(o)
	sub.MustSubscribe("a/#", 1)
	pub := r.connect(5, "alice", "pub")
	for range 2 {
		pub.Publish("a/1", "x", 1, false)
		sub.ExpectMessage("a/1")
	}
}

func TestMessagesOfAnOfflineSessionAreJudgedWhenTheyCome(t *testing.T) {
	r := newRig(t, nil)
	deny := acl.Grant{Context: acl.MQTT, Operation: acl.Read, Effect: acl.Deny, Resource: "a/secret"}
	r.user("alice", read("a/#"), deny)
	r.user("pub", both("#"))
	o := as("alice", "sub")
	o.Resume, o.Expiry = true, 600
	sub := r.dial(5)
	sub.MustConnect(o)
	sub.MustSubscribe("a/#", 1)
	sub.Disconnect()
	r.settle(0, 1)
	pub := r.connect(5, "pub", "pub")
	pub.Publish("a/secret", "x", 1, false)
	pub.Publish("a/open", "x", 1, false)
	pub.Ping()
	sub = r.dial(5)
	sub.MustConnect(o)
	sub.ExpectMessage("a/open")
	sub.Ping()
}
