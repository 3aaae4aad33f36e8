package broker_test

import (
	"fmt"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// PUBACK says that nobody subscribes (section 3.4.2.1), and only so: not that there
// is a subscription under which the message may not be read.
func TestPubackSaysThatNobodySubscribes(t *testing.T) {
	const nobody = 0x10
	for _, prefix := range []string{"", "site/"} {
		b := start(t, &open{prefix: prefix, acl: func(_ *mqtt.Client, topic string, write bool) bool { return write || topic != prefix+"secret" }}, nil)
		sub, pub, old := dial(t, b, 5), dial(t, b, 5), dial(t, b, 4)
		sub.connect("sub", nil)
		pub.connect("pub", nil)
		old.connect("old", nil)
		sub.subscribe(packets.Subscription{Filter: prefix + "a"}, packets.Subscription{Filter: "$share/g/" + prefix + "b"},
			packets.Subscription{Filter: prefix + "c/+/#"}, packets.Subscription{Filter: prefix + "+"})
		pub.subscribe(packets.Subscription{Filter: prefix + "own/x", NoLocal: true})
		away := dial(t, b, 5)
		away.connect("away", persistent)
		away.subscribe(packets.Subscription{Filter: prefix + "away/x", Qos: 1})
		away.Disconnect()
		id := uint16(0)
		for _, tt := range []struct {
			topic string
			want  byte
		}{
			{"none/x", nobody}, {"a", 0}, {"b", 0}, {"c/x", 0}, {"c", 0}, {"none/y", nobody}, {"secret", 0}, {"own/x", 0}, {"away/x", 0}, {"none", 0}, {"none/z", nobody},
		} {
			id++
			pub.Send(message(tt.topic, 1, id))
			if got := pub.Expect(packets.Puback); got.ReasonCode != tt.want || got.PacketID != id {
				t.Errorf("%s%s: PUBACK %#02x for %d, want %#02x for %d", prefix, tt.topic, got.ReasonCode, got.PacketID, tt.want, id)
			}
			id++
			pub.Send(message(tt.topic, 2, id))
			if got := pub.Expect(packets.Pubrec); got.ReasonCode != 0 {
				t.Errorf("%s%s: PUBREC %#02x", prefix, tt.topic, got.ReasonCode)
			}
			pub.Send(ack(packets.Pubrel, id))
			pub.Expect(packets.Pubcomp)
		}
		old.Send(message("none/x", 1, 1))
		old.Hears("4002 0001")
	}
}

// Many at once are answered one by one, in their order.
func TestPubacksOfMessagesThatComeTogether(t *testing.T) {
	b := start(t, new(open), nil)
	sub, pub := dial(t, b, 5), dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("some/#", 0)
	pub.connect("pub", nil)
	var all []byte
	const n = 200
	for i := range n {
		all = append(all, encode(5, message([]string{"none/x", "some/x"}[i%2], 1, uint16(i+1)))...)
	}
	pub.SendBytes(all)
	for i := range n {
		got := pub.Expect(packets.Puback)
		want := fmt.Sprintf("%d %#02x", i+1, []byte{0x10, 0}[i%2])
		if is := fmt.Sprintf("%d %#02x", got.PacketID, got.ReasonCode); is != want {
			t.Fatalf("PUBACK %s, want %s", is, want)
		}
	}
	pub.Ping()
}
