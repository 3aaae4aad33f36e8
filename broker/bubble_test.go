package broker_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"mqttwarden/broker"
)

// inBubble runs a test with a broker and a clock that goes on only when nobody has
// anything to do: what ends with time ends at its very time, and nobody waits for
// it. Clients come by dialPipe.
func inBubble[L broker.Login](t *testing.T, hook broker.Hook[L], change func(*broker.Config), test func(*testing.T, *started)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, start(t, hook, func(cfg *broker.Config) {
			cfg.Listeners = nil // no clock goes on while somebody waits for a socket
			if change != nil {
				change(cfg)
			}
		}))
	})
}

// local is where clients come from by a pipe.
var local = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

// dialPipe connects to a plain listener.
func dialPipe(tb testing.TB, b *started, version byte) *client {
	tb.Helper()
	return over(tb, buffer(b.Pipe(broker.Listener{Name: "pipe"}, local)), version)
}

// buffered is a connection that takes what it is sent whether it is read or not,
// as a socket does; a pipe does not.
type buffered struct {
	net.Conn
	came     chan []byte // closed at the end
	rest     []byte
	deadline time.Time
}

func buffer(conn net.Conn) *buffered {
	b := &buffered{Conn: conn, came: make(chan []byte, 64)}
	go func() {
		defer close(b.came)
		p := make([]byte, 4096)
		for {
			n, err := conn.Read(p)
			if err != nil {
				return
			}
			b.came <- bytes.Clone(p[:n])
		}
	}()
	return b
}

// SetReadDeadline implements net.Conn.
func (b *buffered) SetReadDeadline(t time.Time) error {
	b.deadline = t
	return nil
}

// Read implements net.Conn.
func (b *buffered) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		timer := time.NewTimer(time.Until(b.deadline))
		defer timer.Stop()
		select {
		case b.rest = <-b.came:
		case <-timer.C:
			return 0, os.ErrDeadlineExceeded
		}
	}
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
