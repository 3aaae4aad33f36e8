package route

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/wire"
)

// Dialect is what sets one API apart from another beside its routes.
type Dialect struct {
	// Name is what the audit log and the access log call the API.
	Name string
	// Prefixes are the paths that belong to it, each with all paths below it; of
	// several dialects the one with the longest prefix has a path, and "/" has the
	// rest. They decide how a request fails that no route matches. A matching route
	// fails in the dialect of its table, even if its path is below another prefix.
	Prefixes []string
	// Errors returns the answer to r, which failed with err: an error of package
	// registry or a *wire.ClientError. Any other is a fault of ours, whose text
	// must not be shown; it is in the log by then.
	Errors func(r *http.Request, err error) wire.Answer
	// Document is the description of its routes.
	Document Document
}

// Door implements request.Dialect.
func (d *Dialect) Door() string { return d.Name }

// Failure implements request.Dialect.
func (d *Dialect) Failure(r *http.Request, err error) wire.Answer { return d.Errors(r, err) }

// Document says what an OpenAPI document has beside its routes.
type Document struct {
	Path        string // where it is served, without a credential; empty: nowhere
	Title       string
	Description string
	Schemes     []Scheme // the ways to show a credential
	Failure     any      // a value of the type that bodies of failures have
	Failures    string   // what the statuses of failures mean
}

// Scheme is one way to show a credential.
type Scheme struct {
	Name string // in the document
	huma.SecurityScheme
}
