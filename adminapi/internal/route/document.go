package route

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/access"
)

// ServeDocuments adds, for each dialect, the route of its OpenAPI document, which
// has all routes that were added before.
func (r *Router) ServeDocuments() error {
	for _, t := range r.tables {
		if t.dialect.Document.Path == "" {
			continue
		}
		document, err := json.Marshal(t.api.OpenAPI())
		if err != nil {
			return err
		}
		t.Handle("GET "+t.dialect.Document.Path, access.Open, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(document) // a client that has gone does not read it
		}))
	}
	return nil
}

// begin returns the document of d, as yet without routes.
func (d *Dialect) begin(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Servers: []*huma.Server{{URL: "/"}}, // that which serves the document
		Info:    &huma.Info{Title: d.Document.Title, Version: version, Description: d.Document.Description},
		Components: &huma.Components{
			Schemas:         huma.NewMapRegistry("#/components/schemas/", schemaName),
			SecuritySchemes: d.Document.schemes(),
		},
		OnAddOperation: []huma.AddOpFunc{describeOptions, d.Document.describeFailures},
	}
}

// schemaName names a type in the document: the Go type userJSON is User there.
func schemaName(t reflect.Type, hint string) string {
	return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "JSON")
}

func (d *Document) schemes() map[string]*huma.SecurityScheme {
	schemes := make(map[string]*huma.SecurityScheme, len(d.Schemes))
	for _, s := range d.Schemes {
		schemes[s.Name] = &s.SecurityScheme
	}
	return schemes
}

// security returns the schemes for a route that needs a credential: any will do.
func (d *Document) security(need access.Need) []map[string][]string {
	if need == access.Open {
		return nil
	}
	var either []map[string][]string
	for _, s := range d.Schemes {
		either = append(either, map[string][]string{s.Name: {}})
	}
	return either
}

// describeFailures says, once for all routes, what can go wrong and how it looks.
func (d *Document) describeFailures(oapi *huma.OpenAPI, op *huma.Operation) {
	schema := oapi.Components.Schemas.Schema(reflect.TypeOf(d.Failure), true, "Failure")
	op.Responses["default"] = &huma.Response{
		Description: d.Failures,
		Content:     map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}
}
