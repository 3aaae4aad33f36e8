package apitest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Decode reads the body into v, which has a place for each of its fields.
func (a Answer) Decode(t testing.TB, v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(a.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
}

// DecodeLoosely reads the fields of the body that v has.
func (a Answer) DecodeLoosely(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), v); err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
}

// Send sends a request as it is, from 192.0.2.1. headers are names and values in
// turn.
func (a *API) Send(method, target, body string, headers ...string) Answer {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(a.t.Context(), method, target, reader)
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Add(pair[0], pair[1])
	}
	rec := httptest.NewRecorder()
	a.Handler.ServeHTTP(rec, r)
	return Answer{rec.Code, rec.Header(), rec.Body.String()}
}

// As sends a JSON request with a token.
func (a *API) As(token, method, target, body string, headers ...string) Answer {
	headers = append(headers, "Authorization", "Bearer "+token)
	if body != "" {
		headers = append(headers, "Content-Type", "application/json")
	}
	return a.Send(method, target, body, headers...)
}

// Do sends a JSON request as the administrator.
func (a *API) Do(method, target, body string, headers ...string) Answer {
	return a.As(a.Admin, method, target, body, headers...)
}

// Stream sends a JSON request as the administrator, whose body has no length.
func (a *API) Stream(method, target string, body io.Reader) Answer {
	r := httptest.NewRequestWithContext(a.t.Context(), method, target, body)
	r.Header.Set("Authorization", "Bearer "+a.Admin)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	a.Handler.ServeHTTP(rec, r)
	return Answer{rec.Code, rec.Header(), rec.Body.String()}
}

// Must sends a JSON request as the administrator and wants a status.
func (a *API) Must(status int, method, target, body string) Answer {
	a.t.Helper()
	got := a.Do(method, target, body)
	if got.Status != status {
		a.t.Fatalf("%s %s %s: got %d %s, want %d", method, target, body, got.Status, got.Body, status)
	}
	return got
}

// Serve serves the API on a port of its own, by the server that configure makes of
// the handler, and returns its URL.
func (a *API) Serve(configure func(http.Handler) *http.Server) string {
	a.t.Helper()
	srv := httptest.NewUnstartedServer(a.Handler)
	srv.Config = configure(a.Handler)
	srv.Start()
	a.t.Cleanup(srv.Close)
	return srv.URL
}

// Message returns the message of an error of the Auth API, and fails unless a is
// one with that status, in the shape that all its errors have.
func Message(t testing.TB, a Answer, status int) string {
	t.Helper()
	var e struct {
		StatusCode int    `json:"statusCode"`
		Error      string `json:"error"`
		Message    string `json:"message"`
	}
	if a.Status != status {
		t.Fatalf("got %d %s, want %d", a.Status, a.Body, status)
	}
	a.Decode(t, &e)
	if e.StatusCode != status || e.Error != http.StatusText(status) || e.Message == "" {
		t.Fatalf("got %s, want statusCode %d, its name and a message", a.Body, status)
	}
	return e.Message
}

// Fields reads a JSON object.
func Fields(t testing.TB, body string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return m
}

// ID returns the id in an answer.
func ID(t testing.TB, a Answer) string {
	t.Helper()
	var v struct{ ID string }
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil || v.ID == "" {
		t.Fatalf("no id in %s", a.Body)
	}
	return v.ID
}

// JSON returns v as JSON.
func JSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
