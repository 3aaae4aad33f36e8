package route

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
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
			f := wire.FieldError{Name: place(d.Location), Message: plain(d.Message)}
			fields, list = append(fields, f), append(list, f.Name+": "+f.Message)
		}
	}
	if len(list) > 0 {
		message = strings.Join(list, "; ")
	}
	return &wire.ClientError{Status: status, Message: message, Fields: fields}
}

// plain returns what huma says of a parameter in the words that fields have.
func plain(message string) string {
	switch {
	case message == "invalid integer":
		return "must be a whole number"
	case message == "invalid float":
		return "must be a number"
	case message == "invalid boolean":
		return "must be true or false"
	case strings.HasPrefix(message, "required ") && strings.HasSuffix(message, " parameter is missing"):
		return "must be given"
	default:
		return message
	}
}

// format is fmt.Sprintf, with numbers as people write them: 86400000, not 8.64e+07.
func format(text string, values ...any) string {
	for i, v := range values {
		if number, ok := v.(float64); ok {
			values[i] = strconv.FormatFloat(number, 'f', -1, 64)
		}
	}
	return fmt.Sprintf(text, values...)
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
