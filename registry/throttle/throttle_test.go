package throttle

import (
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	for _, tt := range []struct {
		name  string
		steps []time.Duration // when "a" asks
		want  string          // y or n for each
	}{
		{"so many at once, then no more", []time.Duration{0, 0, 0, 0}, "yyyn"},
		{"one more for each second", []time.Duration{0, 0, 0, time.Second, time.Second, 2 * time.Second}, "yyyyny"},
		{"what was refused does not count", []time.Duration{0, 0, 0, 0, 0, 0, time.Second}, "yyynnny"},
		{"a rest gives all back", []time.Duration{0, 0, 0, time.Hour, time.Hour, time.Hour, time.Hour}, "yyyyyyn"},
		{"a clock that is set back locks nobody out", []time.Duration{time.Hour, 0, 0, 0, 0}, "yyyyn"},
	} {
		th := New[string](Limit{Rate: 1, Burst: 3}, 10)
		got := ""
		for _, at := range tt.steps {
			if th.Allow("a", start.Add(at)) {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if !th.Allow("b", start) {
			t.Errorf("%s: another key is refused", tt.name)
		}
	}
}

func TestAThrottleStaysBounded(t *testing.T) {
	const most = 1000
	th, now := New[int](Limit{Rate: 1, Burst: 3}, most), time.Unix(1_000_000, 0)
	for i := 1; i <= most; i++ {
		if !th.Allow(i, now) {
			t.Fatalf("key %d is refused", i)
		}
	}
	allowed := 0
	for i := range 100 { // these share one allowance
		if th.Allow(2*most+i, now) {
			allowed++
		}
	}
	if allowed != 3 || len(th.due) > most+1 {
		t.Errorf("%d of the late ones are allowed, %d are kept", allowed, len(th.due))
	}
	if !th.Allow(1, now) {
		t.Error("a known key lost its allowance")
	}
	now = now.Add(time.Minute)
	if !th.Allow(2*most, now) || len(th.due) > 2 {
		t.Errorf("after a rest %d are kept", len(th.due))
	}
}
