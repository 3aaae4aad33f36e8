package authhook

import (
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

func TestOnACLCheckDoesNotAllocate(t *testing.T) {
	for _, write := range []bool{true, false} {
		h, cl := connected(t, 20, "")
		if n := testing.AllocsPerRun(1000, func() {
			if !h.OnACLCheck(cl, topic, write) {
				t.Fatal("denied")
			}
		}); n != 0 {
			t.Errorf("allowed, write=%t: %v allocations a call, want 0", write, n)
		}
		if n := testing.AllocsPerRun(1000, func() { h.OnACLCheck(cl, "elsewhere/1", write) }); n != 0 {
			t.Errorf("denied, write=%t: %v allocations a call, want 0", write, n)
		}
	}
}

func BenchmarkOnACLCheck(b *testing.B) {
	for _, n := range []int{20, 1000} {
		for name, write := range map[string]bool{"publish": true, "delivery": false} {
			b.Run(fmt.Sprintf("%s/permissions=%d", name, n), func(b *testing.B) {
				h, cl := connected(b, n, "")
				b.ReportAllocs()
				for b.Loop() {
					if !h.OnACLCheck(cl, topic, write) {
						b.Fatal("denied")
					}
				}
			})
		}
	}
	b.Run("denied", func(b *testing.B) {
		h, cl := connected(b, 20, "")
		b.ReportAllocs()
		for b.Loop() {
			if h.OnACLCheck(cl, "elsewhere/1", true) {
				b.Fatal("allowed")
			}
		}
	})
}

func BenchmarkPrefix(b *testing.B) {
	h, cl := connected(b, 20, "site7/")
	pk := packets.Packet{TopicName: "gw-1/out/temperature/1"}
	b.ReportAllocs()
	for b.Loop() {
		if !h.OnACLCheck(cl, pk.TopicName, true) {
			b.Fatal("denied")
		}
		if _, err := h.OnPublish(cl, pk); err != nil {
			b.Fatal(err)
		}
	}
}
