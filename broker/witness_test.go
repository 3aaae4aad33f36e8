package broker_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// witness is a client that goes on publishing to itself while others do what they
// should not. It must get every message, in order and without a long wait.
type witness struct {
	*client
	end  chan struct{}
	done chan error
	n    int // messages
	max  time.Duration
}

// watch makes a client a witness. Its testimony is taken by testify.
func watch(tb testing.TB, c *client) *witness {
	tb.Helper()
	w := &witness{client: c, end: make(chan struct{}), done: make(chan error, 1)}
	if code := w.connect("witness", nil); code != 0 {
		tb.Fatalf("CONNACK %#02x", code)
	}
	w.Subscribe("witness/+", 1)
	go func() { w.done <- w.run() }()
	return w
}

// run sends one message after the other until the end.
func (w *witness) run() error {
	for {
		select {
		case <-w.end:
			return nil
		default:
		}
		w.n++
		began := time.Now()
		if err := w.roundTrip(fmt.Sprint("witness/", w.n)); err != nil {
			return fmt.Errorf("message %d: %w", w.n, err)
		}
		w.max = max(w.max, time.Since(began))
		time.Sleep(time.Millisecond) // it is not what the broker is busy with
	}
}

// roundTrip publishes a message, and has it come back and be acknowledged.
func (w *witness) roundTrip(topic string) error {
	pk := message(topic, 1, uint16(w.n%1000+1))
	if _, err := w.Write(encode(5, pk)); err != nil {
		return err
	}
	for came, acked := false, false; !came || !acked; {
		got, err := w.Next()
		switch {
		case err != nil:
			return err
		case got.FixedHeader.Type == packets.Puback && !acked && got.PacketID == pk.PacketID && got.ReasonCode == 0:
			acked = true
		case got.FixedHeader.Type == packets.Publish && !came && got.TopicName == topic && !got.FixedHeader.Dup:
			came = true
			if _, err := w.Write(encode(5, ack(packets.Puback, got.PacketID))); err != nil {
				return err
			}
		default:
			return fmt.Errorf("got %s %s %d", packets.PacketNames[got.FixedHeader.Type], got.TopicName, got.PacketID)
		}
	}
	return nil
}

// testify ends the witness and has it say what it has seen: at least one message,
// and none that took longer than limit.
func (w *witness) testify(limit time.Duration) {
	w.TB.Helper()
	close(w.end)
	if err := <-w.done; err != nil {
		w.TB.Fatalf("the witness: %v", err)
	}
	w.TB.Logf("the witness: %d messages, the slowest took %v", w.n, w.max)
	if w.n == 0 || w.max > limit {
		w.TB.Errorf("the witness: %d messages, of which one took %v", w.n, w.max)
	}
	w.Close()
}

// footprint is what a broker takes while it has nothing to do.
type footprint struct {
	b          *started
	goroutines int
	heap       uint64
	stats      broker.Stats
}

// takeFootprint measures a broker that has nobody connected.
func takeFootprint(b *started) footprint {
	return footprint{b: b, goroutines: runtime.NumGoroutine(), heap: liveHeap(), stats: b.Stats()}
}

// returns waits until the broker is back where it was, apart from so much memory.
func (f footprint) returns(tb testing.TB, slack uint64) {
	tb.Helper()
	eventually(tb, "all connections are over", func() bool {
		st := f.b.Stats()
		return st.Connections == 0 && st.Clients == 0
	})
	eventually(tb, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= f.goroutines })
	if heap := liveHeap(); heap > f.heap+slack {
		tb.Errorf("the heap has grown from %d to %d KiB", f.heap>>10, heap>>10)
	}
	if n := f.b.Stats().Panics - f.stats.Panics; n != 0 {
		tb.Errorf("%d panics", n)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // what was freed by finalizers and pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
