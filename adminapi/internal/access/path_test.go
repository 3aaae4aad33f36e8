package access

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct{ in, path, query string }{ // an empty path: refused
		{"/", "/", ""},
		{"/api/users", "/api/users", ""},
		{"/api/users/", "/api/users", ""},
		{"/api/users/%C3%BC", "/api/users/ü", ""},
		{"/api/users/a%20b", "/api/users/a b", ""},
		{"/api/users/%2b%23", "/api/users/+#", ""},
		{"/api/users/%252f", "/api/users/%2f", ""},
		{"/api/users/%25%32%66", "/api/users/%2f", ""},
		{"/api/.hidden/..x/...", "/api/.hidden/..x/...", ""},
		{"/api/users?b=2&a=%5B1", "/api/users", "a=%5B1&b=2"},
		{"/api/users?flag", "/api/users", "flag="},
		{"//", "", ""},
		{"/api//users", "", ""},
		{"/api/users//", "", ""},
		{"/api/%2Fusers", "", ""},
		{"/api/a%2fb", "", ""},
		{"/api/a%5cb", "", ""},
		{`/api/a\b`, "", ""},
		{"/api/./users", "", ""},
		{"/api/../users", "", ""},
		{"/api/%2e/users", "", ""},
		{"/api/%2E%2e", "", ""},
		{"/api/.", "", ""},
		{"/..", "", ""},
		{"/api/%00", "", ""},
		{"/api/%0d%0a", "", ""},
		{"/api/%7F", "", ""},
		{"/api/%ff", "", ""},
		{"/api?a=%ff", "", ""},
		{"/api?a=%00", "", ""},
		{"/api?%00", "", ""},
		{"/api?a=%", "", ""},
		{"/api?a;b", "", ""},
		{"*", "", ""},
	} {
		var got *url.URL
		h := Clean(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		u, err := url.ParseRequestURI(tt.in) // as net/http does
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
		before := *u
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch {
		case tt.path == "" && (got != nil || w.Code != http.StatusBadRequest):
			t.Errorf("%s: got %v %d, want it refused", tt.in, got, w.Code)
		case tt.path != "" && (got == nil || got.Path != tt.path || got.RawPath != "" || got.RawQuery != tt.query):
			t.Errorf("%s: got %v %d, want %s?%s", tt.in, got, w.Code, tt.path, tt.query)
		}
		if *u != before {
			t.Errorf("%s: the request of others was changed", tt.in)
		}
	}
}

// FuzzClean checks the law that makes a right on a path mean something: whatever
// passes has one form, and what the router finds in it, put together again, is
// that form.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{
		"/api/users/x/tokens", "/api/users/..%2fadmin", "/api/users/%2e%2e/x", "//x", "/a/%00", `/a\..\b`, "/api/users/x/", "/%252e", "/a?b=%00", "/api/users/%c0%af",
	} {
		f.Add(seed)
	}
	router := chi.NewRouter()
	var routed, judged string
	for _, pattern := range []string{"/", "/{a}", "/{a}/{b}", "/{a}/{b}/{c}", "/api/users/{id}", "/api/users/{id}/tokens"} {
		router.Get(pattern, func(_ http.ResponseWriter, r *http.Request) {
			routed, judged = r.URL.Path, resource(r)
		})
	}
	h := Clean(router)
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Scheme != "" {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = u
		routed, judged = "", ""
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if routed == "" {
			return // refused, or deeper than our routes
		}
		if routed != judged {
			t.Fatalf("%q: routed as %q, judged as %q", target, routed, judged)
		}
		if path.Clean(routed) != routed || !utf8.ValidString(routed) || strings.ContainsAny(routed, "\\\x00\r\n") {
			t.Fatalf("%q: %q is not clean", target, routed)
		}
		if strings.Count(routed, "/") != strings.Count(strings.TrimSuffix(u.EscapedPath(), "/"), "/") && routed != "/" {
			t.Fatalf("%q: %q has other segments than were sent", target, routed)
		}
	})
}
