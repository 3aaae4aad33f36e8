package program

import (
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"strings"
	"time"

	"mqttwarden/registry/loglimit"
	"mqttwarden/registry/peer"
)

// firstHandshakes are how many failed handshakes have a line of their own in a minute.
const firstHandshakes = 10

// handshakes tells of handshakes of TLS that fail over HTTPS as those over MQTT are told
// of: who and why, and what comes again is collapsed.
type handshakes struct{ log *loglimit.Log }

func newHandshakes(log *slog.Logger) *handshakes {
	return &handshakes{loglimit.New(log, time.Now, firstHandshakes)}
}

// failed tells of one.
func (h *handshakes) failed(remote net.Addr, err error) {
	level := slog.LevelInfo
	if errors.Is(err, io.EOF) { // who connects and leaves, as a probe does
		level = slog.LevelDebug
	}
	from := peer.Addr(remote)
	h.log.Flush()
	h.log.Report(loglimit.Event{
		Level: level, Message: "connection refused", Cause: "tls_handshake", Remote: from, Network: peer.Network(from),
		Attrs: []slog.Attr{slog.String("listener", "https"), slog.String("reason", "TLS handshake: "+err.Error())},
	})
}

// serverErrors is what net/http has to say of its connections.
type serverErrors struct {
	scheme string
	log    *slog.Logger
}

// newServerErrors returns the log of a server.
func newServerErrors(to *slog.Logger, scheme string) *log.Logger {
	return log.New(&serverErrors{scheme, to}, "", 0)
}

// Write takes a line of net/http.
func (s *serverErrors) Write(line []byte) (int, error) {
	s.log.Debug("the HTTP server says", "listener", s.scheme, "text", strings.TrimSpace(string(line)))
	return len(line), nil
}
