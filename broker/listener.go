package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"
)

// listener is a bound address.
type listener struct {
	net.Listener
	name string
	tls  *tls.Config // nil: plain TCP
	ca   func() *x509.CertPool
}

func listen(l Listener) (*listener, error) {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("broker: listener %s: %w", l.Name, err)
	}
	bound := &listener{Listener: ln, name: l.Name}
	if l.TLS != nil {
		bound.tls, bound.ca = l.TLS.config(), l.TLS.ClientCAs
	}
	return bound, nil
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
			b.welcome(l, nc)
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

// welcome serves a connection in a goroutine of its own.
func (b *Broker) welcome(l *listener, nc net.Conn) {
	c := newConn(nc, l, b.cfg)
	if !b.admit(c) {
		_ = nc.Close()
		return
	}
	go b.serve(l, c)
}

// serve runs one connection from accept to its end. A panic, in mochi or in the
// hook, ends this connection and no other.
func (b *Broker) serve(l *listener, c *conn) {
	defer b.dismiss(c)
	b.contain(c, func() { b.attach(l, c) })
	_ = c.Close()
	b.contain(c, c.finish)
	c.linger()
}

// attach prepares a connection and hands it to mochi until it ends.
func (b *Broker) attach(l *listener, c *conn) {
	deadline := time.Now().Add(b.cfg.ConnectTimeout)
	_ = c.SetReadDeadline(deadline) // mochi replaces it once the hook has let the client in
	if c.tls != nil {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		if err := c.tls.HandshakeContext(ctx); err != nil {
			b.failed.Add(1)
			b.log.Debug("TLS handshake failed", "listener", l.name, "remote", c.RemoteAddr().String(), "err", err)
			return
		}
	}
	g := newGuard(b, c)
	defer g.over()
	if err := b.srv.EstablishConnection(l.name, g); err != nil {
		b.log.Debug("connection ended", "listener", l.name, "remote", c.RemoteAddr().String(), "err", err)
	}
}

// contain runs f and survives its panic.
func (b *Broker) contain(c *conn, f func()) {
	defer func() {
		if p := recover(); p != nil {
			b.logPanic(c.RemoteAddr(), p)
		}
	}()
	f()
}

// logPanic takes note of a panic that ended a connection.
func (b *Broker) logPanic(remote net.Addr, p any) {
	b.panics.Add(1)
	b.log.Error("connection ended by a panic", "remote", remote.String(), "panic", p, "stack", string(debug.Stack()))
}
