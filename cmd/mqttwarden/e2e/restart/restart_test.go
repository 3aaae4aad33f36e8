package restart

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// What survives a restart, and what must not.

// lasting is the CONNECT of a user for a session that lasts.
func lasting(name, clientID string) mqtttest.Connect {
	c := rig.As(name, clientID)
	c.Resume, c.Expiry = true, 3600
	return c
}

// keeper has a user that may publish what all others read.
func keeper(p *rig.Program) *rig.Program {
	p.TB.Helper()
	p.User("source", rig.Both("#"))
	return p
}

// away makes a session that subscribes to filters, and ends its connection.
func away(p *rig.Program, version byte, c mqtttest.Connect, filters ...string) {
	p.TB.Helper()
	stored := p.Metric("mqttwarden_mqtt_sessions_stored")
	cl := p.Dial(version)
	cl.MustConnect(c)
	for _, f := range filters {
		cl.MustSubscribe(f, 2)
	}
	cl.Disconnect()
	p.Reaches("mqttwarden_mqtt_sessions_stored", stored+1)
}

// source publishes n messages to a topic, at QoS 1 and 2 in turn if qos is 0.
func source(p *rig.Program, topic string, n int, qos byte) {
	p.TB.Helper()
	cl := p.Connect(rig.As("source", "source"))
	for i := range n {
		q := qos
		if q == 0 {
			q = byte(1 + i%2)
		}
		rig.WantCode(p.TB, "PUBLISH", cl.Publish(topic, fmt.Sprint(i), q, false)&^0x10, rig.Success)
	}
	cl.Disconnect()
}

// back wants a session to be there again.
func back(p *rig.Program, version byte, c mqtttest.Connect) *mqtttest.Client {
	p.TB.Helper()
	cl := p.Dial(version)
	if ack := cl.MustConnect(c); !ack.SessionPresent {
		p.TB.Fatalf("the session of %s is gone", c.ClientID)
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
func written(p *rig.Program) {
	p.TB.Helper()
	p.Reaches("mqttwarden_sessions_pending_bytes", 0)
}

// some returns all ways to do a thing, or the last one when time is short.
func some[T any](ways []T) []T {
	if testing.Short() {
		return ways[len(ways)-1:]
	}
	return ways
}

// restarts says how a program is started, ended and started again. Only a process
// can be killed.
var restarts = []struct {
	name  string
	first func(tb testing.TB, dir string, args ...string) *rig.Program
	do    func(t *testing.T, p *rig.Program) *rig.Program
}{
	{"stopped", rig.LaunchIn, func(t *testing.T, p *rig.Program) *rig.Program {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		return rig.LaunchIn(t, p.Dir)
	}},
	{"killed", rig.Spawn, func(t *testing.T, p *rig.Program) *rig.Program {
		written(p)
		p.Kill()
		return rig.LaunchIn(t, p.Dir)
	}},
}

func TestACleanStartDiscardsWhatWasRestored(t *testing.T) {
	t.Parallel()
	p := keeper(rig.LaunchIn(t, rig.UsedDir(t)))
	p.User("alice", rig.Reads("a/#"))
	away(p, 5, lasting("alice", "alice"), "a/#")
	source(p, "a/1", 5, 0)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p = rig.Spawn(t, p.Dir)
	c := lasting("alice", "alice")
	c.Resume = false
	cl := p.Dial(5)
	if cl.MustConnect(c).SessionPresent {
		t.Error("the session is there")
	}
	cl.Ping()
	cl.Disconnect()
	written(p)
	p.Kill()
	p = rig.LaunchIn(t, p.Dir)
	source(p, "a/2", 1, 1)
	back(p, 5, lasting("alice", "alice")).Ping() // the session is, but empty
}

// A session that ends with its connection leaves nothing in the file.
func TestWhatEndsWithItsConnectionIsNotWritten(t *testing.T) {
	t.Parallel()
	p := keeper(rig.Launch(t))
	cl := p.Connect(rig.As("source", "here"))
	cl.MustSubscribe("a/#", 1)
	source(p, "a/1", 20, 1)
	for range 20 {
		cl.ExpectMessage("a/1")
	}
	cl.Disconnect()
	p.Reaches("mqttwarden_mqtt_clients", 0)
	written(p)
	if n := p.Metric("mqttwarden_sessions_written_total"); n != 0 {
		t.Errorf("%v records were written", n)
	}
}

func TestSessionsOffKeepsNothing(t *testing.T) {
	t.Parallel()
	dir := rig.UsedDir(t)
	if err := os.Remove(filepath.Join(dir, "sessions.db")); err != nil {
		t.Fatal(err)
	}
	p := keeper(rig.LaunchIn(t, dir, "--sessions", "off"))
	away(p, 5, lasting("source", "source"), "a/#")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "sessions.db")); err == nil {
		t.Error("there is a file")
	}
	if rig.LaunchIn(t, p.Dir, "--sessions", "off").Dial(5).MustConnect(lasting("source", "source")).SessionPresent {
		t.Error("the session is there")
	}
}

func TestADamagedFileOfSessionsDoesNotStopTheStart(t *testing.T) {
	t.Parallel()
	dir := rig.UsedDir(t)
	if err := os.WriteFile(filepath.Join(dir, "sessions.db"), []byte("not what it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := rig.LaunchIn(t, dir)
	if !p.Log.Await("file of sessions is damaged", p.Done, rig.Patience) {
		t.Error("the log does not tell")
	}
	if moved, _ := filepath.Glob(filepath.Join(dir, "sessions.db.broken-*")); len(moved) != 1 {
		t.Errorf("moved aside: %q", moved)
	}
}
