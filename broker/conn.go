package broker

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// conn is a client's connection as mochi and the hook see it.
type conn struct {
	net.Conn
	raw     net.Conn              // below TLS
	tls     *tls.Conn             // nil on plain TCP
	ca      func() *x509.CertPool // trusted for clients
	timeout time.Duration         // for one write
	last    time.Duration         // for last words to be written, and again to be read
	born    time.Time

	armed    atomic.Int64 // when the write deadline was last set, since born
	final    atomic.Int64 // the write deadline for good, since born; 0: none
	answered atomic.Bool  // something was written
	parting  atomic.Bool  // last words were spoken: nothing more is read for mochi

	mu    sync.Mutex
	after []func()
}

func newConn(nc net.Conn, l *listener, cfg Config) *conn {
	c := &conn{Conn: nc, raw: nc, ca: l.ca, timeout: cfg.WriteTimeout, last: cfg.LastWords, born: time.Now()}
	if l.tls != nil {
		c.tls = tls.Server(nc, l.tls)
		c.Conn = c.tls
	}
	return c
}

// PeerCertificates returns the certificates that the client has shown, none or a
// chain whose first key it has proven to hold.
func (c *conn) PeerCertificates() []*x509.Certificate {
	if c.tls == nil {
		return nil
	}
	return c.tls.ConnectionState().PeerCertificates
}

// PeerTrusted reports whether the client's certificate chains to a CA of
// TLS.ClientCAs now.
func (c *conn) PeerTrusted() bool {
	chain := c.PeerCertificates()
	return len(chain) > 0 && trusted(chain, c.ca)
}

// Finally has f called once when mochi is through with the connection, however
// it ended: nothing in its goroutine touches the client after that.
func (c *conn) Finally(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = append(c.after, f)
}

// finish calls what Finally was given.
func (c *conn) finish() {
	c.mu.Lock()
	after := c.after
	c.after = nil
	c.mu.Unlock()
	for _, f := range after {
		f()
	}
}

// Write writes all of p within the write time-out, or closes the connection:
// while a client does not read, those who publish to it wait for it.
func (c *conn) Write(p []byte) (int, error) {
	if !c.answered.Swap(true) {
		p = plainConnack(p)
	}
	c.arm()
	n, err := c.Conn.Write(p)
	if err != nil {
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

// Close closes the connection. After last words, for which SetWriteDeadline was
// called, only our half is closed and linger does the rest: a socket that is
// closed with unread data in it takes back what the client has not read.
func (c *conn) Close() error {
	if c.final.Load() == 0 {
		return c.cut()
	}
	if c.parting.Swap(true) {
		return nil
	}
	if c.tls != nil {
		_ = c.tls.CloseWrite()
	}
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	return c.raw.SetReadDeadline(past) // wakes mochi's reader
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// cut closes the connection at once. The closing alert of TLS does not wait
// long for a client that does not read.
func (c *conn) cut() error {
	if c.tls == nil {
		return c.raw.Close()
	}
	limit := time.AfterFunc(c.last, func() { _ = c.raw.Close() })
	defer limit.Stop()
	return c.tls.Close()
}

// linger waits, after last words, for the client to close its half, and ends
// the connection.
func (c *conn) linger() {
	if c.parting.Load() {
		_ = c.raw.SetReadDeadline(time.Now().Add(c.last))
		_, _ = io.Copy(io.Discard, c.raw)
	}
	_ = c.cut()
}

// Read reads from the client until last words were spoken.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.parting.Load() {
		return 0, net.ErrClosed
	}
	return n, err
}

// plainConnack returns p or, if it is a CONNACK for MQTT 3 with a code of MQTT 5,
// one with the code that MQTT 3.1.1 section 3.2.2.3 has for it. Mochi v2.7.9
// answers so what it refuses by itself: 0x80 stands for an empty client ID with
// a session to keep ([MQTT-3.1.3-8]), all others for a malformed CONNECT.
func plainConnack(p []byte) []byte {
	const last = 5 // of the codes of MQTT 3.1.1
	if len(p) != 4 || p[0] != packets.Connack<<4 || p[1] != 2 || p[3] <= last {
		return p
	}
	code := packets.Err3NotAuthorized.Code
	if p[3] == packets.ErrUnspecifiedError.Code {
		code = packets.Err3ClientIdentifierNotValid.Code
	}
	return []byte{p[0], p[1], p[2], code}
}
