package route

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
)

// needKey is where an operation keeps what it needs.
const needKey = "need"

// Config says how routes are mounted.
type Config struct {
	Router      chi.Router
	Access      *access.Control
	MaxBody     int64 // bytes
	Title       string
	Version     string
	Description string
}

// Table is a list of routes and the document that describes them.
type Table struct {
	api    huma.API
	router chi.Router
	access *access.Control
	prefix string
	tag    string
}

// NewTable returns an empty table.
func NewTable(cfg Config) *Table {
	install()
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	api := huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: cfg.Title, Version: cfg.Version, Description: cfg.Description},
			Components: &huma.Components{
				Schemas:         schemas,
				SecuritySchemes: securitySchemes(),
			},
			OnAddOperation: []huma.AddOpFunc{describeOptions, describeFailures},
		},
		Formats: map[string]huma.Format{
			"application/json": {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: wire.Unmarshal},
		},
	}, adapter{cfg.Router, cfg.Access, cfg.MaxBody})
	return &Table{api: api, router: cfg.Router, access: cfg.Access}
}

// Under returns the table for paths below prefix, listed under tag.
func (t *Table) Under(prefix, tag string) *Table {
	return &Table{api: t.api, router: t.router, access: t.access, prefix: t.prefix + prefix, tag: tag}
}

// Document returns the OpenAPI document of all routes so far.
func (t *Table) Document() ([]byte, error) { return json.Marshal(t.api.OpenAPI()) }

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
		MaxBodyBytes:    -1, // wire.Body has read it, within its limit
		BodyReadTimeout: -1, // and its deadline
		Metadata:        map[string]any{needKey: need},
	}
	if need != access.Open {
		op.Security = security()
	}
	for _, option := range options {
		option(&op)
	}
	huma.Register(t.api, op, h)
}

func security() []map[string][]string {
	return []map[string][]string{{"bearer": {}}, {"basic": {}}, {"apiToken": {}}, {"clientCertificate": {}}}
}

// describeFailures says, once for all routes, what can go wrong.
func describeFailures(_ *huma.OpenAPI, op *huma.Operation) {
	op.Responses["default"].Description = "A failure. 400: the request is not valid, and the message names the field. " +
		"401: no valid credential. 403: no permission, or a right that the caller lacks himself. " +
		"404: there is no such thing. 409: taken, or in a state that forbids it. 413: the body is too large. " +
		"415: the body is not application/json. 429, 503: try again after Retry-After. 500: a fault of the server."
}

func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"bearer": {
			Type: "http", Scheme: "bearer", BearerFormat: "JWT",
			Description: "A token from POST /api/login.",
		},
		"basic": {
			Type: "http", Scheme: "basic",
			Description: "User name and password; each request is a sign-in.",
		},
		"apiToken": {
			Type: "apiKey", In: "query", Name: "apiToken",
			Description: "A token in the query, where a header can't be sent. May be switched off.",
		},
		"clientCertificate": {
			Type: "mutualTLS",
			Description: "The client certificate of the TLS connection. It counts when no other credential is sent, " +
				"and beside name and password for users who must prove both.",
		},
	}
}
