package keep

import (
	"fmt"
	"testing"
	"time"

	"mqttwarden/broker/message"
)

// BenchmarkPutMessage is what a publisher pays for each message to a session
// that is kept: recorded and, later, taken back.
func BenchmarkPutDelivery(b *testing.B) {
	for _, many := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d sessions", many), func(b *testing.B) {
			r := openWith(b, Config{File: b.TempDir() + "/sessions.db", Flush: 100 * time.Millisecond, MaxPending: 1 << 30})
			ids := make([]string, many)
			for i := range ids {
				ids[i] = fmt.Sprint("client-", i)
				r.PutSession(Session{ClientID: ids[i], User: "u"})
			}
			payload := make([]byte, 64)
			b.ReportAllocs()
			for i := range b.N {
				id, packet := ids[i%many], uint16(i/many%500)
				r.PutDelivery(id, &Delivery{PacketID: packet, Stage: Sent, Message: message.Message{Topic: "a/b/c", Payload: payload, QoS: 1}}, true)
				r.DropDelivery(id, packet)
			}
		})
	}
}

// BenchmarkOpen starts with 1,000 sessions that have 100 messages each.
func BenchmarkOpen(b *testing.B) {
	r := openWith(b, Config{File: b.TempDir() + "/sessions.db", Flush: time.Hour, MaxPending: 1 << 30})
	for i := range 1000 {
		id := fmt.Sprint("client-", i)
		r.PutSession(Session{ClientID: id, User: "u"})
		for j := range uint16(100) {
			r.PutDelivery(id, &Delivery{PacketID: j, Order: uint64(j), Stage: Queued, Message: message.Message{Topic: "a/b/c", Payload: make([]byte, 200), QoS: 1}}, true)
		}
	}
	began := time.Now()
	r.commit()
	b.ReportMetric(time.Since(began).Seconds(), "s/commit")
	for b.Loop() {
		r = r.again()
		if n := len(r.content().Sessions); n != 1000 {
			b.Fatal(n)
		}
	}
}
