package broker

import (
	"errors"
	"math"
	"net"
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
	behind     []byte // goes to mochi after ready
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

	ledger   *ledger                        // set before mochi knows the client by its ID
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

// guardOf returns the guard of a client, whose connection the hook may have
// wrapped; nil for one that has none.
func guardOf(cl *mqtt.Client) *guard {
	c := cl.Net.Conn
	for {
		switch t := c.(type) {
		case *guard:
			return t
		case interface{ Unwrap() net.Conn }:
			c = t.Unwrap()
		default:
			return nil
		}
	}
}

// greet waits for a CONNECT that mochi may see. Until it has come there is nothing
// of the client but its connection.
func (g *guard) greet() error {
	return g.next()
}

// Read hands mochi what has been judged.
func (g *guard) Read(p []byte) (int, error) {
	if len(g.ready) == 0 {
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
			g.ledger.received(g.client, id)
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

// judge decides what becomes of a packet that is well formed; n is the length of
// its header. It returns a *frame.Violation for one that ends the connection.
func (g *guard) judge(h frame.Header, packet []byte, n int) error {
	body := packet[n:]
	var v frame.Verdict
	switch h.Type {
	case frame.TypeConnect:
		return g.judgeConnect(h, packet)
	case frame.TypePublish:
		if !g.rate.take() {
			g.b.rated.Add(1)
			return &frame.Violation{Code: codeMessageRate, Clause: "section 4.13.2", Text: "the client publishes faster than it may"}
		}
		if code := g.b.topicCode(frame.Topic(h, body)); code != 0 {
			v = g.exchange.Load().Refuse(h, body, code)
		} else {
			v = g.exchange.Load().FromClient(h, body, g.identifier(h))
		}
	case frame.TypeDisconnect, frame.TypePingreq, frame.TypeAuth:
	default:
		v = g.exchange.Load().FromClient(h, body, g.identifier(h))
	}
	if v.Freed {
		defer g.release()
	}
	switch v.Action {
	case frame.Pass:
		if endsExchange(h, body) {
			g.ledger.done(g.client, frame.PacketID(h, body))
		}
		g.pass(h, packet, n, v.ID)
	case frame.Answer:
		if h.Type == frame.TypePubrel {
			g.ledger.settled(g.client, frame.PacketID(h, body))
		}
		g.answer(v.Ack)
	case frame.Close:
		return v.Violation
	default: // Drop
	}
	return nil
}

// endsExchange reports whether a packet of the client is the last word on a
// message to it.
func endsExchange(h frame.Header, body []byte) bool {
	const refusals = 0x80
	switch h.Type {
	case frame.TypePuback, frame.TypePubcomp:
		return true
	case frame.TypePubrec:
		return frame.ReasonCode(h, body) >= refusals
	default:
		return false
	}
}

// judgeConnect hands a CONNECT on.
func (g *guard) judgeConnect(h frame.Header, packet []byte) error {
	body := packet[len(packet)-h.Remaining:]
	view, err := frame.ParseConnect(body)
	if err != nil {
		return err
	}
	g.exchange.Store(frame.NewExchange(view.Version, view.ReceiveMaximum, g.b.cfg.ReceiveMaximum))
	g.ready = packet
	h, body, changed := g.checker.Normalize(h, body)
	if h, body, g.padded = frame.Pad(h, body, &view); changed || g.padded != (frame.Padding{}) {
		g.ready = append(h.Append(nil), body...)
	}
	return nil
}

// identifier returns the packet identifier that a request is handed on with: one
// that mochi uses for nothing now, and will not use for anything before it has
// answered. It gives identifiers out in turn, so that is one half a turn away.
// There is always one: neither what the client may have under way nor what waits
// for it fills that half (maxInflight, maxReceive). It is 0 for other packets.
func (g *guard) identifier(h frame.Header) uint16 {
	switch h.Type {
	case frame.TypePublish:
		if h.QoS() == 0 {
			return 0
		}
	case frame.TypeSubscribe, frame.TypeUnsubscribe:
	default:
		return 0
	}
	for {
		g.turn = (g.turn + 1) % math.MaxInt16
		id := g.turn + 1
		if g.lastID.Load() <= math.MaxInt16 {
			id = math.MaxUint16 - g.turn
		}
		if _, used := g.client.State.Inflight.Get(id); !used {
			return id
		}
	}
}

// pass makes a packet ready for mochi, with another packet identifier if id is
// not 0.
func (g *guard) pass(h frame.Header, packet []byte, n int, id uint16) {
	body := packet[n:]
	client := frame.PacketID(h, body)
	if id != 0 {
		frame.SetPacketID(h, body, id)
	}
	if h.Type == frame.TypePublish {
		if h.Retain() && !g.retains {
			g.retains = true
			g.b.retaining.Add(1)
		}
		if h.QoS() == 2 {
			g.receives = client
			g.behind = frame.Ack{Type: frame.TypePubrel, PacketID: id}.Append(g.pubrel[:0], frame.Level5)
		}
	}
	g.ready = packet
	if h, body, changed := g.checker.Normalize(h, body); changed {
		g.ready = append(h.Append(nil), body...)
	}
}
