package broker

import (
	"bufio"
	"errors"
	"net"

	"github.com/pires/go-proxyproto"
)

// proxyConn is a connection that begins with a PROXY header.
type proxyConn struct {
	net.Conn
	rest []byte // was read together with the header
}

// proxyBuffer holds a header of version 1, which has at most 107 bytes and has to
// come in one piece. One of version 2 may have 4 KiB.
const proxyBuffer = 256

// header reads the header and returns the address that it names. A proxy that
// speaks for itself, to see whether we are here, names none; the address is its
// own then.
func (a *proxyConn) header() (net.Addr, error) {
	r := bufio.NewReaderSize(a.Conn, proxyBuffer)
	h, err := proxyproto.Read(r)
	if err != nil {
		return nil, err
	}
	a.rest, _ = r.Peek(r.Buffered())
	if h.Command.IsLocal() {
		return a.RemoteAddr(), nil
	}
	from, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok {
		return nil, errors.New("it names no address of TCP")
	}
	return from, nil
}

// Read reads what comes after the header.
func (a *proxyConn) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		return a.Conn.Read(p)
	}
	n := copy(p, a.rest)
	if a.rest = a.rest[n:]; len(a.rest) == 0 {
		a.rest = nil // with the buffer behind it
	}
	return n, nil
}
