package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"mqttwarden/registry/peer"
)

// listener is a bound address.
type listener struct {
	net.Listener
	name    string
	proxied bool        // connections begin with a PROXY header
	tls     *tls.Config // nil: plain TCP
	web     *WebSocket  // nil: MQTT without one
}

// keepAlive finds out within two minutes that a peer is gone, for those clients
// that have no keep alive of MQTT.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

func listen(l Listener) (*listener, error) {
	ln, err := bind(l.Address)
	if err != nil {
		return nil, fmt.Errorf("broker: listener %s: %w", l.Name, err)
	}
	return newListener(ln, l), nil
}

func newListener(ln net.Listener, l Listener) *listener {
	bound := &listener{Listener: ln, name: l.Name, proxied: l.ProxyProtocol, web: l.WebSocket.withDefaults()}
	if l.TLS != nil {
		bound.tls = l.TLS.config()
		if l.WebSocket != nil {
			bound.tls.NextProtos = []string{"http/1.1"} // WebSocket is no part of HTTP/2 here
		}
	}
	return bound
}

// accept serves l until it is closed. An error of Accept, such as too many open
// files, is waited out: the listener must be there when it is over.
func (b *Broker) accept(l *listener) {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			if pause > shortest {
				pause = shortest
				b.log.Info("listener accepts again", "listener", l.name)
			}
			b.handle(l, nc)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		if pause == shortest {
			b.log.Error("listener can't accept connections", "listener", l.name, "err", err)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, longest)
		case <-b.closing:
			return
		}
	}
}

// handle serves a connection in a goroutine of its own, or closes it.
func (b *Broker) handle(l *listener, nc net.Conn) {
	c := newConn(nc, l, b.cfg, b.admission)
	c.counted.close = func(limit string, value int) {
		b.logFull(l, nc.RemoteAddr(), limit, value)
		_ = c.drop()
	}
	if !l.proxied && !b.isProxy(c.remote) {
		c.counted.source = peer.Network(peer.Addr(c.remote))
	}
	if !b.hasRoom(l, c) {
		b.admission.closed(&c.counted)
		_ = nc.Close()
		return
	}
	go b.serve(l, c)
}

// hasRoom reports whether there is room for the connection, and counts it in. It
// knows the client's address unless a proxy is to tell it.
func (b *Broker) hasRoom(l *listener, c *conn) bool {
	switch {
	case l.proxied && !b.isProxy(c.remote):
		b.count.proxyHeadersRefused.Add(1)
		c.report(b.reports, slog.LevelWarn, "connection refused: it does not come from one of the trusted proxies", "untrusted_proxy",
			slog.String("listener", l.name))
		return false
	case !b.admission.open(&c.counted):
		b.logFull(l, c.remote, "MaxHalfOpen", b.cfg.MaxHalfOpen)
		return false
	case !l.proxied && !b.countAddress(l, c):
		return false
	case !b.track(c):
		b.logFull(l, c.remote, "MaxConnections", b.cfg.MaxConnections)
		return false
	}
	return true
}

// countAddress counts the connection for the address of its client, unless that is
// still to come: X-Forwarded-For follows in the upgrade.
func (b *Broker) countAddress(l *listener, c *conn) bool {
	if c.web != nil && !c.web.asked && b.isProxy(c.remote) {
		return true
	}
	if !b.admission.setAddress(&c.counted, c.remote) {
		b.logFull(l, c.remote, "MaxHalfOpenPerAddress", b.cfg.MaxHalfOpenPerAddress)
		return false
	}
	return true
}

// isProxy reports whether addr is that of a trusted proxy.
func (b *Broker) isProxy(addr net.Addr) bool { return b.proxies.Trusts(peer.Addr(addr)) }

// logFull logs that a limit turns connections away, and not each of them.
func (b *Broker) logFull(l *listener, remote net.Addr, limit string, value int) {
	if b.full.due() {
		b.log.Warn("connections are refused: a limit is reached", "limit", limit, "value", value,
			"listener", l.name, "remote", remote.String())
	}
}

// limitedLog is for what should be logged at most once a minute.
type limitedLog struct{ last atomic.Int64 }

// due reports whether it may be logged again, and counts that as done.
func (l *limitedLog) due() bool {
	now, last := time.Now().Unix(), l.last.Load()
	return now-last >= 60 && l.last.CompareAndSwap(last, now)
}

// serve runs one connection from accept to its end. A panic, in mochi or in the
// hook, ends this connection and no other.
func (b *Broker) serve(l *listener, c *conn) {
	defer b.untrack(c)
	defer b.admission.closed(&c.counted)
	g := newGuard(b, c)
	b.contain(c, func() { b.attach(l, g) })
	if c.stalled.Load() {
		b.count.writeTimeouts.Add(1)
	}
	_ = c.Close()
	if g.session != nil {
		b.contain(c, func() { b.leave(g.session) })
	}
	b.contain(c, c.awaitPeerClose)
}

// attach prepares a connection and hands it to mochi until it ends.
func (b *Broker) attach(l *listener, g *guard) {
	defer g.finish()
	c := g.conn
	deadline := time.Now().Add(b.cfg.ConnectTimeout)
	_ = c.SetReadDeadline(deadline) // mochi replaces it once the hook has let the client in
	defer func() {
		if !c.answered.Load() && !time.Now().Before(deadline) {
			b.count.connectTimeouts.Add(1)
		}
	}()
	if err := b.prepare(l, c, deadline); err != nil {
		b.reportDoor(l, c, err)
		return
	}
	if err := g.awaitConnect(); err != nil {
		b.reportDoor(l, c, err)
		return
	}
	b.admission.spoke(&c.counted)
	growStack()
	if err := b.srv.EstablishConnection(l.name, g); err != nil {
		g.reportEnd(err)
		b.log.Debug("connection ended", "listener", l.name, "remote", c.remote.String(), "err", err)
	}
}

// growStack lets the stack of a goroutine grow at once to what mochi will need of
// it. By itself it grows in steps, and is copied at each with all that is on it.
//
//go:noinline
func growStack() {
	var room [9 << 10]byte
	runtime.KeepAlive(&room)
}

// prepare does what comes before MQTT.
func (b *Broker) prepare(l *listener, c *conn, deadline time.Time) error {
	if c.proxy != nil {
		remote, err := c.proxy.header()
		if err != nil {
			b.count.proxyHeadersRefused.Add(1)
			return &doorError{cause: "proxy_header", err: fmt.Errorf("PROXY header: %w", err)}
		}
		if c.remote = remote; !b.countAddress(l, c) {
			return errFull
		}
	}
	if c.tls != nil {
		if err := c.handshake(deadline); err != nil {
			b.count.handshakesFailed.Add(1)
			return err
		}
	}
	if c.web != nil {
		if err := b.upgrade(l, c); err != nil {
			b.count.upgradesRefused.Add(1)
			return &doorError{cause: "websocket_upgrade", err: fmt.Errorf("WebSocket upgrade: %w", err)}
		}
	}
	return nil
}

var errFull = errors.New("too many connections of this address are half-open")

// contain runs f and survives its panic.
func (b *Broker) contain(c *conn, f func()) {
	defer func() {
		if p := recover(); p != nil {
			b.logPanic(c.remote, p)
		}
	}()
	f()
}

// logPanic takes note of a panic that ended a connection.
func (b *Broker) logPanic(remote net.Addr, p any) {
	b.count.panics.Add(1)
	b.log.Error("connection ended by a panic", "remote", remote.String(), "panic", p, "stack", string(debug.Stack()))
}
