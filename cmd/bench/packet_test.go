package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"
)

// decode reads a whole packet as the broker does, with the broker's own decoder.
func decode(t *testing.T, version byte, b []byte) packets.Packet {
	t.Helper()
	pk := packets.Packet{ProtocolVersion: version}
	if err := pk.FixedHeader.Decode(b[0]); err != nil {
		t.Fatal(err)
	}
	n, size, err := packets.DecodeLength(bytes.NewReader(b[1:]))
	if err != nil {
		t.Fatal(err)
	}
	body := b[1+size:]
	if n != len(body) {
		t.Fatalf("Remaining Length is %d, but %d bytes follow", n, len(body))
	}
	decoders := map[byte]func([]byte) error{
		packets.Connect: pk.ConnectDecode, packets.Publish: pk.PublishDecode,
		packets.Subscribe: pk.SubscribeDecode, packets.Puback: pk.PubackDecode, packets.Disconnect: pk.DisconnectDecode,
		packets.Pingreq: func([]byte) error { return nil },
	}
	if err := decoders[pk.FixedHeader.Type](body); err != nil {
		t.Fatal(err)
	}
	return pk
}

func TestAppendConnect(t *testing.T) {
	for _, version := range []byte{mqtt311, mqtt5} {
		pk := decode(t, version, appendConnect(nil, version, "gw-1", credentials{"alice", "secret"}))
		type seen struct {
			protocol, id, username, password string
			version                          byte
			clean, hasUsername, hasPassword  bool
			keepAlive                        uint16
		}
		got := seen{
			string(pk.Connect.ProtocolName), pk.Connect.ClientIdentifier, string(pk.Connect.Username), string(pk.Connect.Password),
			pk.ProtocolVersion, pk.Connect.Clean, pk.Connect.UsernameFlag, pk.Connect.PasswordFlag, pk.Connect.Keepalive,
		}
		want := seen{"MQTT", "gw-1", "alice", "secret", version, true, true, true, 300}
		if got != want {
			t.Errorf("version %d: got %+v, want %+v", version, got, want)
		}
		if code := pk.ConnectValidate(); code != packets.CodeSuccess {
			t.Errorf("version %d: %v", version, code)
		}
	}
}

func TestAppendPublish(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 20_000) // a Remaining Length of three bytes
	for _, tt := range []struct {
		version, qos byte
		id           uint16
		payload      []byte
	}{
		{mqtt311, 0, 0, []byte("on")},
		{mqtt311, 1, 513, []byte("on")},
		{mqtt5, 0, 0, []byte("on")},
		{mqtt5, 1, 65535, long},
	} {
		pk := decode(t, tt.version, appendPublish(nil, tt.version, "a/b", tt.qos, tt.id, tt.payload))
		if pk.TopicName != "a/b" || pk.FixedHeader.Qos != tt.qos || pk.PacketID != tt.id || !bytes.Equal(pk.Payload, tt.payload) {
			t.Errorf("version %d, QoS %d: got topic %q, QoS %d, id %d, %d bytes", tt.version, tt.qos,
				pk.TopicName, pk.FixedHeader.Qos, pk.PacketID, len(pk.Payload))
		}
	}
}

func TestAppendSubscribe(t *testing.T) {
	for _, version := range []byte{mqtt311, mqtt5} {
		pk := decode(t, version, appendSubscribe(nil, version, 7, "a/#", 1))
		if len(pk.Filters) != 1 || pk.Filters[0].Filter != "a/#" || pk.Filters[0].Qos != 1 || pk.PacketID != 7 {
			t.Errorf("version %d: got id %d, filters %+v", version, pk.PacketID, pk.Filters)
		}
	}
}

func TestShortPackets(t *testing.T) {
	for _, version := range []byte{mqtt311, mqtt5} {
		if pk := decode(t, version, appendPuback(nil, 300)); pk.PacketID != 300 || pk.ReasonCode != 0 {
			t.Errorf("version %d: PUBACK for %d with %#02x", version, pk.PacketID, pk.ReasonCode)
		}
		for want, b := range map[byte][]byte{packets.Pingreq: appendPingreq(nil), packets.Disconnect: appendDisconnect(nil)} {
			if got := decode(t, version, b).FixedHeader.Type; got != want {
				t.Errorf("version %d: got packet type %d, want %d", version, got, want)
			}
		}
	}
}

// parse returns what the broker's own encoder has written as a packet of ours.
func parse(t *testing.T, pk packets.Packet, encode func(*packets.Packet, *bytes.Buffer) error) packet {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&pk, &b); err != nil {
		t.Fatal(err)
	}
	_, size, err := packets.DecodeLength(bytes.NewReader(b.Bytes()[1:]))
	if err != nil {
		t.Fatal(err)
	}
	return packet{b.Bytes()[0], b.Bytes()[1+size:]}
}

func TestMessage(t *testing.T) {
	for _, tt := range []struct {
		name         string
		version, qos byte
		properties   packets.Properties
	}{
		{"3.1.1, QoS 0", mqtt311, 0, packets.Properties{}},
		{"3.1.1, QoS 1", mqtt311, 1, packets.Properties{}},
		{"5, QoS 0, no properties", mqtt5, 0, packets.Properties{}},
		{"5, QoS 1, properties", mqtt5, 1, packets.Properties{SubscriptionIdentifier: []int{300}, ContentType: "text/plain"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, packets.Packet{
				ProtocolVersion: tt.version, FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: tt.qos},
				TopicName: "a/b", PacketID: 9, Payload: []byte("on"), Properties: tt.properties,
			}, (*packets.Packet).PublishEncode)
			id, payload, err := p.message(tt.version)
			if err != nil || string(payload) != "on" || id != 9*uint16(tt.qos) {
				t.Errorf("got id %d, payload %q, error %v", id, payload, err)
			}
			for n := range len(p.body) - len("on") {
				cut := packet{p.first, p.body[:n]}
				if _, got, err := cut.message(tt.version); err == nil && cmp.Equal(got, payload) {
					t.Errorf("%d bytes of %d were taken for the whole", n, len(p.body))
				}
			}
		})
	}
}

func TestAcked(t *testing.T) {
	for _, tt := range []struct {
		version, reason byte
	}{{mqtt311, 0}, {mqtt5, 0}, {mqtt5, 0x87}} {
		p := parse(t, packets.Packet{
			ProtocolVersion: tt.version, FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: 258, ReasonCode: tt.reason,
		}, (*packets.Packet).PubackEncode)
		id, reason, err := p.acked()
		if err != nil || id != 258 || reason != tt.reason {
			t.Errorf("version %d, %#02x: got id %d, %#02x, error %v", tt.version, tt.reason, id, reason, err)
		}
	}
	if _, _, err := (packet{0x40, []byte{1}}).acked(); err == nil {
		t.Error("a PUBACK of one byte is taken")
	}
}
