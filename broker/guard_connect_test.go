package broker_test

import (
	"io"
	"strings"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

func TestRefusedConnects(t *testing.T) {
	for _, tt := range []struct{ name, sent, hears string }{
		{"a level of the future", "10 0d 0004 4d515454 06 02 000a 0001 61", "20 03 00 84 00"},
		{"a bridge of a level that has no bit for it", "10 0d 0004 4d515454 85 02 000a 0001 61", "20 02 00 01"},
		{"a bridge of a level of the past", "10 0d 0004 4d515454 82 02 000a 0001 61", "20 02 00 01"},
		{"a bridge of a level of the future", "10 0d 0004 4d515454 86 02 000a 0001 61", "20 02 00 01"},
		{"a bridge under the other name", "10 0f 0006 4d5149736470 84 02 000a 0001 61", "20 02 00 01"},
		{"the name of 3.1 with the level of 3.1.1", "10 0f 0006 4d5149736470 04 02 000a 0001 61", "20 02 00 01"},
		{"another protocol", "10 0d 0004 4d515455 04 02 000a 0001 61", ""},
		{"an empty client ID with a session to keep", "10 0c 0004 4d515454 04 00 000a 0000", "20 02 00 02"},
		{"a client ID with a control character", "10 10 0004 4d515454 05 02 000a 00 0003 610161", "20 03 00 85 00"},
		{"a reserved flag", "10 0e 0004 4d515454 05 03 000a 00 0001 61", "20 03 00 81 00"},
		{"a property twice", "10 14 0004 4d515454 05 02 000a 06 210001 210001 0001 61", "20 03 00 82 00"},
		{"a property of PUBLISH", "10 10 0004 4d515454 05 02 000a 02 0100 0001 61", "20 03 00 82 00"},
		{"no CONNECT", "c000", ""},
		{"256 MiB", "10 ffffff7f", ""},
		{"HTTP", "474554202f20485454502f312e310d0a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, new(open), nil)
			c := dial(t, b, 5)
			c.Raw(tt.sent)
			c.Hears(tt.hears)
			if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("then %x, %v", rest, err)
			}
		})
	}
}

func TestConnackTellsTheLargestPacket(t *testing.T) {
	b := start(t, new(open), func(c *broker.Config) { c.MaxPacketSize = 2000 })
	c := dial(t, b, 5)
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: "c"},
	})
	if got := c.Expect(packets.Connack).Properties.MaximumPacketSize; got != 2000 {
		t.Errorf("Maximum Packet Size %d, want 2000", got)
	}
}

func TestMQTT31KnowsNoSessionPresent(t *testing.T) {
	b := start(t, new(open), nil)
	for range 2 {
		c := dial(t, b, 4)
		c.Raw("10 0f 0006", "'MQIsdp", "03 00 000a 0001", "'c")
		c.Hears("2002 0000")
		c.Raw("e000")
		c.UntilEnd()
	}
}

func TestEmptyWillAndPassword(t *testing.T) {
	var got packets.ConnectParams
	b := start(t, &open{connect: func(_ *mqtt.Client, pk packets.Packet) error {
		got = pk.Connect
		return nil
	}}, nil)
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("will", 0)
	c := dial(t, b, 4)
	c.Raw("10 1a 0004", "'MQTT", "04 c6 000a 0001", "'c", "0004", "'will", "0000 0001", "'u", "0000")
	c.Hears("2002 0000")
	if !got.WillFlag || len(got.WillPayload) != 0 || !got.PasswordFlag || len(got.Password) != 0 || string(got.Username) != "u" {
		t.Errorf("the hook sees %+v", got)
	}
	c.Close()
	if pk := sub.Expect(packets.Publish); pk.TopicName != "will" || len(pk.Payload) != 0 {
		t.Errorf("the will is %s %q", pk.TopicName, pk.Payload)
	}
}

// The legal short form of a DISCONNECT that asks for the will (V6).
func TestV06ShortDisconnectSendsTheWill(t *testing.T) {
	b := start(t, new(open), nil)
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("will", 0)
	c := dial(t, b, 5)
	c.connect("c", func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "will", []byte("gone")
	})
	c.Raw("e0 01 04")
	sub.Expect(packets.Publish)
}

// A client beyond the limit of its address is told so before anybody looks at its
// password.
func TestConnectionsPerAddress(t *testing.T) {
	asked := 0
	b := start(t, &open{connect: func(*mqtt.Client, packets.Packet) error { asked++; return nil }},
		func(c *broker.Config) { c.MaxConnectionsPerAddress = 1 })
	first := dial(t, b, 5)
	first.connect("first", nil)
	for version, code := range map[byte]byte{4: 3, 5: 0x97} {
		c := dial(t, b, version)
		if got := c.connect("second", nil); got != code {
			t.Errorf("v%d: CONNACK %#02x, want %#02x", version, got, code)
		}
		c.UntilEnd()
	}
	if asked != 1 {
		t.Errorf("the hook was asked %d times, want once", asked)
	}
	first.Close()
	eventually(t, "it is gone", func() bool { return b.Stats().Connections == 0 })
	if got := dial(t, b, 5).connect("second", nil); got != 0 {
		t.Errorf("CONNACK %#02x when there is room", got)
	}
}

// Nothing comes before CONNACK ([MQTT-3.2.0-1]): mochi delivers to a client from
// the moment on that it has its session.
func TestMessagesDoNotComeBeforeConnack(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos := range byte(3) {
			resumes, goOn := make(chan struct{}), make(chan struct{})
			b := start(t, new(open), nil)
			if err := b.Observe(&observer{encode: func(pk packets.Packet) {
				if pk.FixedHeader.Type == packets.Connack && pk.SessionPresent {
					close(resumes)
					<-goOn
				}
			}}); err != nil {
				t.Fatal(err)
			}
			c, pub := dial(t, b, version), dial(t, b, 5)
			pub.connect("pub", nil)
			c.connect("c", persistent)
			c.Subscribe("a", qos)
			c.Close()
			eventually(t, "it is gone", func() bool { return b.Stats().Clients == 1 })
			c = dial(t, b, version)
			pk := connectAs("c")
			persistent(&pk)
			c.Send(pk)
			<-resumes
			for range 3 {
				pub.publish("a", 0)
				pub.Send(message("a", qos, uint16(qos)))
				switch qos {
				case 1:
					pub.Expect(packets.Puback)
				case 2:
					pub.Expect(packets.Pubrec)
					pub.Send(ack(packets.Pubrel, 2))
					pub.Expect(packets.Pubcomp)
				}
			}
			pub.Ping()
			close(goOn)
			if pk, err := c.Next(); err != nil || pk.FixedHeader.Type != packets.Connack {
				t.Fatalf("version %d, QoS %d: %v %+v", version, qos, err, pk)
			}
			for n := map[byte]int{}; n[0] < 3 || n[qos] < 3; {
				n[c.Expect(packets.Publish).FixedHeader.Qos]++
			}
		}
	}
}
