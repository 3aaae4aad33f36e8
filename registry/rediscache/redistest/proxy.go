package redistest

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and a server. While it stalls, nothing gets through and
// no connection ends, as when a cable is cut.
type Proxy struct {
	Addr string

	to     string
	mu     sync.Mutex
	flow   chan struct{} // closed while bytes get through
	ending chan struct{}
	conns  sync.WaitGroup
}

// StartProxy starts a proxy to a server.
func StartProxy(tb testing.TB, to *Server) *Proxy {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{Addr: ln.Addr().String(), to: to.Addr, flow: make(chan struct{}), ending: make(chan struct{})}
	close(p.flow)
	p.conns.Go(func() { p.accept(ln) })
	tb.Cleanup(func() {
		close(p.ending)
		_ = ln.Close()
		p.conns.Wait()
	})
	return p
}

// Stall lets nothing through any more.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flow = make(chan struct{})
}

// Heal ends what Stall began. What was held back gets through now.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.flow)
}

func (p *Proxy) accept(ln net.Listener) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		done := make(chan struct{})
		p.conns.Go(func() { p.carry(server, client); _ = server.Close(); _ = client.Close(); close(done) })
		p.conns.Go(func() { p.carry(client, server); _ = server.Close(); _ = client.Close() })
		p.conns.Go(func() {
			select {
			case <-done:
			case <-p.ending:
				_ = server.Close()
				_ = client.Close()
			}
		})
	}
}

// carry copies bytes, while they get through.
func (p *Proxy) carry(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		flow := p.flow
		p.mu.Unlock()
		select {
		case <-flow:
		case <-p.ending:
			return
		}
		if _, e := to.Write(buf[:n]); err != nil || e != nil {
			return
		}
	}
}
