package authhook_test

import (
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry/acl"
)

// A denied publish is neither delivered nor retained, whatever the version, QoS
// and retain flag; and nobody is left without an answer, or disconnected.
func TestV24DeniedPublish(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos := range byte(3) {
			for _, retain := range []bool{false, true} {
				t.Run(fmt.Sprintf("version=%d qos=%d retain=%t", version, qos, retain), func(t *testing.T) {
					r := newRig(t, nil)
					r.user("alice", write("mine/#"))
					r.user("ops", read("#"))
					ops := r.connect(5, "ops", "ops")
					ops.MustSubscribe("#", 2)
					ops.Ping() // what was retained until now has been looked for
					alice := r.connect(version, "alice", "alice")

					want := byte(0)
					if version == 5 && qos > 0 {
						want = 0x87
					}
					if code := alice.Publish("theirs/1", "x", qos, retain); code != want {
						t.Errorf("answer %#02x, want %#02x", code, want)
					}
					if code := alice.Publish("mine/1", "x", qos, retain); code >= 0x80 {
						t.Errorf("allowed publish after a denied one: %#02x", code)
					}
					ops.ExpectMessage("mine/1")
					if qos > 0 { // the number of a denied message is free again
						if code := alice.Publish("theirs/1", "x", qos, retain); code != want {
							t.Errorf("denied once more: answer %#02x, want %#02x", code, want)
						}
					}
					alice.Ping()

					late := r.connect(5, "ops", "late")
					late.MustSubscribe("theirs/#", 2)
					late.Ping()
					if _, ok := r.retained("theirs/1"); ok {
						t.Error("a denied message is retained")
					}
					if got := r.Stats().PublishesDenied; got < 1 {
						t.Errorf("%d denied publishes counted", got)
					}
				})
			}
		}
	}
}

func TestDeniedPublishMayCloseMQTT3(t *testing.T) {
	for qos := range byte(3) {
		r := newRig(t, func(s *settings) { s.broker.CloseDenied = true })
		r.user("alice", write("mine/#"))
		r.user("ops", read("#"))
		ops := r.connect(5, "ops", "ops")
		ops.MustSubscribe("#", 0)
		alice := r.dial(4)
		o := as("alice", "alice")
		o.Will = &willOn
		alice.MustConnect(o)
		pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, TopicName: "theirs/1"}
		if qos > 0 {
			pk.PacketID = 1
		}
		alice.Send(pk)
		alice.ExpectEnd()
		ops.ExpectMessage("mine/will")

		v5 := r.connect(5, "alice", "v5")
		v5.Publish("theirs/1", "x", qos, false)
		v5.Ping()
	}
}

func TestPublishPrefix(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos := range byte(3) {
			t.Run(fmt.Sprintf("version=%d qos=%d", version, qos), func(t *testing.T) {
				r := newRig(t, nil)
				r.user("gateway", write("site1/+/temp"), write("raw"), read("site1/#"))
				r.change("gateway", func(rec *account) { rec.User.PublishPrefix = "site1/g" })
				gw := r.connect(version, "gateway", "gw")
				sub := r.connect(5, "gateway", "sub")
				sub.MustSubscribe("site1/#", 2)
				sub.Ping() // what was retained until now has been looked for

				gw.Publish("w/temp", "x", qos, true)
				sub.ExpectMessage("site1/gw/temp") // a reader sees the whole topic
				if payload, ok := r.retained("site1/gw/temp"); !ok || payload != "x" {
					t.Error("not retained under the whole topic")
				}
				if _, ok := r.retained("w/temp"); ok {
					t.Error("retained without the prefix")
				}
				// The right to "raw" is one to the whole topic "raw", which nothing becomes.
				gw.Publish("raw", "x", qos, false)
				gw.Publish("site1/gw/temp", "x", qos, false)
				gw.Publish("w/temp", "", qos, true) // clears what was retained
				sub.ExpectMessage("site1/gw/temp")
				if _, ok := r.retained("site1/gw/temp"); ok {
					t.Error("still retained")
				}
				if got := r.Stats().PublishesDenied; got != 2 {
					t.Errorf("%d denied publishes, want 2", got)
				}

				r.change("gateway", func(rec *account) { rec.User.PublishPrefix = "site1/h" })
				gw.Publish("w/temp", "x", qos, false)
				sub.ExpectMessage("site1/hw/temp")
				r.change("gateway", func(rec *account) { rec.User.PublishPrefix = "" })
				gw.Publish("raw", "x", qos, false)
				gw.Publish("w/temp", "x", qos, false)
				gw.Ping()
			})
		}
	}
}

func TestAliasesAreRefused(t *testing.T) {
	for name, topic := range map[string]string{"with a topic": "mine/1", "without": ""} {
		r := newRig(t, nil)
		r.user("alice", both("#"))
		c := r.connect(5, "alice", "c")
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish},
			TopicName:   topic,
			Properties:  packets.Properties{TopicAlias: 1, TopicAliasFlag: true},
		})
		if code := c.ExpectEnd(); code != 0x94 {
			t.Errorf("%s: DISCONNECT %#02x, want 0x94", name, code)
		}
	}
}

func TestTopicsOfTheBroker(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("#"), write("$SYS/#"))
	r.user("root", both("#"), both("$SYS/#"), both("$own/#"))
	root := r.connect(5, "root", "root")
	root.MustSubscribe("$own/#", 0)
	alice := r.connect(5, "alice", "alice")
	if code := alice.Subscribe("$SYS/#", 0); code != 0x87 {
		t.Errorf("SUBSCRIBE $SYS/# with a right to #: %#02x, want 0x87", code)
	}
	if code := alice.Subscribe("$share/g/$SYS/#", 0); code != 0x87 {
		t.Errorf("SUBSCRIBE $share/g/$SYS/# with a right to #: %#02x, want 0x87", code)
	}
	if code := alice.Publish("$own/1", "x", 1, false); code != 0x87 {
		t.Errorf("PUBLISH $own/1 with a right to #: %#02x, want 0x87", code)
	}
	// Nobody publishes to what is the broker's, with whatever right.
	for _, topic := range []string{"$own/2", "$SYS/broker/clients/connected"} {
		if code := root.Publish(topic, "x", 1, false); code != 0x87 {
			t.Errorf("PUBLISH %s with a right to it: %#02x, want 0x87", topic, code)
		}
	}
	root.Ping()
}

func TestV16DepthOfTopicsAndFiltersIsLimited(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("#"))
	c := r.connect(5, "alice", "c")
	deep := "a"
	for range acl.MaxLevels {
		deep += "/a"
	}
	if code := c.Publish(deep, "x", 1, false); code != 0x87 {
		t.Errorf("PUBLISH: %#02x, want 0x87", code)
	}
	if code := c.Subscribe(deep, 0); code != 0x87 {
		t.Errorf("SUBSCRIBE: %#02x, want 0x87", code)
	}
	if code := c.Subscribe(deep[2:], 0); code != 0 {
		t.Errorf("SUBSCRIBE one level less: %#02x, want 0", code)
	}
}

// retained returns what is retained under a topic.
func (r *rig) retained(topic string) (payload string, ok bool) {
	all, _ := r.Retained(topic, func(string) bool { return true }, 0, 1)
	if len(all) == 0 {
		return "", false
	}
	return string(all[0].Payload), true
}
