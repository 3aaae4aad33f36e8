package authhook_test

import (
	"fmt"
	"strings"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"

	"mqttwarden/broker/mqtttest"
)

func TestV20ClientIDs(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice")
	r.user("fleet")
	r.change("fleet", func(rec *account) { rec.User.ClientIDs = []string{"gw-+", "${username}"} })
	for _, tt := range []struct {
		name, user, id string
		ok             bool
	}{
		{"an ordinary one", "alice", "sensor 1", true},
		{"one with a slash", "alice", "plant/1", true},
		{"one of 256 bytes", "alice", strings.Repeat("a", 256), true},
		{"one of 257 bytes", "alice", strings.Repeat("a", 257), false},
		{"base64", "alice", "q83vEjRWeJq+/w==", true},
		{"a wildcard", "alice", "a+", true},
		{"another wildcard", "alice", "#", true},
		{"a wildcard and a list", "fleet", "gw-#", true},
		{"a wildcard that is not in the list", "fleet", "+", false},
		{"the inline client's", "alice", "inline", false},
		{"a dollar", "alice", "$SYS", false},
		{"one of the user's list", "fleet", "gw-7", true},
		{"the user's own name", "fleet", "fleet", true},
		{"one that is not in the list", "fleet", "sensor", false},
	} {
		for version, refused := range map[byte]byte{4: 2, 5: 0x85} {
			t.Run(fmt.Sprintf("%s, version %d", tt.name, version), func(t *testing.T) {
				want := refused
				if tt.ok {
					want = 0
				}
				c := mqtttest.Dial(t, r.Addr("mqtt").String(), version)
				if ack := c.Connect(as(tt.user, tt.id)); ack.ReasonCode != want {
					t.Errorf("CONNACK %#02x, want %#02x", ack.ReasonCode, want)
				}
			})
		}
	}
	// A control character does not come so far; MQTT 3 is not told why.
	if ack := r.dial(5).Connect(as("alice", "a\nb")); ack.ReasonCode != 0x85 {
		t.Errorf("a newline: CONNACK %#02x, want 0x85", ack.ReasonCode)
	}
	c := r.dial(4)
	c.Send(as("alice", "a\nb").Packet(4))
	c.ExpectEnd()
}

// A client ID with a wildcard is a name like any other: ${clientid} stands for
// none, or whoever chose it would be let in everywhere.
func TestClientIDWithAWildcardIsNoPlaceholdersValue(t *testing.T) {
	r := newRig(t, nil)
	r.user("fleet", both("t/${clientid}"), both("t/${clientid}/#"), both("own"))
	r.change("fleet", func(rec *account) { rec.User.ClientIDs = []string{"+"} })
	for _, id := range []string{"+", "#", "a+", "a#", "+/+"} {
		t.Run(id, func(t *testing.T) {
			c := r.dial(5)
			if code := c.Connect(as("fleet", id)).ReasonCode; strings.Contains(id, "/") {
				if code != 0x85 { // the list is one level
					t.Errorf("CONNACK %#02x, want 0x85", code)
				}
				return
			}
			for _, filter := range []string{"t/+", "t/#", "t/+/#", "t/a", "t/a/#"} {
				if code := c.Subscribe(filter, 0); code != 0x87 {
					t.Errorf("SUBACK for %s: %#02x, want 0x87", filter, code)
				}
			}
			for _, topic := range []string{"t/a", "t/a/b"} {
				if code := c.Publish(topic, "x", 1, false); code != 0x87 {
					t.Errorf("PUBACK for %s: %#02x, want 0x87", topic, code)
				}
			}
			if code := c.Subscribe("own", 0); code != 0 {
				t.Errorf("what has no placeholder is lost: %#02x", code)
			}
		})
	}
	c := r.dial(5)
	c.MustConnect(as("fleet", "a"))
	c.MustSubscribe("t/a/#", 0)
}

func TestServerChoosesTheClientID(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice", both("a/#"))
	ack := r.dial(5).MustConnect(as("alice", ""))
	if ack.Properties.AssignedClientID == "" {
		t.Error("no assigned client ID [MQTT-3.2.2-16]")
	}
	r.dial(4).MustConnect(as("alice", ""))
	r.settle(2, 0)
	r.user("fleet")
	r.change("fleet", func(rec *account) { rec.User.ClientIDs = []string{"gw-1"} })
	if ack := r.dial(5).Connect(as("fleet", "")); ack.ReasonCode != 0x85 {
		t.Errorf("a user with a list got an ID that is not in it: CONNACK %#02x", ack.ReasonCode)
	}
}

func TestV17ClientIDBelongsToTheUserOfItsSession(t *testing.T) {
	for _, live := range []bool{true, false} {
		for _, resume := range []bool{true, false} {
			for version, want := range map[byte]byte{4: 2, 5: 0x85} {
				t.Run(fmt.Sprintf("live=%t resume=%t version=%d", live, resume, version), func(t *testing.T) {
					r := newRig(t, nil)
					r.user("alice", both("a/#"))
					r.user("mallory", both("#"))
					r.user("pub", both("#"))
					alice := r.dial(5)
					o := as("alice", "c")
					o.Resume, o.Expiry = true, 600
					alice.MustConnect(o)
					alice.MustSubscribe("a/#", 1)
					if !live {
						alice.Disconnect()
						r.settle(0, 1)
					}

					thief := as("mallory", "c")
					thief.Resume, thief.Expiry = resume, 600
					if ack := r.dial(version).Connect(thief); ack.ReasonCode != want {
						t.Errorf("CONNACK %#02x, want %#02x", ack.ReasonCode, want)
					}

					pub := r.connect(4, "pub", "pub")
					pub.Publish("a/1", "x", 1, false)
					pub.Ping() // it has been routed; the PUBACK came before that
					if !live {
						alice = r.dial(5)
						if ack := alice.MustConnect(o); !ack.SessionPresent {
							t.Error("alice's session is gone")
						}
					}
					alice.ExpectMessage("a/1")
				})
			}
		}
	}
}

func TestClientIDIsFreeWhenItsSessionHasEnded(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice")
	r.user("bob")
	r.connect(5, "alice", "c").Disconnect()
	r.settle(0, 0)
	r.connect(4, "bob", "c")
}

// Mochi keeps a client of its own under this ID, and would let another take its
// place (V8 of its defects).
func TestV08IDOfTheInlineClientIsReserved(t *testing.T) {
	r := newRig(t, nil)
	r.user("alice")
	for version, want := range map[byte]byte{4: 2, 5: 0x85} {
		if ack := r.dial(version).Connect(as("alice", mqtt.InlineClientId)); ack.ReasonCode != want {
			t.Errorf("version %d: CONNACK %#02x, want %#02x", version, ack.ReasonCode, want)
		}
	}
}
