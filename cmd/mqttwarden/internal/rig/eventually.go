package rig

import (
	"testing"
	"time"
)

// Eventually waits for check to return nil, for what happens by itself.
func Eventually(tb testing.TB, check func() error) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(Patience)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			tb.Fatal(err)
		}
	}
}
