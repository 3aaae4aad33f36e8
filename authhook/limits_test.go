package authhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	"mqttwarden/broker/mqtttest"
)

func TestConnectionsOfAUserAreLimited(t *testing.T) {
	for version, refused := range map[byte]byte{4: 3, 5: 0x97} {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			r := newRig(t, func(s *settings) { s.broker.MaxUserConnections = 2 })
			r.user("alice")
			r.user("bob")
			dial := func(o mqtttest.Connect) (*mqtttest.Client, byte) {
				t.Helper()
				c := r.dial(version)
				return c, c.Connect(o).ReasonCode
			}
			want := func(what string, o mqtttest.Connect, want byte) *mqtttest.Client {
				t.Helper()
				c, code := dial(o)
				if code != want {
					t.Errorf("%s: CONNACK %#02x, want %#02x", what, code, want)
				}
				return c
			}
			kept := as("alice", "kept")
			kept.Resume, kept.Expiry = true, 600
			want("to be stored", kept, 0).Disconnect()
			r.settle(0, 1)

			one := want("the first: what is stored is no connection", as("alice", "1"), 0)
			want("the second", as("alice", "2"), 0)
			want("the third", as("alice", "3"), refused)
			want("to go on with what is stored", kept, refused)
			want("to take the second over", as("alice", "2"), 0)
			want("and again, while the one before is on its way out", as("alice", "2"), 0)
			want("another user", as("bob", "4"), 0)
			r.settle(3, 1)
			if got := r.Stats().UserConnectionsRefused; got != 2 {
				t.Errorf("%d counted, want 2", got)
			}
			one.Disconnect()
			r.settle(2, 1)
			want("there is room again, and what is stored is still there", kept, 0)
			r.settle(3, 0)
		})
	}
}

// However many come at once, the limit holds.
func TestConnectionsOfAUserAreLimitedInARush(t *testing.T) {
	const most, rush = 5, 40
	r := newRig(t, func(s *settings) { s.broker.MaxUserConnections = most })
	r.user("alice")
	clients := make([]*mqtttest.Client, rush)
	for i := range clients {
		clients[i] = r.dial(5)
	}
	for i, c := range clients {
		c.Send(as("alice", fmt.Sprint(i)).Packet(5)) // all are dealt with at once
	}
	codes := make(map[byte]int)
	for _, c := range clients {
		codes[c.Expect(packets.Connack).ReasonCode]++
	}
	if codes[0] != most || codes[0x97] != rush-most {
		t.Errorf("answers by code: %v; want %d let in and %d refused with 0x97", codes, most, rush-most)
	}
}

func TestWhatALimitRefusesOrChangesIsCounted(t *testing.T) {
	r := newRig(t, func(s *settings) {
		s.broker.MaxClientID, s.broker.MaxKeepAlive, s.broker.MaxStoredSessions = 30, time.Minute, 1
	})
	r.user("alice")
	connect := func(id string, keepAlive uint16, expiry uint32) byte {
		o := as("alice", id)
		o.KeepAlive, o.Expiry, o.Resume = keepAlive, expiry, expiry > 0
		return r.dial(5).Connect(o).ReasonCode
	}
	for _, tt := range []struct {
		what      string
		id        string
		keepAlive uint16
		expiry    uint32
		code      byte
		counted   func(broker.Stats) uint64
	}{
		{"a client ID", strings.Repeat("x", 31), 60, 0, 0x85, func(st broker.Stats) uint64 { return st.ClientIDsTooLong }},
		{"a keep alive", "a", 61, 0, 0, func(st broker.Stats) uint64 { return st.KeepAlivesSet }},
		{"no keep alive", "b", 0, 0, 0, func(st broker.Stats) uint64 { return st.KeepAlivesSet - 1 }},
		{"an expiry", "c", 60, 3601, 0, func(st broker.Stats) uint64 { return st.ExpiriesLowered }},
		{"a stored session", "d", 60, 60, 0x97, func(st broker.Stats) uint64 { return st.StoredSessionsRefused }},
		{"nothing, after the five above", strings.Repeat("x", 30), 60, 0, 0, func(st broker.Stats) uint64 {
			return (st.ClientIDsTooLong + st.KeepAlivesSet + st.ExpiriesLowered + st.StoredSessionsRefused) - 4
		}},
	} {
		if code := connect(tt.id, tt.keepAlive, tt.expiry); code != tt.code {
			t.Errorf("%s: CONNACK %#02x, want %#02x", tt.what, code, tt.code)
		}
		if got := tt.counted(r.Stats()); got != 1 {
			t.Errorf("%s: counted as %d, want 1", tt.what, got)
		}
	}
}
