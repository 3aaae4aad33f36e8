package program

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mqttwarden/registry/logtest"
)

// enrollAt runs the command against a server, at a pace for tests.
func enrollAt(t *testing.T, url, dir string, args ...string) (out string, err error) {
	t.Helper()
	pace := UsualPace()
	pace.Ask = time.Millisecond
	o := new(logtest.Buffer)
	err = pace.Run(t.Context(), append([]string{"enroll", "--server", url, "--username", "pump-7", "--dir", dir}, args...), nil, strings.NewReader(""), o, o)
	return o.String(), err
}

// TestEnrollWaitsForAServerThatIsNotThere (O9): devices are told to go on.
func TestEnrollWaitsForAServerThatIsNotThere(t *testing.T) {
	hangUp := func(w http.ResponseWriter, after string) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = buf.WriteString(after)
		_ = buf.Flush()
		_ = conn.Close()
	}
	script := []func(http.ResponseWriter){
		func(w http.ResponseWriter) { hangUp(w, "") },
		func(w http.ResponseWriter) {
			hangUp(w, "HTTP/1.1 201 Created\r\nContent-Length: 90\r\n\r\n{\"status\":\"gra")
		},
		func(w http.ResponseWriter) { http.Error(w, "<h1>Bad Gateway</h1>", http.StatusBadGateway) },
		func(w http.ResponseWriter) { http.Error(w, "<h1>Gateway Timeout</h1>", http.StatusGatewayTimeout) },
		func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "<h1>Service Unavailable</h1>", http.StatusServiceUnavailable)
		},
		func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"status":"granted","certificate":"the certificate","caCertificates":"the CAs"}`))
		},
	}
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		script[min(int(asked.Add(1)), len(script))-1](w)
	}))
	defer server.Close()
	dir := t.TempDir()
	out, err := enrollAt(t, server.URL, dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := int(asked.Load()); got != len(script) {
		t.Errorf("asked %d times, want %d", got, len(script))
	}
	for want, times := range map[string]int{"The server is not there": 1, "The server is busy": 1, "Granted.": 1} {
		if got := strings.Count(out, want); got != times {
			t.Errorf("said %q %d times, want %d:\n%s", want, got, times, out)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "pump-7.crt")); err != nil || string(b) != "the certificate" {
		t.Errorf("kept %q, %v", b, err)
	}
}

func TestEnrollSaysWhatItWaitedForInVain(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	out, err := enrollAt(t, url, t.TempDir(), "--timeout", "1s")
	if err == nil || !strings.Contains(err.Error(), "the server was not there within 1s (") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want that the server was not there", err)
	}
	if strings.Count(out, "The server is not there") != 1 {
		t.Errorf("said\n%s", out)
	}
}

// What time does not heal is told at once.
func TestEnrollDoesNotWaitForWhatTimeDoesNotHeal(t *testing.T) {
	refuses := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	plain := httptest.NewServer(refuses(http.StatusForbidden, `{"message":"no"}`))
	defer plain.Close()
	secure := httptest.NewTLSServer(refuses(http.StatusForbidden, `{}`))
	defer secure.Close()
	secure.Config.ErrorLog = nil
	page := httptest.NewServer(refuses(http.StatusOK, "<h1>It works!</h1>"))
	defer page.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, url string
		args      []string
		want      string
	}{
		{"refused by an operator", plain.URL, nil, "an operator refused"},
		{"a certificate of nobody", secure.URL, nil, "unknown authority"},
		{"a certificate of another name", strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), []string{"--ca-file", ca}, "not localhost"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), nil, "HTTP response to HTTPS client"},
		{"another server", page.URL, nil, "is not understood"},
	} {
		if _, err := enrollAt(t, tt.url, t.TempDir(), tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
