package main

import (
	"net/http"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
)

// No side doors: each test tries to get round the policy. Mallory may use m/#
// alone; what Alice has is below a/.

// doors is a program with those who stand at its doors.
type doors struct {
	*program
	watch *mqtttest.Client // admin, who reads everything
}

func newDoors(t *testing.T) doors {
	p := launch(t)
	p.user("alice", both("a/#"), deny(reads("a/secret")))
	p.user("mallory", both("m/#"))
	watch := p.connect(mqtttest.Connect{ClientID: "watch", Username: "admin", Password: adminPassword})
	watch.MustSubscribe("#", 1)
	return doors{p, watch}
}

// nothingCame wants that no message reached the watcher: one that is sent now
// is the first.
func (d doors) nothingCame() {
	d.tb.Helper()
	wantCode(d.tb, "marker", d.watch.Publish("marker", "", 0, false), success)
	d.watch.ExpectMessage("marker")
}

func TestTopicAliasIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	for _, topics := range [][]string{
		{"m/1"},     // none are accepted at all
		{""},        // one that stands for nothing yet
		{"a/1", ""}, // one for a topic that was refused
	} {
		mallory := d.dial(5)
		ack := mallory.MustConnect(as("mallory", "m"))
		if ack.Properties.TopicAliasMaximum != 0 {
			t.Errorf("the broker takes %d aliases", ack.Properties.TopicAliasMaximum)
		}
		for _, topic := range topics {
			mallory.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: topic, Payload: []byte("x"),
				Properties: packets.Properties{TopicAlias: 1, TopicAliasFlag: true},
			})
		}
		mallory.ExpectEnd()
	}
	d.nothingCame()
}

func TestWillIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	will := func(topic string) mqtttest.Connect {
		c := as("mallory", "m")
		c.Will = &mqtttest.Will{Topic: topic, Payload: "bye"}
		return c
	}
	for topic, code := range map[string]byte{
		"a/1": notAuthorized, "$SYS/broker/version": notAuthorized, "$share/g/m/1": notAuthorized,
		"m/+": malformedPacket, "m/#": malformedPacket,
	} {
		wantCode(t, "CONNECT with a will for "+topic, d.dial(5).Connect(will(topic)).ReasonCode, code)
	}
	wantCode(t, "the same by MQTT 3.1.1", d.dial(4).Connect(will("a/1")).ReasonCode, 5)

	allowed := d.connect(will("m/1"))
	_ = allowed.Close()
	d.watch.ExpectMessage("m/1")
	d.nothingCame()
}

func TestWillIsJudgedWhenItIsSent(t *testing.T) {
	d := newDoors(t)
	role := d.role("writers", writes("w/#"))
	id := d.userWith("writer", object{"roles": []string{role}})
	now, later := as("writer", "now"), as("writer", "later")
	now.Will = &mqtttest.Will{Topic: "w/now", Payload: "bye"}
	later.Will = &mqtttest.Will{Topic: "w/later", Payload: "bye", Properties: packets.Properties{WillDelayInterval: 1}}
	later.Expiry = 600
	atOnce, delayed := d.connect(now), d.connect(later)
	_ = delayed.Close()
	d.must(http.StatusOK, "DELETE", "/users/"+id+"/roles", object{"roleId": role})
	_ = atOnce.Close()
	d.reaches("mqttwarden_wills_dropped_total", 2)
	d.nothingCame()
}

func TestRetainedMessagesAreNoSideDoor(t *testing.T) {
	d := newDoors(t)
	for _, topic := range []string{"a/open", "a/secret"} {
		wantCode(t, topic, d.watch.Publish(topic, "kept", 1, true), success)
		d.watch.ExpectMessage(topic)
	}
	mallory := d.connect(as("mallory", "m"))
	wantCode(t, "retain elsewhere", mallory.Publish("a/new", "x", 1, true), notAuthorized)
	wantCode(t, "clear elsewhere", mallory.Publish("a/open", "", 1, true), notAuthorized)
	wantCode(t, "SUBSCRIBE", mallory.Subscribe("a/open", 1), notAuthorized)
	mallory.MustSubscribe("m/#", 1)
	wantCode(t, "marker", mallory.Publish("m/1", "", 0, false), success)
	mallory.ExpectMessage("m/1") // and no retained message before it
	d.watch.ExpectMessage("m/1")

	alice := d.connect(as("alice", "a"))
	alice.MustSubscribe("a/#", 1) // her right to read a/secret is denied: the delivery is judged
	expect(t, alice, "a/open", "kept")
	wantCode(t, "publish", alice.Publish("a/open", "next", 0, false), success)
	expect(t, alice, "a/open", "next")
}

func TestSharedSubscriptionIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	mallory := d.connect(as("mallory", "m"))
	for _, filter := range []string{"$share/g/a/1", "$SHARE/g/a/1", "$Share/g/#", "$share/g/$SYS/#"} {
		wantCode(t, "SUBSCRIBE "+filter, mallory.Subscribe(filter, 1), notAuthorized)
	}
	alice := d.connect(as("alice", "a"))
	alice.MustSubscribe("$share/g/a/#", 1)
	for _, topic := range []string{"a/secret", "a/open"} {
		wantCode(t, topic, d.watch.Publish(topic, "x", 1, false), success)
		d.watch.ExpectMessage(topic)
	}
	expect(t, alice, "a/open", "x")
}

func TestTakeoverIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	stay := as("alice", "a")
	stay.Expiry, stay.Resume = 600, true
	alice := d.connect(stay)
	alice.MustSubscribe("a/#", 1)
	alice.Disconnect()
	wantCode(t, "message for the stored session", d.watch.Publish("a/1", "for alice", 1, false), success)
	d.watch.ExpectMessage("a/1")

	steal := as("mallory", "a")
	steal.Resume = true
	wantCode(t, "CONNECT with her stored session's ID", d.dial(5).Connect(steal).ReasonCode, badClientID)
	steal.Resume = false
	wantCode(t, "a clean start with it", d.dial(5).Connect(steal).ReasonCode, badClientID)

	back := d.dial(5)
	if ack := back.MustConnect(stay); !ack.SessionPresent {
		t.Error("her session is gone")
	}
	expect(t, back, "a/1", "for alice")

	stay.Expiry, stay.Resume = 0, false
	last := d.connect(stay)
	last.MustSubscribe("a/#", 1)
	last.Disconnect()
	back.ExpectEnd()
	d.reaches("mqttwarden_mqtt_clients", 1)
	steal.Resume = true
	heir := d.dial(5)
	if ack := heir.MustConnect(steal); ack.SessionPresent {
		t.Error("a session that has ended went to another user")
	}
	heir.MustSubscribe("m/#", 1)
	for _, topic := range []string{"a/2", "m/1"} {
		wantCode(t, "publish", d.watch.Publish(topic, "x", 1, false), success)
		d.watch.ExpectMessage(topic)
	}
	heir.ExpectMessage("m/1") // and not what her subscription would have brought
}

func TestQueuedMessagesAreNoSideDoor(t *testing.T) {
	d := newDoors(t)
	role := d.role("readers", reads("q/#"), reads("r/#"))
	id := d.userWith("reader", object{"roles": []string{role}})
	stay := as("reader", "r")
	stay.Expiry, stay.Resume = 600, true
	reader := d.connect(stay)
	reader.MustSubscribe("q/#", 1)
	reader.MustSubscribe("r/#", 1)
	reader.Disconnect()
	for _, topic := range []string{"q/1", "r/1"} {
		wantCode(t, topic, d.watch.Publish(topic, "queued", 1, false), success)
		d.watch.ExpectMessage(topic)
	}
	d.must(http.StatusOK, "PUT", "/users/"+id, object{"roles": []string{d.role("half", reads("r/#"))}})
	for _, topic := range []string{"q/2", "r/2"} {
		wantCode(t, topic, d.watch.Publish(topic, "later", 1, false), success)
		d.watch.ExpectMessage(topic)
	}
	back := d.dial(5)
	if ack := back.MustConnect(stay); !ack.SessionPresent {
		t.Error("the session is gone")
	}
	got := map[string]bool{back.Message().TopicName: true, back.Message().TopicName: true}
	if !got["r/1"] || !got["r/2"] {
		t.Errorf("got %v, want r/1 and r/2", got)
	}
	wantCode(t, "marker", d.watch.Publish("r/3", "x", 1, false), success)
	back.ExpectMessage("r/3")
}

func TestDollarTopicsAreNoSideDoor(t *testing.T) {
	d := newDoors(t)
	d.user("wide", both("#"), both("+/broker/#"))
	wide := d.connect(as("wide", "w"))
	for _, filter := range []string{"$SYS/#", "$SYS/broker/version", "$share/g/$SYS/#", "$other/#"} {
		wantCode(t, "SUBSCRIBE "+filter, wide.Subscribe(filter, 0), notAuthorized)
	}
	wide.MustSubscribe("#", 0)
	wide.MustSubscribe("+/broker/#", 0) // $SYS/broker/… is retained, and not for this filter
	for _, topic := range []string{"$SYS/broker/version", "$share/g/x", "$other"} {
		wide.Publish(topic, "forged", 0, true)
	}
	wide.Ping()
	wantCode(t, "marker", d.watch.Publish("x/broker/1", "", 0, false), success)
	wide.ExpectMessage("x/broker/1")
	d.watch.ExpectMessage("x/broker/1")
	d.watch.MustSubscribe("$SYS/broker/version", 0) // admin may
	if m := d.watch.ExpectMessage("$SYS/broker/version"); string(m.Payload) == "forged" {
		t.Error("a client has written a $SYS topic")
	}
}

func TestEnhancedAuthenticationIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	c := as("mallory", "m")
	c.Properties.AuthenticationMethod = "SCRAM-SHA-256"
	wantCode(t, "CONNECT with a method", d.dial(5).Connect(c).ReasonCode, badAuthMethod)

	for name, reason := range map[string]byte{"re-authenticate": 0x19, "go on": 0x18} {
		mallory := d.connect(as("mallory", "m"))
		mallory.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Auth}, ReasonCode: reason,
			Properties: packets.Properties{AuthenticationMethod: "PLAIN", AuthenticationData: []byte("\x00admin\x00" + adminPassword)},
		})
		wantCode(t, "AUTH to "+name, mallory.ExpectEnd(), protocolError)
	}
	d.nothingCame()
}
