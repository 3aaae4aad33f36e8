package request

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestLog(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		status  int
		aborted bool
		line    []string
	}{
		{
			"a handler that writes nothing", func(http.ResponseWriter, *http.Request) {},
			http.StatusOK, false,
			[]string{"level=INFO", "status=200", "duration=1s"},
		},
		{
			"a handler that only writes", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) },
			http.StatusOK, false,
			[]string{"status=200"},
		},
		{
			"a handler that tells something first", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(http.StatusTeapot)
			},
			http.StatusEarlyHints, false,
			[]string{"status=418"}, // the recorder keeps the first
		},
		{
			"a handler that fails without a cause", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
			http.StatusBadGateway, false,
			[]string{"level=ERROR", "status=502"},
		},
		{
			"a handler that has no room", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			http.StatusServiceUnavailable, false,
			[]string{"level=INFO", "status=503"},
		},
		{
			"a panic before the answer", func(http.ResponseWriter, *http.Request) { panic("out of luck") },
			http.StatusInternalServerError, false,
			[]string{"level=ERROR", "status=500", "out of luck", "log_test.go"},
		},
		{
			"a panic within the answer", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte("half"))
				panic("out of luck")
			},
			http.StatusOK, true,
			[]string{"level=ERROR", "status=200", "out of luck"},
		},
		{
			"an answer that is given up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			http.StatusOK, true,
			[]string{"level=ERROR", "abort"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var buf bytes.Buffer
			var clock time.Time
			l := Log{
				Log:     slog.New(slog.NewTextHandler(&buf, nil)),
				Now:     func() time.Time { clock = clock.Add(time.Second); return clock },
				Dialect: func(string) Dialect { return nil },
			}
			w := httptest.NewRecorder()
			aborted := false
			func() {
				defer func() {
					err, _ := recover().(error)
					aborted = errors.Is(err, http.ErrAbortHandler)
				}()
				l.Handler(tt.handler).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/secret", nil))
			}()
			if w.Code != tt.status || aborted != tt.aborted {
				t.Errorf("got %d, aborted %v; want %d, %v", w.Code, aborted, tt.status, tt.aborted)
			}
			line := buf.String()
			for _, want := range tt.line {
				if !strings.Contains(line, want) {
					t.Errorf("log is %q, without %s", line, want)
				}
			}
			if strings.Count(line, "msg=request") != 1 || strings.Contains(line, "/secret") {
				t.Errorf("log is %q", line)
			}
		})
	}
}

func TestFromOutsideOfARequest(t *testing.T) {
	From(t.Context()).User = "alice"
	if got := From(t.Context()).User; got != "" {
		t.Errorf("what one wrote, another reads: %s", got)
	}
}
