package broker_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// What scripts by the Mosquitto project ask of a broker, where they go beyond single
// packets.

// 07-will-takeover: the will of a connection that is taken over is sent, with its own
// payload (MQTT 3.1.1 section 3.1.2.5), unless MQTT 5 has it wait and the session goes
// on (section 3.1.4). That of the new connection is its own, and sent in its time.
func TestWillsOfATakenOverClient(t *testing.T) {
	for _, tt := range []struct {
		name   string
		clean  bool
		delay  uint32
		v5only bool
		want   []string // after the takeover
	}{
		{"the session begins anew", true, 0, false, []string{"first"}},
		{"the session goes on", false, 0, false, []string{"first"}},
		{"the session goes on, and the will waits", false, 600, true, nil},
		{"the session ends, and the will waits no longer", true, 600, true, []string{"first"}},
	} {
		for _, version := range []byte{4, 5} {
			if tt.v5only && version < 5 {
				continue
			}
			t.Run(fmt.Sprintf("%s, version %d", tt.name, version), func(t *testing.T) {
				b := start(t, new(open), nil)
				watch := dial(t, b, 5)
				watch.connect("watch", nil)
				watch.Subscribe("will", 0)
				connect := func(payload string, delay uint32) *client {
					c := dial(t, b, version)
					c.connect("c", func(pk *packets.Packet) {
						persistent(pk)
						pk.Connect.Clean = tt.clean
						pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "will", []byte(payload)
						pk.Connect.WillProperties.WillDelayInterval = delay
					})
					return c
				}
				first := connect("first", tt.delay)
				second := connect("second", 0)
				first.UntilEnd()
				var got []string
				for range tt.want { // the two connections end side by side
					got = append(got, string(watch.Expect(packets.Publish).Payload))
				}
				_ = second.Close()
				for slices.Index(got, "second") < 0 {
					got = append(got, string(watch.Expect(packets.Publish).Payload))
				}
				if diff := cmp.Diff(append(tt.want, "second"), got); diff != "" {
					t.Error("wills come otherwise (-want +got):\n" + diff)
				}
				watch.Ping()
			})
		}
	}
}

// 03-publish-qos2-max-inflight-exceeded: one message more than the Receive Maximum
// ends the connection, MQTT 5 with 0x93.
func TestOneMessageMoreThanTheReceiveMaximum(t *testing.T) {
	for _, version := range []byte{4, 5} {
		b := start(t, new(open), func(cfg *broker.Config) { cfg.ReceiveMaximum = 20 })
		c := dial(t, b, version)
		c.connect("c", nil)
		for id := range uint16(20) {
			c.Send(message("a", 2, id+1))
			c.Expect(packets.Pubrec)
		}
		c.Send(message("a", 2, 21))
		if code := c.ExpectEnd(); version == 5 && code != packets.ErrReceiveMaximum.Code {
			t.Errorf("DISCONNECT %#02x, want 0x93", code)
		}
	}
}

// 01-bad-initial-packets: whatever comes first and is no CONNECT ends the connection
// at its header, before anything of what that promises.
func TestWhateverComesFirstAndIsNoConnect(t *testing.T) {
	b := start(t, new(open), nil)
	for _, first := range []byte{0x00, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0} {
		c := dial(t, b, 5)
		c.SendBytes([]byte{first, 0x80, 0x80, 0x80, 0x74})
		if pk, err := c.Next(); err == nil {
			t.Errorf("%#02x: %v", first, pk)
		}
	}
}

// 02-shared-qos0-v5: each group gets a message once, whoever of it, and so does who
// subscribes without a share.
func TestMembersOfTwoGroups(t *testing.T) {
	b := start(t, new(open), nil)
	var all []*client
	for i, filters := range [][]string{{"s/#"}, {"$share/one/s/x"}, {"$share/one/s/x", "$share/two/s/x"}, {"$share/two/s/x"}, {"$share/one/s/x"}} {
		c := dial(t, b, 5)
		c.connect(fmt.Sprint("c", i), nil)
		for n, f := range filters {
			c.subscribe(packets.Subscription{Filter: f, Identifier: n + 1})
		}
		all = append(all, c)
	}
	pub := dial(t, b, 5)
	pub.connect("pub", nil)
	const messages = 50
	for i := range uint16(messages) {
		pub.Send(message("s/x", 1, i+1))
		pub.Expect(packets.Puback)
	}
	var got [5]int
	for i, c := range all {
		got[i] = len(c.heard(b))
	}
	// The third may be chosen by both groups, and then gets the message once.
	if n := got[1] + got[2] + got[3] + got[4]; got[0] != messages || n > 2*messages || n+got[2] < 2*messages || got[1] == 0 || got[3] == 0 || got[4] == 0 {
		t.Errorf("of %d messages came %v", messages, got)
	}
}
