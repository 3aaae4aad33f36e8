package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
)

// What survives a restart, and what must not.

// lasting is the CONNECT of a user for a session that lasts.
func lasting(name, clientID string) mqtttest.Connect {
	c := as(name, clientID)
	c.Resume, c.Expiry = true, 3600
	return c
}

// keeper has a user that may publish what all others read.
func keeper(p *program) *program {
	p.tb.Helper()
	p.user("source", both("#"))
	return p
}

// away makes a session that subscribes to filters, and ends its connection.
func (p *program) away(version byte, c mqtttest.Connect, filters ...string) {
	p.tb.Helper()
	stored := p.metric("mqttwarden_mqtt_sessions_stored")
	cl := p.dial(version)
	cl.MustConnect(c)
	for _, f := range filters {
		cl.MustSubscribe(f, 2)
	}
	cl.Disconnect()
	p.reaches("mqttwarden_mqtt_sessions_stored", stored+1)
}

// source publishes n messages to a topic, at QoS 1 and 2 in turn if qos is 0.
func (p *program) source(topic string, n int, qos byte) {
	p.tb.Helper()
	cl := p.connect(as("source", "source"))
	for i := range n {
		q := qos
		if q == 0 {
			q = byte(1 + i%2)
		}
		wantCode(p.tb, "PUBLISH", cl.Publish(topic, fmt.Sprint(i), q, false)&^0x10, success)
	}
	cl.Disconnect()
}

// back wants a session to be there again.
func (p *program) back(version byte, c mqtttest.Connect) *mqtttest.Client {
	p.tb.Helper()
	cl := p.dial(version)
	if ack := cl.MustConnect(c); !ack.SessionPresent {
		p.tb.Fatalf("the session of %s is gone", c.ClientID)
	}
	return cl
}

// publishes returns the next n messages, which it acknowledges only then.
func publishes(cl *mqtttest.Client, n int) []packets.Packet {
	var all []packets.Packet
	for range n {
		all = append(all, cl.Expect(packets.Publish))
	}
	for _, m := range all {
		ack := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: m.PacketID}
		if m.FixedHeader.Qos == 2 {
			ack.FixedHeader.Type = packets.Pubrec
			cl.Send(ack)
			cl.Expect(packets.Pubrel)
			ack.FixedHeader.Type = packets.Pubcomp
		}
		cl.Send(ack)
	}
	return all
}

// written waits until all is on disk, if it is written at all.
func (p *program) written() {
	p.tb.Helper()
	p.reaches("mqttwarden_sessions_pending_bytes", 0)
}

// restarts says how a program is ended and started again.
var restarts = []struct {
	name string
	do   func(t *testing.T, p *program) *program
}{
	{"stopped", func(t *testing.T, p *program) *program {
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		return launchIn(t, p.dir)
	}},
	{"killed", func(t *testing.T, p *program) *program {
		p.written()
		p.kill()
		return spawn(t, p.dir)
	}},
}

func TestASessionGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	for _, r := range restarts {
		for _, version := range []byte{4, 5} {
			t.Run(fmt.Sprintf("%s, version %d", r.name, version), func(t *testing.T) {
				t.Parallel()
				p := keeper(spawn(t, usedDir(t)))
				p.user("alice", reads("a/#"))
				c := lasting("alice", "alice")
				p.away(version, c, "a/#")
				p.source("a/b", 60, 0)
				p = r.do(t, p)
				cl := p.back(version, c)
				for i, m := range publishes(cl, 60) {
					if string(m.Payload) != fmt.Sprint(i) || m.FixedHeader.Dup || m.FixedHeader.Qos != byte(1+i%2) {
						t.Fatalf("message %d: %q, QoS %d, DUP %t", i, m.Payload, m.FixedHeader.Qos, m.FixedHeader.Dup)
					}
				}
				p.source("a/c", 1, 1) // the subscription is there, too
				cl.ExpectMessage("a/c")
				if n := p.metric("mqttwarden_mqtt_inflight_messages"); n != 0 {
					t.Errorf("%v messages are still said to wait", n)
				}
			})
		}
	}
}

func TestWaitingMessagesComeInTheirOrderWithoutARestartToo(t *testing.T) {
	t.Parallel()
	for _, sessions := range []string{"on", "off"} {
		p := keeper(launch(t, "--sessions", sessions))
		p.user("alice", reads("a/#"))
		p.away(5, lasting("alice", "alice"), "a/#")
		p.source("a/b", 200, 1)
		cl := p.back(5, lasting("alice", "alice"))
		for i := range 200 {
			expect(t, cl, "a/b", fmt.Sprint(i))
		}
		cl.Disconnect()
	}
}

// The exchange of a message goes on where it was.
func TestAnExchangeGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	for _, r := range restarts {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			p := keeper(spawn(t, usedDir(t)))
			p.user("alice", both("a/#"))
			cl := p.connect(lasting("alice", "alice"))
			cl.MustSubscribe("a/#", 2)
			p.source("a/b", 3, 2)
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

			watch := p.connect(mqtttest.Connect{ClientID: "watch", Username: "admin", Password: adminPassword})
			watch.MustSubscribe("a/#", 0)
			cl = p.back(5, lasting("alice", "alice"))
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
			if ack := cl.Expect(packets.Pubcomp); ack.ReasonCode != success {
				t.Errorf("PUBCOMP %#02x", ack.ReasonCode)
			}
			p.source("a/marker", 1, 1)
			watch.ExpectMessage("a/marker") // and not a/mine a second time
		})
	}
}

func TestRetainedMessagesSurviveARestart(t *testing.T) {
	t.Parallel()
	for _, r := range restarts {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			p := keeper(spawn(t, usedDir(t)))
			cl := p.connect(as("source", "source"))
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
			p.written()
			retain("r/cleared", "", 0)
			retain("r/short", "x", 1)
			if r.name == "stopped" {
				if err := p.stop(); err != nil {
					t.Fatal(err)
				}
			} else {
				p.written()
				p.kill()
			}
			<-time.After(2 * time.Second) // r/short, which has whole seconds
			p = spawn(t, p.dir)
			cl = p.connect(as("source", "source"))
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

func TestASessionEndsInTimeOverARestart(t *testing.T) {
	t.Parallel()
	p := keeper(spawn(t, usedDir(t)))
	p.user("alice", reads("a/#"))
	short := lasting("alice", "short")
	short.Expiry = 2
	p.away(5, short, "a/#")
	p.away(5, lasting("alice", "long"), "a/#")
	ends := time.After(2 * time.Second)
	p.written()
	p.kill()
	p = spawn(t, p.dir)
	<-ends
	p.reaches("mqttwarden_mqtt_sessions_stored", 1)
	cl := p.dial(5)
	if cl.MustConnect(short).SessionPresent {
		t.Error("a session outlived its expiry")
	}
	p.back(5, lasting("alice", "long"))
	if n := p.metric("mqttwarden_mqtt_subscriptions"); n != 1 {
		t.Errorf("%v subscriptions, want one", n)
	}
	short.Resume = false
	p.away(5, short)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Second) // it ends while the server is down
	p = launchIn(t, p.dir)
	if n := p.metric("mqttwarden_mqtt_sessions_stored"); n != 1 {
		t.Errorf("%v sessions, want the long one", n)
	}
}

// Mochi's own stores bring a denied subscription back as one that is active.
func TestADeniedSubscriptionIsNotActiveAfterARestart(t *testing.T) {
	t.Parallel()
	for _, version := range []byte{4, 5} {
		p := keeper(spawn(t, usedDir(t)))
		id := p.user("alice", reads("a/#"))
		cl := p.dial(version)
		cl.MustConnect(lasting("alice", "alice"))
		cl.MustSubscribe("a/#", 1)
		if code := cl.Subscribe("secret/#", 1); code < 0x80 {
			t.Fatalf("SUBACK %#02x", code)
		}
		cl.Disconnect()
		p.written()
		p.kill()
		p = spawn(t, p.dir)
		// Allowed by now: only a new SUBSCRIBE makes it a subscription.
		p.must(http.StatusOK, "PUT", "/users/"+id, object{"roles": []string{p.role("more", reads("#"))}})
		p.source("secret/1", 1, 1)
		p.source("a/1", 1, 1)
		p.back(version, lasting("alice", "alice")).ExpectMessage("a/1")
	}
}

// What is revoked after the last commit, or while nothing is committed, acts at
// the next start all the same.
func TestWhatWasRevokedIsNotThereAfterARestart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		revoke func(p *program, id string)
		free   bool // another user may have the client ID
		back   func(p *program, id string) mqtttest.Connect
	}{
		{"user deleted", func(p *program, id string) {
			p.must(http.StatusOK, "DELETE", "/users/"+id, nil)
		}, true, func(p *program, _ string) mqtttest.Connect {
			p.user("alice", reads("#"))
			return lasting("alice", "alice")
		}},
		{"user disabled", func(p *program, id string) {
			p.must(http.StatusOK, "PUT", "/users/"+id, object{"isActive": false})
		}, true, func(p *program, id string) mqtttest.Connect {
			p.must(http.StatusOK, "PUT", "/users/"+id, object{"isActive": true})
			return lasting("alice", "alice")
		}},
		{"password changed", func(p *program, id string) {
			p.must(http.StatusOK, "PUT", "/users/"+id, object{"password": "quite another"})
		}, true, func(*program, string) mqtttest.Connect {
			c := lasting("alice", "alice")
			c.Password = "quite another"
			return c
		}},
		{"client ID not in the list any more", func(p *program, id string) {
			p.must(http.StatusOK, "PUT", "/users/"+id, object{"clientIds": []string{"other"}})
		}, true, func(p *program, id string) mqtttest.Connect {
			p.must(http.StatusOK, "PUT", "/users/"+id, object{"clientIds": []string{"alice"}})
			return lasting("alice", "alice")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, id := revoked(t, tt.revoke)
			if n := p.metric("mqttwarden_mqtt_sessions_stored"); n != 0 {
				t.Errorf("%v sessions are restored", n)
			}
			if n := p.metric("mqttwarden_mqtt_inflight_messages"); n != 0 {
				t.Errorf("%v messages still wait", n)
			}
			if n := p.metric("mqttwarden_mqtt_subscriptions"); n != 0 {
				t.Errorf("%v subscriptions are left", n)
			}
			cl := p.dial(5)
			if ack := cl.Connect(as("source", "alice")); (ack.ReasonCode == success) != tt.free {
				t.Errorf("another user with the client ID: CONNACK %#02x", ack.ReasonCode)
			}
			cl.Disconnect()
			p.reaches("mqttwarden_mqtt_clients", 0)
			cl = p.dial(5)
			if cl.MustConnect(tt.back(p, id)).SessionPresent {
				t.Error("the session is there")
			}
			cl.Ping() // and nothing comes
			// It is gone from the file, too.
			cl.Disconnect()
			p.written()
			p.kill()
			p = spawn(t, p.dir)
			if n := p.metric("mqttwarden_mqtt_inflight_messages"); n != 0 {
				t.Errorf("%v messages are back after another restart", n)
			}
		})
	}
	t.Run("right removed", func(t *testing.T) {
		t.Parallel()
		p, _ := revoked(t, func(p *program, id string) {
			p.must(http.StatusOK, "PUT", "/users/"+id, object{"roles": []string{p.role("less", reads("a/#"))}})
		})
		if ack := p.dial(5).Connect(as("source", "alice")); ack.ReasonCode != badClientID {
			t.Errorf("another user with the client ID: CONNACK %#02x, want %#02x", ack.ReasonCode, badClientID)
		}
		p.source("secret/2", 1, 1)
		p.source("a/2", 1, 1)
		cl := p.back(5, lasting("alice", "alice"))
		cl.ExpectMessage("a/1")
		cl.ExpectMessage("a/2")
		cl.Ping()
	})
}

// revoked lets messages wait for alice in a/1 and secret/1, writes that to disk,
// and kills the program after alice has lost something, before that is written.
func revoked(t *testing.T, revoke func(p *program, id string)) (p *program, id string) {
	t.Helper()
	p = keeper(spawn(t, usedDir(t)))
	role := p.role("reader", reads("a/#"), reads("secret/#"))
	id = p.userWith("alice", object{"roles": []string{role}})
	p.away(5, lasting("alice", "alice"), "a/#", "secret/#")
	p.source("a/1", 1, 1)
	p.source("secret/1", 1, 2)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = spawn(t, p.dir, "--sessions-flush", "1m")
	if n := p.metric("mqttwarden_mqtt_inflight_messages"); n != 2 {
		t.Fatalf("%v messages wait, want 2", n)
	}
	revoke(p, id)
	p.kill()
	return spawn(t, p.dir), id
}

func TestACleanStartDiscardsWhatWasRestored(t *testing.T) {
	t.Parallel()
	p := keeper(spawn(t, usedDir(t)))
	p.user("alice", reads("a/#"))
	p.away(5, lasting("alice", "alice"), "a/#")
	p.source("a/1", 5, 0)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = spawn(t, p.dir)
	c := lasting("alice", "alice")
	c.Resume = false
	cl := p.dial(5)
	if cl.MustConnect(c).SessionPresent {
		t.Error("the session is there")
	}
	cl.Ping()
	cl.Disconnect()
	p.written()
	p.kill()
	p = spawn(t, p.dir)
	p.source("a/2", 1, 1)
	p.back(5, lasting("alice", "alice")).Ping() // the session is, but empty
}

// A session that ends with its connection leaves nothing in the file.
func TestWhatEndsWithItsConnectionIsNotWritten(t *testing.T) {
	t.Parallel()
	p := keeper(launch(t))
	cl := p.connect(as("source", "here"))
	cl.MustSubscribe("a/#", 1)
	p.source("a/1", 20, 1)
	for range 20 {
		cl.ExpectMessage("a/1")
	}
	cl.Disconnect()
	p.reaches("mqttwarden_mqtt_clients", 0)
	p.written()
	if n := p.metric("mqttwarden_sessions_written_total"); n != 0 {
		t.Errorf("%v records were written", n)
	}
}

func TestSessionsOffKeepsNothing(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	if err := os.Remove(filepath.Join(dir, "sessions.db")); err != nil {
		t.Fatal(err)
	}
	p := keeper(launchIn(t, dir, "--sessions", "off"))
	p.away(5, lasting("source", "source"), "a/#")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "sessions.db")); err == nil {
		t.Error("there is a file")
	}
	if launchIn(t, p.dir, "--sessions", "off").dial(5).MustConnect(lasting("source", "source")).SessionPresent {
		t.Error("the session is there")
	}
}

func TestADamagedFileOfSessionsDoesNotStopTheStart(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	if err := os.WriteFile(filepath.Join(dir, "sessions.db"), []byte("not what it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := launchIn(t, dir)
	if !p.log.Await("file of sessions is damaged", p.done, patience) {
		t.Error("the log does not tell")
	}
	if moved, _ := filepath.Glob(filepath.Join(dir, "sessions.db.broken-*")); len(moved) != 1 {
		t.Errorf("moved aside: %q", moved)
	}
}

// TestNoMessageOvertakesAnotherWhileASessionIsTakenUp takes a session up again
// and again under a publisher that does not stop.
func TestNoMessageOvertakesAnotherWhileASessionIsTakenUp(t *testing.T) {
	t.Parallel()
	p := keeper(launch(t))
	p.user("alice", reads("a/#"))
	p.away(5, lasting("alice", "alice"), "a/#")
	const messages = 3000
	sent, room := make(chan struct{}), make(chan struct{}, 200) // fewer than may wait for a session or for its socket
	source := p.connect(as("source", "source"))
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
		cl := p.back(5, lasting("alice", "alice"))
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
		p.reaches("mqttwarden_mqtt_sessions_stored", 1)
	}
	<-sent
}
