package policy

import (
	"net/http"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// No side doors: each test tries to get round the policy. Mallory may use m/#
// alone; what Alice has is below a/.

// doors is a program with those who stand at its doors.
type doors struct {
	*rig.Program
	watch *mqtttest.Client // admin, who reads everything
}

func newDoors(t *testing.T) doors {
	p := rig.Launch(t)
	p.User("alice", rig.Both("a/#"), rig.Deny(rig.Reads("a/secret")))
	p.User("mallory", rig.Both("m/#"))
	watch := p.Connect(mqtttest.Connect{ClientID: "watch", Username: "admin", Password: rig.AdminPassword})
	watch.MustSubscribe("#", 1)
	return doors{p, watch}
}

// nothingCame wants that no message reached the watcher: one that is sent now
// is the first.
func (d doors) nothingCame() {
	d.TB.Helper()
	rig.WantCode(d.TB, "marker", d.watch.Publish("marker", "", 0, false), rig.Success)
	d.watch.ExpectMessage("marker")
}

func TestTopicAliasIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	aliased := func(c *mqtttest.Client, topic string, alias uint16) {
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: topic, Payload: []byte("x"),
			Properties: packets.Properties{TopicAlias: alias, TopicAliasFlag: true},
		})
	}
	mallory := d.Dial(5)
	if n := mallory.MustConnect(rig.As("mallory", "m")).Properties.TopicAliasMaximum; n != 32 {
		t.Errorf("the broker takes %d aliases, want 32", n)
	}
	aliased(mallory, "a/1", 1) // refused
	aliased(mallory, "", 1)    // and so is what stands for it
	aliased(mallory, "m/1", 1)
	d.watch.ExpectMessage("m/1")
	aliased(mallory, "", 1) // which may be published
	d.watch.ExpectMessage("m/1")
	aliased(mallory, "a/1", 1) // refused, and the alias changes hands all the same
	aliased(mallory, "", 1)
	mallory.Ping()
	d.nothingCame()

	for code, of := range map[byte]struct {
		topic string
		alias uint16
	}{
		rig.ProtocolError: {"", 2},     // which stands for nothing yet
		0x94:              {"m/1", 33}, // one too many
	} {
		mallory = d.Dial(5)
		mallory.MustConnect(rig.As("mallory", "m"))
		aliased(mallory, of.topic, of.alias)
		rig.WantCode(t, "DISCONNECT", mallory.ExpectEnd(), code)
	}
	d.nothingCame()
}

// A right that is taken counts for what an alias stands for.
func TestTopicAliasOutlivesNoRight(t *testing.T) {
	t.Parallel()
	d := newDoors(t)
	role := d.Role("writers", rig.Writes("w/#"))
	id := d.UserWith("writer", rig.Object{"roles": []string{role}})
	c := d.Connect(rig.As("writer", "w"))
	send := func(topic string, code byte) {
		t.Helper()
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: 1, TopicName: topic, Payload: []byte("x"),
			Properties: packets.Properties{TopicAlias: 1, TopicAliasFlag: true},
		})
		rig.WantCode(t, "PUBACK", c.Expect(packets.Puback).ReasonCode, code)
	}
	send("w/1", rig.Success)
	send("", rig.Success)
	d.watch.ExpectMessage("w/1")
	d.watch.ExpectMessage("w/1")
	d.Must(http.StatusOK, "DELETE", "/users/"+id+"/roles", rig.Object{"roleId": role})
	send("", rig.NotAuthorized)
	d.nothingCame()
}

func TestWillIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	will := func(topic string) mqtttest.Connect {
		c := rig.As("mallory", "m")
		c.Will = &mqtttest.Will{Topic: topic, Payload: "bye"}
		return c
	}
	for topic, code := range map[string]byte{
		"a/1": rig.NotAuthorized, "$SYS/broker/version": rig.NotAuthorized, "$share/g/m/1": rig.NotAuthorized,
		"m/+": rig.MalformedPacket, "m/#": rig.MalformedPacket,
	} {
		rig.WantCode(t, "CONNECT with a will for "+topic, d.Dial(5).Connect(will(topic)).ReasonCode, code)
	}
	rig.WantCode(t, "the same by MQTT 3.1.1", d.Dial(4).Connect(will("a/1")).ReasonCode, 5)

	allowed := d.Connect(will("m/1"))
	_ = allowed.Close()
	d.watch.ExpectMessage("m/1")
	d.nothingCame()
}

func TestWillIsJudgedWhenItIsSent(t *testing.T) {
	t.Parallel()
	d := newDoors(t)
	role := d.Role("writers", rig.Writes("w/#"))
	id := d.UserWith("writer", rig.Object{"roles": []string{role}})
	now, later := rig.As("writer", "now"), rig.As("writer", "later")
	now.Will = &mqtttest.Will{Topic: "w/now", Payload: "bye"}
	later.Will = &mqtttest.Will{Topic: "w/later", Payload: "bye", Properties: packets.Properties{WillDelayInterval: 1}}
	later.Expiry = 600
	atOnce, delayed := d.Connect(now), d.Connect(later)
	_ = delayed.Close()
	d.Must(http.StatusOK, "DELETE", "/users/"+id+"/roles", rig.Object{"roleId": role})
	_ = atOnce.Close()
	d.Reaches("mqttwarden_wills_dropped_total", 2)
	d.nothingCame()
}

func TestRetainedMessagesAreNoSideDoor(t *testing.T) {
	d := newDoors(t)
	for _, topic := range []string{"a/open", "a/secret"} {
		rig.WantCode(t, topic, d.watch.Publish(topic, "kept", 1, true), rig.Success)
		d.watch.ExpectMessage(topic)
	}
	mallory := d.Connect(rig.As("mallory", "m"))
	rig.WantCode(t, "retain elsewhere", mallory.Publish("a/new", "x", 1, true), rig.NotAuthorized)
	rig.WantCode(t, "clear elsewhere", mallory.Publish("a/open", "", 1, true), rig.NotAuthorized)
	rig.WantCode(t, "SUBSCRIBE", mallory.Subscribe("a/open", 1), rig.NotAuthorized)
	mallory.MustSubscribe("m/#", 1)
	rig.WantCode(t, "marker", mallory.Publish("m/1", "", 0, false), rig.Success)
	mallory.ExpectMessage("m/1") // and no retained message before it
	d.watch.ExpectMessage("m/1")

	alice := d.Connect(rig.As("alice", "a"))
	alice.MustSubscribe("a/#", 1) // a deny forbids a/secret: the delivery is judged
	rig.Expect(t, alice, "a/open", "kept")
	rig.WantCode(t, "publish", alice.Publish("a/open", "next", 0, false), rig.Success)
	rig.Expect(t, alice, "a/open", "next")
}

func TestSharedSubscriptionIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	mallory := d.Connect(rig.As("mallory", "m"))
	for _, filter := range []string{"$share/g/a/1", "$SHARE/g/a/1", "$Share/g/#", "$share/g/$SYS/#"} {
		rig.WantCode(t, "SUBSCRIBE "+filter, mallory.Subscribe(filter, 1), rig.NotAuthorized)
	}
	alice := d.Connect(rig.As("alice", "a"))
	alice.MustSubscribe("$share/g/a/#", 1)
	for _, topic := range []string{"a/secret", "a/open"} {
		rig.WantCode(t, topic, d.watch.Publish(topic, "x", 1, false), rig.Success)
		d.watch.ExpectMessage(topic)
	}
	rig.Expect(t, alice, "a/open", "x")
}

func TestTakeoverIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	stay := rig.As("alice", "a")
	stay.Expiry, stay.Resume = 600, true
	alice := d.Connect(stay)
	alice.MustSubscribe("a/#", 1)
	alice.Disconnect()
	rig.WantCode(t, "message for the stored session", d.watch.Publish("a/1", "for alice", 1, false), rig.Success)
	d.watch.ExpectMessage("a/1")

	steal := rig.As("mallory", "a")
	steal.Resume = true
	rig.WantCode(t, "CONNECT with the ID of a stored session", d.Dial(5).Connect(steal).ReasonCode, rig.BadClientID)
	steal.Resume = false
	rig.WantCode(t, "a clean start with it", d.Dial(5).Connect(steal).ReasonCode, rig.BadClientID)

	back := d.Dial(5)
	if ack := back.MustConnect(stay); !ack.SessionPresent {
		t.Error("the session is gone")
	}
	rig.Expect(t, back, "a/1", "for alice")

	stay.Expiry, stay.Resume = 0, false
	last := d.Connect(stay)
	last.MustSubscribe("a/#", 1)
	last.Disconnect()
	back.ExpectEnd()
	d.Reaches("mqttwarden_mqtt_clients", 1)
	steal.Resume = true
	heir := d.Dial(5)
	if ack := heir.MustConnect(steal); ack.SessionPresent {
		t.Error("a session that has ended went to another user")
	}
	heir.MustSubscribe("m/#", 1)
	for _, topic := range []string{"a/2", "m/1"} {
		rig.WantCode(t, "publish", d.watch.Publish(topic, "x", 1, false), rig.Success)
		d.watch.ExpectMessage(topic)
	}
	heir.ExpectMessage("m/1") // and not what the subscription would have brought
}

func TestQueuedMessagesAreNoSideDoor(t *testing.T) {
	d := newDoors(t)
	role := d.Role("readers", rig.Reads("q/#"), rig.Reads("r/#"))
	id := d.UserWith("reader", rig.Object{"roles": []string{role}})
	stay := rig.As("reader", "r")
	stay.Expiry, stay.Resume = 600, true
	reader := d.Connect(stay)
	reader.MustSubscribe("q/#", 1)
	reader.MustSubscribe("r/#", 1)
	reader.Disconnect()
	for _, topic := range []string{"q/1", "r/1"} {
		rig.WantCode(t, topic, d.watch.Publish(topic, "queued", 1, false), rig.Success)
		d.watch.ExpectMessage(topic)
	}
	d.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"roles": []string{d.Role("half", rig.Reads("r/#"))}})
	for _, topic := range []string{"q/2", "r/2"} {
		rig.WantCode(t, topic, d.watch.Publish(topic, "later", 1, false), rig.Success)
		d.watch.ExpectMessage(topic)
	}
	back := d.Dial(5)
	if ack := back.MustConnect(stay); !ack.SessionPresent {
		t.Error("the session is gone")
	}
	got := map[string]bool{back.Message().TopicName: true, back.Message().TopicName: true}
	if !got["r/1"] || !got["r/2"] {
		t.Errorf("got %v, want r/1 and r/2", got)
	}
	rig.WantCode(t, "marker", d.watch.Publish("r/3", "x", 1, false), rig.Success)
	back.ExpectMessage("r/3")
}

func TestDollarTopicsAreNoSideDoor(t *testing.T) {
	d := newDoors(t)
	d.User("wide", rig.Both("#"), rig.Both("+/broker/#"))
	wide := d.Connect(rig.As("wide", "w"))
	for _, filter := range []string{"$SYS/#", "$SYS/broker/version", "$share/g/$SYS/#", "$other/#"} {
		rig.WantCode(t, "SUBSCRIBE "+filter, wide.Subscribe(filter, 0), rig.NotAuthorized)
	}
	wide.MustSubscribe("#", 0)
	wide.MustSubscribe("+/broker/#", 0) // $SYS/broker/… is retained, and not for this filter
	for _, topic := range []string{"$SYS/broker/version", "$share/g/x", "$other"} {
		wide.Publish(topic, "forged", 0, true)
	}
	wide.Ping()
	rig.WantCode(t, "marker", d.watch.Publish("x/broker/1", "", 0, false), rig.Success)
	wide.ExpectMessage("x/broker/1")
	d.watch.ExpectMessage("x/broker/1")
	d.watch.MustSubscribe("$SYS/broker/version", 0) // admin may
	if m := d.watch.ExpectMessage("$SYS/broker/version"); string(m.Payload) == "forged" {
		t.Error("a client has written a $SYS topic")
	}
}

func TestEnhancedAuthenticationIsNoSideDoor(t *testing.T) {
	d := newDoors(t)
	c := rig.As("mallory", "m")
	c.Properties.AuthenticationMethod = "SCRAM-SHA-256"
	rig.WantCode(t, "CONNECT with a method", d.Dial(5).Connect(c).ReasonCode, rig.BadAuthMethod)

	for name, reason := range map[string]byte{"re-authenticate": 0x19, "go on": 0x18} {
		mallory := d.Connect(rig.As("mallory", "m"))
		mallory.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Auth}, ReasonCode: reason,
			Properties: packets.Properties{AuthenticationMethod: "PLAIN", AuthenticationData: []byte("\x00admin\x00" + rig.AdminPassword)},
		})
		rig.WantCode(t, "AUTH to "+name, mallory.ExpectEnd(), rig.ProtocolError)
	}
	d.nothingCame()
}
