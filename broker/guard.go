package broker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"mqttwarden/broker/internal/frame"
)

// guard stands between a connection and mochi: nothing that is malformed, out of
// order or over a limit passes, in either direction. Mochi gets one whole packet
// at a time, and has dealt with it, deliveries included, when it asks for the
// next. Only then is the client told of it: an acknowledgement never comes before
// its message has been handed to everybody.
//
// It also asks whether the client may publish what it publishes. What is read is
// judged where mochi asks.
type guard struct {
	*conn
	b        *Broker
	client   *mqtt.Client // known from OnConnect on
	session  *session     // from the moment on that its client ID is its own; nil before
	admitted bool         // its CONNECT is about to be answered with success
	bridge   bool         // the client is a broker that says so
	largest  int          // packet that the client takes, in bytes; 0: any

	exchange     atomic.Pointer[frame.Exchange] // from CONNECT on
	lastID       atomic.Uint32                  // the packet identifier that mochi gave out last
	finished     chan struct{}                  // closed when mochi's reader has been told of the end
	finishedOnce sync.Once

	// Of the goroutine that reads for mochi.
	checker  *frame.Checker
	rate     bucket    // of the client's publishes
	requests bucket    // of all else that it asks for
	working  time.Time // since when the broker deals with what has come; zero: it does not, or nobody asks
	in       input
	toMochi  handover
	current  inProgress
	deadline readDeadline
	turn     uint16        // with which the last packet identifier for mochi was found
	padded   frame.Padding // what mochi's CONNECT has that the client's does not
	refusing bool          // the connection is refused: nothing is read any more

	out output
}

// input is what has come from the client; buf[r:w] is not judged yet.
type input struct {
	buf        []byte
	r, w       int
	smallFills int // since buf has grown for a large packet
}

// handover is what mochi gets next, in this order.
type handover struct {
	ready  []byte // judged
	rest   []byte // of the same packet
	behind []byte // another packet

	head   []byte  // memory for ready, of a packet that has got a prefix
	whole  []byte  // memory for ready, of a packet that came with a topic alias
	pubrel [4]byte // memory for behind
}

// inProgress is the packet that mochi deals with.
type inProgress struct {
	received  uint16 // packet ID of a message of QoS 2, the client's; 0: it is none
	retains   bool   // it is to be retained
	published published
	wanted    []wanted // the subscriptions of a SUBSCRIBE that get what is retained
	overQuota []int    // the filters of a SUBSCRIBE that there is no room for
}

// readDeadline is that of the next packet from a client that is signed in.
type readDeadline struct {
	timed bool // mochi has set one: the client is signed in
	begun bool // the packet is waited for already
	at    time.Time
}

// output is what goes to the client.
type output struct {
	mu           sync.Mutex     // serializes what is written
	acks         []byte         // not written yet
	aliaser      *frame.Aliaser // nil: the client takes no topic aliases
	early        []byte         // messages for a client that has no CONNACK yet ([MQTT-3.2.0-1])
	awaited      uint16         // packet ID of the message whose PUBACK is kept; 0: none
	receipt      frame.Ack      // which is kept
	waiting      bool           // the reader waits for the client
	disconnected bool           // DISCONNECT was sent
}

// errRefused ends the connection of a client that broke a rule.
var errRefused = errors.New("broker: refused by the guard")

func newGuard(b *Broker, c *conn) *guard {
	return &guard{
		conn: c, b: b,
		checker:  frame.NewChecker(b.cfg.frame()),
		rate:     bucket{perSecond: b.cfg.PublishRate, burst: b.cfg.PublishBurst},
		requests: bucket{perSecond: b.cfg.RequestRate, burst: b.cfg.RequestBurst},
		finished: make(chan struct{}),
	}
}

// guardOf returns the guard of a client; nil for one that has none, which did not
// come by one of our listeners.
func guardOf(cl *mqtt.Client) *guard {
	g, _ := cl.Net.Conn.(*guard)
	return g
}

// awaitConnect waits for a CONNECT that mochi may see. Until it has come there is
// nothing of the client but its connection.
func (g *guard) awaitConnect() error { return g.next() }

// Read hands mochi what has been judged.
func (g *guard) Read(p []byte) (int, error) {
	switch {
	case len(g.toMochi.ready) > 0:
	case len(g.toMochi.rest) > 0:
		g.toMochi.ready, g.toMochi.rest = g.toMochi.rest, nil
	default:
		if err := g.next(); err != nil {
			g.finish()
			return 0, err
		}
	}
	n := copy(p, g.toMochi.ready)
	g.toMochi.ready = g.toMochi.ready[n:]
	return n, nil
}

// next makes the next packet for mochi ready.
func (g *guard) next() error {
	if len(g.toMochi.behind) > 0 {
		g.toMochi.ready, g.toMochi.behind = g.toMochi.behind, nil
		return nil
	}
	g.noteReceived()
	g.packetDone()
	for len(g.toMochi.ready) == 0 {
		if g.refusing {
			return errRefused
		}
		h, packet, n, err := g.readPacket()
		if err == nil {
			err = g.judge(h, packet, n)
		}
		if err != nil {
			return g.refuse(h, err)
		}
	}
	return nil
}

// readPacket reads the next packet of the client, which is well formed; n is the
// length of its header. The packet is good until the next call.
func (g *guard) readPacket() (h frame.Header, packet []byte, n int, err error) {
	for {
		h, n, err = frame.ParseHeader(g.in.buf[g.in.r:g.in.w])
		if err == nil {
			err = g.checker.CheckHeader(h)
		}
		size := 5 // of a header, at most
		switch {
		case errors.Is(err, frame.ErrIncomplete):
		case err != nil:
			return h, nil, n, err
		default:
			size = n + h.Remaining
			if packet = g.in.take(size); packet != nil {
				g.deadline.begun = false
				return h, packet, n, g.checker.Check(h, packet[n:])
			}
		}
		if err := g.fill(size); err != nil {
			return h, nil, n, err
		}
	}
}

// take returns the first size bytes that are not judged, nil if there are fewer.
func (in *input) take(size int) []byte {
	if in.w-in.r < size {
		return nil
	}
	packet := in.buf[in.r : in.r+size : in.r+size]
	in.r += size
	return packet
}

// noteReceived notes that mochi has the message of QoS 2 that it was given.
func (g *guard) noteReceived() {
	id := g.current.received
	if id == 0 {
		return
	}
	g.current.received = 0
	g.exchange.Load().Settle()
	if g.exchange.Load().HasReceived(id) {
		g.session.queue.received(g.session, id)
	}
}

// packetDone is called when mochi has dealt with a packet.
func (g *guard) packetDone() {
	if g.current.retains {
		g.current.retains = false
		g.b.retaining.Add(-1)
	}
	if g.current.wanted != nil {
		g.sendWanted()
	}
	if g.current.published.topic != nil {
		g.sendReceipt()
	}
}

// finish is called when mochi deals with nothing of the client any more.
func (g *guard) finish() {
	g.current.wanted = nil
	g.packetDone()
	g.finishedOnce.Do(func() { close(g.finished) })
}
