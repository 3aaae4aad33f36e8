package route

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
)

// Raw describes a route that does not speak JSON.
type Raw struct {
	ID      string
	Summary string
	Param   string // what the parameter of the path is; empty: it has none
	Example string // of that parameter
	Request string // media type of the body; empty: none is read
	Answer  string // media type of the answer
}

// AddRaw adds a route whose handler reads the request and writes the answer
// itself, with wire.Fail if it fails.
func AddRaw(t *Table, endpoint string, need access.Need, h http.Handler, d Raw) {
	method, path, _ := strings.Cut(endpoint, " ")
	binary := func(media string) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
	}
	problem := t.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[wire.Problem](), true, "Error")
	op := &huma.Operation{
		OperationID: d.ID, Method: method, Path: t.prefix + path, Summary: d.Summary, Tags: []string{t.tag},
		Responses: map[string]*huma.Response{
			strconv.Itoa(http.StatusOK): {Description: http.StatusText(http.StatusOK), Content: binary(d.Answer)},
			"default":                   {Content: map[string]*huma.MediaType{"application/json": {Schema: problem}}},
		},
	}
	if _, rest, ok := strings.Cut(path, "{"); ok {
		name, _, _ := strings.Cut(rest, "}")
		op.Parameters = []*huma.Param{{
			Name: name, In: "path", Required: true, Description: d.Param, Example: d.Example,
			Schema: &huma.Schema{Type: huma.TypeString},
		}}
	}
	if d.Request != "" {
		op.RequestBody = &huma.RequestBody{Required: true, Content: binary(d.Request)}
	}
	if need != access.Open {
		op.Security = security()
	}
	t.api.OpenAPI().AddOperation(op)
	t.router.Method(method, op.Path, t.access.Protect(need, h))
}
