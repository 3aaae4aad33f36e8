package program

import (
	"log"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"mqttwarden/registry/loglimit"
	"mqttwarden/registry/peer"
)

// serverErrors is what net/http has to say of its connections. Handshakes of TLS that fail
// are told as those of MQTT are: who and why, and what comes again is collapsed.
type serverErrors struct {
	scheme     string
	log        *slog.Logger
	handshakes *loglimit.Log
}

// handshakeFailed begins the line of net/http about a handshake, and address and reason
// follow.
const handshakeFailed = "http: TLS handshake error from "

// firstHandshakes are how many failed handshakes have a line of their own in a minute.
const firstHandshakes = 10

// newServerErrors returns the log of a server.
func newServerErrors(to *slog.Logger, scheme string) *log.Logger {
	return log.New(&serverErrors{scheme: scheme, log: to, handshakes: loglimit.New(to, time.Now, firstHandshakes)}, "", 0)
}

// Write takes a line of net/http.
func (s *serverErrors) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	about, failed := strings.CutPrefix(text, handshakeFailed)
	address, reason, _ := strings.Cut(about, ": ")
	from, bad := netip.ParseAddrPort(address)
	if !failed || bad != nil {
		s.log.Debug("the HTTP server says", "listener", s.scheme, "text", text)
		return len(line), nil //nolint:nilerr // it is not an error that the line is of something else
	}
	level := slog.LevelInfo
	if strings.HasSuffix(reason, "EOF") { // who connects and leaves, as a probe does
		level = slog.LevelDebug
	}
	remote := from.Addr().Unmap()
	s.handshakes.Flush()
	s.handshakes.Report(loglimit.Event{
		Level: level, Message: "connection refused", Cause: "tls_handshake", Remote: remote, Network: peer.Network(remote),
		Attrs: []slog.Attr{slog.String("listener", s.scheme), slog.String("reason", "TLS handshake: "+reason)},
	})
	return len(line), nil
}
