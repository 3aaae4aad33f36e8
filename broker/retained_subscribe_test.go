package broker_test

import (
	"strings"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A filter that ends with # matches its parent level, retained messages too
// ([MQTT-4.7.1-2]).
func TestRetainedMessageOfTheParentLevel(t *testing.T) {
	for _, filter := range []string{"sports/#", "+/#", "sports/+/#", "#"} {
		var denied string
		b := start(t, &open{acl: func(_ *mqtt.Client, topic string, write bool) bool { return write || topic != denied }}, nil)
		pub := dial(t, b, 5)
		pub.connect("pub", nil)
		for i, topic := range []string{"sports", "sports/tennis", "sports/tennis/one"} {
			pk := message(topic, 1, uint16(i+1))
			pk.FixedHeader.Retain = true
			pub.Send(pk)
			pub.Expect(packets.Puback)
		}
		topics := func(version byte, options packets.Subscription, want int) string {
			c := dial(t, b, version)
			c.connect("c", nil)
			c.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
				Filters: packets.Subscriptions{options},
			})
			c.Expect(packets.Suback)
			c.Raw("c000")
			var got []string
			for {
				pk, err := c.Next()
				switch {
				case err != nil:
					t.Fatal(err)
				case pk.FixedHeader.Type == packets.Pingresp && len(got) >= want:
					return strings.Join(got, " ")
				case pk.FixedHeader.Type == packets.Pingresp: // messages and answers go separate ways
					c.Raw("c000")
					continue
				}
				if !pk.FixedHeader.Retain || pk.FixedHeader.Qos != options.Qos {
					t.Errorf("%s came with retain %v, QoS %d", pk.TopicName, pk.FixedHeader.Retain, pk.FixedHeader.Qos)
				}
				got = append(got, pk.TopicName)
			}
		}
		parent := map[string]string{"sports/#": "sports", "+/#": "sports", "sports/+/#": "sports/tennis", "#": "sports"}[filter]
		all := map[string]int{"sports/#": 3, "+/#": 3, "sports/+/#": 2, "#": 3}[filter]
		for _, version := range []byte{4, 5} {
			if got := topics(version, packets.Subscription{Filter: filter, Qos: 1}, all); strings.Count(" "+got+" ", " "+parent+" ") != 1 {
				t.Errorf("v%d %s gets %q, want %q once", version, filter, got, parent)
			}
		}
		if got := topics(5, packets.Subscription{Filter: filter, RetainHandling: 2}, 0); got != "" {
			t.Errorf("%s gets %q though it wants nothing retained", filter, got)
		}
		c := dial(t, b, 5)
		c.connect("pub", nil) // in its publisher's place
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
			Filters: packets.Subscriptions{{Filter: filter, NoLocal: true}},
		})
		c.Expect(packets.Suback)
		c.Ping() // its own message does not come ([MQTT-3.8.3-3])
		if filter != "#" {
			denied = parent
			if got := topics(5, packets.Subscription{Filter: filter}, all-1); strings.Contains(" "+got+" ", " "+parent+" ") {
				t.Errorf("%s gets %q, which may not be read", filter, got)
			}
		}
	}
}
