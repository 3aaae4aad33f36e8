package broker

import (
	"context"

	"mqttwarden/broker/internal/frame"
)

// takeRequest takes note of a packet with which the client asks for an answer, and
// returns a violation if it does so faster than it may. Publishes have their own
// limit.
func (g *guard) takeRequest(h frame.Header) error {
	if g.requests.take() {
		return nil
	}
	g.b.count.ratesExceeded.Add(1)
	return &frame.Violation{Code: codeMessageRate, Clause: "section 4.13.2", Text: "the client sends " + h.Type.String() + " faster than it may"}
}

// pings meters the pings of a WebSocket, each of which is answered (RFC 6455 section
// 5.5.2). They come to the goroutine that reads from the client.
type pings struct {
	c     *conn
	rates *counters
	may   bucket
}

// received is told of a ping, and reports whether it is to be answered. A client that
// sends them faster than it may is cut.
func (p *pings) received(context.Context, []byte) bool {
	if p.may.take() {
		return true
	}
	p.rates.ratesExceeded.Add(1)
	_ = p.c.drop()
	return false
}
