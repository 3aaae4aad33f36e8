package main

import (
	"io"
	"slices"
	"testing"
)

func TestLiveHeap(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       int
		ok         bool
	}{
		{
			"a collection",
			"gc 12 @3.141s 2%: 0.018+1.3+0.076 ms clock, 0.036+0.35/1.2/3.0+0.15 ms cpu, 40->41->23 MB, 46 MB goal, 0 MB stacks, 0 MB globals, 2 P",
			23 << 20, true,
		},
		{
			"a forced one",
			"gc 3 @120.002s 0%: 0.1+2+0.1 ms clock, 0.2+0/2/0+0.2 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)",
			1 << 20, true,
		},
		{"a line of the log", `time=2026-01-02T03:04:05Z level=INFO msg="gc 4->5->6 MB, "`, 0, false},
		{"something else that begins so", "gc was late", 0, false},
		{"half a line", "gc 12 @3.141s 2%: 40->41 MB, 46 MB goal", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := liveHeap(tt.line); got != tt.want || ok != tt.ok {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestLineWriterJoinsWhatCameInPieces(t *testing.T) {
	var got []string
	w := lineWriter(func(line string) { got = append(got, line) })
	for _, piece := range []string{"one\ntw", "o", "\n\nfour"} {
		if n, err := io.WriteString(w, piece); n != len(piece) || err != nil {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(piece), err)
		}
	}
	if want := []string{"one", "two", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCPUOfCountsOnlyWhatWasUsed(t *testing.T) {
	before, err := cpuOf("self")
	if err != nil {
		t.Skip(err) // not Linux; the program says so, too
	}
	after := before
	for n := 0; after < before+1e6 && n < 1e6; n++ { // a millisecond of reading files
		if after, err = cpuOf("self"); err != nil {
			t.Fatal(err)
		}
	}
	if after < before+1e6 {
		t.Errorf("%v of CPU time became %v and no more", before, after)
	}
	if _, err := cpuOf("0"); err == nil {
		t.Error("a process that does not exist has used CPU time")
	}
}
