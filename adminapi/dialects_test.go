package adminapi

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/route"
	"mqttwarden/adminapi/internal/wire"
	v1 "mqttwarden/adminapi/v1"
)

// other is a dialect whose failures are text.
func other() *route.Dialect {
	return &route.Dialect{
		Name: "other", Prefixes: []string{"/other"},
		Errors: func(_ *http.Request, err error) wire.Answer {
			return wire.Answer{Status: http.StatusTeapot, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("other")}
		},
	}
}

// What surrounds the routes answers in the dialect of the path, too, whatever the
// order in which dialects are mounted.
func TestWhatSurroundsSpeaksTheDialectOfThePath(t *testing.T) {
	for _, tt := range []struct {
		name     string
		dialects []*route.Dialect
	}{
		{"the Auth API first", []*route.Dialect{v1.Dialect(), other()}},
		{"the Auth API last", []*route.Dialect{other(), v1.Dialect()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			router := route.NewRouter(route.Config{Access: &access.Control{}})
			for _, d := range tt.dialects {
				table := router.Table(d)
				table.Handle("POST "+strings.TrimSuffix(d.Prefixes[0], "/")+"/panic", access.Open, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					panic("out of luck")
				}))
			}
			log := new(bytes.Buffer)
			h := around(Config{Log: slog.New(slog.NewTextHandler(log, nil)), Now: time.Now}, router)
			for _, c := range []struct {
				name, method, path string
				headers            []string
				status             int
				message            string
			}{
				{"a bad path", "GET", "/%2e%2e/x", nil, http.StatusBadRequest, "the path must not"},
				{"a bad query", "GET", "/x?a=%00", nil, http.StatusBadRequest, "the query must be"},
				{"a foreign page", "POST", "/panic", []string{"Origin", "null"}, http.StatusForbidden, "another origin"},
				{"no such path", "GET", "/nothing/", nil, http.StatusNotFound, "nothing at this path"},
				{"no such method", "DELETE", "/panic", nil, http.StatusMethodNotAllowed, "not have that method"},
				{"a panic", "POST", "/panic", nil, http.StatusInternalServerError, "internal error"},
			} {
				for prefix, want := range map[string]string{"": "api", "/other": "other"} {
					log.Reset()
					r := httptest.NewRequest(c.method, prefix+c.path, nil)
					for i := 0; i < len(c.headers); i += 2 {
						r.Header.Set(c.headers[i], c.headers[i+1])
					}
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					shown := w.Code == c.status && strings.Contains(w.Body.String(), `"statusCode":`) && strings.Contains(w.Body.String(), c.message)
					if want == "other" {
						shown = w.Code == http.StatusTeapot && w.Body.String() == "other" && w.Header().Get("Content-Type") == "text/plain"
					}
					if !shown {
						t.Errorf("%s at %q: got %d %s, want the dialect %s", c.name, prefix, w.Code, w.Body, want)
					}
					if line := log.String(); !strings.Contains(line, " door="+want+" ") || strings.Contains(line, "out of luck") != (c.name == "a panic") {
						t.Errorf("%s at %q: log is %q", c.name, prefix, line)
					}
				}
			}
		})
	}
}
