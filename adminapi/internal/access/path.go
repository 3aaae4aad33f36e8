// Package access stands in front of every route: it refuses paths that a proxy and
// this program could read differently, finds out who the caller is, and judges
// whether they may do what they ask.
package access

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
)

// Clean refuses, before anything is routed, what a router, a proxy and the policy
// might read differently: an encoded slash, a backslash, a dot segment, an empty
// segment, NUL, control characters and what is not UTF-8. It cuts one slash at
// the end. A path that passes has one spelling, in which it is routed and judged.
func Clean(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, ok := cleanPath(r.URL)
		if !ok {
			request.Fail(w, r, wire.NewClientError(http.StatusBadRequest,
				"the path must not have encoded slashes, backslashes, empty or dot segments, or control characters"))
			return
		}
		query, ok := cleanQuery(r.URL.RawQuery)
		if !ok {
			request.Fail(w, r, wire.NewClientError(http.StatusBadRequest,
				"the query must be name=value pairs, percent-encoded UTF-8 without NUL"))
			return
		}
		u := *r.URL
		u.Path, u.RawPath, u.RawQuery = path, "", query.Encode()
		clean := *r
		clean.URL = &u
		next.ServeHTTP(w, &clean)
	})
}

// cleanPath returns the decoded path of u without a slash at its end, or false.
func cleanPath(u *url.URL) (string, bool) {
	raw := u.EscapedPath() // as it was sent
	if !strings.HasPrefix(raw, "/") || strings.Contains(raw, "//") || strings.Contains(strings.ToLower(raw), "%2f") {
		return "", false
	}
	if !utf8.ValidString(u.Path) || strings.ContainsFunc(u.Path, forbidden) {
		return "", false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	if u.Path == "/" {
		return "/", true
	}
	return strings.TrimSuffix(u.Path, "/"), true
}

// forbidden reports whether c may not stand in a path.
func forbidden(c rune) bool { return c < ' ' || c == '\\' || c == 0x7F }

// cleanQuery returns the parameters of a query, or false.
func cleanQuery(raw string) (url.Values, bool) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, false
	}
	for name, values := range query {
		if notText(name) || slices.ContainsFunc(values, notText) {
			return nil, false
		}
	}
	return query, true
}

func notText(s string) bool { return !utf8.ValidString(s) || strings.ContainsRune(s, 0) }
