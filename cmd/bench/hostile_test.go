package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestWhatHonestClientsNotice(t *testing.T) {
	over, stop := context.WithCancel(t.Context())
	stop()
	for _, tt := range []struct {
		name   string
		note   func(n *notes)
		missed bool
		why    string
	}{
		{"all is well", func(n *notes) { n.note(t.Context(), time.Millisecond, nil) }, false, ""},
		{"it takes too long", func(n *notes) { n.note(t.Context(), 30*time.Millisecond, nil) }, true, ""},
		{"nothing is served", func(n *notes) { n.note(t.Context(), 0, errors.New("refused")) }, true, "nothing was served: refused"},
		{"one fails", func(n *notes) {
			n.note(t.Context(), time.Millisecond, nil)
			n.note(t.Context(), 0, errors.New("refused"))
		}, true, "1 of 2 failed: refused"},
		{"what fails at the end does not count", func(n *notes) {
			n.note(t.Context(), time.Millisecond, nil)
			n.note(over, 0, errors.New("canceled"))
		}, false, ""},
	} {
		var n notes
		tt.note(&n)
		r := n.row("work", mostMQTT)
		if r.missed() != tt.missed || r.failed != tt.why {
			t.Errorf("%s: missed: %v, %q, want %v, %q", tt.name, r.missed(), r.failed, tt.missed, tt.why)
		}
	}
}

func TestHostileLoadsAreSelectedByName(t *testing.T) {
	selected, err := selectFrom(loads(), "silent,overlap")
	if err != nil || len(selected) != 2 || selected[0].name != "silent" {
		t.Errorf("got %d loads, error %v", len(selected), err)
	}
	if _, err := selectFrom(loads(), "qos0"); err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("got %v, want the names that there are", err)
	}
}
