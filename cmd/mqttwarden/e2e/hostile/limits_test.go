package hostile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// Reason codes of MQTT 5 that only limits lead to.
const (
	badFilter       = 0x8F
	badTopic        = 0x90
	receiveExceeded = 0x93
)

// TestLimitsAreAnswered reaches every limit on what a client may ask for, in both
// versions of MQTT, and finds each in the metrics.
func TestLimitsAreAnswered(t *testing.T) {
	p := rig.Launch(t, "--limits-subscriptions", "3", "--limits-topic-length", "40", "--limits-topic-levels", "4",
		"--limits-connections-per-user", "2", "--limits-client-id", "30", "--limits-keep-alive", "90s",
		"--limits-receive-maximum", "1", "--limits-session-expiry", "1h", "--limits-stored-sessions", "1")
	p.User("alice", rig.Both("#"))
	p.User("bob", rig.Both("#"))
	p.AsAdmin()
	long, deep := strings.Repeat("x", 41), "a/b/c/d/e"

	for _, v := range []struct {
		version                                                       byte
		clientID, will, quota, filter, subscription, publish, receive byte
	}{
		{5, rig.BadClientID, badTopic, rig.QuotaExceeded, badFilter, rig.QuotaExceeded, badTopic, receiveExceeded},
		{4, 2, 5, 3, 0x80, 0x80, rig.Success, 0}, // MQTT 3.1.1 has no more words
	} {
		t.Run(fmt.Sprintf("version %d", v.version), func(t *testing.T) {
			connect := func(what string, o mqtttest.Connect, want byte) *mqtttest.Client {
				t.Helper()
				c := p.Dial(v.version)
				rig.WantCode(t, what, c.Connect(o).ReasonCode, want)
				return c
			}
			connect("a client ID that is too long", rig.As("alice", strings.Repeat("i", 31)), v.clientID)
			for _, topic := range []string{long, deep} {
				o := rig.As("alice", "w")
				o.Will = &mqtttest.Will{Topic: topic, Payload: "x"}
				connect("a will to "+topic, o, v.will)
			}

			c := connect("the first connection of the user", rig.As("alice", "1"), rig.Success)
			connect("the second", rig.As("alice", "2"), rig.Success)
			connect("the third", rig.As("alice", "3"), v.quota)
			second := connect("a takeover", rig.As("alice", "2"), rig.Success)
			connect("another user", rig.As("bob", "4"), rig.Success).Disconnect()
			p.Reaches("mqttwarden_mqtt_clients", 2)

			kept := rig.As("bob", "kept")
			kept.Resume, kept.Expiry = true, 600
			connect("a session to keep", kept, rig.Success).Disconnect()
			again := kept
			again.ClientID = "kept too"
			connect("another one", again, v.quota)
			kept.Resume, kept.Expiry = false, 0
			connect("none to keep", kept, rig.Success).Disconnect()

			c.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: c.NextID(),
				Filters: packets.Subscriptions{{Filter: "a", Qos: 1}, {Filter: long}, {Filter: "$share/g/" + deep}, {Filter: "b"}, {Filter: "c"}, {Filter: "d"}, {Filter: "a"}},
			})
			want := []byte{1, v.filter, v.filter, 0, 0, v.subscription, 0}
			if got := c.Expect(packets.Suback).ReasonCodes; !slices.Equal(got, want) {
				t.Errorf("SUBACK %#02x, want %#02x", got, want)
			}
			rig.WantCode(t, "a publish to a long topic", second.Publish(long, "x", 1, false), v.publish)
			rig.WantCode(t, "a publish to a deep topic", second.Publish(deep, "x", 1, false), v.publish)
			second.Publish("d", "x", 1, false)
			second.Publish("b", "this one", 1, false)
			rig.Expect(t, c, "b", "this one")

			for _, id := range []uint16{7, 8} { // of QoS 2, and never released
				c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 2}, PacketID: id, TopicName: "e"})
			}
			c.Expect(packets.Pubrec)
			rig.WantCode(t, "one message too many under way", c.ExpectEnd(), v.receive)
			second.Disconnect()
			_ = c.Close()
			p.Reaches("mqttwarden_mqtt_clients", 0)
		})
	}

	for _, version := range []byte{5, 4} {
		large := rig.As("alice", "1")
		large.Password = strings.Repeat("x", 8192)
		c := p.Dial(version)
		c.Send(large.Packet(version))
		rig.WantCode(t, "a CONNECT that is too large", c.ExpectEnd(), 0)
	}

	o := rig.As("alice", "1")
	o.KeepAlive, o.Expiry = 91, 3601
	ack := p.Dial(5).MustConnect(o)
	for what, got := range map[string][2]uint32{
		"Server Keep Alive":       {uint32(ack.Properties.ServerKeepAlive), 90},
		"Session Expiry Interval": {ack.Properties.SessionExpiryInterval, 3600},
		"Receive Maximum":         {uint32(ack.Properties.ReceiveMaximum), 1},
	} {
		if got[0] != got[1] {
			t.Errorf("CONNACK says %s %d, want %d", what, got[0], got[1])
		}
	}
	for name, atLeast := range map[string]float64{
		"mqttwarden_client_ids_refused_total":                2,
		"mqttwarden_user_connections_refused_total":          2,
		"mqttwarden_stored_sessions_refused_total":           2,
		"mqttwarden_keep_alives_set_total":                   1,
		"mqttwarden_session_expiries_lowered_total":          1,
		"mqttwarden_mqtt_filters_refused_total":              4,
		"mqttwarden_mqtt_subscriptions_refused_total":        2,
		"mqttwarden_mqtt_topics_refused_total":               8,
		`mqttwarden_mqtt_packets_refused_total{code="0x93"}`: 2,
		`mqttwarden_mqtt_packets_refused_total{code="0x95"}`: 2,
	} {
		if got := p.Metric(name); got < atLeast {
			t.Errorf("%s is %v, want %v at least", name, got, atLeast)
		}
	}
}

// TestLimitsNameWhatTheyAccept gives every limit a value that it can't have, just
// beyond what it accepts where there is such a thing.
func TestLimitsNameWhatTheyAccept(t *testing.T) {
	for setting, tt := range map[string]struct{ value, want string }{
		"subscriptions":        {"0", "a number from 1 to 1000000"},
		"topic-length":         {"513", "a number from 1 to 512"},
		"topic-levels":         {"33", "a number from 1 to 32"},
		"connections-per-user": {"10000001", "a number from 0 to 10000000"},
		"client-id":            {"22", "a number from 23 to 4096"},
		"keep-alive":           {"1500ms", "a duration from 5s to 12h0m0s in whole seconds"},
		"receive-maximum":      {"8193", "a number from 1 to 8192"},
		"inflight":             {"16385", "a number from 16 to 16384"},
		"session-expiry":       {"0", "a duration from 1s to 720h0m0s in whole seconds"},
		"stored-sessions":      {"0", "a number from 1 to 100000"},
		"write-timeout":        {"61s", "a duration from 100ms to 1m0s"},
	} {
		_, _, err := rig.Attempt(t, nil, "", rig.ServeArgs(t.TempDir(), "--limits-"+setting, tt.value)...)
		if err == nil {
			t.Errorf("%s: it started", setting)
			continue
		}
		if want := fmt.Sprintf("limits-%s: %q: must be %s", setting, tt.value, tt.want); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: not told %q but: %v", setting, want, err)
		}
	}
}

// TestLimitsReachAsFarAsTheBroker starts with every limit that both ends bound at
// its ends: what the settings accept must be what the broker accepts.
func TestLimitsReachAsFarAsTheBroker(t *testing.T) {
	for _, args := range [][]string{
		{
			"--limits-subscriptions", "1", "--limits-topic-length", "1", "--limits-topic-levels", "1", "--limits-receive-maximum", "1",
			"--limits-inflight", "16", "--limits-session-expiry", "1s", "--limits-keep-alive", "5s", "--limits-client-id", "23",
			"--limits-connect-timeout", "100ms", "--limits-write-timeout", "100ms", "--limits-connections-per-user", "0",
		},
		{
			"--limits-subscriptions", "1000000", "--limits-topic-length", "512", "--limits-topic-levels", "32", "--limits-receive-maximum", "8192",
			"--limits-inflight", "16384", "--limits-session-expiry", "720h", "--limits-keep-alive", "12h", "--limits-client-id", "4096",
			"--limits-connect-timeout", "1m", "--limits-write-timeout", "1m", "--limits-connections-per-user", "10000000",
		},
	} {
		rig.Launch(t, args...)
	}
}
