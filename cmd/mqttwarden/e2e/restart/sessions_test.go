package restart

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestASessionGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	for _, r := range some(restarts) {
		for _, version := range some([]byte{4, 5}) {
			t.Run(fmt.Sprintf("%s, version %d", r.name, version), func(t *testing.T) {
				t.Parallel()
				p := keeper(r.first(t, rig.UsedDir(t)))
				p.User("alice", rig.Reads("a/#"))
				c := lasting("alice", "alice")
				away(p, version, c, "a/#")
				source(p, "a/b", 60, 0)
				p = r.do(t, p)
				cl := back(p, version, c)
				for i, m := range publishes(cl, 60) {
					if string(m.Payload) != fmt.Sprint(i) || m.FixedHeader.Dup || m.FixedHeader.Qos != byte(1+i%2) {
						t.Fatalf("message %d: %q, QoS %d, DUP %t", i, m.Payload, m.FixedHeader.Qos, m.FixedHeader.Dup)
					}
				}
				source(p, "a/c", 1, 1) // the subscription is there, too
				cl.ExpectMessage("a/c")
				if n := p.Metric("mqttwarden_mqtt_inflight_messages"); n != 0 {
					t.Errorf("%v messages are still said to wait", n)
				}
			})
		}
	}
}

func TestWaitingMessagesComeInTheirOrderWithoutARestartToo(t *testing.T) {
	t.Parallel()
	for _, sessions := range []string{"on", "off"} {
		p := keeper(rig.Launch(t, "--sessions", sessions))
		p.User("alice", rig.Reads("a/#"))
		away(p, 5, lasting("alice", "alice"), "a/#")
		source(p, "a/b", 200, 1)
		cl := back(p, 5, lasting("alice", "alice"))
		for i := range 200 {
			rig.Expect(t, cl, "a/b", fmt.Sprint(i))
		}
		cl.Disconnect()
	}
}

// The exchange of a message goes on where it was.
func TestAnExchangeGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	for _, r := range some(restarts) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			p := keeper(r.first(t, rig.UsedDir(t)))
			p.User("alice", rig.Both("a/#"))
			cl := p.Connect(lasting("alice", "alice"))
			cl.MustSubscribe("a/#", 2)
			source(p, "a/b", 3, 2)
			first, second, third := cl.Expect(packets.Publish), cl.Expect(packets.Publish), cl.Expect(packets.Publish)
			pubrec := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}}
			for _, m := range []packets.Packet{third, first} {
				pubrec.PacketID = m.PacketID
				cl.Send(pubrec)
				cl.Expect(packets.Pubrel)
			}
			// And one of the client, which it has not released.
			mine := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 2}, TopicName: "a/mine", PacketID: 77}
			cl.Send(mine)
			var own packets.Packet // it comes to the client itself, too
			for range 2 {
				if pk, err := cl.Next(); err != nil {
					t.Fatal(err)
				} else if pk.FixedHeader.Type == packets.Publish {
					own = pk
				}
			}
			if own.TopicName != "a/mine" {
				t.Fatalf("got %s", own.TopicName)
			}
			p = r.do(t, p)

			watch := p.Connect(mqtttest.Connect{ClientID: "watch", Username: "admin", Password: rig.AdminPassword})
			watch.MustSubscribe("a/#", 0)
			cl = back(p, 5, lasting("alice", "alice"))
			var again, released []uint16
			for range 4 {
				pk, err := cl.Next()
				if err != nil {
					t.Fatal(err)
				}
				switch pk.FixedHeader.Type {
				case packets.Publish:
					if !pk.FixedHeader.Dup {
						t.Errorf("%s is sent again without DUP", pk.TopicName)
					}
					again = append(again, pk.PacketID)
				case packets.Pubrel:
					released = append(released, pk.PacketID)
				default:
					t.Fatalf("got packet type %d", pk.FixedHeader.Type)
				}
			}
			if want := []uint16{second.PacketID, own.PacketID}; !slices.Equal(again, want) {
				t.Errorf("%v are sent again, want %v", again, want)
			}
			if want := []uint16{third.PacketID, first.PacketID}; !slices.Equal(released, want) {
				t.Errorf("%v are released again, want %v", released, want)
			}
			mine.FixedHeader.Dup = true
			cl.Send(mine)
			if ack := cl.Expect(packets.Pubrec); ack.PacketID != 77 || ack.ReasonCode >= 0x80 {
				t.Errorf("PUBREC %d, %#02x", ack.PacketID, ack.ReasonCode)
			}
			cl.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: 77})
			if ack := cl.Expect(packets.Pubcomp); ack.ReasonCode != rig.Success {
				t.Errorf("PUBCOMP %#02x", ack.ReasonCode)
			}
			source(p, "a/marker", 1, 1)
			watch.ExpectMessage("a/marker") // and not a/mine a second time
		})
	}
}

func TestASessionEndsInTimeOverARestart(t *testing.T) {
	t.Parallel()
	p := keeper(rig.Spawn(t, rig.UsedDir(t)))
	p.User("alice", rig.Reads("a/#"))
	short := lasting("alice", "short")
	short.Expiry = 2
	away(p, 5, short, "a/#")
	away(p, 5, lasting("alice", "long"), "a/#")
	ends := time.After(2 * time.Second)
	written(p)
	p.Kill()
	p = rig.LaunchIn(t, p.Dir)
	<-ends
	p.Reaches("mqttwarden_mqtt_sessions_stored", 1)
	cl := p.Dial(5)
	if cl.MustConnect(short).SessionPresent {
		t.Error("a session outlived its expiry")
	}
	back(p, 5, lasting("alice", "long"))
	if n := p.Metric("mqttwarden_mqtt_subscriptions"); n != 1 {
		t.Errorf("%v subscriptions, want one", n)
	}
	short.Resume = false
	away(p, 5, short)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Second) // it ends while the server is down
	p = rig.LaunchIn(t, p.Dir)
	if n := p.Metric("mqttwarden_mqtt_sessions_stored"); n != 1 {
		t.Errorf("%v sessions, want the long one", n)
	}
}

// TestNoMessageOvertakesAnotherWhileASessionIsTakenUp takes a session up again
// and again under a publisher that does not stop.
func TestNoMessageOvertakesAnotherWhileASessionIsTakenUp(t *testing.T) {
	t.Parallel()
	p := keeper(rig.Launch(t))
	p.User("alice", rig.Reads("a/#"))
	away(p, 5, lasting("alice", "alice"), "a/#")
	const messages = 3000
	sent, room := make(chan struct{}), make(chan struct{}, 200) // fewer than may wait for a session or for its socket
	source := p.Connect(rig.As("source", "source"))
	go func() {
		defer close(sent)
		for i := range messages {
			room <- struct{}{}
			source.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "a/b",
				Payload: []byte(fmt.Sprint(i)), PacketID: uint16(1 + i),
			})
			source.Expect(packets.Puback)
		}
	}()
	next := 0 // what must come now, or something that has come before
	for next < messages {
		cl := back(p, 5, lasting("alice", "alice"))
		last := -1
		for range 150 {
			if next == messages {
				break
			}
			var n int
			m := cl.Message()
			if _, err := fmt.Sscan(string(m.Payload), &n); err != nil {
				t.Fatal(err)
			}
			if n <= last || n > next {
				t.Fatalf("message %d after %d, want at most %d", n, last, next)
			}
			if last = n; n == next {
				next++
				<-room
			}
		}
		_ = cl.Close()
		p.Reaches("mqttwarden_mqtt_sessions_stored", 1)
	}
	<-sent
}
