package route

import (
	"io"
	"maps"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/danielgtaylor/huma/v2/validation"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
)

// install sets what huma keeps in package variables: here only, once, and always to
// the same. Routers and dialects can share it, because what differs between them is
// found through the request.
var install = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false // our arrays are never null
	huma.ValidateStrictCasing = true  // "Username" is not "username"
	huma.NewErrorWithContext = render
	huma.ErrorFormatter = format
	//nolint:forbidigo // this sets it, for the schema of errors, which each document replaces; nobody calls it
	huma.NewError = func(status int, _ string, _ ...error) huma.StatusError {
		return &failure{wire.Answer{Status: status}}
	}

	// What is wrong with a field, in the words of package registry.
	validation.MsgUnexpectedProperty = "is not a field"
	validation.MsgExpectedRequiredProperty = "lacks %s"
	validation.MsgExpectedString = "must be a string"
	validation.MsgExpectedBoolean = "must be true or false"
	validation.MsgExpectedNumber = "must be a number"
	validation.MsgExpectedInteger = "must be a whole number"
	validation.MsgExpectedArray = "must be an array"
	validation.MsgExpectedObject = "must be an object"
	validation.MsgExpectedOneOf = "must be one of %s"
	validation.MsgExpectedMinLength = "must have at least %d characters"
	validation.MsgExpectedMaxLength = "must have at most %d characters"
	validation.MsgExpectedMinimumNumber = "must be at least %v"
	validation.MsgExpectedMaximumNumber = "must be at most %v"
	validation.MsgExpectedExclusiveMinimumNumber = "must be more than %v"
	validation.MsgExpectedMaxItems = "must have at most %d entries"
	validation.MsgExpectedRFC3339DateTime = "must be a time as in 2026-02-13T19:40:21.421Z"
})

// api is huma's, without the negotiation of media types: every answer is JSON,
// whatever Accept says.
type api struct{ huma.API }

// Negotiate implements huma.API.
func (api) Negotiate(string) (string, error) { return "application/json", nil }

// newAPI returns huma's view of a table.
func newAPI(t *Table) huma.API {
	return api{huma.NewAPI(huma.Config{
		OpenAPI:      t.dialect.begin(t.router.cfg.Version),
		Formats:      map[string]huma.Format{"application/json": {Marshal: marshal, Unmarshal: wire.Unmarshal}},
		Transformers: []huma.Transformer{settle},
	}, adapter{t})}
}

// adapter adds huma's operations to a table, each with what it needs.
type adapter struct{ table *Table }

// Handle implements huma.Adapter.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(humachi.NewContext(op, r, w))
	})
	need, _ := op.Metadata[needKey].(access.Need)
	texts, _ := op.Metadata[textsKey].([]string)
	in := intake{size: a.table.sizeOf(op), texts: texts, bodies: a.table.router.cfg.Bodies}
	a.table.handle(op.Method, op.Path, need, parametersOf(op), in.buffered(inner))
}

// ServeHTTP implements huma.Adapter.
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.table.router.ServeHTTP(w, r) }

// failure carries an answer that a dialect has made through huma, as an error.
type failure struct{ answer wire.Answer }

// Error implements error.
func (f *failure) Error() string { return http.StatusText(f.answer.Status) }

// GetStatus implements huma.StatusError.
func (f *failure) GetStatus() int { return f.answer.Status }

// Schema implements huma.SchemaProvider. It is replaced by that of the dialect, see
// describeFailures.
func (*failure) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

// render makes the answer to a request that failed within huma or in its handler.
func render(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
	r, _ := humachi.Unwrap(ctx)
	return &failure{request.Failure(r, cause(status, message, errs))}
}

// settle sets the headers of a failure, as its dialect wants them.
func settle(ctx huma.Context, _ string, v any) (any, error) {
	if f, failed := v.(*failure); failed {
		_, w := humachi.Unwrap(ctx)
		w.Header().Del("Content-Type") // huma has set it
		maps.Copy(w.Header(), f.answer.Header)
	}
	return v, nil
}

// marshal writes the body of an answer.
func marshal(w io.Writer, v any) error {
	if f, failed := v.(*failure); failed {
		_, err := w.Write(f.answer.Body)
		return err
	}
	return huma.DefaultJSONFormat.Marshal(w, v)
}
