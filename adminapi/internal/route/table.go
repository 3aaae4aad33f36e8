package route

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
)

// needKey is the key of an operation's metadata for its access.Need.
const needKey = "need"

// Table is a list of routes in one dialect.
type Table struct {
	router  *Router
	dialect *Dialect
	api     huma.API
	prefix  string
	tag     string
}

func newTable(r *Router, d *Dialect) *Table {
	t := &Table{router: r, dialect: d}
	t.api = newAPI(t)
	return t
}

// Under returns the table for paths below prefix, listed under tag.
func (t *Table) Under(prefix, tag string) *Table {
	below := *t
	below.prefix, below.tag = t.prefix+prefix, tag
	document := t.api.OpenAPI()
	if !slices.ContainsFunc(document.Tags, func(known *huma.Tag) bool { return known.Name == tag }) {
		document.Tags = append(document.Tags, &huma.Tag{Name: tag})
	}
	return &below
}

// Add adds a route: its method and path, what it needs, the status of its
// success, its handler, and how the document calls it.
func Add[I, O any](t *Table, endpoint string, need access.Need, status int, h func(context.Context, *I) (*O, error), id, summary string, options ...Option) {
	method, path, _ := strings.Cut(endpoint, " ")
	op := huma.Operation{
		OperationID:     id,
		Method:          method,
		Path:            t.prefix + path,
		Summary:         summary,
		Tags:            []string{t.tag},
		DefaultStatus:   status,
		MaxBodyBytes:    -1, // it has been read, within its limit
		BodyReadTimeout: -1, // and its deadline
		Metadata:        map[string]any{needKey: need},
		Security:        t.dialect.Document.security(need),
	}
	for _, option := range options {
		option(&op)
	}
	huma.Register(t.api, op, h)
}

// Handle adds a route that no document has. Its handler reads the request and
// writes the answer itself, with request.Fail if it fails.
func (t *Table) Handle(endpoint string, need access.Need, h http.Handler) {
	method, path, _ := strings.Cut(endpoint, " ")
	t.handle(method, t.prefix+path, need, nil, h)
}

// handle routes the requests of an endpoint to h, if their sender has what it needs and
// their query has no other parameters than these. From here on a failure is shown in
// the dialect of the table.
func (t *Table) handle(method, path string, need access.Need, query parameters, h http.Handler) {
	protected := t.router.cfg.Access.Protect(need, query.only(h))
	t.router.cfg.Added(Route{method, path, need})
	t.router.chi.Method(method, path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := request.From(r.Context())
		info.Dialect, info.Route = t.dialect, r.Pattern
		protected.ServeHTTP(w, r)
	}))
}
