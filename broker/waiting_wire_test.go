package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// stays is a CONNECT of a session that outlives its connection.
func stays(pk *packets.Packet) {
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 60, true
}

// store leaves a session that is subscribed to a filter.
func store(t *testing.T, b *started, id, filter string) {
	t.Helper()
	c := dial(t, b, 5)
	c.connect(id, stays)
	c.MustSubscribe(filter, 1)
	before := b.Stats().SessionsStored
	c.Disconnect()
	eventually(t, "the session is stored", func() bool { return b.Stats().SessionsStored == before+1 })
}

// waits returns how many messages wait for a session, which it takes.
func waits(t *testing.T, b *started, id string) int {
	t.Helper()
	c := dial(t, b, 5)
	c.connect(id, stays)
	for n, before := 0, -1; ; { // until nothing comes, and the broker has the last acknowledgement
		if n == before {
			return n
		}
		before = n
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
		for pk := c.mustNext(); pk.FixedHeader.Type != packets.Pingresp; pk = c.mustNext() {
			c.Send(ack(packets.Puback, pk.PacketID))
			n++
		}
	}
}

func (c *client) mustNext() packets.Packet {
	c.TB.Helper()
	pk, err := c.Next()
	if err != nil {
		c.TB.Fatal(err)
	}
	return pk
}

const kib = 1 << 10

// flood publishes messages of one KiB that are acknowledged, each to all topics.
func flood(t *testing.T, b *started, n int, topics ...string) {
	t.Helper()
	c := dial(t, b, 5)
	c.connect("publisher", nil)
	for range n {
		for _, topic := range topics {
			pk := message(topic, 1, 1000)
			pk.Payload = []byte(strings.Repeat("x", kib-512-len(topic)))
			c.Send(pk)
			c.Expect(packets.Puback)
		}
	}
}

// The number of messages that wait for a session is bounded, and so are their
// bytes: a few large ones are as much as many small ones.
func TestBytesThatWaitForASessionAreBounded(t *testing.T) {
	b := start(t, new(fleet), func(cfg *broker.Config) { cfg.MaxSessionBytes = 10 * kib })
	store(t, b, "one", "one")
	store(t, b, "two", "two")
	flood(t, b, 30, "one")
	flood(t, b, 3, "two")
	if got := b.Stats().WaitingBytes; got > 14*kib {
		t.Errorf("%d bytes wait", got)
	}
	if got := b.Stats().WaitingRefused; got != 20 {
		t.Errorf("%d refused, want 20", got)
	}
	if got := waits(t, b, "one"); got != 10 {
		t.Errorf("%d wait for the first, want 10", got)
	}
	if got := waits(t, b, "two"); got != 3 {
		t.Errorf("%d wait for the second, want 3", got)
	}
	flood(t, b, 1, "one") // there is room again
	dial(t, b, 5).connect("one", stays)
	if got := b.Stats().WaitingRefused; got != 20 {
		t.Errorf("refused with room: %d", got-20)
	}
}

// However many sessions a user has: it leaves free as much as it takes.
func TestBytesThatWaitForAUserLeaveRoomForOthers(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxWaitingBytes = 40 * kib })
	store(t, b, "greedy", "#") // each client is a user of its own
	flood(t, b, 100, "t")
	if got := b.Stats().WaitingBytes; got < 16*kib || got > 25*kib {
		t.Errorf("%d bytes wait for one user, want half of %d", got, 40*kib)
	}
	store(t, b, "modest", "m")
	flood(t, b, 5, "m")
	if got := waits(t, b, "modest"); got != 5 {
		t.Errorf("%d messages wait for another, want 5", got)
	}

	b = start(t, new(fleet), func(cfg *broker.Config) { cfg.MaxWaitingBytes = 40 * kib })
	var all []string
	for i := range 6 {
		all = append(all, fmt.Sprint("t", i))
		store(t, b, all[i], all[i])
	}
	flood(t, b, 30, all...)
	if got := b.Stats().WaitingBytes; got < 16*kib || got > 25*kib {
		t.Errorf("%d bytes wait in six sessions of one user, want half of %d", got, 40*kib)
	}
	for _, id := range all {
		waits(t, b, id)
		c := dial(t, b, 5)
		c.connect(id, nil) // and begins anew
	}
	eventually(t, "nothing waits", func() bool { return b.Stats().WaitingBytes == 0 })
}

// Subscribing is not denied to a client that has left much unacknowledged.
func TestAFullSessionMaySubscribe(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxSessionBytes = kib })
	store(t, b, "c", "t")
	flood(t, b, 3, "t")
	c := dial(t, b, 5)
	c.connect("c", stays)
	c.Expect(packets.Publish)
	c.MustSubscribe("other", 1)
}

// What is retained is bounded for each user, as is what it leaves free; who has
// nothing yet is let in.
func TestOneUserDoesNotFillWhatIsRetained(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxRetained, cfg.MaxUserRetained = 100, 80 })
	count := func(id string) int {
		c := dial(t, b, 5)
		c.connect(id, nil)
		for i := range 200 {
			c.retain(fmt.Sprint(id, "/", i), "x", 1)
			switch code := c.acked(1); code {
			case 0, packets.CodeNoMatchingSubscribers.Code:
			case packets.ErrQuotaExceeded.Code:
				return i
			default:
				t.Fatalf("PUBACK %#02x", code)
			}
		}
		return 200
	}
	if got := count("greedy"); got != 50 {
		t.Errorf("one user retains %d of 100, want 50", got)
	}
	if got := count("other"); got != 25 {
		t.Errorf("the next retains %d, want 25", got)
	}
	// A will is its user's, too.
	c := dial(t, b, 5)
	c.connect("greedy", func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillRetain, pk.Connect.WillTopic, pk.Connect.WillPayload = true, true, "greedy/will", []byte("x")
	})
	_ = c.Close()
	eventually(t, "the will was refused", func() bool { return b.Stats().RetainedRefused == 3 })
}
