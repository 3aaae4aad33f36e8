package broker

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// put does with a message what mochi does, and reports whether it was let in.
func put(q *retainQuota, topic string, payload []byte) bool {
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Retain: true}, TopicName: topic, Payload: payload}
	if len(payload) == 0 {
		q.index.RetainMessage(pk)
		q.cleared(topic)
		return true
	}
	if !q.reserve(topic, retainedSize(&pk)) {
		return false
	}
	q.index.RetainMessage(pk)
	q.stored(topic)
	return true
}

func TestRetainQuota(t *testing.T) {
	const room, noRoom = true, false
	q := newRetainQuota(mqtt.NewTopicsIndex(), 3, 20)
	for _, tt := range []struct {
		name    string
		topic   string
		payload int
		want    bool
		count   int
		bytes   int64
	}{
		{"the first", "a", 9, room, 1, 10},
		{"one that leaves no byte", "b", 9, room, 2, 20},
		{"one for which no byte is left", "c", 1, noRoom, 2, 20},
		{"a larger one in place of another", "a", 10, noRoom, 2, 20},
		{"one as large in place of another", "a", 9, room, 2, 20},
		{"a smaller one in place of another", "a", 1, room, 2, 12},
		{"one more, now that there is room", "c", 1, room, 3, 14},
		{"one too many, though it is small", "d", 1, noRoom, 3, 14},
		{"clearing what is not there", "d", 0, room, 3, 14},
		{"clearing", "b", 0, room, 2, 4},
		{"one in the place that was cleared", "d", 15, room, 3, 20},
	} {
		if got := put(q, tt.topic, make([]byte, tt.payload)); got != tt.want {
			t.Errorf("%s: let in is %v, want %v", tt.name, got, tt.want)
		}
		if count, bytes := q.used(); count != tt.count || bytes != tt.bytes {
			t.Errorf("%s: %d messages and %d bytes are counted, want %d and %d", tt.name, count, bytes, tt.count, tt.bytes)
		}
	}
	if got := q.refused.Load(); got != 3 {
		t.Errorf("%d were refused, want 3", got)
	}
}

// Whoever publishes, clears and expires at the same time, and in whatever order
// mochi tells of it: no more is let in than may be, and what is counted in the end
// is what is there.
func TestRetainQuotaIsExactUnderConcurrency(t *testing.T) {
	const most, mostBytes = 8, 200
	q := newRetainQuota(mqtt.NewTopicsIndex(), most, mostBytes)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				topic := fmt.Sprint("t/", rand.IntN(12))
				switch rand.IntN(6) {
				case 0:
					put(q, topic, nil)
				case 1:
					q.remove(topic)
				case 2:
					q.index.Retained.Delete(topic) // as mochi does when a message expires
					q.expired(topic)
				default:
					put(q, topic, make([]byte, 1+rand.IntN(60)))
				}
				if n := q.index.Retained.Len(); n > most {
					t.Errorf("%d messages are retained, want at most %d", n, most)
				}
				if n, bytes := q.used(); n > most || bytes > mostBytes {
					t.Errorf("%d messages and %d bytes are counted", n, bytes)
				}
			}
		})
	}
	wg.Wait()
	var bytes int64
	all := q.index.Retained.GetAll()
	for topic, pk := range all {
		bytes += retainedSize(&pk)
		if got := q.index.Messages(topic); len(got) != 1 {
			t.Errorf("%s is not in the tree", topic)
		}
	}
	if n, counted := q.used(); n != len(all) || counted != bytes || len(q.topics) != n {
		t.Errorf("counted are %d messages of %d bytes, there are %d of %d", n, counted, len(all), bytes)
	}
}
