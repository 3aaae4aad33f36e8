// Package adminapi serves the register over HTTP. Everything that it serves is
// mounted in this file, and nowhere else:
//
//	/api/…                      v1: the Auth API
//	/pki/…                      pki: what others need to check our certificates; open
//	/healthz, /readyz           for probes; open
//	/metrics                    if configured; needs a permission on its path
//	/openapi.json, /docs        the description of the API; open
//
// A request passes, in this order: the access log (internal/request); the headers
// that every answer has; the check of its path (internal/access); the check that no
// page of another origin sent it; the router; the check of who sent it and whether
// they may (internal/access); the reading of its body, decoding and validation
// (internal/route); the handler (v1). A failure at any of these is shown in the way
// of the API that the request is for, its dialect: see internal/route.
package adminapi

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/route"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/adminapi/pki"
	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry"
)

// SignIn makes a login of a credential; *registry.SignIn implements it.
type SignIn = access.SignIn

// Config holds what the HTTP side works with.
type Config struct {
	Service       v1.Service       // *registry.Service
	Registrations v1.Registrations // *enrol.Service
	Certificates  Certificates     // *pki.Service
	SignIn        SignIn
	// Certificate returns the client certificate of a TLS connection as a
	// credential. Nil: client certificates are ignored.
	Certificate     func(*tls.ConnectionState) *registry.Certificate
	Follower        Follower
	Retained        v1.Retained                                          // the broker's
	Clients         v1.Clients                                           // the broker's
	Position        func(ctx context.Context) (registry.Position, error) // the end of the line of changes, in the store
	Ready           func(ctx context.Context) Readiness
	Metrics         http.Handler   // served at /metrics; nil: there is none
	TrustedProxies  []netip.Prefix // whose X-Forwarded-For is believed
	AllowQueryToken bool           // take tokens from ?apiToken=
	MaxBody         int64          // bytes of a request's body; 0: 1 MiB
	Bodies          *Bodies        // the memory that all bodies share; nil: 32 MiB
	Node            string         // this node's name in receipts; empty: local
	Wait            time.Duration  // for a change to be in force before it is answered; 0: not
	Late            func()         // is called when one is answered before; may be nil
	Version         string         // of the program, for the document
	Now             func() time.Time
	Log             *slog.Logger
}

// Certificates are the trust anchors and our own certificate authority.
type Certificates interface {
	v1.Certificates
	pki.Authority
}

// Follower tells how far changes are enforced; *registry.Follower implements it.
type Follower interface {
	Enforced() uint64
	WaitEnforced(ctx context.Context, n uint64) error
}

// Limits of bodies where none are configured, in bytes.
const (
	defaultMaxBody = 1 << 20
	defaultBodies  = 32 << 20
)

// Bodies is the memory that the bodies of requests share.
type Bodies = route.Bodies

// BodyStats tells how it is used.
type BodyStats = route.BodyStats

// NewBodies returns a budget of so many bytes for the bodies of requests. What one
// takes is charged for as it is read and, by the number of its values, before it is
// decoded.
func NewBodies(most int64) *Bodies { return route.NewBodies(most) }

// New returns the handler of everything. It returns an error when cfg lacks a
// part or a document can't be made.
func New(cfg Config) (http.Handler, error) {
	if cfg.Service == nil || cfg.Registrations == nil || cfg.Certificates == nil || cfg.SignIn == nil || cfg.Follower == nil || cfg.Retained == nil || cfg.Clients == nil || cfg.Position == nil ||
		cfg.Ready == nil || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("adminapi: the configuration lacks a part")
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.Bodies == nil {
		cfg.Bodies = NewBodies(defaultBodies)
	}
	if cfg.Late == nil {
		cfg.Late = func() {}
	}
	if cfg.Node == "" {
		cfg.Node = "local"
	}
	router := route.NewRouter(route.Config{
		Access:  &access.Control{SignIn: cfg.SignIn, AllowQueryToken: cfg.AllowQueryToken, Certificate: cfg.Certificate},
		MaxBody: cfg.MaxBody, Bodies: cfg.Bodies, Version: cfg.Version,
	})
	if err := mount(cfg, router); err != nil {
		return nil, err
	}
	return around(cfg, router), nil
}

// mount adds the routes of all APIs.
func mount(cfg Config, router *route.Router) error {
	api := router.Table(v1.Dialect())
	v1.New(v1.Config{
		Service: cfg.Service, Registrations: cfg.Registrations, Certificates: cfg.Certificates, SignIn: cfg.SignIn, Node: cfg.Node,
		Changes: changes{cfg.Follower, cfg.Position}, Retained: cfg.Retained, Clients: cfg.Clients,
		Wait: cfg.Wait, Late: cfg.Late,
	}).Mount(api)
	pki.New(cfg.Certificates).Mount(api)
	mountOwn(api, cfg)
	return router.ServeDocuments()
}

// mountOwn adds the routes that are about the program, not about the register.
func mountOwn(t *route.Table, cfg Config) {
	t.Handle("GET "+healthRoute, access.Open, http.HandlerFunc(healthy))
	t.Handle("GET "+readyRoute, access.Open, ready(cfg.Ready))
	if cfg.Metrics != nil {
		t.Handle("GET "+metricsRoute, access.Permitted, cfg.Metrics)
	}
	for path, h := range docsRoutes(v1.Dialect().Document) {
		t.Handle("GET "+path, access.Open, h)
	}
}

// around returns the routes behind the handlers that every request passes.
func around(cfg Config, routes *route.Router) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request.Fail(w, r, wire.NewClientError(http.StatusForbidden, "a page of another origin must not send this"))
	}))
	log := request.Log{
		Log: cfg.Log, Now: cfg.Now, Trusted: cfg.TrustedProxies,
		Quiet:   []string{healthRoute, readyRoute, metricsRoute},
		Dialect: routes.Dialect,
	}
	return log.Handler(secure(pki.CleanPath(access.Clean(origin.Handler(routes)))))
}

// changes joins what the follower and the store know of the line of changes.
type changes struct {
	Follower
	position func(context.Context) (registry.Position, error)
}

// Position returns the end of the line of changes.
func (c changes) Position(ctx context.Context) (registry.Position, error) { return c.position(ctx) }

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
