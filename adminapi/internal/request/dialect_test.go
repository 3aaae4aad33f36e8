package request

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// frank is a dialect that shows everything.
type frank struct{}

func (frank) Door() string { return "frank" }

func (frank) Failure(r *http.Request, err error) wire.Answer {
	return wire.Answer{Status: http.StatusOK, Body: []byte(r.URL.Path + ": " + err.Error())}
}

func TestFail(t *testing.T) {
	cause := errors.New("cause")
	for _, tt := range []struct {
		name string
		err  error
		want string // what the dialect is given
		ours bool   // whether the log has it
	}{
		{"what the registry refuses", registry.Errorf(registry.NotFound, "", "no user"), "not found: no user", false},
		{"locked", registry.Locked, "locked", false},
		{"busy", &registry.Error{Code: registry.Busy, Err: cause}, "busy: cause", true},
		{"the store is away", &registry.Error{Code: registry.Unavailable, Err: cause}, "unavailable: cause", true},
		{"a fault", cause, "cause", true},
		{"what HTTP refuses", wire.NewClientError(http.StatusNotFound, "nothing"), "nothing", false},
		{"what HTTP refuses, in another error", fmt.Errorf("x: %w", wire.NewClientError(http.StatusNotFound, "nothing")), "x: nothing", false},
		{"given up", fmt.Errorf("x: %w", context.Canceled), "the request was given up", false},
		{"out of time", context.DeadlineExceeded, "unavailable: this took too long: try again: context deadline exceeded", true},
		{
			"the store is away, and so out of time",
			&registry.Error{Code: registry.Unavailable, Err: context.DeadlineExceeded}, "unavailable: context deadline exceeded", true,
		},
	} {
		info := &Info{Dialect: frank{}}
		r := httptest.NewRequestWithContext(With(t.Context(), info), http.MethodGet, "/x", nil)
		w := httptest.NewRecorder()
		Fail(w, r, tt.err)
		if got := w.Body.String(); got != "/x: "+tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if (info.Cause != nil) != tt.ours || tt.ours && !errors.Is(info.Cause, tt.err) {
			t.Errorf("%s: cause is %v, want it told: %v", tt.name, info.Cause, tt.ours)
		}
	}
}

// A panic is answered in the dialect of the path, or in that of the route where
// there was one.
func TestAPanicIsAnsweredInADialect(t *testing.T) {
	for _, tt := range []struct {
		name    string
		dialect Dialect // of the path
		handler http.HandlerFunc
		status  int
		door    string
	}{
		{"of the path", frank{}, func(http.ResponseWriter, *http.Request) { panic("out of luck") }, http.StatusOK, "frank"},
		{"of the route", nil, func(_ http.ResponseWriter, r *http.Request) {
			From(r.Context()).Dialect = frank{}
			panic("out of luck")
		}, http.StatusOK, "frank"},
		{"of none", nil, func(http.ResponseWriter, *http.Request) { panic("out of luck") }, http.StatusInternalServerError, `""`},
	} {
		var log bytes.Buffer
		l := Log{
			Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now,
			Dialect: func(path string) Dialect {
				if path != "/some/path" {
					t.Errorf("%s: asked for the dialect of %q", tt.name, path)
				}
				return tt.dialect
			},
		}
		w := httptest.NewRecorder()
		l.Handler(tt.handler).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/some/path", nil))
		if w.Code != tt.status || strings.Contains(w.Body.String(), "out of luck") != (tt.status == http.StatusOK) {
			t.Errorf("%s: got %d %q", tt.name, w.Code, w.Body)
		}
		if line := log.String(); !strings.Contains(line, "door="+tt.door+" ") || !strings.Contains(line, "out of luck") {
			t.Errorf("%s: log is %q", tt.name, line)
		}
	}
}

// An answer without content has no content type (RFC 9110 section 8.3).
func TestNoContentHasNoType(t *testing.T) {
	for status, want := range map[int]string{http.StatusOK: "text/plain", http.StatusNoContent: "", http.StatusNotFound: "text/plain"} {
		l := Log{Log: slog.New(slog.DiscardHandler), Now: time.Now, Dialect: func(string) Dialect { return nil }}
		w := httptest.NewRecorder()
		l.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(status)
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := strings.Join(w.Header()["Content-Type"], ","); w.Code != status || got != want {
			t.Errorf("%d: got %d with the content type %q, want %q", status, w.Code, got, want)
		}
	}
}
