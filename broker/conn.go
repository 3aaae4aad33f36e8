package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
)

// conn is a client's connection as mochi and the hook see it: a stream of MQTT,
// whatever it comes over. Each layer reads from the one before it:
//
//	raw ─▶ proxy (PROXY header) ─▶ tls ─▶ web (WebSocket)
//
// All are put together at accept, so that it can be closed at any time; what has
// to be shaken hands about is done in the goroutine that serves it.
type conn struct {
	net.Conn                   // the uppermost layer
	raw          net.Conn      // the socket
	proxy        *proxyConn    // nil without a PROXY header
	tls          *tls.Conn     // nil without TLS
	web          *stream       // nil without WebSocket
	remote       net.Addr      // of the client, as far as it is known yet
	timeout      time.Duration // for one write
	finalTimeout time.Duration // for a final packet to be written, and again to be read
	born         time.Time

	admission *admission
	counted   counted // guarded by admission

	received traffic
	sent     traffic

	armed    atomic.Int64 // when the write deadline was last set, since born
	final    atomic.Int64 // the write deadline for good, since born; 0: none
	answered atomic.Bool  // something was written
	accepted atomic.Bool  // a CONNACK that lets the client in was written
	closing  atomic.Bool  // a final packet was written: nothing more is read for mochi
	stalled  atomic.Bool  // a write took too long
}

func newConn(nc net.Conn, l *listener, cfg Config, a *admission) *conn {
	c := &conn{
		Conn: nc, raw: nc, remote: nc.RemoteAddr(), admission: a,
		timeout: cfg.WriteTimeout, finalTimeout: cfg.FinalTimeout, born: time.Now(),
	}
	if l.proxied {
		c.proxy = &proxyConn{Conn: c.Conn}
		c.Conn = c.proxy
	}
	if l.tls != nil {
		c.tls = tls.Server(c.Conn, l.tls)
		c.Conn = c.tls
	}
	if l.web != nil {
		c.web = &stream{Conn: c.Conn}
		c.Conn = c.web
	}
	return c
}

// RemoteAddr returns the client's address: behind a trusted proxy, what that says.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// signedIn says that the client has been let in.
func (c *conn) signedIn() {
	if !c.accepted.Swap(true) {
		c.admission.signedIn(&c.counted)
	}
}

// countSignIn reports whether there is room for one more client of this address,
// and counts this one from then on; MQTT 5 answers 0x97 if not. A connection that
// is about to be taken over still counts.
func (c *conn) countSignIn() bool { return c.admission.countSignIn(&c.counted) }

// PeerCertificates returns the certificates that the client has shown, none or a
// chain whose first key it has proven to hold.
func (c *conn) PeerCertificates() []*x509.Certificate {
	if c.tls == nil {
		return nil
	}
	return c.tls.ConnectionState().PeerCertificates
}

// Write writes all of p within the write time-out, or closes the connection:
// while a client does not read, those who publish to it wait for it.
func (c *conn) Write(p []byte) (int, error) {
	if !c.answered.Swap(true) {
		p = plainConnack(p)
	}
	if !c.accepted.Load() && letsIn(p) {
		c.signedIn()
	}
	c.arm()
	n, err := c.Conn.Write(p)
	c.sent.bytes.Add(uint64(n)) // #nosec G115 -- never negative
	if err != nil {
		if c.final.Load() == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			c.stalled.Store(true)
		}
		_ = c.Close()
	}
	return n, err
}

// arm moves the write deadline on. That costs as much as a small write, so a
// deadline that was set a moment ago stands.
func (c *conn) arm() {
	now := time.Since(c.born)
	if armed := c.armed.Load(); armed != 0 && now-time.Duration(armed) < c.timeout/4 {
		return
	}
	c.armed.Store(int64(now))
	_ = c.Conn.SetWriteDeadline(c.born.Add(now + c.timeout))
	if final := c.final.Load(); final != 0 {
		_ = c.Conn.SetWriteDeadline(c.born.Add(time.Duration(final)))
	}
}

// SetWriteDeadline sets the deadline for all writes to come, for good: the
// time-out of a single write does not move it any more.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.final.Store(max(1, int64(t.Sub(c.born))))
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline sets the deadline for reads. Mochi calls it for the keep alive;
// writes have their own.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline sets the deadline for reads, unless a final packet was written:
// nobody reads any more then.
func (c *conn) SetReadDeadline(t time.Time) error {
	err := c.Conn.SetReadDeadline(t)
	if c.closing.Load() { // perhaps just now
		return c.raw.SetReadDeadline(past)
	}
	return err
}

// Close closes the connection. After a final packet, for which SetWriteDeadline was
// called, only our half is closed and awaitPeerClose does the rest: a socket that is
// closed with unread data in it takes back what the client has not read. Over
// WebSocket a close frame always has to be sent (RFC 6455 section 7.1.2).
func (c *conn) Close() error {
	if c.web != nil {
		c.setCloseDeadline()
	}
	if c.final.Load() == 0 {
		return c.cut()
	}
	if c.closing.Swap(true) {
		return nil
	}
	if c.web == nil {
		c.closeWrite()
	}
	return c.raw.SetReadDeadline(past) // wakes mochi's reader
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// setCloseDeadline gives a closing handshake the time of a final packet, unless
// there is a final deadline already.
func (c *conn) setCloseDeadline() {
	deadline := time.Now().Add(c.finalTimeout)
	if c.final.CompareAndSwap(0, max(1, int64(deadline.Sub(c.born)))) {
		_ = c.Conn.SetWriteDeadline(deadline)
	}
}

// closeWrite closes our half. TLS would wait five seconds for a client that does
// not read its closing alert.
func (c *conn) closeWrite() {
	if c.tls != nil {
		limit := time.AfterFunc(c.finalTimeout, func() { _ = c.raw.Close() })
		_ = c.tls.CloseWrite()
		limit.Stop()
	}
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// cut closes the connection at once. The closing alert of TLS does not wait
// long for a client that does not read.
func (c *conn) cut() error {
	if c.tls == nil {
		return c.raw.Close()
	}
	limit := time.AfterFunc(c.finalTimeout, func() { _ = c.raw.Close() })
	defer limit.Stop()
	return c.tls.Close()
}

// drop closes the socket and nothing more.
func (c *conn) drop() error { return c.raw.Close() }

// awaitPeerClose waits, after a final packet, for the client to close its half, and
// ends the connection. It takes at most twice FinalTimeout.
func (c *conn) awaitPeerClose() {
	if c.closing.Load() {
		limit := time.AfterFunc(2*c.finalTimeout, func() { _ = c.raw.Close() })
		defer limit.Stop()
		_ = c.raw.SetReadDeadline(time.Now().Add(c.finalTimeout))
		if c.web != nil && c.web.open() {
			c.web.closeHandshake()
		} else {
			if c.web != nil {
				c.closeWrite()
			}
			_, _ = io.Copy(io.Discard, c.raw)
		}
	}
	_ = c.cut()
}

// Read reads from the client until a final packet was written.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.bytes.Add(uint64(n)) // #nosec G115 -- never negative
	if c.closing.Load() {
		return 0, net.ErrClosed
	}
	return n, err
}

// plainConnack returns p or, if it is a CONNACK for MQTT 3 with a code of MQTT 5,
// one with the code that MQTT 3.1.1 has for it. Mochi v2.7.9 answers so what it
// refuses by itself.
func plainConnack(p []byte) []byte {
	const last = 5 // of the codes of MQTT 3.1.1
	if len(p) != 4 || p[0] != packets.Connack<<4 || p[1] != 2 || p[3] <= last {
		return p
	}
	return []byte{p[0], p[1], p[2], frame.ReturnCode(p[3])}
}

// letsIn reports whether p is a CONNACK that lets the client in. That has the
// code 0 in all versions.
func letsIn(p []byte) bool {
	if len(p) == 0 || p[0] != packets.Connack<<4 {
		return false
	}
	rest := p[1:]
	for len(rest) > 0 && rest[0] >= 0x80 { // the length has a further byte
		rest = rest[1:]
	}
	return len(rest) > 2 && rest[2] == packets.CodeSuccess.Code
}
