package framing_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mqttwarden/adminapi/framing"
)

// served is a server behind the guard, which answers each request with its path, its
// protocol and the length of its body.
type served struct {
	addr    string
	tls     *tls.Config // of a client; nil: without TLS
	refused atomic.Uint64
}

func serve(t *testing.T, secure bool) *served {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{addr: ln.Addr().String()}
	g := framing.Guard{Timeout: 5 * time.Second, Refused: &s.refused, Failed: func(net.Addr, error) {}}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprintf(w, "[%s %s %d %v]", r.URL.Path, r.Proto, n, r.TLS != nil)
	})
	start := func(ln net.Listener) {
		srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		go func() { _ = srv.Serve(ln) }()
		t.Cleanup(func() { _ = srv.Close() })
	}
	if !secure {
		start(g.Plain(ln))
		return s
	}
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	defer certified.Close()
	g.TLS = &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	s.tls = certified.Client().Transport.(*http.Transport).TLSClientConfig //nolint:forcetypeassert // httptest says so
	first, second := g.Secure(ln)
	start(second)
	start(first)
	return s
}

// send returns all that comes back until the server closes.
func (s *served) send(t *testing.T, requests string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if s.tls != nil {
		conf := s.tls.Clone()
		conf.NextProtos = []string{"http/1.1"}
		conn, err = tls.Dial("tcp", s.addr, conf)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, requests); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatalf("nothing came back: %v", err)
	}
	return string(answer)
}

const (
	sized   = "POST /sized HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	chunks  = "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nMore: 1\r\n\r\n"
	closing = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	both    = "POST /both HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	after   = "GET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
)

func TestRequestsWhoseEndIsInDoubtAreRefused(t *testing.T) {
	head := func(version, fields string) string { return "POST /x " + version + "\r\nHost: x\r\n" + fields + "\r\n" }
	for _, tt := range []struct {
		name, send string
		want       []string // the paths that are answered 200, each with the length of its body
		refused    int
	}{
		{"a size", sized + closing, []string{"/sized HTTP/1.1 5", "/last HTTP/1.1 0"}, 0},
		{"chunks", chunks + closing, []string{"/chunks HTTP/1.1 6", "/last HTTP/1.1 0"}, 0},
		{"HTTP/1.0", "POST /old HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", []string{"/old HTTP/1.0 2"}, 0},
		{"lines that end with LF alone", "GET /lf HTTP/1.1\nHost: x\nConnection: close\n\n", []string{"/lf HTTP/1.1 0"}, 0},
		{"the same size twice", head("HTTP/1.1", "Content-Length: 2\r\nContent-Length: 2\r\n") + "hi" + closing, []string{"/x HTTP/1.1 2", "/last HTTP/1.1 0"}, 0},
		{"an empty line after a POST", sized + "\r\n" + closing, []string{"/sized HTTP/1.1 5", "/last HTTP/1.1 0"}, 0},
		{"both", both + after, nil, 1},
		{"both, the other way round", head("HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") + "0\r\n\r\n" + after, nil, 1},
		{"both, in other case", head("HTTP/1.1", "transfer-ENCODING:chunked\r\nA: b\r\ncontent-length:3\r\n") + "0\r\n\r\n" + after, nil, 1},
		{"both, after other requests", sized + chunks + both + after, []string{"/sized HTTP/1.1 5", "/chunks HTTP/1.1 6"}, 1},
		{"both, in HTTP/1.0", head("HTTP/1.0", "Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + after, nil, 1},
		{"chunks in HTTP/1.0", head("HTTP/1.0", "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + after, nil, 1},
		{"both, one in a folded line", head("HTTP/1.1", "A: b\r\n Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + after, nil, 1},
		{"two sizes", head("HTTP/1.1", "Content-Length: 2\r\nContent-Length: 3\r\n") + "hi" + after, nil, 1},
		{"a size with a sign", head("HTTP/1.1", "Content-Length: +2\r\n") + "hi" + after, nil, 1},
		{"a list of sizes", head("HTTP/1.1", "Content-Length: 2, 2\r\n") + "hi" + after, nil, 1},
		{"a chunk whose size ends with LF", head("HTTP/1.1", "Transfer-Encoding: chunked\r\n") + "2\nhi\r\n0\r\n\r\n" + after, nil, 1},
		{"a chunk of another size", head("HTTP/1.1", "Transfer-Encoding: chunked\r\n") + "1\r\nhi\r\n0\r\n\r\n" + after, nil, 1},
		{"another version", "GET /x HTTP/3.0\r\nHost: x\r\n\r\n" + after, nil, 0},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", tt.name, secure), func(t *testing.T) {
				s := serve(t, secure)
				answer := s.send(t, tt.send)
				for _, want := range tt.want {
					if !strings.Contains(answer, fmt.Sprintf("[%s %v]", want, secure)) {
						t.Errorf("got %q, want it to answer %s", answer, want)
					}
				}
				if got := strings.Count(answer, " 200 OK"); got != len(tt.want) {
					t.Errorf("got %d answers 200 in %q, want %d", got, answer, len(tt.want))
				}
				if got := strings.Count(answer, " 400 Bad Request"); got != tt.refused {
					t.Errorf("got %d answers 400 in %q, want %d", got, answer, tt.refused)
				}
				if got := s.refused.Load(); got != uint64(tt.refused) {
					t.Errorf("%d were counted, want %d", got, tt.refused)
				}
			})
		}
	}
}

func TestHTTP2IsServedAsBefore(t *testing.T) {
	s := serve(t, true)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.tls, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.addr+"/two", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if _ = resp.Body.Close(); err != nil || string(body) != "[/two HTTP/2.0 5 true]" {
			t.Errorf("got %q, %v", body, err)
		}
	}
}

func TestWhoSpeaksHTTPWithoutTLSIsToldSo(t *testing.T) {
	s := serve(t, true)
	s.tls = nil
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(s.send(t, closing))), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "HTTPS server") {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}
