package broker_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

func TestRefusedPackets(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version byte
		sent    []string
		code    byte // of the DISCONNECT
	}{
		{"a SUBSCRIBE that ends after its filter", 5, []string{"82 06 0001 00 0001", "'a"}, 0x81},
		{"a length of five bytes", 5, []string{"30 ffffffff7f"}, 0x81},
		{"a packet of 256 MiB", 5, []string{"30 ffffff7f"}, 0x95},
		{"a second CONNECT", 5, []string{"10 0e 0004", "'MQTT", "05 02 000a 00 0001", "'a"}, 0x82},
		{"a topic that is no UTF-8", 5, []string{"30 04 0001 ff 00"}, 0x81},
		{"a topic with a wildcard", 5, []string{"30 04 0001", "'#", "00"}, 0x81},
		{"a topic alias", 5, []string{"30 07 0001", "'a", "03 230001"}, 0x94},
		{"a packet for clients", 5, []string{"d000"}, 0x82},
		{"AUTH without a method", 5, []string{"f000"}, 0x82},
		{"a PUBACK for a message of QoS 2 is not one", 4, []string{"40 03 0001 00"}, 0},
		{"a SUBSCRIBE with reserved flags", 4, []string{"80 06 0001 0001", "'a", "00"}, 0},
		{"a second CONNECT", 4, []string{"10 0d 0004", "'MQTT", "04 02 000a 0001", "'a"}, 0},
	} {
		t.Run(fmt.Sprintf("v%d %s", tt.version, tt.name), func(t *testing.T) {
			b := start(t, new(open), nil)
			witness := dial(t, b, 5)
			witness.connect("witness", nil)
			c := dial(t, b, tt.version)
			c.connect("c", nil)
			c.Raw(tt.sent...)
			if code := c.UntilEnd(); code != tt.code {
				t.Errorf("DISCONNECT %#02x, want %#02x", code, tt.code)
			}
			witness.Ping()
			eventually(t, "the connection is over", func() bool { return b.Stats().Connections == 1 })
			if n := b.Stats().Panics; n != 0 {
				t.Errorf("%d panics", n)
			}
		})
	}
}

func TestKeepAliveIsEnforced(t *testing.T) {
	inBubble(t, new(open), nil, func(t *testing.T, b *started) {
		c := dialPipe(t, b, 5)
		c.connect("c", func(pk *packets.Packet) { pk.Connect.Keepalive = 1 })
		began := time.Now()
		c.UntilEnd()
		if took := time.Since(began); took < 1500*time.Millisecond || took > 1600*time.Millisecond {
			t.Errorf("a silent client with a keep alive of 1 s was cut after %v", took)
		}
	})
}

// Shared subscriptions whose filter begins with a wildcard get no topics of the
// broker ([MQTT-4.7.2-1]; V7).
func TestV07SharedWildcardGetsNoTopicsOfTheBroker(t *testing.T) {
	inBubble(t, new(open), func(c *broker.Config) { c.SysInterval = time.Second }, func(t *testing.T, b *started) {
		shared, own := dialPipe(t, b, 5), dialPipe(t, b, 5)
		shared.connect("shared", nil)
		shared.Subscribe("$share/g/#", 0)
		shared.Subscribe("$SHARE/h/+/#", 0)
		own.connect("own", nil)
		own.Subscribe("$SYS/broker/uptime", 0)
		own.Expect(packets.Publish) // retained
		own.Expect(packets.Publish) // the next round
		shared.Ping()
	})
}

// A PUBLISH that comes a byte at a time must be there in time: the keep alive
// counts packets, not bytes ([MQTT-3.1.2-22]).
func TestSlowLorisOnALargePublish(t *testing.T) {
	inBubble(t, new(open), nil, func(t *testing.T, b *started) {
		before := takeFootprint(b)
		w := watch(t, dialPipe(t, b, 5))
		var wg sync.WaitGroup
		for i := range 50 {
			c := dialPipe(t, b, byte(4+i%2))
			c.connect(fmt.Sprint("c", i), func(pk *packets.Packet) { pk.Connect.Keepalive = 1 })
			wg.Go(func() {
				pk := message("a", 0, 0)
				pk.Payload = make([]byte, 100_000)
				if n := drip(c, encode(c.Version, pk)[:600], 10*time.Millisecond); n == 600 {
					t.Error("it is still waited for after 6 s")
				}
			})
		}
		wg.Wait()
		w.testify(0)
		before.returns(t, 4<<20)
	})
}

// A client that wants no reason strings still gets the user properties of
// messages ([MQTT-3.3.2-17]), and none on answers ([MQTT-3.1.2-29]); mochi leaves
// them out of everything.
func TestUserPropertiesForAClientThatWantsNoProblemInformation(t *testing.T) {
	b := start(t, new(open), nil)
	user := []packets.UserProperty{{Key: "k", Val: "v"}}
	c := dial(t, b, 5)
	c.connect("c", func(pk *packets.Packet) {
		pk.Properties.RequestProblemInfoFlag, pk.Properties.RequestProblemInfo = true, 0
	})
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Properties: packets.Properties{User: user}, Filters: packets.Subscriptions{{Filter: "a"}},
	})
	if got := c.Expect(packets.Suback).Properties.User; len(got) != 0 {
		t.Errorf("SUBACK with %v", got)
	}
	pk := message("a", 0, 0)
	pk.Properties.User = user
	c.Send(pk)
	if got := c.Expect(packets.Publish).Properties.User; !slices.Equal(got, user) {
		t.Errorf("the message has %v, want %v", got, user)
	}
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 2,
		Properties: packets.Properties{User: user}, Filters: packets.Subscriptions{{Filter: "a"}},
	})
	if got := c.Expect(packets.Unsuback).Properties.User; len(got) != 0 {
		t.Errorf("UNSUBACK with %v", got)
	}
}
