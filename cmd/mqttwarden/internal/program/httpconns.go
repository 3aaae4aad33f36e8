package program

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"mqttwarden/registry/peer"
)

// httpConns bounds how many connections the HTTP listeners have, all together. With
// one too many, the one is closed that has been waited for longest: for its first
// request, or for the next one. An address may have no more than it leaves free for
// others; above that the oldest of its own goes. What is being answered stays.
type httpConns struct {
	most    int
	trusted peer.Proxies // whose connections are those of many clients

	mu      sync.Mutex
	conns   map[net.Conn]*httpConn
	waiting list.List // of *httpConn, by how long
	from    map[netip.Prefix]int
	closed  uint64

	ambiguous atomic.Uint64 // requests that were refused; see framing
}

// httpConn is a connection of an HTTP listener.
type httpConn struct {
	net.Conn
	from    netip.Prefix  // invalid: no share is kept
	waiting *list.Element // nil: a request is being answered
}

func newHTTPConns(most int, trusted peer.Proxies) *httpConns {
	return &httpConns{most: most, trusted: trusted, conns: make(map[net.Conn]*httpConn), from: make(map[netip.Prefix]int)}
}

// state is told what becomes of a connection; see http.Server.ConnState.
func (h *httpConns) state(c net.Conn, state http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch state {
	case http.StateNew:
		h.open(c)
	case http.StateIdle:
		h.wait(h.conns[c])
	case http.StateActive:
		h.endWait(h.conns[c])
	default: // closed, or not HTTP any more
		h.drop(h.conns[c])
	}
}

// The rest is called with mu held.

func (h *httpConns) open(c net.Conn) {
	conn := &httpConn{Conn: c, from: h.network(c.RemoteAddr())}
	if !h.shareLeft(conn.from) || len(h.conns) >= h.most && !h.evict(netip.Prefix{}) {
		h.refuse(c)
		return
	}
	h.conns[c] = conn
	if conn.from.IsValid() {
		h.from[conn.from]++
	}
	h.wait(conn)
}

// shareLeft reports whether an address may have another connection, for which one of
// its own may have to go. When all of them are being answered, only those count that
// others have of that kind.
func (h *httpConns) shareLeft(from netip.Prefix) bool {
	own, busy := h.from[from], len(h.conns)-h.waiting.Len()
	return own < h.most-len(h.conns) || own == 0 || h.evict(from) || own < h.most-busy
}

// network returns whose share a connection counts for.
func (h *httpConns) network(a net.Addr) netip.Prefix {
	addr := peer.Addr(a)
	if h.trusted.Trusts(addr) {
		return netip.Prefix{}
	}
	return peer.Network(addr)
}

// evict closes the connection that has been waited for longest, of one network if
// that is valid.
func (h *httpConns) evict(from netip.Prefix) bool {
	for e := h.waiting.Front(); e != nil; e = e.Next() {
		if c, _ := e.Value.(*httpConn); !from.IsValid() || c.from == from {
			h.drop(c)
			h.refuse(c.Conn)
			return true
		}
	}
	return false
}

// refuse closes a connection that there is no room for.
func (h *httpConns) refuse(c net.Conn) {
	h.closed++
	for {
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = over.NetConn() // TLS would wait to say goodbye
	}
	_ = c.Close()
}

func (h *httpConns) wait(c *httpConn) {
	if c != nil && c.waiting == nil {
		c.waiting = h.waiting.PushBack(c)
	}
}

func (h *httpConns) endWait(c *httpConn) {
	if c != nil && c.waiting != nil {
		h.waiting.Remove(c.waiting)
		c.waiting = nil
	}
}

func (h *httpConns) drop(c *httpConn) {
	if c == nil {
		return
	}
	h.endWait(c)
	delete(h.conns, c.Conn)
	if n := h.from[c.from]; n > 1 {
		h.from[c.from]--
	} else {
		delete(h.from, c.from)
	}
}

// httpFigures are what the HTTP listeners tell of themselves.
type httpFigures struct {
	connections int
	closed      uint64
	ambiguous   uint64
}

func (h *httpConns) figures() httpFigures {
	h.mu.Lock()
	defer h.mu.Unlock()
	return httpFigures{len(h.conns), h.closed, h.ambiguous.Load()}
}

// httpPart are the metrics of the HTTP listeners.
func httpPart(snapshot func() httpFigures) part[httpFigures] {
	return part[httpFigures]{snapshot, []series[httpFigures]{
		gauge("mqttwarden_http_connections", "Open HTTP connections.", func(f httpFigures) float64 { return float64(f.connections) }),
		counter("mqttwarden_http_connections_closed_total", "HTTP connections closed because there were too many, in all or of their address.", func(f httpFigures) float64 { return float64(f.closed) }),
		counter("mqttwarden_http_requests_ambiguous_total", "HTTP requests answered 400 because their end is not where every reader sees it.", func(f httpFigures) float64 { return float64(f.ambiguous) }),
	}}
}
