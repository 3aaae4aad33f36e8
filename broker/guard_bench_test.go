package broker

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// feed is a connection from which the same bytes come again and again.
type feed struct {
	net.Conn
	again []byte
	at    int
	sent  int
}

func (f *feed) Read(p []byte) (int, error) {
	n := copy(p, f.again[f.at:])
	f.at = (f.at + n) % len(f.again)
	return n, nil
}

func (f *feed) Write(p []byte) (int, error) { f.sent += len(p); return len(p), nil }

func (f *feed) SetReadDeadline(time.Time) error { return nil }

func (f *feed) SetWriteDeadline(time.Time) error { return nil }

func (f *feed) Close() error { return nil }

func (f *feed) RemoteAddr() net.Addr { return new(net.TCPAddr) }

// signedIn returns the guard of a client that is signed in with a CONNECT, and
// the connection below it.
func signedIn(tb testing.TB, connect string) (*guard, *feed) {
	tb.Helper()
	b, err := New(Config{PublishRate: 1e6, PublishBurst: 1e9}, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	f := &feed{again: []byte(connect)}
	c := newConn(f, new(listener), b.cfg, b.admission)
	g := newGuard(b, c)
	if _, err := io.ReadFull(g, make([]byte, len(connect))); err != nil {
		tb.Fatal(err)
	}
	g.client = b.srv.NewClient(nil, "", "c", false)
	g.client.State.Keepalive = 60
	g.client.Net.Conn = g
	g.session = newSession(g, &aLogin{user: "u"}, true)
	g.deadline.timed = true
	if _, err := g.Write([]byte{0x20, 3, 0, 0, 0}); err != nil {
		tb.Fatal(err)
	}
	return g, f
}

const connect5 = "\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01c"

// turns are what happens for one packet, or a pair that belongs together.
func turns(tb testing.TB) map[string]func() {
	packet := make([]byte, 10<<10)
	read := func(g *guard, f *feed, again string, more int) func() {
		f.again, f.at = []byte(again), 0
		return func() {
			if _, err := io.ReadFull(g, packet[:len(again)+more]); err != nil {
				tb.Fatal(err)
			}
		}
	}
	write := func(g *guard, p string) func() {
		sent := []byte(p)
		return func() {
			if _, err := g.Write(sent); err != nil {
				tb.Fatal(err)
			}
		}
	}
	const qos0, qos1 = "\x30\x0a\x00\x03a/b\x00data", "\x32\x0c\x00\x03a/b\x00\x07\x00data"
	all := make(map[string]func())

	g, f := signedIn(tb, connect5)
	all["PUBLISH QoS 0 from the client"] = read(g, f, qos0, 0)

	g, f = signedIn(tb, connect5)
	g.session.login = &aLogin{user: "u", prefix: "site/"}
	prefixed := read(g, f, qos0, len("site/"))
	all["PUBLISH QoS 0 with a prefix"] = prefixed

	g, f = signedIn(tb, connect5)
	all["PUBLISH of 8 KiB from the client"] = read(g, f, "\x30\x86\x40\x00\x03a/b\x00"+strings.Repeat("x", 8192), 0)

	g, f = signedIn(tb, connect5)
	publish := read(g, f, qos1, 0)
	puback := []byte{0x40, 2, 0, 0}
	answered := g
	all["PUBLISH QoS 1 from the client and PUBACK"] = func() {
		publish()
		copy(puback[2:], packet[7:9]) // as mochi answers: with the identifier it was given
		if _, err := answered.Write(puback); err != nil {
			tb.Fatal(err)
		}
	}

	g, _ = signedIn(tb, connect5)
	all["PUBLISH QoS 0 to the client"] = write(g, qos0)

	g, f = signedIn(tb, connect5)
	deliver, taken := write(g, qos1), read(g, f, "\x40\x02\x00\x07", 0)
	all["PUBLISH QoS 1 to the client and PUBACK"] = func() { deliver(); taken() }

	g, f = signedIn(tb, connect5)
	all["PINGREQ"] = read(g, f, "\xc0\x00", 0)
	return all
}

// TestGuardDoesNotAllocate: in the steady state no packet costs memory.
func TestGuardDoesNotAllocate(t *testing.T) {
	for name, turn := range turns(t) {
		for range 100 {
			turn()
		}
		if got := testing.AllocsPerRun(1000, turn); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	for name, turn := range turns(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				turn()
			}
		})
	}
}

var _ net.Conn = (*guard)(nil)

var _ mqtt.Hook = (*mochiHook)(nil)
