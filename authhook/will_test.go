package authhook_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
)

var willOn = mqtttest.Will{Topic: "mine/will", Payload: "gone"}

// willed connects a user with a will.
func (r *rig) willed(version byte, w mqtttest.Will, expiry uint32) *mqtttest.Client {
	r.tb.Helper()
	c := r.dial(version)
	o := as("alice", "alice")
	o.Will, o.Expiry, o.Resume = &w, expiry, expiry > 0
	c.MustConnect(o)
	return c
}

func delayed(seconds uint32) mqtttest.Will {
	w := willOn
	w.Properties.WillDelayInterval = seconds
	return w
}

// watcher subscribes to everything.
func (r *rig) watcher() *mqtttest.Client {
	r.tb.Helper()
	r.user("ops", both("#"))
	c := r.connect(5, "ops", "ops")
	c.MustSubscribe("#", 2)
	c.Ping() // what was retained until now has been looked for
	return c
}

// nothingCame ends the test if the watcher has got a message.
func (r *rig) nothingCame(c *mqtttest.Client) {
	r.tb.Helper()
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "marker"})
	c.ExpectMessage("marker")
}

func TestV06WillIsJudgedAtConnect(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", write("mine/#"), write("$own/#"), write("$SYS/#"))
	for _, tt := range []struct {
		topic string
		ok    bool
	}{
		{"mine/will", true},
		{"theirs/will", false},
		{"$SYS/broker/clients/connected", false},
		{"$own/will", false},
	} {
		for _, retain := range []bool{false, true} {
			for version, refused := range map[byte]byte{4: 5, 5: 0x87} {
				t.Run(fmt.Sprintf("%s retain=%t version=%d", tt.topic, retain, version), func(t *testing.T) {
					want := refused
					if tt.ok {
						want = 0
					}
					o := as("alice", "alice")
					o.Will = &mqtttest.Will{Topic: tt.topic, Payload: "x", Retain: retain}
					if ack := mqtttest.Dial(t, r.Addr("mqtt").String(), version).Connect(o); ack.ReasonCode != want {
						t.Errorf("CONNACK %#02x, want %#02x", ack.ReasonCode, want)
					}
				})
			}
		}
	}
	for _, topic := range []string{"mine/#", "mine/+/will"} { // no topics: they do not come so far
		o := as("alice", "alice")
		o.Will = &mqtttest.Will{Topic: topic, Payload: "x"}
		if ack := r.dial(5).Connect(o); ack.ReasonCode != 0x81 {
			t.Errorf("%s: CONNACK %#02x, want 0x81", topic, ack.ReasonCode)
		}
		c := r.dial(4)
		c.Send(o.Packet(4))
		c.ExpectEnd()
	}
}

func TestWillIsSentUnderThePrefix(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos := range byte(3) {
			r := newRig(t, nil)
			r.user("alice", write("site1/mine/#"))
			r.change("alice", func(rec *account) { rec.User.PublishPrefix = "site1/" })
			ops := r.watcher()
			w := willOn
			w.QoS, w.Retain = qos, true
			r.willed(version, w, 0).Close()
			pk := ops.ExpectMessage("site1/mine/will")
			if string(pk.Payload) != "gone" || pk.FixedHeader.Qos != qos {
				t.Errorf("version %d: payload %q at QoS %d, want %q at %d", version, pk.Payload, pk.FixedHeader.Qos, "gone", qos)
			}
			if _, ok := r.retained("site1/mine/will"); !ok {
				t.Errorf("version %d, QoS %d: not retained", version, qos)
			}
		}
	}
}

func TestWillKeepsItsProperties(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", write("mine/#"))
	ops := r.watcher()
	w := willOn
	w.Properties = packets.Properties{
		PayloadFormat: 1, PayloadFormatFlag: true, ContentType: "text/plain",
		ResponseTopic: "answers/1", CorrelationData: []byte("42"),
		User: []packets.UserProperty{{Key: "k", Val: "v"}},
	}
	r.willed(5, w, 0).Close()
	got := ops.ExpectMessage("mine/will").Properties
	if diff := cmp.Diff(w.Properties, got); diff != "" {
		t.Errorf("properties (-sent +got):\n%s", diff)
	}
}

func TestNoWillAfterAnOrderlyEnd(t *testing.T) {
	for _, version := range []byte{4, 5} {
		r := newRig(t, nil)
		r.user("alice", write("mine/#"))
		ops := r.watcher()
		r.willed(version, willOn, 0).Disconnect()
		r.settle(1, 0)
		r.nothingCame(ops)
	}
}

func TestWillAfterDisconnectWithWill(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", write("mine/#"))
	ops := r.watcher()
	c := r.willed(5, willOn, 0)
	c.SendBytes([]byte{0xE0, 2, 4, 0})
	ops.ExpectMessage("mine/will")
}

func TestWillIsJudgedWhenItIsSent(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", write("mine/#"))
	ops := r.watcher()
	c := r.willed(5, willOn, 0)
	r.grant("alice", write("other/#"))
	c.Close()
	r.settle(1, 0)
	r.nothingCame(ops)
	if got := r.Stats().WillsDropped; got != 1 {
		t.Errorf("%d wills dropped, want 1", got)
	}
}

func TestDelayedWill(t *testing.T) {
	setUp := func(t *testing.T, delay, expiry uint32) (*rig, *mqtttest.Client) {
		r := newRig(t, nil)
		r.user("alice", write("mine/#"))
		ops := r.watcher()
		r.willed(5, delayed(delay), expiry).Close()
		r.settle(1, 1)
		return r, ops
	}
	sweep := func(r *rig, after time.Duration) { r.Sweep(t.Context(), r.clock.advance(after)) }

	t.Run("is sent when its delay is over", func(t *testing.T) {
		r, ops := setUp(t, 60, 600)
		sweep(r, 59*time.Second)
		r.nothingCame(ops)
		sweep(r, time.Second)
		ops.ExpectMessage("mine/will")
		sweep(r, time.Hour)
		r.nothingCame(ops)
	})
	t.Run("is sent when the session ends before", func(t *testing.T) {
		r, ops := setUp(t, 600, 60)
		sweep(r, time.Minute)
		ops.ExpectMessage("mine/will")
	})
	t.Run("is judged when it is sent", func(t *testing.T) {
		r, ops := setUp(t, 60, 600)
		r.grant("alice", write("other/#"))
		sweep(r, time.Minute)
		r.nothingCame(ops)
	})
	t.Run("goes with a user that is removed", func(t *testing.T) {
		r, ops := setUp(t, 60, 600)
		r.remove("alice")
		sweep(r, time.Minute)
		r.nothingCame(ops)
	})
	t.Run("is not sent when the session goes on", func(t *testing.T) { // [MQTT-3.1.3-9]
		r, ops := setUp(t, 60, 600)
		o := as("alice", "alice")
		o.Resume, o.Expiry = true, 600
		if ack := r.dial(5).MustConnect(o); !ack.SessionPresent {
			t.Fatal("the session is gone")
		}
		sweep(r, time.Minute)
		r.nothingCame(ops)
	})
	t.Run("is sent when the session is begun anew", func(t *testing.T) {
		r, ops := setUp(t, 60, 600)
		r.connect(5, "alice", "alice")
		ops.ExpectMessage("mine/will")
	})
	t.Run("does not wait without a session to keep", func(t *testing.T) {
		r := newRig(t, nil)
		r.user("alice", write("mine/#"))
		ops := r.watcher()
		r.willed(5, delayed(60), 0).Close()
		ops.ExpectMessage("mine/will")
	})
}

func TestWillAtTakeover(t *testing.T) {
	for _, tt := range []struct {
		name   string
		delay  uint32
		resume bool
		sent   bool
	}{
		{"a will without delay is sent", 0, true, true},
		{"a delayed one is not, when the session goes on", 60, true, false},
		{"but is, when the session is begun anew", 60, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.user("alice", write("mine/#"))
			ops := r.watcher()
			old := r.willed(5, delayed(tt.delay), 600)
			o := as("alice", "alice")
			o.Resume, o.Expiry = tt.resume, 600
			r.dial(5).MustConnect(o)
			if code := old.ExpectEnd(); code != 0x8E {
				t.Errorf("DISCONNECT %#02x, want 0x8E", code)
			}
			if tt.sent {
				ops.ExpectMessage("mine/will")
			}
			r.settle(2, 0)
			r.Sweep(t.Context(), r.clock.advance(time.Hour))
			r.nothingCame(ops)
		})
	}
}
