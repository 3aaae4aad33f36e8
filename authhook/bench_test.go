package authhook

import (
	"fmt"
	"testing"
)

const topic = "site7/gw-1/out/temperature/1"

func TestADecisionDoesNotAllocate(t *testing.T) {
	l := signedIn(t, 20, "")
	for name, f := range map[string]func() bool{
		"a publish that is allowed":  func() bool { _, ok := l.MayPublish(topic); return ok },
		"a publish that is denied":   func() bool { _, ok := l.MayPublish("elsewhere/1"); return !ok },
		"a delivery that is allowed": func() bool { return l.MayRead(topic) },
		"a delivery that is denied":  func() bool { return !l.MayRead("elsewhere/1") },
	} {
		if n := testing.AllocsPerRun(1000, func() {
			if !f() {
				t.Fatalf("%s: it is not", name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a call, want 0", name, n)
		}
	}
}

func BenchmarkLogin(b *testing.B) {
	for _, n := range []int{20, 1000} {
		b.Run(fmt.Sprintf("publish/permissions=%d", n), func(b *testing.B) {
			l := signedIn(b, n, "")
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := l.MayPublish(topic); !ok {
					b.Fatal("denied")
				}
			}
		})
		b.Run(fmt.Sprintf("delivery/permissions=%d", n), func(b *testing.B) {
			l := signedIn(b, n, "")
			b.ReportAllocs()
			for b.Loop() {
				if !l.MayRead(topic) {
					b.Fatal("denied")
				}
			}
		})
	}
	b.Run("denied", func(b *testing.B) {
		l := signedIn(b, 20, "")
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := l.MayPublish("elsewhere/1"); ok {
				b.Fatal("allowed")
			}
		}
	})
	b.Run("prefix", func(b *testing.B) {
		l := signedIn(b, 20, "site7/")
		b.ReportAllocs()
		for b.Loop() {
			if prefix, ok := l.MayPublish("gw-1/out/temperature/1"); !ok || prefix != "site7/" {
				b.Fatal("denied")
			}
		}
	})
}
