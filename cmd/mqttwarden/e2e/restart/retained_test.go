package restart

import (
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestRetainedMessagesSurviveARestart(t *testing.T) {
	t.Parallel()
	for _, r := range some(restarts) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			p := keeper(r.first(t, rig.UsedDir(t)))
			cl := p.Connect(rig.As("source", "source"))
			retain := func(topic, payload string, expiry uint32) {
				t.Helper()
				pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, TopicName: topic, Payload: []byte(payload), PacketID: cl.NextID()}
				pk.Properties.MessageExpiryInterval = expiry
				pk.Properties.ContentType = "text/plain"
				pk.Properties.User = []packets.UserProperty{{Key: "k", Val: "v"}}
				cl.Send(pk)
				cl.Expect(packets.Puback)
			}
			retain("r/stays", "old", 0)
			retain("r/stays", "new", 3600)
			retain("r/cleared", "x", 0)
			written(p)
			retain("r/cleared", "", 0)
			retain("r/short", "x", 1)
			if r.name == "stopped" {
				if err := p.Stop(); err != nil {
					t.Fatal(err)
				}
			} else {
				written(p)
				p.Kill()
			}
			<-time.After(2 * time.Second) // r/short, which has whole seconds
			p = rig.LaunchIn(t, p.Dir)
			cl = p.Connect(rig.As("source", "source"))
			cl.MustSubscribe("r/#", 1)
			m := cl.ExpectMessage("r/stays")
			left := m.Properties.MessageExpiryInterval
			if string(m.Payload) != "new" || !m.FixedHeader.Retain || left == 0 || left >= 3600 ||
				m.Properties.ContentType != "text/plain" || len(m.Properties.User) != 1 {
				t.Errorf("got %q, retain %t, %+v", m.Payload, m.FixedHeader.Retain, m.Properties)
			}
			cl.Ping() // nothing else
		})
	}
}
