package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry/peer"
)

const patience = 20 * time.Second

// bounded is an HTTP server with so many connections at most. A request of /slow
// is answered when the test says so.
func bounded(t *testing.T, most int, trusted peer.Proxies) (h *httpConns, addr string, release chan struct{}) {
	t.Helper()
	h, release = newHTTPConns(most, trusted), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-release })
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	srv := &http.Server{Handler: mux, ConnState: h.state, ReadHeaderTimeout: patience}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		await(t, "nothing is left", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return len(h.conns) == 0 && len(h.from) == 0 && h.waiting.Len() == 0
		})
	})
	return h, ln.Addr().String(), release
}

// await waits for something that has no event to wait for.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// from connects from an address.
func from(t *testing.T, ip, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// ask sends a request and returns the first line of the answer.
func ask(c net.Conn, path string) (string, error) {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		return "", err
	}
	b := make([]byte, 512)
	n, err := c.Read(b)
	line, _, _ := strings.Cut(string(b[:n]), "\r\n")
	return line, err
}

// gone waits for the server to close.
func gone(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
		t.Errorf("read %d, %v, want the end", n, err)
	}
}

func TestIdleHTTPConnectionsMakeRoom(t *testing.T) {
	for _, tt := range []struct {
		name string
		say  string // by the one that goes
	}{
		{"silent ones", ""},
		{"ones that have begun a request", "GET / HT"},
		{"ones that have had an answer", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, addr, _ := bounded(t, 10, nil)
			var all []net.Conn
			for i := range 30 { // from six addresses
				c := from(t, fmt.Sprint("127.0.0.", 10+i%6), addr)
				if _, err := io.WriteString(c, tt.say); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(tt.say, "\r\n\r\n") {
					_, _ = c.Read(make([]byte, 512))
				}
				all = append(all, c)
			}
			gone(t, all[0])
			for range 3 {
				if line, err := ask(from(t, "127.0.0.99", addr), "/"); line != "HTTP/1.1 200 OK" {
					t.Errorf("a newcomer: %q, %v", line, err)
				}
			}
			if got := h.figures(); got.connections > 10 || got.closed < 20 {
				t.Errorf("%+v, want at most 10 connections and at least 20 closed", got)
			}
		})
	}
}

func TestWhatIsBeingAnsweredStays(t *testing.T) {
	h, addr, release := bounded(t, 4, nil)
	busy := make(chan string, 2)
	for i := range 2 {
		c := from(t, fmt.Sprint("127.0.0.", 1+i), addr)
		go func() {
			line, _ := ask(c, "/slow")
			busy <- line
		}()
	}
	await(t, "both are being answered", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.conns)-h.waiting.Len() == 2
	})
	for i := range 20 {
		_, _ = ask(from(t, fmt.Sprint("127.0.1.", i), addr), "/")
	}
	close(release)
	for range 2 {
		if line := <-busy; line != "HTTP/1.1 200 OK" {
			t.Errorf("what was being answered: %q", line)
		}
	}
}

// One address has no more connections than it leaves free, whatever it does with
// them; a proxy that speaks for many has no share.
func TestTheShareOfAnAddressInHTTPConnections(t *testing.T) {
	for _, tt := range []struct {
		name    string
		trusted peer.Proxies
		want    int
	}{
		{"a client", nil, 10},
		{"a trusted proxy", peer.Proxies{netip.MustParsePrefix("127.0.0.1/32")}, 20},
	} {
		h, addr, release := bounded(t, 20, tt.trusted)
		defer close(release)
		for range 60 {
			c := from(t, "127.0.0.1", addr)
			if _, err := io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		await(t, "the others are closed", func() bool { return h.figures().closed >= uint64(60-tt.want) }) // #nosec G115 -- small
		if got := h.figures().connections; got != tt.want {
			t.Errorf("%s has %d connections of 20, want %d", tt.name, got, tt.want)
		}
	}
}

func TestDescriptorsAreDivided(t *testing.T) {
	for _, tt := range []struct {
		name        string
		descriptors uint64
		mqtt, http  int // wanted
		want        [2]int
		warns       bool
	}{
		{"enough for all", 20_000, 10_000, 1000, [2]int{10_000, 1000}, false},
		{"exactly enough", 11_064, 10_000, 1000, [2]int{10_000, 1000}, false},
		{"too few for MQTT", 4160, 10_000, 1000, [2]int{3096, 1000}, true},
		{"too few for both", 600, 10_000, 1000, [2]int{402, 134}, true},
		{"next to nothing", 16, 10_000, 1000, [2]int{1, 1}, true},
		{"nobody knows", 0, 10_000, 1000, [2]int{10_000, 1000}, false},
	} {
		var log bytes.Buffer
		l := limits{connections: tt.mqtt, httpConnections: tt.http}
		l.divide(tt.descriptors, slog.New(slog.NewTextHandler(&log, nil)))
		if got := [2]int{l.connections, l.httpConnections}; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if got := strings.Contains(log.String(), "level=WARN"); got != tt.warns {
			t.Errorf("%s: warns: %v, want %v\n%s", tt.name, got, tt.warns, log.String())
		}
	}
}
