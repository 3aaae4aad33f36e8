// Package adminapi is the register's HTTP side. This file mounts everything that
// it serves, and no other does:
//
//	/api/…                      v1: the Auth API
//	/pki/…                      pki: what others judge our certificates by, open
//	/healthz, /readyz           for probes, open
//	/metrics                    when it is given, behind a permission on its path
//	/openapi.json, /docs        the description of the API, open
//
// A request passes, in this order: the access log (internal/request); the headers
// that every answer has; the check of its path (internal/access); the check that no
// foreign page sent it; the router; the check of who sent it and whether they
// may (internal/access); the reading of its body (internal/wire); decoding and
// validation (internal/route); the handler (v1).
package adminapi

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/route"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/adminapi/pki"
	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry"
)

// SignIn is the one way from a credential to a login; *registry.SignIn is it.
type SignIn = access.SignIn

// Config holds what the HTTP side works with.
type Config struct {
	Service Service // *registry.Service
	SignIn  SignIn
	// Certificate returns what the client certificate of a TLS connection is
	// worth as a credential. Nil: none is taken.
	Certificate     func(*tls.ConnectionState) *registry.Certificate
	Follower        Follower
	Retained        v1.Retained                               // the broker's
	LastChange      func(ctx context.Context) (uint64, error) // the store's
	Ready           func(ctx context.Context) Readiness
	Metrics         http.Handler   // served at /metrics; nil: there is none
	TrustedProxies  []netip.Prefix // whose X-Forwarded-For is believed
	AllowQueryToken bool           // take tokens from ?apiToken=
	MaxBody         int64          // bytes of a request's body; 0: 1 MiB
	Node            string         // this node's name in receipts; empty: local
	Version         string         // of the program, for the document
	Now             func() time.Time
	Log             *slog.Logger
}

// Service is the register with its certificate authority.
type Service interface {
	v1.Service
	pki.Authority
}

// Follower tells how far changes are enforced; *registry.Follower is it.
type Follower interface {
	Enforced() uint64
	WaitEnforced(ctx context.Context, n uint64) error
}

// defaultMaxBody is the limit of bodies, in bytes.
const defaultMaxBody = 1 << 20

// New returns the handler of everything. It returns an error when cfg lacks a
// part or the document can't be made.
func New(cfg Config) (http.Handler, error) {
	if cfg.Service == nil || cfg.SignIn == nil || cfg.Follower == nil || cfg.Retained == nil || cfg.LastChange == nil ||
		cfg.Ready == nil || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("adminapi: the configuration lacks a part")
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.Node == "" {
		cfg.Node = "local"
	}
	r := chi.NewRouter()
	r.Use(middleware.GetHead)
	r.NotFound(notFound)
	r.MethodNotAllowed(methodNotAllowed)
	a := &access.Control{SignIn: cfg.SignIn, AllowQueryToken: cfg.AllowQueryToken, Certificate: cfg.Certificate}

	table := route.NewTable(route.Config{
		Router: r, Access: a, MaxBody: cfg.MaxBody,
		Title: "mqttwarden", Version: cfg.Version, Description: description,
	})
	v1.New(v1.Config{
		Service: cfg.Service, SignIn: cfg.SignIn, Node: cfg.Node,
		Changes: changes{cfg.Follower, cfg.LastChange}, Retained: cfg.Retained,
	}).Mount(table)
	pki.New(cfg.Service).Mount(table)

	open := func(pattern string, h http.Handler) { r.Method(http.MethodGet, pattern, a.Protect(access.Open, h)) }
	open(healthRoute, http.HandlerFunc(healthy))
	open(readyRoute, ready(cfg.Ready))
	if cfg.Metrics != nil {
		r.Method(http.MethodGet, metricsRoute, a.Protect(access.Permitted, cfg.Metrics))
	}
	document, err := table.Document()
	if err != nil {
		return nil, err
	}
	open(documentRoute, documentHandler(document))
	for pattern, h := range docsRoutes() {
		open(pattern, h)
	}

	return around(cfg, r), nil
}

// around returns h behind what every request passes.
func around(cfg Config, h http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.Fail(w, r, wire.NewProblem(http.StatusForbidden, "a page of another origin must not send this"))
	}))
	log := request.Log{
		Log: cfg.Log, Now: cfg.Now, Trusted: cfg.TrustedProxies,
		Quiet: []string{healthRoute, readyRoute, metricsRoute},
		Panicked: func(w http.ResponseWriter, r *http.Request) {
			wire.JSON(w, http.StatusInternalServerError, wire.NewProblem(http.StatusInternalServerError, "internal error"))
		},
	}
	return log.Handler(secure(pki.CleanPath(access.Clean(origin.Handler(h)))))
}

// changes joins what the follower and the store know of the line of changes.
type changes struct {
	Follower
	last func(context.Context) (uint64, error)
}

// LastChange returns the number of the last change.
func (c changes) LastChange(ctx context.Context) (uint64, error) { return c.last(ctx) }

// secure sets the headers that keep browsers from doing more with an answer than
// showing it. A handler that serves pages sets its own policy.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	wire.Fail(w, r, wire.NewProblem(http.StatusNotFound, "there is nothing at this path"))
}

// methodNotAllowed answers a method that the path does not know, with those that
// it does (RFC 9110 section 15.5.6). The router comes here with unknown methods
// on unknown paths, too.
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
	wire.Fail(w, r, wire.NewProblem(http.StatusMethodNotAllowed, "this path does not have that method"))
}
