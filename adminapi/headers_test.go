package adminapi_test

import (
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi/internal/apitest"
)

func TestHeadersOfEveryAnswer(t *testing.T) {
	api := apitest.New(t)
	for _, endpoint := range []string{
		"GET /api/session", "GET /api/nothing", "PUT /api/login", "GET /api/users/a%2fb", "GET /api/users", "POST /api/users", "GET /healthz", "GET /openapi.json",
	} {
		method, path, _ := strings.Cut(endpoint, " ")
		h := api.Send(method, path, "", "Origin", "http://example.com").Header
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
	api := apitest.New(t)
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
		a := api.Do("POST", "/api/users", body, tt.headers...)
		if a.Status != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.name, a.Status, a.Body, tt.want)
		}
		if a := api.Send("POST", "/api/login", `{}`, append(tt.headers, "Content-Type", "application/json")...); (a.Status == http.StatusForbidden) != (tt.want == http.StatusForbidden) {
			t.Errorf("%s, at /login: got %d %s", tt.name, a.Status, a.Body)
		}
	}
}

// Whatever a client accepts, it gets JSON, and no header of it makes us fall over.
func TestOddHeaders(t *testing.T) {
	api := apitest.New(t)
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
		a := api.Do("GET", "/api/session", "", header[0], header[1])
		if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %q: got %d, %s", header[0], header[1], a.Status, a.Header.Get("Content-Type"))
		}
		if a := api.Do("PUT", "/api/users/nobody", "{}", header[0], header[1]); a.Status != http.StatusNotFound {
			t.Errorf("%s %q: got %d %s", header[0], header[1], a.Status, a.Body)
		}
	}
}
