package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// Who asks for answers faster than it may is disconnected, whatever it asks for.
func TestRequestsHaveARate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		packet packets.Packet
	}{
		{"PINGREQ", packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}},
		{"SUBSCRIBE", packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 7,
			Filters: packets.Subscriptions{{Filter: "f"}},
		}},
		{"UNSUBSCRIBE", packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 7,
			Filters: packets.Subscriptions{{Filter: "f"}},
		}},
	} {
		for _, version := range []byte{4, 5} {
			inBubble(t, new(open), func(cfg *broker.Config) { cfg.RequestRate, cfg.RequestBurst = 2, 4 }, func(t *testing.T, b *started) {
				send := func(c *client, n int) {
					for range n {
						c.Send(tt.packet)
						if _, err := c.Next(); err != nil {
							t.Fatalf("%s, v%d: %v", tt.name, version, err)
						}
					}
				}
				c := dialPipe(t, b, version)
				c.connect("c", nil)
				send(c, 4)
				time.Sleep(time.Second)
				send(c, 2)
				for range 3 { // messages are another matter
					c.publish("t", 0)
				}
				c.Send(tt.packet)
				want := byte(0)
				if version == 5 {
					want = 0x96
				}
				if got := c.UntilEnd(); got != want {
					t.Errorf("%s, v%d: DISCONNECT %#02x, want %#02x", tt.name, version, got, want)
				}
				if got := b.Stats().RatesExceeded; got != 1 {
					t.Errorf("%s, v%d: %d counted, want 1", tt.name, version, got)
				}
			})
		}
	}
}

// The pings of a WebSocket are answered, and may not come faster than that either.
func TestPingsOfAWebSocketHaveARate(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) { cfg.RequestRate, cfg.RequestBurst = 1, 50 })
	ws, err := d.upgrade(t, d.socket(t, "ws", "", nil), "/mqtt")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx = ws.CloseRead(ctx) // which takes the answers
	answered := 0
	for ; answered < 1000 && ws.Ping(ctx) == nil; answered++ {
	}
	if answered < 50 || answered > 60 {
		t.Errorf("%d pings were answered, want 50", answered)
	}
	eventually(t, "it is counted", func() bool { return d.Stats().RatesExceeded == 1 })
	eventually(t, "it is closed", func() bool { return d.Stats().Connections == 0 })
}
