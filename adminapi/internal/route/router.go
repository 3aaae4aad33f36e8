package route

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
)

// Config says how routes are mounted.
type Config struct {
	Access  *access.Control
	MaxBody int64       // of a request, in bytes
	Bodies  *Bodies     // what all of them share; nil: plenty
	Version string      // of the program, for documents
	Added   func(Route) // is called with each route that is added; may be nil
}

// Router holds the routes of all dialects. Tables add to it, until it serves the
// first request.
type Router struct {
	cfg    Config
	chi    chi.Router
	tables []*Table
	claims []claim // the longest prefix first
}

// claim is a prefix and the dialect that paths below it belong to.
type claim struct {
	prefix  string
	dialect *Dialect
}

// Route is one route, as it was added.
type Route struct {
	Method, Path string
	Need         access.Need
}

// String returns the method, the path and the need.
func (r Route) String() string { return fmt.Sprintf("%s %s %s", r.Method, r.Path, r.Need) }

// NewRouter returns a router without routes.
func NewRouter(cfg Config) *Router {
	install()
	if cfg.Added == nil {
		cfg.Added = func(Route) {}
	}
	if cfg.Bodies == nil {
		cfg.Bodies = NewBodies(unlimited)
	}
	r := &Router{cfg: cfg, chi: chi.NewRouter()}
	r.chi.Use(middleware.GetHead)
	r.chi.NotFound(notFound)
	r.chi.MethodNotAllowed(methodNotAllowed)
	return r
}

// Table returns an empty table whose routes speak d. It panics if another dialect
// has one of the prefixes already.
func (r *Router) Table(d *Dialect) *Table {
	for _, prefix := range d.Prefixes {
		if slices.ContainsFunc(r.claims, func(c claim) bool { return c.prefix == prefix }) {
			panic(fmt.Sprintf("route: %s is claimed by two dialects, the second is %s", prefix, d.Name))
		}
		r.claims = append(r.claims, claim{prefix, d})
	}
	slices.SortStableFunc(r.claims, func(a, b claim) int { return len(b.prefix) - len(a.prefix) })
	t := newTable(r, d)
	r.tables = append(r.tables, t)
	return t
}

// Dialect returns the dialect of the API that a path belongs to, nil if none claims
// it.
func (r *Router) Dialect(path string) request.Dialect {
	for _, c := range r.claims {
		if below(path, c.prefix) {
			return c.dialect
		}
	}
	return nil
}

// below reports whether path is prefix or a path below it.
func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/') || prefix == "/"
}

// ServeHTTP implements http.Handler.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.chi.ServeHTTP(w, req) }

func notFound(w http.ResponseWriter, r *http.Request) {
	request.Fail(w, r, wire.NewClientError(http.StatusNotFound, "there is nothing at this path"))
}

// methodNotAllowed answers a method that the path does not have with those that it
// has (RFC 9110 section 15.5.6). The router calls it for an unknown method on an
// unknown path, too.
func methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	known := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	routes := chi.RouteContext(r.Context()).Routes
	found := false
	for _, m := range known {
		if !routes.Match(chi.NewRouteContext(), m, r.URL.Path) {
			continue
		}
		found = true
		w.Header().Add("Allow", m)
		if m == http.MethodGet {
			w.Header().Add("Allow", http.MethodHead)
		}
	}
	if !found {
		notFound(w, r)
		return
	}
	request.Fail(w, r, wire.NewClientError(http.StatusMethodNotAllowed, "this path does not have that method"))
}
