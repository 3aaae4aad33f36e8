package adminapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/swaggest/swgui/v5emb"

	"mqttwarden/adminapi/internal/route"
)

// docsRoutes serves Swagger UI for an OpenAPI document. The page is the same for
// everybody and needs scripts and styles, so it has a Content Security Policy of its
// own: scripts are the embedded files and those within the page, known by their
// hashes, and nothing comes from another host.
func docsRoutes(document route.Document) map[string]http.Handler {
	ui := v5emb.New(document.Title, document.Path, "/docs/")
	page := newPage(ui)
	policy := strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'" + page.scripts(),
		"style-src 'self' 'unsafe-inline'", // Swagger UI writes styles into what it shows
		"img-src 'self' data:",
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; ")
	shown := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache") // the files are large and have an ETag
			w.Header().Set("Content-Security-Policy", policy)
			h.ServeHTTP(w, r)
		})
	}
	routes := map[string]http.Handler{"/docs": shown(page)}
	for _, file := range []string{
		"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-16x16.png", "favicon-32x32.png",
	} {
		routes["/docs/"+file] = shown(ui)
	}
	return routes
}

// page is a page that was rendered once.
type page struct {
	header http.Header
	body   bytes.Buffer
}

// newPage renders the page of ui, which is the same for every request.
func newPage(ui http.Handler) *page {
	p := &page{header: make(http.Header)}
	ui.ServeHTTP(p, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/docs/"}})
	return p
}

// Header implements http.ResponseWriter.
func (p *page) Header() http.Header { return p.header }

// Write implements http.ResponseWriter.
func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }

// WriteHeader implements http.ResponseWriter.
func (p *page) WriteHeader(int) {}

// ServeHTTP serves the page.
func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(p.body.Bytes()) // a client that has gone does not read it
}

// scripts returns the sources that allow the scripts within the page (Content
// Security Policy Level 3, section 2.3.1), each after a space.
func (p *page) scripts() string {
	var sources strings.Builder
	html := p.body.String()
	for {
		_, rest, found := strings.Cut(html, "<script>")
		script, after, closed := strings.Cut(rest, "</script>")
		if !found || !closed {
			return sources.String()
		}
		sum := sha256.Sum256([]byte(script))
		sources.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
		html = after
	}
}
