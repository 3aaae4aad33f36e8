package main

import (
	"strings"
	"testing"
)

func TestMissed(t *testing.T) {
	for _, tt := range []struct {
		name string
		row  row
		want bool
	}{
		{"without a budget nothing is missed", row{found: spread{median: 99}}, false},
		{"at the limit is within", row{found: spread{median: 1.15}, most: 1.15}, false},
		{"the median decides, not the worst round", row{found: spread{1.1, 1, 2}, most: 1.15}, false},
		{"above the limit is missed", row{found: spread{median: 1.16}, most: 1.15}, true},
		{"enough is enough", row{found: spread{median: 500}, least: 500}, false},
		{"too few are too few", row{found: spread{median: 499}, least: 500}, true},
		{"another reason is enough", row{found: spread{median: 1}, most: 2, failed: "40 log lines"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.row.missed(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func rows() []row {
	return []row{
		{work: "QoS 0 publish, 1:1", bare: "8.00 µs", ours: "9.60 µs", found: spread{1.2, 1.1, 1.3}, unit: "×", most: 1.15},
		{work: "users created", ours: "900 µs", found: spread{812, 812, 812}, unit: "/s", least: 500},
		{work: "QoS 1 publish, 1:1", bare: "20.0 µs", ours: "21.0 µs", found: spread{1.05, 1, 1.1}, unit: "×"},
	}
}

func TestWriteText(t *testing.T) {
	var b strings.Builder
	if err := writeText(&b, "two cores", rows()); err != nil {
		t.Fatal(err)
	}
	const want = `
two cores

work                 bare mochi   mqttwarden   median (range)          budget            
QoS 0 publish, 1:1   8.00 µs      9.60 µs      1.20 × (1.10 to 1.30)   at most 1.15 ×    MISSED
users created                     900 µs       812 /s                  at least 500 /s   ok
QoS 1 publish, 1:1   20.0 µs      21.0 µs      1.05 × (1.00 to 1.10)                     
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestWriteMarkdown(t *testing.T) {
	var b strings.Builder
	if err := writeMarkdown(&b, "two cores", rows()[:2]); err != nil {
		t.Fatal(err)
	}
	const want = `| work | bare mochi | mqttwarden | median (range) | budget |  |
| --- | ---: | ---: | ---: | ---: | --- |
| QoS 0 publish, 1:1 | 8.00 µs | 9.60 µs | 1.20 × (1.10 to 1.30) | at most 1.15 × | MISSED |
| users created |  | 900 µs | 812 /s | at least 500 /s | ok |

two cores.
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 1.154: "1.15", -3.2: "-3.20", 12.34: "12.3", -12.34: "-12.3", 812.4: "812"} {
		if got := number(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}
