package route

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/access"
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
// itself, with request.Fail if it fails.
func AddRaw(t *Table, endpoint string, need access.Need, h http.Handler, d Raw) {
	method, path, _ := strings.Cut(endpoint, " ")
	op := &huma.Operation{
		OperationID: d.ID, Method: method, Path: t.prefix + path, Summary: d.Summary, Tags: []string{t.tag},
		Responses: map[string]*huma.Response{
			strconv.Itoa(http.StatusOK): {Description: http.StatusText(http.StatusOK), Content: binary(d.Answer)},
		},
		Security: t.dialect.Document.security(need),
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
	t.api.OpenAPI().AddOperation(op)
	t.handle(method, op.Path, need, nil, h)
}

// binary describes a body of a media type.
func binary(media string) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
}
