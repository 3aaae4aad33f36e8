package route_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/route"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// nobody signs nobody in.
type nobody struct{}

func (nobody) In(context.Context, registry.Attempt) (registry.Login, error) {
	return registry.Login{}, registry.Unauthenticated
}

func (nobody) Token(context.Context, string) (registry.Login, error) {
	return registry.Login{}, registry.Unauthenticated
}

// dialect returns one that shows every error as text after its name, and a
// conflict without a body.
func dialect(name string, prefixes ...string) *route.Dialect {
	return &route.Dialect{
		Name: name, Prefixes: prefixes,
		Errors: func(_ *http.Request, err error) wire.Answer {
			header := http.Header{"Content-Type": {"text/" + name}, "X-Dialect": {name}}
			if e, ok := errors.AsType[*wire.ClientError](err); ok {
				return wire.Answer{Status: e.Status, Header: header, Body: fmt.Appendf(nil, "%s: %s", name, e.Message)}
			}
			code, _, detail := registry.Public(err)
			if code == registry.Conflict {
				return wire.Answer{Status: http.StatusGone, Header: http.Header{"X-Dialect": {name}}}
			}
			return wire.Answer{Status: http.StatusTeapot, Header: header, Body: fmt.Appendf(nil, "%s: %s: %s", name, code, detail)}
		},
		Document: route.Document{
			Path: prefixes[0] + "/openapi.json", Title: "the document of " + name,
			Failure: struct{ Text string }{}, Failures: "in the words of " + name,
		},
	}
}

type noteJSON struct {
	Text string `json:"text" maxLength:"5"`
}

// mount adds routes below a path, each of which fails in its own way.
func mount(t *route.Table, below string) {
	notes := t.Under(below, "Notes")
	route.Add(notes, "POST /notes", access.Open, http.StatusOK, takeNote, "take"+below, "Take a note")
	route.Add(notes, "GET /notes", access.Permitted, http.StatusOK, takeNote, "get"+below, "Get a note")
	route.AddRaw(notes, "GET /raw", access.Open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request.Fail(w, r, registry.Errorf(registry.Forbidden, "", "not raw"))
	}), route.Raw{ID: "raw" + below, Summary: "Get it raw", Answer: "text/plain"})
	notes.Handle("GET /whose", access.Open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, access.Caller(r.Context()).Door)
	}))
}

func takeNote(_ context.Context, in *struct{ Body noteJSON }) (*struct{ Body noteJSON }, error) {
	switch in.Body.Text {
	case "gone":
		return nil, registry.Errorf(registry.NotFound, "", "no note")
	case "taken":
		return nil, registry.Errorf(registry.Conflict, "", "")
	case "fault":
		return nil, errors.New("secret")
	case "plain":
		return nil, wire.NewClientError(http.StatusConflict, "not twice")
	default:
		return &struct{ Body noteJSON }{in.Body}, nil
	}
}

// newRouter returns a router with tables for all the dialects.
func newRouter(dialects ...*route.Dialect) *route.Router {
	r := route.NewRouter(route.Config{Access: &access.Control{SignIn: nobody{}}, MaxBody: 100, Version: "7"})
	for _, d := range dialects {
		t := r.Table(d)
		mount(t, strings.TrimSuffix(d.Prefixes[0], "/"))
		mount(t, "/of-"+d.Name) // below nobody's prefix, or that of another
	}
	return r
}

// send sends a request as it comes out of request.Log, and returns the answer and
// what is known of the request then.
func send(t *testing.T, r *route.Router, endpoint, body, media string) (*httptest.ResponseRecorder, *request.Info) {
	t.Helper()
	method, path, _ := strings.Cut(endpoint, " ")
	info := &request.Info{Dialect: r.Dialect(path)}
	req := httptest.NewRequestWithContext(request.With(t.Context(), info), method, path, strings.NewReader(body))
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	req.Header.Set("Accept", "a;,b") // breaks huma's negotiation
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w, info
}

const json = "application/json"

// failures are requests that fail, below any path that mount was called with.
var failures = []struct {
	name, endpoint, body, media string
	status                      int
	want                        string // the body, after the name of the dialect
}{
	{"no such path", "GET %s/nothing", "", "", http.StatusNotFound, "there is nothing at this path"},
	{"no such method", "PUT %s/notes", "", "", http.StatusMethodNotAllowed, "this path does not have that method"},
	{"no credential", "GET %s/notes", "", "", http.StatusTeapot, "unauthenticated: a credential is needed"},
	{"a body of another type", "POST %s/notes", "x", "text/plain", http.StatusUnsupportedMediaType, "Content-Type: must be application/json in UTF-8"},
	{"too large a body", "POST %s/notes", strings.Repeat(" ", 101), json, http.StatusRequestEntityTooLarge, "the body is too large: this route takes at most 100 bytes"},
	{"a broken body", "POST %s/notes", "{", json, http.StatusBadRequest, "body: is not valid JSON"},
	{"a field too long", "POST %s/notes", `{"text": "abcdef"}`, json, http.StatusBadRequest, "text: must have at most 5 characters"},
	{"a field too many", "POST %s/notes", `{"text": "", "x": 1}`, json, http.StatusBadRequest, "x: is not a field"},
	{"what the registry refuses", "POST %s/notes", `{"text": "gone"}`, json, http.StatusTeapot, "not found: no note"},
	{"what HTTP refuses, late", "POST %s/notes", `{"text": "plain"}`, json, http.StatusConflict, "not twice"},
	{"a fault", "POST %s/notes", `{"text": "fault"}`, json, http.StatusTeapot, "internal: internal error"},
	{"a handler without huma", "GET %s/raw", "", "", http.StatusTeapot, "forbidden: not raw"},
}

// wantFailures sends what fails below path and checks that a dialect answers.
func wantFailures(t *testing.T, r *route.Router, path, dialect string) {
	t.Helper()
	for _, f := range failures {
		endpoint := fmt.Sprintf(f.endpoint, path)
		w, info := send(t, r, endpoint, f.body, f.media)
		if got := w.Body.String(); w.Code != f.status || got != dialect+": "+f.want {
			t.Errorf("%s: %s: got %d %q, want %d in the dialect %s, %q", f.name, endpoint, w.Code, got, f.status, dialect, f.want)
		}
		if w.Header().Get("Content-Type") != "text/"+dialect || w.Header().Get("X-Dialect") != dialect {
			t.Errorf("%s: %s: headers are %v, want those of %s", f.name, endpoint, w.Header(), dialect)
		}
		if info.Door() != dialect || (info.Cause != nil) != (f.name == "a fault") {
			t.Errorf("%s: %s: the log has door %q, cause %v", f.name, endpoint, info.Door(), info.Cause)
		}
	}
	w, _ := send(t, r, "POST "+path+"/notes", `{"text": "taken"}`, json)
	if _, typed := w.Header()["Content-Type"]; w.Code != http.StatusGone || w.Body.Len() != 0 || typed || w.Header().Get("X-Dialect") != dialect {
		t.Errorf("without a body: got %d %q %v", w.Code, w.Body, w.Header())
	}
	w, _ = send(t, r, "POST "+path+"/notes", `{"text": "fine"}`, json)
	if w.Code != http.StatusOK || w.Body.String() != `{"text":"fine"}`+"\n" || w.Header().Get("Content-Type") != json {
		t.Errorf("a success: got %d %q %v", w.Code, w.Body, w.Header())
	}
	if w, _ = send(t, r, "GET "+path+"/whose", "", ""); w.Body.String() != dialect {
		t.Errorf("the door of the caller is %q, want %q", w.Body, dialect)
	}
}
