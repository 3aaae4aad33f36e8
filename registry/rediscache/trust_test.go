package rediscache

import (
	"testing"
	"time"

	"mqttwarden/registry"
)

func TestJudge(t *testing.T) {
	const ttl, skew = time.Hour, 30 * time.Second
	read := func(number, line uint64) stamp { return stamp{number, at(line), morning} }
	aged := func(d time.Duration) stamp { return stamp{10, at(10), morning.Add(-d)} }
	row := func(n uint64, id registry.UserID) registry.Change { return userChange(id, n) }
	tests := []struct {
		name string
		tell func(*trust)
		s    stamp
		want Reason
	}{
		{"the latest change is an answer", func(tr *trust) { tr.changed(userChange("u", 10)) }, read(10, 10), ""},
		{"a change of somebody else does not matter", func(tr *trust) { tr.changed(userChange("u", 10)); tr.changed(userChange("v", 11)) }, read(10, 10), ""},
		{"older than the latest change", func(tr *trust) { tr.changed(userChange("u", 11)) }, read(10, 10), Outdated},
		{"older, though sealed by a node that knew of the change", func(tr *trust) { tr.changed(userChange("u", 11)) }, read(10, 11), Outdated},
		{"read after a change that was not heard of yet", nil, read(10, 10), Ahead},
		{"read before, and the user has changed since", func(tr *trust) { tr.changed(userChange("v", 10)) }, read(11, 10), ""},
		{"read in another history", func(tr *trust) { tr.changed(userChange("v", 10)); tr.changed(userChange("v", 11)) }, stamp{10, registry.Position{Number: 10, Mark: 71}, morning}, Lost},
		{"read further on in another history", func(tr *trust) { tr.changed(userChange("v", 10)) }, stamp{12, registry.Position{Number: 12, Mark: 71}, morning}, Ahead},
		{"changes may be told in any order", func(tr *trust) { tr.changed(userChange("u", 11)); tr.changed(userChange("u", 10)) }, read(10, 10), Outdated},
		{"a change from before the start", func(tr *trust) { tr.seed([]registry.Change{row(11, "u")}, at(11)) }, read(10, 10), Outdated},
		{"read before all that is known of the start", func(tr *trust) { tr.seed([]registry.Change{row(12, "v")}, at(12)) }, read(10, 10), Forgotten},
		{"read just when what is known begins", func(tr *trust) { tr.seed([]registry.Change{row(12, "v"), row(11, "v")}, at(12)) }, read(10, 11), ""},
		{"no changes for long before the start", func(tr *trust) { tr.seed(nil, at(11)) }, read(10, 10), Forgotten},
		{"no changes for long, read after the last", func(tr *trust) { tr.seed(nil, at(11)) }, read(10, 11), ""},
		{"a gap in what was found at the start", func(tr *trust) {
			tr.seed([]registry.Change{row(14, "v"), row(11, "v"), row(13, "v")}, at(14))
		}, read(10, 11), Forgotten},
		{"after the gap", func(tr *trust) {
			tr.seed([]registry.Change{row(14, "v"), row(11, "v"), row(13, "v")}, at(14))
		}, read(10, 13), ""},
		{"the end of the line is missing from what was found", func(tr *trust) {
			tr.seed([]registry.Change{row(11, "v")}, at(12))
		}, read(10, 11), Forgotten},
		{"as old as may be", func(tr *trust) { tr.seed(nil, at(10)) }, aged(ttl - 1), ""},
		{"too old", nil, aged(ttl), Expired},
		{"as far ahead as clocks may be", func(tr *trust) { tr.seed(nil, at(10)) }, aged(-skew), ""},
		{"further ahead", nil, aged(-skew - 1), Future},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrust(ttl, skew, 100, func() time.Time { return morning })
			if got := tr.judge("u", tt.s); got == "" {
				t.Error("something is an answer before what changed is known")
			}
			tr.seed(nil, at(9))
			if tt.tell != nil {
				tt.tell(tr)
			}
			if got := tr.judge("u", tt.s); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSeedKeepsWhatWasToldBefore(t *testing.T) {
	tr := newTrust(time.Hour, time.Second, 100, func() time.Time { return morning })
	tr.changed(userChange("u", 12))
	tr.seed([]registry.Change{userChange("u", 11)}, at(11))
	if got := tr.judge("u", stamp{11, at(12), morning}); got != Outdated {
		t.Errorf("got %q, want %q", got, Outdated)
	}
	if got := tr.position(); got != at(12) {
		t.Errorf("the line ends at %v, want 12", got)
	}
}

func TestWhatIsForgottenRaisesTheFloor(t *testing.T) {
	c := &clock{t: morning}
	tr := newTrust(time.Hour, time.Minute, 3, c.now)
	tr.seed(nil, at(10))
	wantFloor := func(floor uint64, remembered int) {
		t.Helper()
		if tr.floor != floor || tr.remembered() != remembered {
			t.Errorf("floor %d with %d remembered, want %d with %d", tr.floor, tr.remembered(), floor, remembered)
		}
	}
	tr.changed(userChange("u", 11))
	tr.changed(userChange("v", 12))
	tr.changed(userChange("u", 13))
	wantFloor(10, 3)
	tr.changed(userChange("w", 14)) // 11 goes, but 13 of the same user stays
	wantFloor(10, 3)
	tr.changed(userChange("x", 15)) // 12 goes
	wantFloor(12, 3)
	tr.changed(userChange("y", 16)) // 13 goes
	wantFloor(13, 3)
	if got := tr.judge("u", stamp{11, at(12), morning}); got != Forgotten {
		t.Errorf("got %q, want %q", got, Forgotten)
	}
}

func TestChangesAreForgottenWhenNothingSoOldMayAnswer(t *testing.T) {
	c := &clock{t: morning}
	tr := newTrust(time.Hour, time.Minute, 100, c.now)
	tr.seed(nil, at(10))
	tr.changed(userChange("u", 11))
	c.move(time.Hour + 2*time.Minute)
	tr.changed(userChange("v", 12))
	if tr.remembered() != 2 {
		t.Error("a change was forgotten too soon")
	}
	c.move(1)
	tr.changed(userChange("w", 13))
	if tr.remembered() != 2 || tr.floor != 11 {
		t.Errorf("%d remembered above %d, want 2 above 11", tr.remembered(), tr.floor)
	}
	c.move(-24 * time.Hour) // a clock that is set back forgets nothing and lets nothing through
	tr.changed(userChange("w", 14))
	if got := tr.judge("w", stamp{13, at(13), c.now()}); got != Outdated {
		t.Errorf("got %q, want %q", got, Outdated)
	}
}

func TestFIFO(t *testing.T) {
	var q fifo
	next, first := uint64(0), uint64(0)
	for round := range 1000 {
		for range round % 7 {
			q.push(heard{number: next})
			next++
		}
		for range min(round%6, q.len()) {
			if got := q.pop().number; got != first {
				t.Fatalf("got %d, want %d", got, first)
			}
			first++
		}
		if q.len() != int(next-first) {
			t.Fatalf("length %d, want %d", q.len(), next-first)
		}
	}
	if c := cap(q.items); c > 8*q.len() {
		t.Errorf("room for %d is kept for %d", c, q.len())
	}
}

// BenchmarkRemember shows what a remembered change costs in memory and time.
func BenchmarkRemember(b *testing.B) {
	ids := make([]registry.UserID, 1_000_000)
	for i := range ids {
		ids[i] = user(i).User.ID
	}
	b.ReportAllocs()
	tr := newTrust(time.Hour, time.Second, len(ids), time.Now)
	n := uint64(0)
	for b.Loop() {
		tr.changed(userChange(ids[n%uint64(len(ids))], n+1))
		n++
	}
}
