package hostile

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// TestRequestsWhoseEndIsInDoubtAreRefused is A21: a request with Content-Length and
// Transfer-Encoding is 400 at every HTTP listener, and the last of its connection.
func TestRequestsWhoseEndIsInDoubtAreRefused(t *testing.T) {
	p := rig.Launch(t, "--https-addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0")
	const requests = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" +
		"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
		"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for _, scheme := range []string{"http", "https", "metrics"} {
		conn, err := net.Dial("tcp", p.URLs[scheme])
		if scheme == "https" {
			conn, err = tls.Dial("tcp", p.URLs[scheme], &tls.Config{InsecureSkipVerify: true}) // #nosec G402 -- a test
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
		if err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		if n := strings.Count(string(answer), "HTTP/1.1 "); n != 2 || strings.Count(string(answer), "400 Bad Request\r\n") != 1 {
			t.Errorf("%s: got %q, want two answers, the second 400", scheme, answer)
		}
	}
	p.Reaches("mqttwarden_http_requests_ambiguous_total", 3)
}
