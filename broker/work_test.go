package broker

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	after := func(d time.Duration) time.Time { return start.Add(d) }
	const share = 100 * time.Millisecond // a second
	type spend struct{ at, work time.Duration }
	many := func(n int, s spend) []spend {
		all := make([]spend, n)
		for i := range all {
			all[i] = s
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		spent []spend
		at    time.Duration
		want  time.Duration
	}{
		{"nothing was done", nil, 0, 0},
		{"five seconds' worth may be done at once", many(10, spend{0, 50 * time.Millisecond}), 0, 0},
		{"what is beyond has to be waited for", many(11, spend{0, 50 * time.Millisecond}), 0, 500 * time.Millisecond},
		{"waiting pays", many(11, spend{0, 50 * time.Millisecond}), 300 * time.Millisecond, 200 * time.Millisecond},
		{"one look is charged for so much at most", []spend{{0, time.Hour}}, 0, 0},
		{"an idle user saves up no more than that", append([]spend{{0, time.Millisecond}}, many(11, spend{time.Hour, 50 * time.Millisecond})...), time.Hour, 500 * time.Millisecond},
	} {
		m := newMeter(share, start)
		for _, s := range tt.spent {
			m.charge(s.work, after(s.at))
		}
		if got := m.wait(after(tt.at)); got != tt.want {
			t.Errorf("%s: wait %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPatternOf(t *testing.T) {
	for _, tt := range []struct {
		name, one, other string
		same             bool
	}{
		{"other names at the same places", "a/+/b", "c/+/d", true},
		{"the wildcard elsewhere", "a/+/b", "a/b/+", false},
		{"more levels", "a/+/b", "a/+/b/c", false},
		{"the groups of shared subscriptions", "$share/g/a", "$share/h/a", false},
		{"one group", "$share/g/a", "$share/g/b", true},
		{"shared or not", "$share/g/+", "+", false},
	} {
		one, counts := patternOf(tt.one)
		other, also := patternOf(tt.other)
		if !counts || !also || (one == other) != tt.same {
			t.Errorf("%s: %s is %+v, %s is %+v: the same: want %v", tt.name, tt.one, one, tt.other, other, tt.same)
		}
	}
	for _, filter := range []string{"a", "a/b/#", "#", "a+/b", ""} {
		if p, counts := patternOf(filter); counts {
			t.Errorf("%q counts as %+v", filter, p)
		}
	}
}
