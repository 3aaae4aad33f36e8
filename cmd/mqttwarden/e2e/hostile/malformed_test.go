package hostile

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// TestMalformedTrafficHurtsNobodyElse sends what no client should, before and
// after a CONNECT. Each connection must end, the program and the connections of
// others must not.
func TestMalformedTrafficHurtsNobodyElse(t *testing.T) {
	p := rig.Launch(t, "--limits-packet", "65536", "--limits-connect-timeout", "500ms")
	p.User("alice", rig.Both("a/#"))
	p.User("mallory", rig.Both("m/#"))
	alice := p.Connect(rig.As("alice", "a"))
	alice.MustSubscribe("a/#", 1)

	connect := mqtttest.Encode(rig.As("mallory", "m").Packet(5))
	level := bytes.Clone(connect)
	level[bytes.Index(level, []byte("MQTT"))+4] = 9
	subscribe := mqtttest.Encode(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: 5, PacketID: 7,
		Filters: packets.Subscriptions{{Filter: "m/#", Qos: 1}},
	})
	for _, tt := range []struct {
		name      string
		connected bool
		bytes     []byte
	}{
		{"nothing at all", false, nil},
		{"garbage", false, []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		{"zeros", false, make([]byte, 64)},
		{"half a CONNECT", false, connect[:len(connect)/2]},
		{"a CONNECT that says it is shorter", false, append([]byte{connect[0], connect[1] - 9}, connect[2:]...)},
		{"a CONNECT of a protocol level that is not known", false, level},
		{"PUBLISH first", false, mqtttest.Encode(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish}, ProtocolVersion: 4, TopicName: "a/1",
		})},
		{"a first packet that says it has 256 MB", false, []byte{0x10, 0xff, 0xff, 0xff, 0x7f, 0}},
		{"a length without end", false, []byte{0x10, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{"a second CONNECT", true, connect},
		{"a packet over the limit", true, append([]byte{0x30, 0x80, 0x80, 0x08}, make([]byte, 1<<10)...)},
		{"SUBSCRIBE cut behind its filter", true, append([]byte{subscribe[0], subscribe[1] - 1}, subscribe[2:len(subscribe)-1]...)},
		{"SUBSCRIBE without filters", true, []byte{0x82, 3, 0, 9, 0}},
		{"a topic longer than its packet", true, []byte{0x30, 5, 0xff, 0xff, 'a', '/', '1'}},
		{"a topic that is no text", true, []byte{0x30, 6, 0, 3, 0xff, 0xfe, 0xfd, 0}},
		{"QoS 3", true, []byte{0x36, 7, 0, 3, 'm', '/', '1', 0, 1}},
		{"packet type 0", true, []byte{0, 0}},
		{"a CONNACK to the broker", true, []byte{0x20, 3, 0, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := mqtttest.Dial(t, p.URLs["mqtt"], 5)
			if tt.connected {
				bad.MustConnect(rig.As("mallory", "m"))
			}
			if _, err := bad.Write(tt.bytes); err != nil {
				t.Fatal(err)
			}
			for { // a CONNACK or DISCONNECT may come first
				if _, err := bad.Next(); err != nil {
					break
				}
			}
			rig.WantCode(t, "another client's publish", alice.Publish("a/1", tt.name, 0, false), rig.Success)
			rig.Expect(t, alice, "a/1", tt.name)
		})
	}
	p.Connect(rig.As("mallory", "m")) // who may still come back
	if strings.Contains(p.Log.String(), rig.SecretOf("mallory")) {
		t.Error("the password is in the log")
	}
}

// TestPacketOverTheLimitIsRefused sends one that is complete.
func TestPacketOverTheLimitIsRefused(t *testing.T) {
	p := rig.Launch(t, "--limits-packet", "4096")
	p.User("gw1", rig.Both("a/#"))
	p.User("ops", rig.Reads("a/#"))
	ops := p.Connect(rig.As("ops", "o"))
	ops.MustSubscribe("a/#", 1)
	for _, size := range []int{4000, 5000} {
		gw := p.Dial(5)
		gw.MustConnect(rig.As("gw1", "g"))
		body := append(binary.BigEndian.AppendUint16(nil, 3), "a/1\x00"...)
		body = append(body, make([]byte, size)...)
		gw.SendBytes(append(binary.AppendUvarint([]byte{0x30}, uint64(len(body))), body...))
		if size > 4096 {
			gw.ExpectEnd()
			continue
		}
		ops.ExpectMessage("a/1")
	}
	gw := p.Connect(rig.As("gw1", "g"))
	rig.WantCode(t, "publish", gw.Publish("a/2", "", 1, false), rig.Success)
	ops.ExpectMessage("a/2")
}
