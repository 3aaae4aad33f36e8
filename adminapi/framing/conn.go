package framing

import (
	"io"
	"net"
	"sync/atomic"
)

// Conn is a connection of which net/http reads only requests that end in one place.
// One goroutine reads it at a time.
type Conn struct {
	net.Conn
	refused *atomic.Uint64
	scanner scanner
	over    bool
	last    []byte // what is read before the end, when it is over
}

// NewConn returns a connection that guards c, and counts in refused.
func NewConn(c net.Conn, refused *atomic.Uint64) *Conn {
	return &Conn{Conn: c, refused: refused}
}

// Read implements net.Conn. After what was refused there comes nothing.
func (c *Conn) Read(p []byte) (int, error) {
	if c.over {
		return c.readLast(p)
	}
	n, err := c.Conn.Read(p)
	n, v := c.scanner.scan(p[:n])
	if v == pass {
		return n, err
	}
	c.end(v)
	if n == 0 {
		return c.readLast(p)
	}
	return n, nil
}

func (c *Conn) readLast(p []byte) (int, error) {
	n := copy(p, c.last)
	c.last = c.last[n:]
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// end has net/http answer 400, if it is at a head of which it has not seen the end, by a
// line that is no field.
func (c *Conn) end(v verdict) {
	c.over = true
	switch {
	case v == noRequest:
		c.last = []byte("\r\n")
		return
	case v == spoilStart:
		c.last = []byte("\x00\r\n\r\n")
	case c.scanner.state < body:
		c.last = []byte("\r\n\x00\r\n\r\n")
	}
	c.refused.Add(1)
}

// CloseWrite says that no more is written, which net/http does before it closes a
// connection whose client may still be sending.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }
