package route

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
)

// parameters are the parameters that the query of a route may have; true: several
// times, once for each value of a list.
type parameters map[string]bool

// parametersOf returns those of an operation.
func parametersOf(op *huma.Operation) parameters {
	known := make(parameters)
	for _, p := range op.Parameters {
		if p.In == "query" {
			known[p.Name] = p.Schema.Type == huma.TypeArray
		}
	}
	return known
}

// only lets requests through whose query has nothing but these parameters, each with a
// value: a filter that is misspelt, or empty by mistake, must not select everything.
func (p parameters) only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			query, err := p.read(r.URL.Query())
			if err != nil {
				request.Fail(w, r, err)
				return
			}
			r.URL.RawQuery = query.Encode()
		}
		next.ServeHTTP(w, r)
	})
}

// read returns the query with each parameter under its own name.
func (p parameters) read(sent url.Values) (url.Values, error) {
	query := make(url.Values, len(sent))
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		own := p.name(name)
		many, known := p[own]
		query[own] = append(query[own], sent[name]...)
		switch {
		case !known:
			return nil, badParameter(name, "is not a parameter"+p.list())
		case slices.Contains(sent[name], ""):
			return nil, badParameter(name, "must not be empty: leave it away, or give a value")
		case !many && len(query[own]) > 1:
			return nil, badParameter(name, "must stand once")
		}
	}
	return query, nil
}

// inList is how clients mark one of several values behind the name: name[] or name[0].
var inList = regexp.MustCompile(`\[\d*\]$`)

// name returns the parameter that a name in a query stands for.
func (p parameters) name(sent string) string {
	if _, known := p[sent]; known {
		return sent
	}
	return inList.ReplaceAllString(sent, "")
}

// list says which parameters there are.
func (p parameters) list() string {
	if len(p) == 0 {
		return ": this route has none"
	}
	return ": there are " + strings.Join(slices.Sorted(maps.Keys(p)), ", ")
}

func badParameter(name, message string) error {
	const longest = 100 // bytes of a name that may come from the client
	name = name[:min(len(name), longest)]
	return &wire.ClientError{
		Status: http.StatusBadRequest, Message: fmt.Sprintf("%s: %s", name, message),
		Fields: []wire.FieldError{{Name: name, Message: message}},
	}
}
