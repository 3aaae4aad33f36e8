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
// What the client has no right to is not its business: the hook decides that.
type guard struct {
	*conn
	b *Broker

	// Of the goroutine that reads for mochi.
	checker    *frame.Checker
	client     *mqtt.Client // known from OnConnect on
	largest    int          // packet that the client takes, in bytes; 0: any
	buf        []byte       // read from the client: [r:w] is not judged yet
	r, w       int
	smallFills int    // of a buf that has grown
	ready      []byte // judged, and not handed on yet
	rest       []byte // of the same packet, behind ready
	behind     []byte // another packet, behind both
	head       []byte // where ready is, of a packet that has got a prefix
	pubrel     [4]byte
	timed      bool // mochi has set a deadline: the client is signed in
	begun      bool // the next packet is waited for already
	armed      time.Time
	rate       bucket
	turn       uint16
	receives   uint16 // packet ID of the message of QoS 2 that mochi deals with, the client's; 0: none
	retains    bool   // the packet that mochi deals with is to be retained
	padded     frame.Padding
	wanted     []wanted // of the SUBSCRIBE that mochi deals with
	overQuota  []int    // the filters of that SUBSCRIBE that there is no room for
	refusing   bool     // the connection is refused: nothing is read any more

	session  *session                       // from the moment on that its client ID is its own; nil before
	admitted bool                           // CONNECT is about to be answered with success
	exchange atomic.Pointer[frame.Exchange] // from CONNECT on
	lastID   atomic.Uint32                  // the packet identifier that mochi gave out last

	quiet     chan struct{} // closed when mochi's reader has been told of the end
	quietOnce sync.Once

	mu      sync.Mutex // serializes what is written
	acks    []byte     // for the client, not written yet
	early   []byte     // messages for the client, which has no CONNACK yet ([MQTT-3.2.0-1])
	waiting bool       // the reader waits for the client
	parted  bool       // DISCONNECT was sent
}

// errRefused ends the connection of a client that broke a rule.
var errRefused = errors.New("broker: refused by the guard")

func newGuard(b *Broker, c *conn) *guard {
	return &guard{
		conn: c, b: b,
		checker: frame.NewChecker(b.cfg.frame()),
		rate:    bucket{perSecond: b.cfg.PublishRate, burst: b.cfg.PublishBurst},
		quiet:   make(chan struct{}),
	}
}

// guardOf returns the guard of a client; nil for one that has none, which did not
// come by one of our listeners.
func guardOf(cl *mqtt.Client) *guard {
	g, _ := cl.Net.Conn.(*guard)
	return g
}

// greet waits for a CONNECT that mochi may see. Until it has come there is nothing
// of the client but its connection.
func (g *guard) greet() error {
	return g.next()
}

// Read hands mochi what has been judged.
func (g *guard) Read(p []byte) (int, error) {
	switch {
	case len(g.ready) > 0:
	case len(g.rest) > 0:
		g.ready, g.rest = g.rest, nil
	default:
		if err := g.next(); err != nil {
			g.over()
			return 0, err
		}
	}
	n := copy(p, g.ready)
	g.ready = g.ready[n:]
	return n, nil
}

// next makes the next packet for mochi ready.
func (g *guard) next() error {
	if len(g.behind) > 0 {
		g.ready, g.behind = g.behind, nil
		return nil
	}
	if id := g.receives; id != 0 {
		g.receives = 0
		g.exchange.Load().Settle()
		if g.exchange.Load().HasReceived(id) {
			g.session.queue.received(g.session, id)
		}
	}
	g.settle()
	for len(g.ready) == 0 {
		if g.refusing {
			return errRefused
		}
		h, n, err := frame.ParseHeader(g.buf[g.r:g.w])
		if err == nil {
			err = g.checker.CheckHeader(h)
		}
		switch {
		case errors.Is(err, frame.ErrIncomplete):
			if err := g.fill(5); err != nil {
				return err
			}
			continue
		case err != nil:
			return g.refuse(h, err)
		}
		total := n + h.Remaining
		if g.w-g.r < total {
			if err := g.fill(total); err != nil {
				return err
			}
			continue
		}
		packet := g.buf[g.r : g.r+total : g.r+total]
		g.r += total
		g.begun = false
		if err := g.checker.Check(h, packet[n:]); err != nil {
			return g.refuse(h, err)
		}
		if err := g.judge(h, packet, n); err != nil {
			return g.refuse(h, err)
		}
	}
	return nil
}

// over is called when mochi deals with nothing of the client any more.
func (g *guard) over() {
	g.wanted = nil
	g.settle()
	g.quietOnce.Do(func() { close(g.quiet) })
}

// settle is called when mochi has dealt with a packet.
func (g *guard) settle() {
	if g.retains {
		g.retains = false
		g.b.retaining.Add(-1)
	}
	if g.wanted != nil {
		g.sendWanted()
	}
}
