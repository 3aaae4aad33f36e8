package framing

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Guard listens where HTTP is served.
type Guard struct {
	TLS     *tls.Config   // of who serves HTTPS
	Timeout time.Duration // of a TLS handshake
	// Failed is told of a handshake that failed.
	Failed  func(remote net.Addr, err error)
	Refused *atomic.Uint64 // requests
}

// Plain returns a listener of guarded connections without TLS.
func (g *Guard) Plain(ln net.Listener) net.Listener { return plainListener{ln, g} }

type plainListener struct {
	net.Listener
	guard *Guard
}

// Accept implements net.Listener.
func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return NewConn(c, l.guard.Refused), nil
}

// Secure returns a listener of guarded connections over TLS, and one of those that have
// agreed on HTTP/2, in which there is nothing to guard. Each wants a server of its own:
// net/http speaks HTTP/2 over TLS with nothing else than a [tls.Conn].
func (g *Guard) Secure(ln net.Listener) (http1, http2 net.Listener) {
	second := &handedOver{addr: ln.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	return secureListener{ln, g, second}, second
}

type secureListener struct {
	net.Listener
	guard  *Guard
	second *handedOver
}

// Accept implements net.Listener.
func (l secureListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	secure := tls.Server(c, l.guard.TLS)
	return &secureConn{Conn: NewConn(secure, l.guard.Refused), tls: secure, guard: l.guard, second: l.second}, nil
}

// secureConn is a connection over TLS that may turn out to speak HTTP/2. Then it is
// handed over, and is at its end here.
type secureConn struct {
	*Conn
	tls    *tls.Conn
	guard  *Guard
	second *handedOver
	gone   atomic.Bool // handed over
}

// ConnectionState shakes hands. Net/http asks for it before it reads, to fill in
// Request.TLS, and bounds only what comes after it.
func (c *secureConn) ConnectionState() tls.ConnectionState {
	ctx, cancel := context.WithTimeout(context.Background(), c.guard.Timeout)
	defer cancel()
	if err := c.tls.HandshakeContext(ctx); err != nil {
		c.handshakeFailed(err) // reading will fail with it, too
		return tls.ConnectionState{}
	}
	state := c.tls.ConnectionState()
	if state.NegotiatedProtocol == "h2" {
		c.gone.Store(true)
		c.second.take(c.tls)
	}
	return state
}

// handshakeFailed tells a client that speaks HTTP without TLS so, as net/http does.
func (c *secureConn) handshakeFailed(err error) {
	var header tls.RecordHeaderError
	if errors.As(err, &header) && header.Conn != nil && looksLikeHTTP(header.RecordHeader) {
		_, _ = io.WriteString(header.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
	c.guard.Failed(c.RemoteAddr(), err)
}

func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO":
		return true
	default:
		return false
	}
}

// Read implements net.Conn.
func (c *secureConn) Read(p []byte) (int, error) {
	if c.gone.Load() {
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}

// Close implements net.Conn.
func (c *secureConn) Close() error { return c.unlessGone(c.Conn.Close) }

// CloseWrite is that of Conn.
func (c *secureConn) CloseWrite() error { return c.unlessGone(c.Conn.CloseWrite) }

// SetReadDeadline implements net.Conn.
func (c *secureConn) SetReadDeadline(t time.Time) error {
	return c.unlessGone(func() error { return c.Conn.SetReadDeadline(t) })
}

// SetWriteDeadline implements net.Conn.
func (c *secureConn) SetWriteDeadline(t time.Time) error {
	return c.unlessGone(func() error { return c.Conn.SetWriteDeadline(t) })
}

func (c *secureConn) unlessGone(f func() error) error {
	if c.gone.Load() {
		return nil
	}
	return f()
}

// NetConn returns the connection below TLS.
func (c *secureConn) NetConn() net.Conn { return c.tls.NetConn() }

// handedOver is a listener of connections that another one has accepted.
type handedOver struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// take has the connection accepted, or closes it.
func (l *handedOver) take(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (l *handedOver) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *handedOver) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *handedOver) Addr() net.Addr { return l.addr }
