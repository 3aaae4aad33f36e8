package hostile

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// Clients that connect at the same time with one client ID: one stays, the others
// are gone (V12 of mochi's defects).
func TestV12OneConnectionForEachClientID(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 20
	}
	p := rig.Launch(t)
	p.User("alice", rig.Both("a/#"))
	witness := p.Connect(rig.As("alice", "witness"))
	for round := range rounds {
		var clients [4]*mqtttest.Client
		for i := range clients {
			clients[i] = p.Dial(byte(4 + i%2))
		}
		var wg sync.WaitGroup
		for i, c := range clients {
			o := rig.As("alice", fmt.Sprint("c", round%7))
			o.Resume, o.Expiry = (round+i)%3 == 0, 60*uint32(i%2)
			b := o.Packet(c.Version)
			wg.Go(func() {
				b.ProtocolVersion = c.Version
				_, _ = c.Write(mqtttest.Encode(b))
			})
		}
		wg.Wait()
		for _, c := range clients {
			_, _ = c.Next() // the CONNACK, or the end
		}
		served := 0
		for _, c := range clients {
			if isServed(c) {
				served++
			}
		}
		if served != 1 {
			t.Fatalf("round %d: %d connections are served, want 1", round, served)
		}
		for _, c := range clients {
			_ = c.Close()
		}
		witness.Ping()
	}
	p.Reaches("mqttwarden_mqtt_connections", 1)
	p.Reaches("mqttwarden_mqtt_clients", 1)
}

// A client that comes back at once is known, though mochi is about to forget the
// client of that ID that was there before; and it does not wait for that.
func TestV12ClientThatComesBackAtOnceIsKnown(t *testing.T) {
	p := rig.Launch(t)
	p.User("alice", rig.Both("a/#"))
	late := 0
	for round := range 500 {
		c := p.Dial(byte(4 + round%2))
		o := rig.As("alice", "c")
		o.Resume = round%3 == 0
		began := time.Now()
		c.MustConnect(o)
		if time.Since(began) > 150*time.Millisecond { // the time for last words is 200 ms
			late++
		}
		topic := fmt.Sprint("a/", round%2)
		c.MustSubscribe(topic, 0)
		c.Publish(topic, fmt.Sprint(round), 0, false)
		rig.Expect(t, c, topic, fmt.Sprint(round))
		_ = c.Close()
	}
	if late > 5 { // that much is the machine's
		t.Errorf("%d of 500 had to wait", late)
	}
}

// isServed reports whether the broker still answers c.
func isServed(c *mqtttest.Client) bool {
	_, _ = c.Write([]byte{packets.Pingreq << 4, 0})
	for {
		pk, err := c.Next()
		if err != nil || pk.FixedHeader.Type == packets.Pingresp {
			return err == nil
		}
	}
}

// The work for a filter is quadratic in its levels, under a lock that all need
// (V16): a witness must not notice.
func TestV16FiltersOfManyLevels(t *testing.T) {
	p := rig.Launch(t)
	p.User("mallory", rig.Both("#"), rig.Reads("+/#"))
	p.User("alice", rig.Both("a/#"))
	witness := p.Connect(rig.As("alice", "witness"))
	witness.MustSubscribe("a/#", 0)
	deep := strings.Repeat("/", 65535)
	began := time.Now()
	for _, version := range []byte{4, 5} {
		for _, filter := range []string{deep, deep[1:] + "+", deep[1:] + "#", strings.Repeat("+/", 32767) + "+", "$share/g/" + deep[9:]} {
			c := p.Dial(version)
			c.MustConnect(rig.As("mallory", "m"))
			if code := c.Subscribe(filter, 0); code < 0x80 {
				t.Errorf("%.10s of %d bytes is granted", filter, len(filter))
			}
			id := c.NextID()
			c.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: id,
				Filters: packets.Subscriptions{{Filter: filter}},
			})
			c.Expect(packets.Unsuback)
			_ = c.Close()
		}
		c := p.Dial(version)
		c.MustConnect(rig.As("mallory", "m"))
		c.Publish(deep, "x", 1, true)
		_ = c.Close()
		o := rig.As("mallory", "w")
		o.Will = &mqtttest.Will{Topic: deep[:7000], Payload: "x"}
		if code := p.Dial(version).Connect(o).ReasonCode; code == rig.Success {
			t.Error("a will on a topic of 7,000 levels is accepted")
		}
		witness.Publish("a/1", "x", 0, false)
		rig.Expect(t, witness, "a/1", "x")
	}
	if took := time.Since(began); took > rig.Patience/3 {
		t.Errorf("it took %v", took)
	}
	p.Reaches("mqttwarden_mqtt_subscriptions", 1)
	p.Reaches("mqttwarden_mqtt_retained_messages", p.Metric("mqttwarden_mqtt_retained_messages"))
}

// Nothing is left of connections that are killed at any point, however often.
func TestKilledConnectionsLeaveNothing(t *testing.T) {
	cycles := 10_000
	if testing.Short() {
		cycles = 1_000
	}
	p := rig.Launch(t)
	p.User("alice", rig.Both("a/#"))
	var ids []string
	for _, name := range []string{"bob", "carol"} {
		ids = append(ids, p.User(name, rig.Both("b/#")))
	}
	witness := p.Connect(rig.As("alice", "witness"))
	witness.MustSubscribe("a/#", 0)
	kill := func(from, to int) {
		t.Helper()
		var next atomic.Int64
		next.Store(int64(from))
		storm := make(chan struct{})
		go func() {
			defer close(storm)
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(to); i = next.Add(1) {
						if err := connectAndKill(p.URLs["mqtt"], int(i)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		}()
		for n := 0; ; n++ {
			began := time.Now()
			witness.Publish("a/1", fmt.Sprint(n), 0, false)
			rig.Expect(t, witness, "a/1", fmt.Sprint(n))
			if took := time.Since(began); took > rig.Patience/3 {
				t.Errorf("a message took %v", took)
			}
			select {
			case <-storm:
				p.Reaches("mqttwarden_mqtt_connections", 1)
				p.Reaches("mqttwarden_mqtt_clients", 1)
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
	kill(0, cycles/10) // so that what stays for good is there
	goroutines, heap := footprint(p)
	kill(cycles/10, cycles)
	after := time.Now()
	for {
		now, _ := footprint(p)
		if now <= goroutines {
			break
		}
		if time.Since(after) > rig.Patience {
			t.Fatalf("%d goroutines, %d before", now, goroutines)
		}
	}
	if _, now := footprint(p); now > heap+(8<<20) {
		t.Errorf("the heap has grown from %d to %d KiB", heap>>10, now>>10)
	}
	for _, id := range ids {
		p.Must(http.StatusOK, "DELETE", "/users/"+id, nil)
	}
	p.Reaches("mqttwarden_mqtt_sessions_stored", 0)
	p.Reaches("mqttwarden_mqtt_inflight_messages", 0)
	p.Reaches("mqttwarden_mqtt_subscriptions", 1)
	p.Reaches("mqttwarden_mqtt_panics_total", 0)
}

// footprint returns how many goroutines there are and how much memory is in use.
func footprint(p *rig.Program) (goroutines int, heap uint64) {
	p.Client.CloseIdleConnections()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}

// connectAndKill opens a connection and ends it, at a point and in a way that
// depend on i.
func connectAndKill(addr string, i int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if i%2 == 0 {
		_ = conn.(*net.TCPConn).SetLinger(0) // it ends with RST, not with FIN
	}
	version := byte(4 + i/2%2)
	o := rig.As([]string{"bob", "carol"}[i%2], fmt.Sprint([]string{"b", "c"}[i%2], i%40))
	o.Will = &mqtttest.Will{Topic: "b/will", Payload: "gone", QoS: 1}
	if i%50 < 2 { // seldom, for what waits for them is sent each time
		o.Resume, o.Expiry = true, 600
		o.ClientID = fmt.Sprint("stored-", o.Username, i%4)
	}
	connect := o.Packet(version)
	connect.ProtocolVersion = version
	hello := mqtttest.Encode(connect)
	publish := mqtttest.Encode(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: byte(i % 3)}, ProtocolVersion: version,
		TopicName: "b/1", PacketID: uint16(i % 3), Payload: make([]byte, 100),
	})
	subscribe := mqtttest.Encode(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: version, PacketID: 9,
		Filters: packets.Subscriptions{{Filter: "b/1", Qos: 2}, {Filter: "$share/g/b/#", Qos: 1}},
	})
	connack := true
	switch i / 4 % 7 {
	case 0: // when it is accepted
		return nil
	case 1: // in the middle of CONNECT
		_, _ = conn.Write(hello[:len(hello)/2])
		return nil
	case 2: // before CONNACK
		connack = false
		_, _ = conn.Write(hello)
	default:
		_, _ = conn.Write(hello)
	}
	if !connack {
		return nil
	}
	_ = conn.SetReadDeadline(time.Now().Add(rig.Patience))
	if _, err := conn.Read(make([]byte, 4)); err != nil {
		return nil // another with the same client ID came first
	}
	switch i / 4 % 7 {
	case 4: // in the middle of PUBLISH
		_, _ = conn.Write(publish[:len(publish)/2])
	case 5: // with messages under way
		_, _ = conn.Write(append(subscribe, publish...))
	case 6: // the same, and its own messages are coming
		_, _ = conn.Write(append(subscribe, publish...))
		_, _ = conn.Read(make([]byte, 16))
	}
	return nil
}
