// Package route binds handlers to paths by way of huma, which decodes, validates
// and writes the OpenAPI document. No other package sees how.
package route

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/go-chi/chi/v5"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
)

// install sets what huma keeps in package variables. It is the only place that
// does, it does so once, and always the same: instances share it safely, because
// what differs between them travels in the request's context.
var install = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false // our arrays are never null
	huma.ValidateStrictCasing = true  // "Username" is not "username"
	huma.NewErrorWithContext = render
	//nolint:forbidigo // this sets it, for the schema of errors; nobody calls it
	huma.NewError = func(status int, message string, _ ...error) huma.StatusError {
		return wire.NewProblem(status, message)
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

// render makes the answer for whatever fails within huma or a handler.
func render(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
	err := errors.Join(errs...)
	if status < http.StatusInternalServerError { // huma's own: it does not like the request
		err = invalid(status, message, errs)
	}
	p := wire.ProblemOf(err)
	p.Note(ctx.Context(), err)
	p.Header(err, ctx.SetHeader)
	return p
}

// invalid returns what huma found wrong with a request: where and what, never
// the value, which may be a password.
func invalid(status int, message string, errs []error) error {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	const most = 5 // problems that one answer lists
	var list []string
	for _, err := range errs {
		if len(list) == most {
			break
		}
		if _, ok := errors.AsType[*wire.Problem](err); ok {
			return err
		}
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			list = append(list, place(d.Location)+": "+d.Message)
		}
	}
	if len(list) > 0 {
		message = strings.Join(list, "; ")
	}
	return wire.NewProblem(status, message)
}

// place returns the name of a field as the client knows it, from huma's location
// of it: body.grantTypes[0].method is grantTypes[0].method.
func place(location string) string {
	const longest = 100 // bytes of a name that the client made up
	for _, in := range []string{"body.", "query.", "path.", "header."} {
		if field, ok := strings.CutPrefix(location, in); ok {
			location = field
			break
		}
	}
	return location[:min(len(location), longest)]
}

// adapter puts operations into a chi router, each behind what it needs.
type adapter struct {
	router  chi.Router
	access  *access.Control
	maxBody int64
}

// Handle implements huma.Adapter.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept") // every answer is JSON: there is nothing to negotiate
		handler(humachi.NewContext(op, r, w))
	})
	need, _ := op.Metadata[needKey].(access.Need)
	texts, _ := op.Metadata[textsKey].([]string)
	a.router.Method(op.Method, op.Path, a.access.Protect(need, wire.Body(a.maxBody, inner, texts...)))
}

// ServeHTTP implements huma.Adapter.
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.router.ServeHTTP(w, r) }

// schemaName names a type in the document: the Go type userJSON is User there.
func schemaName(t reflect.Type, hint string) string {
	return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "JSON")
}
