package route

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/wire"
)

// cause returns the error behind a failure within huma or a handler.
func cause(status int, message string, errs []error) error {
	if status < http.StatusInternalServerError { // huma itself refused the request
		return invalid(status, message, errs)
	}
	return errors.Join(errs...)
}

// invalid returns what huma found wrong with a request: where and what, never
// the value, which may be a password.
func invalid(status int, message string, errs []error) error {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	const most = 5 // fields that one answer lists
	var fields []wire.FieldError
	var list []string
	for _, err := range errs {
		if len(list) == most {
			break
		}
		if _, ok := errors.AsType[*wire.ClientError](err); ok {
			return err
		}
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			f := wire.FieldError{Name: place(d.Location), Message: d.Message}
			fields, list = append(fields, f), append(list, f.Name+": "+f.Message)
		}
	}
	if len(list) > 0 {
		message = strings.Join(list, "; ")
	}
	return &wire.ClientError{Status: status, Message: message, Fields: fields}
}

// place returns the name of a field as the client knows it, from huma's location
// of it: body.grantTypes[0].method is grantTypes[0].method.
func place(location string) string {
	const longest = 100 // bytes of a name that may come from the client
	for _, in := range []string{"body.", "query.", "path.", "header."} {
		if field, ok := strings.CutPrefix(location, in); ok {
			location = field
			break
		}
	}
	return location[:min(len(location), longest)]
}
