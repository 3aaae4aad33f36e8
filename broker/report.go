package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
	"mqttwarden/registry/loglimit"
	"mqttwarden/registry/peer"
)

// What a client can bring about is told by one line, with its address, its client ID
// and user as far as they are known, and the cause; what comes again is collapsed.
// See package loglimit.

// report tells of something that a connection has brought about.
func (c *conn) report(log *loglimit.Log, level slog.Level, message, cause string, attrs ...slog.Attr) {
	e := c.event(level, message, cause)
	e.Attrs = attrs
	log.Report(e)
}

// event returns an event of the connection.
func (c *conn) event(level slog.Level, message, cause string) loglimit.Event {
	from := peer.Addr(c.remote)
	return loglimit.Event{Level: level, Message: message, Cause: cause, Remote: from, Network: peer.Network(from)}
}

// report is that of the connection, with whose it is.
func (g *guard) report(level slog.Level, message, cause string, attrs ...slog.Attr) {
	e := g.event(level, message, cause)
	if g.client != nil {
		e.Attrs = append(e.Attrs, slog.String("client", printable(g.client.ID)))
	}
	if g.session != nil {
		e.User = printable(g.session.login.Username())
	}
	e.Attrs = append(e.Attrs, attrs...)
	g.b.reports.Report(e)
}

// reportConnect tells of a CONNECT that is refused.
func (b *Broker) reportConnect(g *guard, pk *packets.Packet, code byte, err error) {
	e := g.event(slog.LevelInfo, "connect refused", fmt.Sprintf("connect_0x%02x", code))
	e.User = printable(string(pk.Connect.Username))
	e.Attrs = []slog.Attr{
		slog.String("client", printable(g.client.ID)), slog.String("code", fmt.Sprintf("%#02x", code)),
		slog.String("reason", printable(err.Error())),
	}
	b.reports.Report(e)
}

// reportPacket tells of a packet that ends its connection.
func (g *guard) reportPacket(h frame.Header, v *frame.Violation) {
	attrs := []slog.Attr{slog.String("packet", h.Type.String()), slog.String("reason", v.Error())}
	if v.Code == packets.ErrPacketTooLarge.Code {
		most := int(g.b.cfg.MaxPacketSize)
		if !g.checker.Accepted() {
			most = int(g.b.cfg.MaxConnectPacket)
		}
		attrs = append(attrs, slog.Int("bytes", h.Remaining), slog.Int("accepted", most))
	}
	g.report(slog.LevelInfo, "packet refused", fmt.Sprintf("packet_0x%02x", v.Code), attrs...)
}

// doorError is why a connection did not come as far as MQTT.
type doorError struct {
	cause string
	err   error
	attrs []slog.Attr
}

// Error implements error.
func (e *doorError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *doorError) Unwrap() error { return e.err }

// reportDoor tells of a connection that has not come as far as a CONNECT. Who says
// nothing and leaves, as a probe does, is not worth a line, and who was closed for a
// limit has one already.
func (b *Broker) reportDoor(l *listener, c *conn, err error) {
	level, cause, attrs := slog.LevelInfo, "connect_timeout", []slog.Attr(nil)
	door, early := errors.AsType[*doorError](err)
	switch {
	case errors.Is(err, errRefused), errors.Is(err, errFull):
		return
	case early:
		cause, attrs = door.cause, door.attrs
	case !errors.Is(err, os.ErrDeadlineExceeded):
		level, cause = slog.LevelDebug, "no_connect"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		level = slog.LevelDebug
	}
	attrs = append([]slog.Attr{slog.String("listener", l.name), slog.String("reason", printable(err.Error()))}, attrs...)
	c.report(b.reports, level, "connection refused", cause, attrs...)
}

// reportEnd tells of a connection that ended because its client was not there.
func (g *guard) reportEnd(err error) {
	switch {
	case g.stalled.Load():
		g.report(slog.LevelInfo, "connection ended: the client does not read", "write_timeout", slog.Duration("limit", g.b.cfg.WriteTimeout))
	case errors.Is(err, os.ErrDeadlineExceeded) && !g.closing.Load():
		g.report(slog.LevelInfo, "connection ended: the client is silent for longer than its keep alive", "keep_alive")
	}
}

// handshake does that of TLS.
func (c *conn) handshake(deadline time.Time) error {
	var hello clientHello
	ctx, cancel := hello.within(deadline)
	defer cancel()
	err := c.tls.HandshakeContext(ctx)
	if err == nil {
		return nil
	}
	e := &doorError{cause: "tls_handshake", err: fmt.Errorf("TLS handshake: %w", err)}
	if hello.seen && errors.Is(err, io.EOF) {
		e.err = errors.New("TLS handshake: the client went away")
	}
	if strings.Contains(err.Error(), "cipher suite") {
		e.attrs = append(e.attrs, slog.String("offered", suiteNames(hello.suites)))
	}
	return e
}

// suiteNames returns the names of the cipher suites that a client has offered, the
// first of them.
func suiteNames(ids []uint16) string {
	const most = 8
	var names []string
	for i, id := range ids {
		if i == most {
			names = append(names, "…")
			break
		}
		names = append(names, tls.CipherSuiteName(id))
	}
	return strings.Join(names, " ")
}

// reportRetained tells of a message that is not retained, for which there is no room
// or none that its user may have.
func (b *Broker) reportRetained(cl *mqtt.Client) {
	attrs := []slog.Attr{
		slog.Int("most", b.cfg.MaxRetained), slog.Int64("most_bytes", b.cfg.MaxRetainedBytes),
		slog.Int("most_of_user", b.cfg.MaxUserRetained), slog.Int64("most_bytes_of_user", b.cfg.MaxUserRetainedBytes),
	}
	const message, cause = "message not retained: a limit is reached", "retained"
	if g := guardOf(cl); g != nil {
		g.report(slog.LevelWarn, message, cause, attrs...)
		return
	}
	attrs = append([]slog.Attr{slog.String("client", printable(cl.ID))}, attrs...)
	b.reports.Report(loglimit.Event{Level: slog.LevelWarn, Message: message, Cause: cause, Attrs: attrs})
}

// reportFilters tells of filters that there is no room for.
func (g *guard) reportFilters(n int) {
	g.report(slog.LevelWarn, "subscription refused: a limit is reached", "subscriptions", slog.Int("filters", n),
		slog.Int("subscriptions_of_client", g.b.cfg.MaxSubscriptions), slog.Int("patterns_of_user", g.b.cfg.MaxPatterns))
}

// Two devices with one client ID take it from each other again and again: each
// connects anew when it has lost it. A device that comes back after its connection
// broke does that seldom.
const (
	manyTurns = 3
	turnsTime = time.Minute
)

// reportTakeover tells of a client that takes over what another connection had, and
// says so when that happens in turns.
func (b *Broker) reportTakeover(s, old *session) {
	now := b.cfg.Now()
	s.turns, s.turnsSince = old.turns+1, old.turnsSince
	if s.turnsSince.IsZero() || now.Sub(s.turnsSince) > turnsTime {
		s.turns, s.turnsSince = 1, now
	}
	level, message, cause := slog.LevelInfo, "session taken over", "takeover"
	if s.turns >= manyTurns {
		level, message, cause = slog.LevelWarn, "two devices seem to use one client ID: they take it from each other in turns", "takeover_in_turns"
	}
	s.guard.report(level, message, cause, slog.String("taken_from", peer.Addr(old.guard.remote).String()))
}
