package pgtest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Gate stands between a client and the server, and can hold the client's statements up:
// a seam between any two of them that the client knows nothing of.
type Gate struct {
	URL string // of the database, through the gate

	tb     testing.TB
	server string
	ln     net.Listener
	conns  sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]struct{}
	passed  int           // statements since the gate was set
	hold    int           // the one that is held up; 0: none
	held    chan struct{} // closed when it is there
	release chan struct{} // closed when it may go on
}

// NewGate returns an open gate to the database of a URL. It ends with the test.
func NewGate(tb testing.TB, url string) *Gate {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(url, "@")
	server, _, _ := strings.Cut(rest, "/")
	g := &Gate{
		URL: strings.Replace(url, server, ln.Addr().String(), 1),
		tb:  tb, server: server, ln: ln, open: make(map[net.Conn]struct{}),
	}
	g.conns.Go(g.accept)
	tb.Cleanup(g.close)
	return g
}

func (g *Gate) close() {
	g.Open()
	_ = g.ln.Close()
	g.Cut()
	g.conns.Wait()
}

// Cut ends all connections, as a broken network does.
func (g *Gate) Cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		_ = c.Close()
	}
}

// HoldAt has the statement with that number, counted from 1 from now on, wait. The
// channel is closed when it does.
func (g *Gate) HoldAt(n int) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed, g.hold, g.held, g.release = 0, n, make(chan struct{}), make(chan struct{})
	return g.held
}

// Open lets the held statement go, and all after it.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hold > 0 {
		g.hold = 0
		close(g.release)
	}
}

// Passed returns how many statements have come since HoldAt.
func (g *Gate) Passed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed
}

// pass returns when the next statement may pass.
func (g *Gate) pass() {
	g.mu.Lock()
	g.passed++
	wait := g.hold > 0 && g.passed == g.hold
	held, release := g.held, g.release
	g.mu.Unlock()
	if wait {
		close(held)
		<-release
	}
}

func (g *Gate) accept() {
	for {
		client, err := g.ln.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", g.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		g.mu.Lock()
		g.open[client], g.open[server] = struct{}{}, struct{}{}
		g.mu.Unlock()
		g.conns.Go(func() { g.pipe(client, server, func() error { return g.statements(server, client) }) })
		g.conns.Go(func() { g.pipe(server, client, func() error { _, err := io.Copy(client, server); return err }) })
	}
}

// pipe runs one direction of a connection, and ends both with it.
func (g *Gate) pipe(a, b net.Conn, run func() error) {
	_ = run()
	_, _ = a.Close(), b.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, a)
	delete(g.open, b)
}

// statements copies what a client sends. What belongs to one statement ends with a Sync,
// or is a Query (PostgreSQL manual, Message Formats); it is held up as a whole.
func (g *Gate) statements(to io.Writer, from io.Reader) error {
	startup, err := message(from, nil)
	if err != nil {
		return err
	}
	if _, err := to.Write(startup); err != nil {
		return err
	}
	var statement []byte
	for {
		kind := make([]byte, 1)
		if _, err := io.ReadFull(from, kind); err != nil {
			return err
		}
		m, err := message(from, kind)
		if err != nil {
			return err
		}
		statement = append(statement, m...)
		if kind[0] == 'S' || kind[0] == 'Q' {
			g.pass()
		} else if kind[0] != 'p' && kind[0] != 'X' { // a password, the end
			continue
		}
		if _, err := to.Write(statement); err != nil {
			return err
		}
		statement = nil
	}
}

// message reads a message behind its kind: four bytes of its length, themselves
// included, and the rest.
func message(from io.Reader, kind []byte) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 4 || n > 1<<24 {
		return nil, errors.New("pgtest: no message of PostgreSQL")
	}
	m := append(append([]byte(nil), kind...), length[:]...)
	rest := make([]byte, n-4)
	_, err := io.ReadFull(from, rest)
	return append(m, rest...), err
}
