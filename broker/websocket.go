package broker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/coder/websocket"

	"mqttwarden/registry/peer"
)

// MQTT over WebSocket (MQTT 5 section 6): the upgrade, and the stream of bytes
// that its frames carry. One goroutine does all of it, the one that serves the
// connection; there is no HTTP server.

const (
	requestBytes = 8 << 10 // of the request that asks for the upgrade, header included
	requestLines = 100     // each costs far more memory than it has bytes
	frameBuffer  = 512     // for reading and for writing; a message may be longer
)

// stream is MQTT inside a WebSocket. Where one message ends and the next begins
// means nothing [MQTT-6.0.0-2].
type stream struct {
	net.Conn                 // below
	ws       *websocket.Conn // nil before the upgrade
	message  io.Reader       // what is left of the one being read, nil between two
	asked    bool            // the request was read
	status   websocket.StatusCode
}

func (s *stream) open() bool { return s.ws != nil }

// Read implements net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			kind, message, err := s.ws.Reader(context.Background())
			switch {
			case websocket.CloseStatus(err) >= 0:
				return 0, io.EOF
			case err != nil:
				return 0, err
			case kind != websocket.MessageBinary:
				s.status = websocket.StatusUnsupportedData
				return 0, errors.New("a text frame [MQTT-6.0.0-1]")
			}
			s.message = message
		}
		n, err := s.message.Read(p)
		if errors.Is(err, io.EOF) {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write implements net.Conn. Each call makes one message.
func (s *stream) Write(p []byte) (int, error) {
	if err := s.ws.Write(context.Background(), websocket.MessageBinary, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// closeHandshake closes the WebSocket: it sends a close frame and waits for the
// client's, within the deadlines of the connection below.
func (s *stream) closeHandshake() {
	status := websocket.StatusNormalClosure
	if s.status != 0 {
		status = s.status
	}
	_ = s.ws.Close(status, "")
}

// frames is what a WebSocket reads and writes. It has answers to pings and the
// close frame to write besides what comes through conn.Write.
type frames struct {
	net.Conn // below the WebSocket
	c        *conn
}

// Write implements net.Conn.
func (f frames) Write(p []byte) (int, error) {
	f.c.arm()
	return f.Conn.Write(p)
}

// Close implements net.Conn.
func (f frames) Close() error { return f.c.cut() }

// upgrade answers the request that a WebSocket begins with.
func (b *Broker) upgrade(l *listener, c *conn) error {
	below := frames{c.web.Conn, c}
	head := &requestHead{r: below, bytes: requestBytes, lines: requestLines}
	w := &reply{conn: below, r: bufio.NewReaderSize(head, frameBuffer), header: make(http.Header)}
	r, err := http.ReadRequest(w.r)
	switch {
	case errors.Is(head.err, errLongRequest):
		w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		return head.err
	case head.err != nil: // err may be what the half of a request looks like
		return head.err
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		return err
	}
	c.web.asked = true
	from := peer.Addr(c.remote)
	if client := b.proxies.Client(from, r.Header.Values("X-Forwarded-For")); client != from {
		c.remote = net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 0))
	}
	if !b.countAddress(l, c) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return errFull
	}
	protocol := subprotocol(r.Header.Values("Sec-WebSocket-Protocol"))
	switch {
	case !slices.Contains(l.web.Paths, r.URL.Path):
		w.WriteHeader(http.StatusNotFound)
		return fmt.Errorf("path %q", r.URL.Path)
	case !mayAsk(r.Header.Values("Origin"), r.Host, l.web.Origins):
		w.WriteHeader(http.StatusForbidden)
		return fmt.Errorf("origin %q on host %q", r.Header.Values("Origin"), r.Host)
	case protocol == "" && r.Header.Get("Upgrade") != "": // else it is told to upgrade first
		w.WriteHeader(http.StatusBadRequest)
		return errors.New("it offers no subprotocol mqtt [MQTT-6.0.0-3]")
	}
	pinged := &pings{c: c, rates: &b.count, may: bucket{perSecond: b.cfg.RequestRate, burst: b.cfg.RequestBurst}}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{protocol},
		OnPingReceived:     pinged.received,
		InsecureSkipVerify: true, // of the origin, which has been judged
	})
	if err != nil {
		return err
	}
	// Nothing is held of a message but what fits the buffers, so this is only to
	// have an end to it. Several packets may come in one.
	ws.SetReadLimit(4 * int64(b.cfg.MaxPacketSize))
	c.web.ws = ws
	return nil
}

// subprotocol returns the one to speak of those offered, none if there is none:
// that of MQTT [MQTT-6.0.0-4], or the name it had before it was a standard.
func subprotocol(offers []string) string {
	var found string
	for offer := range strings.SplitSeq(strings.Join(offers, ","), ",") {
		switch offer = strings.TrimSpace(offer); offer {
		case "mqtt":
			return offer
		case "mqttv3.1":
			found = offer
		}
	}
	return found
}

// mayAsk reports whether a page of one of origins, which is at most one, may
// connect to host; see WebSocket.Origins.
func mayAsk(origins []string, host string, patterns []string) bool {
	if len(origins) == 0 || slices.Contains(patterns, "*") {
		return true
	}
	page, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 || page.Host == "" {
		return false
	}
	if asked, err := url.Parse("//" + host); err == nil && strings.EqualFold(page.Hostname(), asked.Hostname()) {
		return true
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		name := page.Hostname()
		if strings.Contains(pattern, ":") {
			name = page.Host
		}
		ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
		return ok && err == nil
	})
}

// requestHead reads the head of a request, and no more than may be read.
type requestHead struct {
	r            io.Reader
	bytes, lines int // that may still come
	err          error
}

var errLongRequest = errors.New("the request is too long")

// Read implements io.Reader.
func (h *requestHead) Read(p []byte) (int, error) {
	if h.bytes <= 0 || h.lines <= 0 {
		h.err = errLongRequest
		return 0, h.err
	}
	var n int
	n, h.err = h.r.Read(p[:min(len(p), h.bytes)])
	h.bytes -= n
	h.lines -= bytes.Count(p[:n], []byte{'\n'})
	return n, h.err
}

// reply answers a request, by switching protocols or with a code and nothing
// more. What the client wrote is not repeated to it.
type reply struct {
	conn   net.Conn
	r      *bufio.Reader
	header http.Header
	err    error
}

// Header implements http.ResponseWriter.
func (r *reply) Header() http.Header { return r.header }

// Write implements http.ResponseWriter.
func (r *reply) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (r *reply) WriteHeader(code int) {
	if code != http.StatusSwitchingProtocols {
		r.header.Del("Content-Type")
		r.header.Add("Connection", "close")
		r.header.Set("Content-Length", "0")
	}
	if code == http.StatusMethodNotAllowed {
		r.header.Set("Allow", http.MethodGet)
	}
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(code) + " " + http.StatusText(code) + "\r\n")
	_ = r.header.Write(&b) // a buffer takes everything
	b.WriteString("\r\n")
	_, r.err = r.conn.Write(b.Bytes())
}

// Hijack implements http.Hijacker.
func (r *reply) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return r.conn, bufio.NewReadWriter(r.r, bufio.NewWriterSize(r.conn, frameBuffer)), r.err
}
