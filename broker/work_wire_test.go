package broker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// fleet is open with one user for all clients.
type fleet struct{ open }

// ofFleet is a login of that user.
type ofFleet struct{ *login }

// User implements broker.Login.
func (ofFleet) User() string { return "fleet" }

// Connect implements broker.Hook.
func (h *fleet) Connect(ctx context.Context, cl *mqtt.Client, pk packets.Packet) (*ofFleet, error) {
	l, err := h.open.Connect(ctx, cl, pk)
	return &ofFleet{l}, err
}

// Recall implements broker.Hook.
func (h *fleet) Recall(ctx context.Context, id, user string, proof []byte) (*ofFleet, error) {
	l, err := h.open.Recall(ctx, id, user, proof)
	return &ofFleet{l}, err
}

// masks returns filters of so many levels below x, with a or + at each, in every
// combination.
func masks(levels int) []string {
	all := []string{"x"}
	for range levels {
		var longer []string
		for _, f := range all {
			longer = append(longer, f+"/a", f+"/+")
		}
		all = longer
	}
	return all
}

// One publish would go through all of a trie of 4,096 branches that one user has
// planted, in however many sessions, and whether they end in the topic or not.
func TestThePatternsOfOneUserAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		filter func(i int, mask string) string
	}{
		{"filters that overlap", func(_ int, mask string) string { return mask }},
		{"filters that overlap but for their last level", func(i int, mask string) string { return fmt.Sprintf("%s/%d", mask, i) }},
		{"filters that go on with a wildcard", func(_ int, mask string) string { return mask + "/#" }},
		{"groups of shared subscriptions", func(i int, _ string) string { return fmt.Sprintf("$share/g%d/x/a", i) }},
		{"shared filters that overlap", func(_ int, mask string) string { return "$share/g/" + mask }},
	} {
		b := start(t, new(fleet), func(cfg *broker.Config) { cfg.MaxPatterns = 20 })
		granted := 0
		all := masks(8)
		for session := range 4 {
			c := dial(t, b, 5)
			c.connect(fmt.Sprint("c", session), nil)
			for i := range 64 {
				n := session*64 + i
				switch code := c.Subscribe(tt.filter(n, all[n]), 0); code {
				case packets.CodeGrantedQos0.Code:
					granted++
				case packets.ErrQuotaExceeded.Code:
				default:
					t.Fatalf("%s: SUBACK %#02x", tt.name, code)
				}
			}
		}
		// The one without a wildcard is no pattern.
		if granted < 20 || granted > 21 {
			t.Errorf("%s: %d granted, want 20", tt.name, granted)
		}
		if got := b.Stats().PatternsRefused; got != uint64(256-granted) { // #nosec G115 -- small
			t.Errorf("%s: %d counted as refused, want %d", tt.name, got, 256-granted)
		}
	}
}

// One filter for each device is one pattern, whichever devices those are.
func TestFiltersOfManyDevicesAreOnePattern(t *testing.T) {
	b := start(t, new(fleet), func(cfg *broker.Config) { cfg.MaxPatterns = 2 })
	c := dial(t, b, 5)
	c.connect("c", nil)
	for i := range 100 {
		c.MustSubscribe(fmt.Sprintf("dev%d/+/state", i), 1)
	}
	c.MustSubscribe("+/status", 0)
	if code := c.Subscribe("+/+/status", 0); code != packets.ErrQuotaExceeded.Code {
		t.Errorf("a third pattern: SUBACK %#02x, want %#02x", code, packets.ErrQuotaExceeded.Code)
	}
}

func TestPatternsThatAreGivenUpMakeRoom(t *testing.T) {
	for _, tt := range []struct {
		name string
		give func(t *testing.T, b *started, c *client) *client // what is left to subscribe with
	}{
		{"by UNSUBSCRIBE", func(_ *testing.T, _ *started, c *client) *client {
			c.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 9,
				Filters: packets.Subscriptions{{Filter: "a/+"}},
			})
			c.Expect(packets.Unsuback)
			return c
		}},
		{"by the end of the session", func(t *testing.T, b *started, c *client) *client {
			c.Disconnect()
			eventually(t, "the session is over", func() bool { return b.Stats().SessionsConnected == 0 })
			c = dial(t, b, 5)
			c.connect("other", nil)
			return c
		}},
		{"by a clean start in its place", func(t *testing.T, b *started, _ *client) *client {
			c := dial(t, b, 5)
			c.connect("c", nil)
			return c
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, new(fleet), func(cfg *broker.Config) { cfg.MaxPatterns = 1 })
			c := dial(t, b, 5)
			c.connect("c", nil)
			c.MustSubscribe("a/+", 0)
			if code := c.Subscribe("+/a", 0); code != packets.ErrQuotaExceeded.Code {
				t.Fatalf("one too many: SUBACK %#02x", code)
			}
			c = tt.give(t, b, c)
			eventually(t, "there is room", func() bool { return c.Subscribe("+/a", 0) == 0 })
		})
	}
}

func TestPatternsGoOnWithTheSession(t *testing.T) {
	b := start(t, new(fleet), func(cfg *broker.Config) { cfg.MaxPatterns = 1 })
	stay := func(pk *packets.Packet) {
		pk.Connect.Clean = false
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 60, true
	}
	for i := range 3 {
		c := dial(t, b, 5)
		c.connect("c", stay)
		if i == 0 {
			c.MustSubscribe("a/+", 0)
		}
		if code := c.Subscribe("+/a", 0); code != packets.ErrQuotaExceeded.Code {
			t.Errorf("connection %d: one too many: SUBACK %#02x", i, code)
		}
		if i == 1 {
			c.Disconnect()
			eventually(t, "the session is stored", func() bool { return b.Stats().SessionsStored == 1 })
		}
	}
}

// A client whose messages keep the broker busy is made to wait, in however many
// connections its user sends them; the others are not.
func TestAUserIsServedNoMoreThanItsShare(t *testing.T) {
	const cost, share = 10 * time.Millisecond, 100 * time.Millisecond
	hook := &fleet{open{acl: func(_ *mqtt.Client, topic string, write bool) bool {
		if !write && topic == "costly" { // when it is delivered
			time.Sleep(cost)
		}
		return true
	}}}
	inBubble(t, hook, func(cfg *broker.Config) { cfg.MaxWork = share }, func(t *testing.T, b *started) {
		sub := dialPipe(t, b, 5)
		sub.connect("sub", nil)
		sub.MustSubscribe("costly", 0)
		clients := []*client{dialPipe(t, b, 5), dialPipe(t, b, 5)}
		for i, c := range clients {
			c.connect(fmt.Sprint("c", i), nil)
		}
		began := time.Now()
		for i := range 200 {
			c := clients[i%len(clients)]
			c.publish("costly", 0)
			c.Ping()
			sub.ExpectMessage("costly")
		}
		// 2 s of work, of which half a second is free at once.
		got := time.Since(began)
		if want := 15 * time.Second; got < want*9/10 || got > want*12/10 {
			t.Errorf("all of it took %v, want about %v", got, want)
		}
		if b.Stats().WorkPaced == 0 {
			t.Error("nobody is counted as made to wait")
		}
	})
}

func TestWorkIsNotLimitedUnlessAsked(t *testing.T) {
	hook := &fleet{open{acl: func(_ *mqtt.Client, topic string, write bool) bool {
		if !write && topic == "costly" {
			time.Sleep(10 * time.Millisecond)
		}
		return true
	}}}
	inBubble(t, hook, nil, func(t *testing.T, b *started) {
		sub, c := dialPipe(t, b, 5), dialPipe(t, b, 5)
		sub.connect("sub", nil)
		sub.MustSubscribe("costly", 0)
		c.connect("c", nil)
		began := time.Now()
		for range 200 {
			c.publish("costly", 0)
			c.Ping()
			sub.ExpectMessage("costly")
		}
		if got := time.Since(began); got > 3*time.Second {
			t.Errorf("it took %v, want 2 s", got)
		}
	})
}
