package broker_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// diary notes what happens in which order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, fmt.Sprintf(format, args...))
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.entries, ", ")
}

// wire is a connection that hands mochi what the test puts in: no more at a read
// than was put in at once. It notes reads and writes.
type wire struct {
	diary
	in     chan []byte
	rest   []byte
	write  func(p []byte)    // what happens in a write, if not nil
	timed  func(t time.Time) // the same of SetDeadline
	closed chan struct{}
	once   sync.Once
}

func newWire() *wire { return &wire{in: make(chan []byte, 64), closed: make(chan struct{})} }

// put lets mochi read a packet.
func (w *wire) put(version byte, pk packets.Packet) { w.in <- encode(version, pk) }

func (w *wire) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		w.note("read")
		select {
		case w.rest = <-w.in:
		case <-w.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) {
	if w.write != nil {
		w.write(p)
	}
	w.note("%s", packets.PacketNames[p[0]>>4])
	return len(p), nil
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) SetDeadline(t time.Time) error {
	if w.timed != nil {
		w.timed(t)
	}
	return nil
}

func (w *wire) SetReadDeadline(time.Time) error { return nil }

func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) LocalAddr() net.Addr { return new(net.TCPAddr) }

func (w *wire) RemoteAddr() net.Addr { return new(net.TCPAddr) }

// attach gives mochi a wire on which a client connects.
func (b *bare) attach(w *wire, version byte, id string) *mqtt.Client {
	b.tb.Helper()
	b.conns.Go(func() { _ = b.EstablishConnection("bare", w) })
	w.put(version, connectAs(id))
	eventually(b.tb, "the client is there", func() bool { return strings.Contains(w.String(), "Connack") })
	cl, ok := b.Clients.Get(id)
	if !ok {
		b.tb.Fatal("mochi does not know the client")
	}
	return cl
}

// events is a hook with the events that the hook of package broker is for.
type events struct {
	open
	qosPublish func(*mqtt.Client, packets.Packet)
	subscribe  func(packets.Packet) packets.Packet
	subscribed func(codes []byte)
	encode     func(packets.Packet)
}

func (h *events) Provides(b byte) bool {
	switch b {
	case mqtt.OnQosPublish:
		return h.qosPublish != nil
	case mqtt.OnSubscribe:
		return h.subscribe != nil
	case mqtt.OnSubscribed:
		return h.subscribed != nil
	case mqtt.OnPacketEncode:
		return h.encode != nil
	default:
		return h.open.Provides(b)
	}
}

func (h *events) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	h.qosPublish(cl, pk)
}

func (h *events) OnSubscribe(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	return h.subscribe(pk)
}

func (h *events) OnSubscribed(_ *mqtt.Client, _ packets.Packet, codes []byte) { h.subscribed(codes) }

func (h *events) OnPacketEncode(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	h.encode(pk)
	return pk
}

// whole returns how many packets p holds.
func whole(tb testing.TB, p []byte) (n int) {
	for len(p) > 0 {
		size, digits := 0, 1
		for shift := 0; ; shift += 7 {
			size |= int(p[digits]&0x7F) << shift
			if digits++; p[digits-1] < 0x80 {
				break
			}
		}
		if digits+size > len(p) {
			tb.Errorf("%d bytes of a packet of %d", len(p), digits+size)
			return n
		}
		p = p[digits+size:]
		n++
	}
	return n
}
