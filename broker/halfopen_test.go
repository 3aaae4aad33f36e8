package broker_test

import (
	"fmt"
	"testing"

	"mqttwarden/broker"
)

// Silent connections from ten addresses come all the time; those who have something
// to say come in all the same, also from one of these addresses.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) { cfg.MaxHalfOpen, cfg.MaxHalfOpenPerAddress = 60, 20 })
	for round := range 12 {
		for range 3 {
			for i := range 10 {
				d.socket(t, kinds[i%len(kinds)], fmt.Sprint("127.0.1.", i+1), []byte("\x10")[:i%2])
			}
		}
		for _, from := range []string{"127.0.2.1", "127.0.1.1"} {
			c := over(t, d.socket(t, "mqtt", from, nil), 5)
			if code := c.connect(fmt.Sprint(from, " ", round), nil); code != 0 {
				t.Fatalf("round %d, from %s: CONNACK %#02x", round, from, code)
			}
		}
	}
	if got := d.Stats(); got.HalfOpen > 60 || got.HalfOpenRefused+got.AddressHalfOpenRefused == 0 {
		t.Errorf("%d are half-open, %d+%d went; want at most 60, and some", got.HalfOpen, got.HalfOpenRefused, got.AddressHalfOpenRefused)
	}
}
