package broker_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// Peers that are after the broker's time or memory. A witness is served meanwhile,
// and nothing of them is left.

// drip writes p byte by byte until that fails, and returns how much was written.
func drip(conn net.Conn, p []byte, pause time.Duration) int {
	for i := range p {
		if _, err := conn.Write(p[i : i+1]); err != nil {
			return i
		}
		time.Sleep(pause)
	}
	return len(p)
}

// A peer that sends its CONNECT a byte at a time has no more time than others.
func TestSlowLorisOnConnect(t *testing.T) {
	inBubble(t, new(open), func(cfg *broker.Config) { cfg.ConnectTimeout = time.Second }, func(t *testing.T, b *started) {
		before := takeFootprint(b)
		w := watch(t, dialPipe(t, b, 5))
		pk := connectAs("c")
		pk.Connect.ClientIdentifier = strings.Repeat("c", 2000)
		var wg sync.WaitGroup
		for range 100 {
			c := dialPipe(t, b, 5)
			wg.Go(func() {
				if n := drip(c, encode(5, pk)[:600], 5*time.Millisecond); n > 201 {
					t.Errorf("%d bytes were taken, for longer than a second", n)
				}
			})
		}
		wg.Wait()
		w.testify(0)
		before.returns(t, 4<<20)
	})
}

// Who publishes to a client that does not read waits once, for the time-out of a
// write at most (V10).
func TestV10SlowReaderBlocksNobodyForLong(t *testing.T) {
	for _, qos := range []byte{0, 1, 2} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			const timeout = 300 * time.Millisecond
			b := start(t, new(open), func(cfg *broker.Config) { cfg.WriteTimeout = timeout })
			before := takeFootprint(b)
			w := watch(t, dial(t, b, 5))
			slow := dial(t, b, 4) // with keep alive 0
			_ = slow.Conn.(*net.TCPConn).SetReadBuffer(4096)
			slow.connect("slow", nil)
			slow.Subscribe("a", qos)
			pub := dial(t, b, 5)
			pub.connect("pub", nil)
			pk := message("a", qos, 1)
			pk.Payload = make([]byte, 32<<10)
			var longest time.Duration
			for deadline := time.Now().Add(patience); b.Stats().Clients > 2; {
				if time.Now().After(deadline) {
					t.Fatal("the slow reader is still connected")
				}
				began := time.Now()
				pub.Send(pk)
				if qos == 2 {
					pub.Expect(packets.Pubrec)
					pub.Send(ack(packets.Pubrel, 1))
					pub.Expect(packets.Pubcomp)
				}
				if qos == 1 {
					pub.Expect(packets.Puback)
				}
				pub.Ping()
				longest = max(longest, time.Since(began))
			}
			if longest > timeout+patience/2 {
				t.Errorf("a publisher waited for %v", longest)
			}
			pub.Close()
			slow.Close()
			w.testify(patience / 2)
			before.returns(t, 4<<20)
		})
	}
}

// Packets as large as they may be, from many at once.
func TestLargePacketsFromMany(t *testing.T) {
	b := start(t, new(open), nil)
	before := takeFootprint(b)
	w := watch(t, dial(t, b, 5))
	pk := message("a", 0, 0)
	pk.Payload = make([]byte, 256<<10-20)
	large := encode(5, pk)
	var wg sync.WaitGroup
	for i := range 50 {
		c := dial(t, b, 5)
		c.connect(fmt.Sprint("c", i), nil)
		wg.Go(func() {
			for range 4 {
				if _, err := c.Write(large); err != nil {
					t.Error(err)
				}
			}
			if i%2 == 0 { // one that is too large, whole or not
				_, _ = c.Write(append([]byte{0x30, 0x81, 0x80, 0x10}, large...))
			}
			_ = c.Conn.(*net.TCPConn).CloseWrite()
			for {
				if _, err := c.Next(); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	w.testify(patience / 2)
	if n := b.Stats().PacketsRefused[0x95]; n != 25 {
		t.Errorf("%d packets were refused as too large, want 25", n)
	}
	before.returns(t, 4<<20)
}

// The work for a topic is quadratic in its levels, under a lock that all need
// (V16). Filters are the hook's to refuse.
func TestV16TopicOfManyLevels(t *testing.T) {
	b := start(t, new(open), nil)
	before := takeFootprint(b)
	w := watch(t, dial(t, b, 5))
	for _, retain := range []bool{false, true} {
		for qos := range byte(3) {
			c := dial(t, b, 5)
			c.connect("c", nil)
			pk := message(strings.Repeat("/", 65535), qos, uint16(qos))
			pk.FixedHeader.Retain = retain
			for range 20 {
				c.Send(pk)
				if qos > 0 {
					if got, err := c.Next(); err != nil || got.ReasonCode != 0x90 {
						t.Fatalf("code %#02x, %v", got.ReasonCode, err)
					}
				}
			}
			c.Ping()
			c.Close()
		}
	}
	w.testify(patience / 2)
	if n := b.Stats().TopicsRefused; n != 120 {
		t.Errorf("%d publishes were refused, want 120", n)
	}
	before.returns(t, 4<<20)
}

// A SUBSCRIBE of MQTT 5 that ends after its filter makes mochi panic (V1); so no
// packet may end anywhere but at its end.
func TestV01TruncatedPacketsDoNoHarm(t *testing.T) {
	b := start(t, new(open), nil)
	before := takeFootprint(b)
	w := watch(t, dial(t, b, 5))
	for _, version := range []byte{3, 4, 5} {
		for _, pk := range samples(version, 1) {
			for cut := 2; cut < len(pk); cut++ {
				c := dial(t, b, version)
				if pk[0]>>4 != packets.Connect {
					c.Raw(helloOf(version))
					if got := c.Expect(packets.Connack).ReasonCode; got != 0 {
						t.Fatalf("CONNACK %#02x", got)
					}
				}
				if _, err := c.Write(append([]byte{pk[0], byte(cut - 2)}, pk[2:cut]...)); err != nil {
					t.Fatal(err)
				}
				_ = c.Conn.(*net.TCPConn).CloseWrite()
				for { // what is short and well formed is answered
					if _, err := c.Next(); err != nil {
						break
					}
				}
				c.Close()
			}
		}
	}
	w.testify(patience / 2)
	before.returns(t, 4<<20)
}

// helloOf returns a CONNECT in hex digits.
func helloOf(version byte) string {
	switch version {
	case 3:
		return "10 13 0006 4d5149736470 03 02 003c 0005 73746c6c6c"
	case 4:
		return "10 11 0004 4d515454 04 02 003c 0005 73746c6c6c"
	default:
		return "10 12 0004 4d515454 05 02 003c 00 0005 73746c6c6c"
	}
}

// MQTT 3 knows no DISCONNECT from a server, and a peer that only fails is not
// worth a warning (V23).
func TestV23NoDisconnectToMQTT3(t *testing.T) {
	b := start(t, new(open), nil)
	for _, version := range []byte{3, 4} {
		c := dial(t, b, version)
		c.Raw(helloOf(version))
		c.Hears("2002 0000")
		b.DisconnectByMochi(b.Client("stlll"), packets.ErrNotAuthorized)
		if rest, err := c.Next(); err == nil {
			t.Errorf("version %d: got %s", version, packets.PacketNames[rest.FixedHeader.Type])
		}
	}
	dial(t, b, 4).Close()
	c := dial(t, b, 4)
	c.Raw("10 0d 0004 4d515455 04 02 000a 0001 61")
	c.UntilEnd()
	eventually(t, "all are gone", func() bool { return b.Stats().Connections == 0 })
	for line := range strings.Lines(b.log.String()) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			t.Errorf("in the log: %s", line)
		}
	}
}

// V7.
func TestV07FiltersThatAreNone(t *testing.T) {
	b := start(t, new(open), nil)
	for _, version := range []byte{4, 5} {
		for _, filter := range []string{"a+/b", "a#", "#/a", "a/#/b", "$share//x", "$SHARE//x", "$share/g", "$share/+/x", "$Share/g/", ""} {
			c := dial(t, b, version)
			c.connect("c", nil)
			c.Send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
				Filters: packets.Subscriptions{{Filter: filter}},
			})
			got, err := c.Next()
			refused := err != nil || got.FixedHeader.Type == packets.Disconnect ||
				got.FixedHeader.Type == packets.Suback && got.ReasonCodes[0] >= 0x80
			if !refused {
				t.Errorf("version %d: %q is granted", version, filter)
			}
			c.Close()
		}
	}
}

// Mochi reads where a retained message is without the lock under which it is put
// there and taken away (V21), so it is not asked. The race detector is the judge.
func TestV21RetainedMessagesComeAndGoWhileClientsSubscribe(t *testing.T) {
	b := start(t, new(open), nil)
	w := watch(t, dial(t, b, 5))
	end := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		c := dial(t, b, 5)
		c.connect(fmt.Sprint("pub", i), nil)
		topic := fmt.Sprint("r/", i)
		kept, gone := message(topic, 0, 0), message(topic, 0, 0)
		kept.FixedHeader.Retain, gone.FixedHeader.Retain, gone.Payload = true, true, nil
		both := append(encode(5, gone), encode(5, kept)...)
		both = append(both, 0xC0, 0) // whose answer is waited for
		wg.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if _, err := c.Write(both); err != nil {
					return
				}
				if _, err := c.Next(); err != nil {
					return
				}
			}
		})
	}
	for i := range 4 {
		c := dial(t, b, 5)
		c.connect(fmt.Sprint("sub", i), nil)
		subscribe := encode(5, packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
			Filters: packets.Subscriptions{{Filter: "r/+"}},
		})
		wg.Go(func() {
			defer c.Close()
			for range 300 {
				if _, err := c.Write(subscribe); err != nil {
					return
				}
				for {
					if pk, err := c.Next(); err != nil || pk.FixedHeader.Type == packets.Suback {
						break
					}
				}
			}
		})
	}
	eventually(t, "the subscribers are through", func() bool { return b.Stats().Connections <= 5 })
	close(end)
	wg.Wait()
	w.testify(patience / 2)
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("r/+", 0)
	for range 4 {
		if pk := sub.Expect(packets.Publish); !pk.FixedHeader.Retain {
			t.Errorf("%s is not a retained message", pk.TopicName)
		}
	}
}
