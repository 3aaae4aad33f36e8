package adminapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
)

func TestUnknownRoutesAndMethods(t *testing.T) {
	w := newWorld(t, nil)
	for _, headers := range [][]string{nil, {"Authorization", "Bearer " + w.admin}} {
		for _, endpoint := range []string{
			"GET /", "GET /api", "GET /api/nothing", "POST /api/users/x/y/z", "GET /api/roles/x/permissions/y/z", "GET /metrics",
			"FOO /api/nothing", "OPTIONS /nothing", "GET /docs/index.html", "GET /docs/../api", "GET /console", "GET /users", "HEAD /nothing",
		} {
			method, path, _ := strings.Cut(endpoint, " ")
			if path == "/docs/../api" {
				message(t, w.send(method, path, "", headers...), http.StatusBadRequest)
				continue
			}
			message(t, w.send(method, path, "", headers...), http.StatusNotFound)
		}
		for endpoint, allow := range map[string]string{
			"DELETE /api/users":                  "GET, HEAD, POST",
			"PATCH /api/users/x":                 "GET, HEAD, PUT, DELETE",
			"GET /api/login":                     "POST",
			"HEAD /api/login":                    "POST",
			"POST /api/session":                  "GET, HEAD",
			"OPTIONS /api/users/x/roles":         "POST, DELETE",
			"FOO /api/roles/x/permissions/y":     "GET, HEAD, PUT, DELETE",
			"POST /healthz":                      "GET, HEAD",
			"POST /api/users/x/certificates/..x": "",
		} {
			method, path, _ := strings.Cut(endpoint, " ")
			a := w.send(method, path, "", headers...)
			if allow == "" {
				message(t, a, http.StatusNotFound)
				continue
			}
			message(t, a, http.StatusMethodNotAllowed)
			if got := strings.Join(a.header.Values("Allow"), ", "); got != allow {
				t.Errorf("%s: Allow is %q, want %q", endpoint, got, allow)
			}
		}
	}
}

func TestBodies(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.MaxBody = 1000 })
	const json = "application/json"
	user := func(name string) string { return `{"username": "` + name + `", "identityProvider": "local"}` }
	for _, tt := range []struct {
		name, body string
		types      []string
		want       int
	}{
		{"JSON", user("user-1"), []string{json}, http.StatusCreated},
		{"JSON, by its full name", user("user-2"), []string{json + "; charset=utf-8"}, http.StatusCreated},
		{"JSON, spelled freely", user("user-3"), []string{"Application/JSON ; charset=UTF-8"}, http.StatusCreated},
		{"JSON with escapes", `{"username": "us\u0065r-\ud83d\ude00", "identityProvider": "local"}`, []string{json}, http.StatusCreated},
		{"just small enough", user("user-4") + strings.Repeat(" ", 1000-len(user("user-4"))), []string{json}, http.StatusCreated},
		{"too large by a byte", user("user-5") + strings.Repeat(" ", 1001-len(user("user-5"))), []string{json}, http.StatusRequestEntityTooLarge},
		{"no type", user("user-6"), nil, http.StatusUnsupportedMediaType},
		{"an empty type", user("user-6"), []string{""}, http.StatusUnsupportedMediaType},
		{"two types", user("user-6"), []string{json, json}, http.StatusUnsupportedMediaType},
		{"a form", user("user-6"), []string{"application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{"an empty form", "", []string{"application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{"text", user("user-6"), []string{"text/plain"}, http.StatusUnsupportedMediaType},
		{"almost JSON", user("user-6"), []string{"application/problem+json"}, http.StatusUnsupportedMediaType},
		{"another character set", user("user-6"), []string{json + "; charset=utf-16"}, http.StatusUnsupportedMediaType},
		{"nothing", "", []string{json}, http.StatusBadRequest},
		{"half an object", `{"username": "user-6"`, []string{json}, http.StatusBadRequest},
		{"two objects", user("user-6") + user("user-7"), []string{json}, http.StatusBadRequest},
		{"an object and more", user("user-6") + "x", []string{json}, http.StatusBadRequest},
		{"a name twice", `{"username": "user-6", "username": "user-7", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
		{"a name twice, once escaped", `{"username": "user-6", "us\u0065rname": "user-7", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
		{"a name in another case", `{"Username": "user-6", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
		{"not UTF-8", "{\"username\": \"user-\xff\", \"identityProvider\": \"local\"}", []string{json}, http.StatusBadRequest},
		{"half a surrogate pair", `{"username": "user-\ud83d", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
		{"NUL", `{"username": "user-6", "identityProvider": "local", "password": "hunter\u00002"}`, []string{json}, http.StatusBadRequest},
		{"a byte order mark", "\ufeff" + user("user-6"), []string{json}, http.StatusBadRequest},
		{"deep nesting", `{"username": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, []string{json}, http.StatusBadRequest},
		{"a comment", `{/**/"username": "user-6", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{"Authorization", "Bearer " + w.admin}
			for _, typ := range tt.types {
				headers = append(headers, "Content-Type", typ)
			}
			a := w.send("POST", "/api/users", tt.body, headers...)
			if a.status != tt.want {
				t.Fatalf("got %d %s, want %d", a.status, a.body, tt.want)
			}
			if tt.want != http.StatusCreated {
				message(t, a, tt.want)
			}
		})
	}
	a := w.do("POST", "/api/users", user("user-6"), "Content-Encoding", "gzip")
	message(t, a, http.StatusUnsupportedMediaType)
}

func TestAMebibyteIsTheDefaultLimit(t *testing.T) {
	w := newWorld(t, nil)
	body := `{"token": "` + strings.Repeat("x", 1<<20-14) + `"}`
	if a := w.do("POST", "/api/logout", body); a.status != http.StatusOK || len(body) != 1<<20-1 {
		t.Errorf("%d bytes: got %d %.200s", len(body), a.status, a.body)
	}
	message(t, w.do("POST", "/api/logout", body+"  "), http.StatusRequestEntityTooLarge)
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	w := newWorld(t, nil)
	for _, endpoint := range []string{
		"GET /api/session", "GET /api/nothing", "PUT /api/login", "GET /api/users/a%2fb", "GET /api/users", "POST /api/users", "GET /healthz", "GET /openapi.json",
	} {
		method, path, _ := strings.Cut(endpoint, " ")
		h := w.send(method, path, "", "Origin", "http://example.com").header
		for name, want := range map[string]string{
			"X-Content-Type-Options":      "nosniff",
			"Referrer-Policy":             "no-referrer",
			"Cache-Control":               "no-store",
			"Content-Security-Policy":     "default-src 'none'; frame-ancestors 'none'",
			"Content-Type":                "application/json",
			"Access-Control-Allow-Origin": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", endpoint, name, got, want)
			}
		}
		if len(h.Get("X-Request-Id")) != 26 {
			t.Errorf("%s: X-Request-Id is %q", endpoint, h.Get("X-Request-Id"))
		}
	}
}

func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	w := newWorld(t, nil)
	for _, tt := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"no browser", nil, http.StatusCreated},
		{"our own page", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}, http.StatusCreated},
		{"a foreign page", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example"}, http.StatusForbidden},
		{"a sister site", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"a foreign page in an old browser", []string{"Origin", "http://evil.example"}, http.StatusForbidden},
		{"a page without an origin", []string{"Origin", "null"}, http.StatusForbidden},
	} {
		name := "user-" + strings.ReplaceAll(tt.name, " ", "-")
		body := `{"username": "` + name + `", "identityProvider": "local"}`
		a := w.do("POST", "/api/users", body, tt.headers...)
		if a.status != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.name, a.status, a.body, tt.want)
		}
		if a := w.send("POST", "/api/login", `{}`, append(tt.headers, "Content-Type", "application/json")...); (a.status == http.StatusForbidden) != (tt.want == http.StatusForbidden) {
			t.Errorf("%s, at /login: got %d %s", tt.name, a.status, a.body)
		}
	}
}

// Whatever a client accepts, it gets JSON, and no header of it makes us fall over.
func TestOddHeaders(t *testing.T) {
	w := newWorld(t, nil)
	for _, header := range [][2]string{
		{"Accept", "text/html"},
		{"Accept", "a;,b"},
		{"Accept", ";"},
		{"Accept", "application/json;q=0"},
		{"Accept", ",,;;,q=,"},
		{"Prefer", "wait"},
		{"Prefer", "wait=-1"},
		{"Prefer", `wait="`},
		{"Prefer", ",=,;"},
		{"X-Forwarded-For", ",,,"},
		{"Cookie", "a=b"},
	} {
		a := w.do("GET", "/api/session", "", header[0], header[1])
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %q: got %d, %s", header[0], header[1], a.status, a.header.Get("Content-Type"))
		}
		if a := w.do("PUT", "/api/users/nobody", "{}", header[0], header[1]); a.status != http.StatusNotFound {
			t.Errorf("%s %q: got %d %s", header[0], header[1], a.status, a.body)
		}
	}
}

// failing is a register in which reading fails with err.
type failing struct {
	*registry.Service
	err error
}

func (f *failing) Usernames(context.Context) ([]string, error) { return nil, f.err }

func (f *failing) UserIDs(context.Context) ([]registry.UserID, error) { panic("out of luck") }

func TestFailuresOfOurs(t *testing.T) {
	service := &failing{}
	w := newWorld(t, func(cfg *Config) {
		service.Service = cfg.Service.(*registry.Service)
		cfg.Service = service
	})
	cause := errors.New("disk: secret-path is full")
	for _, tt := range []struct {
		name   string
		err    error
		status int
		retry  string
		level  string
		logged string
	}{
		{"an error without a code", cause, http.StatusInternalServerError, "", "ERROR", "secret-path"},
		{"an internal error", &registry.Error{Code: registry.Internal, Detail: "secret-path", Err: cause}, http.StatusInternalServerError, "", "ERROR", "secret-path"},
		{"the store is away", &registry.Error{Code: registry.Unavailable, Detail: "the store can't be reached", Err: cause}, http.StatusServiceUnavailable, "5", "ERROR", "secret-path"},
		{"too much work", &registry.Error{Code: registry.Busy, Detail: "try again", Err: cause}, http.StatusServiceUnavailable, "1", "ERROR", "secret-path"},
		{"locked", registry.Errorf(registry.Locked, "", "too many failures"), http.StatusTooManyRequests, "60", "INFO", ""},
		{"out of time", context.DeadlineExceeded, http.StatusServiceUnavailable, "5", "ERROR", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			service.err = tt.err
			before := len(w.log.String())
			a := w.do("GET", "/api/users/usernames", "")
			if m := message(t, a, tt.status); strings.Contains(m, "secret") {
				t.Errorf("message %q tells of the inside", m)
			}
			if got := a.header.Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After is %q, want %q", got, tt.retry)
			}
			line := w.log.String()[before:]
			if !strings.Contains(line, "level="+tt.level) || !strings.Contains(line, tt.logged) || strings.Count(line, "\n") != 1 {
				t.Errorf("log is %q", line)
			}
		})
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Service = &failing{Service: cfg.Service.(*registry.Service)} })
	before := len(w.log.String())
	if m := message(t, w.do("GET", "/api/users/ids", ""), http.StatusInternalServerError); m != "internal error" {
		t.Errorf("message is %q", m)
	}
	line := w.log.String()[before:]
	for _, want := range []string{"level=ERROR", "route=/api/users/ids", "status=500", "out of luck", "http_test.go"} {
		if !strings.Contains(line, want) {
			t.Errorf("log is %q, without %s", line, want)
		}
	}
	w.must(http.StatusOK, "GET", "/api/session", "")
}

func TestAccessLog(t *testing.T) {
	w := newWorld(t, nil)
	for _, tt := range []struct {
		name, endpoint, body string
		want                 []string
	}{
		{"one thing", "GET /api/users/some-secret-id", "", []string{"level=INFO", "method=GET", "route=/api/users/{id}", "status=404", "user=admin", "remote=192.0.2.1", "request=", "duration="}},
		{"a query", "GET /api/users?username[eq]=some-secret-id", "", []string{"route=/api/users ", "status=200"}},
		{"nothing there", "GET /api/some-secret-id", "", []string{"route=unknown", "status=404", `user=""`}},
		{"a login", "POST /api/login", `{"username": "admin", "password": "` + adminPassword + `"}`, []string{"route=/api/login", "status=200", "user=admin"}},
		{"a refused login", "POST /api/login", `{"username": "some-secret-id", "password": "some-secret-id"}`, []string{"route=/api/login", "status=401", `user=""`}},
		{"an odd method", strings.Repeat("X", 100) + " /api/users", "", []string{"method=" + strings.Repeat("X", 16) + " ", "status=405"}},
		{"a probe", "GET /healthz", "", []string{"level=DEBUG", "route=/healthz", "status=200"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.log.String())
			method, path, _ := strings.Cut(tt.endpoint, " ")
			w.do(method, path, tt.body)
			line := w.log.String()[before:]
			for _, want := range tt.want {
				if !strings.Contains(line, want) {
					t.Errorf("log is %q, without %s", line, want)
				}
			}
			if strings.Contains(line, "secret") || strings.Contains(line, adminPassword) || strings.Count(line, "\n") != 1 {
				t.Errorf("log is %q", line)
			}
		})
	}
}

// waiting is a follower that never gets further, for as long as it may.
type waiting struct {
	Follower
	delay time.Duration
}

func (f waiting) WaitEnforced(ctx context.Context, _ uint64) error {
	select {
	case <-time.After(f.delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The time to read a request ends with the request: a handler that waits longer
// keeps its connection.
func TestReadDeadlineEndsWithTheBody(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Follower = waiting{cfg.Follower, 300 * time.Millisecond} })
	srv := serve(t, w.handler, 100*time.Millisecond)
	alice := w.user("alice")
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"with a body", "POST", "/api/users", `{"username": "bob", "identityProvider": "local"}`, http.StatusCreated},
		{"without one", "DELETE", "/api/users/" + alice, "", http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, srv+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+w.admin)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Prefer", "wait=30")
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != tt.want || res.Header.Get("Preference-Applied") != "wait=30" {
				t.Errorf("got %d, Preference-Applied %q", res.StatusCode, res.Header.Get("Preference-Applied"))
			}
		})
	}
}

func TestSlowBodiesAreGivenUp(t *testing.T) {
	w := newWorld(t, nil)
	srv := serve(t, w.handler, 50*time.Millisecond)
	for name, tt := range map[string]struct {
		authorization string
		want          int
	}{
		"of somebody": {"Bearer " + w.admin, http.StatusRequestTimeout},
		"of nobody":   {"Bearer abc", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(srv, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /api/users HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", tt.authorization)
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != tt.want {
				t.Errorf("got %d, want %d", res.StatusCode, tt.want)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
				t.Errorf("the connection stays open: %d %v", n, err)
			}
		})
	}
}

func TestServerHasLimits(t *testing.T) {
	s := Server(http.NotFoundHandler())
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout <= 60*time.Second || s.IdleTimeout == 0 || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("got %+v", s)
	}
}

// serve runs our server on a port of its own.
func serve(t *testing.T, h http.Handler, readTimeout time.Duration) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config = Server(h)
	srv.Config.ReadTimeout = readTimeout
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}
