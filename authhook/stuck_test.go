package authhook_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
)

// waiting is how many messages wait for the client of stuck: more than the buffers
// of a socket hold.
const waiting = 80

// stuck returns a rig and a client that does not read, so that mochi is stuck in
// the middle of its CONNECT, resending what has waited for it.
func stuck(t *testing.T, change func(*settings)) (*rig, mqtttest.Connect, *mqtttest.Client) {
	t.Helper()
	r := newRig(t, change)
	r.user("alice", read("a/#"))
	r.user("pub", both("#"))
	o := as("alice", "c")
	o.Resume, o.Expiry = true, 600
	c := r.dial(5)
	c.MustConnect(o)
	c.MustSubscribe("a/#", 1)
	c.Disconnect()
	r.settle(0, 1)
	pub := r.connect(5, "pub", "pub")
	payload := strings.Repeat("x", 200_000)
	for i := range waiting {
		pub.Publish(fmt.Sprintf("a/%d", i), payload, 1, false)
	}
	pub.Ping()
	c = r.dial(5)
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
		t.Fatal(err)
	}
	c.Send(o.Packet(5))
	r.eventually("it is resent to", func() bool { return r.Stats().BytesSent > 1<<20 })
	return r, o, c
}

func TestTakeoverOfAConnectThatDoesNotEnd(t *testing.T) {
	r, o, _ := stuck(t, func(s *settings) { s.broker.TakeoverTimeout = 20 * time.Millisecond })
	c := r.dial(5)
	if ack := c.MustConnect(o); !ack.SessionPresent {
		t.Error("the session is gone")
	}
	for i := range waiting {
		c.ExpectMessage(fmt.Sprintf("a/%d", i))
	}
	r.settle(2, 0)
}

func TestEnforceDoesNotWaitForAConnectThatDoesNotEnd(t *testing.T) {
	for name, what := range map[string]func(*rig){
		"right lost":   func(r *rig) { r.grant("alice", read("b/#")) },
		"user removed": func(r *rig) { r.remove("alice") },
	} {
		t.Run(name, func(t *testing.T) {
			r, _, _ := stuck(t, func(s *settings) { s.broker.EnforceTimeout = 50 * time.Millisecond })
			before := time.Now()
			what(r)
			if took := time.Since(before); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			r.eventually("the CONNECT is over", func() bool { return r.Stats().SessionsConnected == 1 })
			if name == "user removed" {
				r.settle(1, 0)
			}
		})
	}
}
