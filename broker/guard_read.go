package broker

import (
	"net"
	"time"
)

// fill reads more from the client: until there are want bytes that are not
// judged, or at least some more.
func (g *guard) fill(want int) error {
	if err := g.await(true); err != nil {
		return err
	}
	if err := g.endWork(); err != nil {
		return err
	}
	g.makeRoom(want)
	if err := g.setKeepAlive(); err != nil {
		return err
	}
	n, err := g.conn.Read(g.in.buf[g.in.w:])
	g.in.w += n
	_ = g.await(false)
	g.beginWork()
	if n > 0 {
		return nil
	}
	return err
}

// await sends what has been acknowledged, before the client is waited for.
func (g *guard) await(client bool) error {
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	g.out.waiting = client
	return g.flush()
}

// A buffer that has grown for a large packet is kept for the next one, if it is
// not larger than keptBuffers small ones, until keptFills small packets have come.
const (
	keptBuffers = 8
	keptFills   = 16
)

// makeRoom gives buf room for more bytes of a packet of want bytes. A large
// packet gets a buffer that grows with what has arrived of it: it takes what the
// client has sent twice over, not what it has promised.
func (g *guard) makeRoom(want int) {
	if g.in.r > 0 && (g.in.r == g.in.w || g.in.w == len(g.in.buf)) {
		g.in.w = copy(g.in.buf, g.in.buf[g.in.r:g.in.w])
		g.in.r = 0
	}
	small := g.b.cfg.ReadBuffer
	if want > small {
		g.in.smallFills = 0
	}
	switch {
	case g.in.buf == nil:
		g.in.buf = make([]byte, small)
	case g.in.w == len(g.in.buf):
		g.resize(min(2*len(g.in.buf), max(want, small)))
	case len(g.in.buf) > small && g.in.w <= small && want <= small: // the large packet is over
		if g.in.smallFills++; len(g.in.buf) > keptBuffers*small || g.in.smallFills > keptFills {
			g.resize(small)
		}
	}
}

func (g *guard) resize(n int) {
	buf := make([]byte, n)
	g.in.w = copy(buf, g.in.buf[g.in.r:g.in.w])
	g.in.r, g.in.buf = 0, buf
}

// SetDeadline takes note that mochi allows the client a keep alive's time for
// its next packet. The deadline itself is set when the client is waited for.
func (g *guard) SetDeadline(time.Time) error {
	g.deadline.timed = true
	return nil
}

// setKeepAlive sets the deadline for the next packet from a client that is signed in:
// one and a half times the keep alive ([MQTT-3.1.2-22]), however it comes in
// pieces. That costs as much as a small read, so a deadline that is off by little
// stands; it is the later by that much.
func (g *guard) setKeepAlive() error {
	if !g.deadline.timed || g.deadline.begun {
		return nil // that of the listener, or of the packet, is in force
	}
	g.deadline.begun = true
	keepAlive := time.Duration(g.client.State.Keepalive) * time.Second * 3 / 2
	now := time.Now()
	switch {
	case keepAlive == 0 && g.deadline.at.IsZero():
		g.deadline.at = now
		_ = g.SetReadDeadline(time.Time{})
	case keepAlive > 0 && g.deadline.at.Before(now.Add(keepAlive)):
		g.deadline.at = now.Add(keepAlive + keepAlive/16)
		_ = g.SetReadDeadline(g.deadline.at)
	default:
		return nil
	}
	if g.closing.Load() { // whose deadline stands
		return net.ErrClosed
	}
	return nil
}

// awaitFinished waits until mochi deals with nothing of the client any more, whose
// connection has been closed; no longer than limit.
func (g *guard) awaitFinished(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-g.finished:
	case <-timer.C:
	}
}

// established is called when CONNACK is out, and mochi has sent all that waited
// for the session.
func (g *guard) established() {
	g.session.queue.resumed(g.session, g.exchange.Load().Resent)
	g.release()
}

// resume goes on with the session of an earlier connection.
func (g *guard) resume(earlier *guard) {
	mine, its := g.exchange.Load(), earlier.exchange.Load()
	if mine != nil && its != nil {
		mine.Resume(its)
		mine.Resending()
	}
}
