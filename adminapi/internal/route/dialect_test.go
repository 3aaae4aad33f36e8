package route_test

import (
	stdjson "encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/route"
	"mqttwarden/adminapi/internal/wire"
)

func TestEachDialectAnswersForItsOwn(t *testing.T) {
	one, two := dialect("one", "/"), dialect("two", "/two", "/deep/two")
	for _, order := range []struct {
		name     string
		dialects []*route.Dialect
	}{
		{"the default first", []*route.Dialect{one, two}},
		{"the default last", []*route.Dialect{two, one}},
	} {
		t.Run(order.name, func(t *testing.T) {
			r := newRouter(order.dialects...)
			wantFailures(t, r, "/two", "two")
			for path, want := range map[string]string{
				"/": "one", "/x": "one", "/two": "two", "/two/x/y": "two", "/twofold": "one", "/Two": "one", "/x/two": "one",
				"/deep": "one", "/deep/two": "two", "/deep/two/x": "two", "*": "one", "": "one",
			} {
				if got := r.Dialect(path).Door(); got != want {
					t.Errorf("%q belongs to %s, want %s", path, got, want)
				}
			}
		})
	}
}

// The dialect of a route is that of its table, even where the path belongs to
// another. Only what reaches no route goes by the path.
func TestARouteOutsideOfThePrefixes(t *testing.T) {
	r := newRouter(dialect("one", "/"), dialect("two", "/two"))
	for _, tt := range []struct{ endpoint, body, want string }{
		{"POST /of-two/notes", `{"text": "gone"}`, "two: not found: no note"},
		{"POST /of-two/notes", `{`, "two: body: is not valid JSON"},
		{"GET /of-two/notes", ``, "two: unauthenticated: a credential is needed"},
		{"GET /of-two/raw", ``, "two: forbidden: not raw"},
		{"GET /of-two/nothing", ``, "one: there is nothing at this path"},
		{"PUT /of-two/notes", ``, "one: this path does not have that method"},
	} {
		if w, _ := send(t, r, tt.endpoint, tt.body, json); w.Body.String() != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.endpoint, tt.body, w.Body, tt.want)
		}
	}
}

// Two routers in one process have the same paths in other dialects, and serve at
// the same time.
func TestTwoRoutersInOneProcess(t *testing.T) {
	routers := map[string]*route.Router{"red": newRouter(dialect("red", "/api")), "blue": newRouter(dialect("blue", "/api"))}
	var all sync.WaitGroup
	for name, r := range routers {
		for range 4 {
			all.Go(func() { wantFailures(t, r, "/api", name) })
		}
	}
	all.Wait()
}

// What belongs to no dialect has a status and nothing else.
func TestWhatNobodyClaims(t *testing.T) {
	r := newRouter(dialect("one", "/one"))
	w, info := send(t, r, "GET /nothing", "", "")
	if w.Code != http.StatusNotFound || w.Body.Len() != 0 || info.Door() != "" {
		t.Errorf("got %d %q, door %q", w.Code, w.Body, info.Door())
	}
}

func TestAPrefixIsClaimedOnce(t *testing.T) {
	defer func() {
		if p := recover(); p == nil {
			t.Error("two dialects have one prefix")
		}
	}()
	newRouter(dialect("one", "/"), dialect("two", "/"))
}

func TestAllow(t *testing.T) {
	r := newRouter(dialect("one", "/"), dialect("two", "/two"))
	for endpoint, want := range map[string]string{
		"PUT /two/notes":    "GET, HEAD, POST",
		"OPTIONS /two/raw":  "GET, HEAD",
		"FOO /of-two/notes": "GET, HEAD, POST",
	} {
		w, _ := send(t, r, endpoint, "", "")
		if got := strings.Join(w.Header().Values("Allow"), ", "); w.Code != http.StatusMethodNotAllowed || got != want {
			t.Errorf("%s: got %d, Allow %q, want %q", endpoint, w.Code, got, want)
		}
	}
	if w, _ := send(t, r, "FOO /two/nothing", "", ""); w.Code != http.StatusNotFound {
		t.Errorf("an unknown method on an unknown path: got %d", w.Code)
	}
}

// Each dialect has a document of its own, with its routes alone.
func TestDocuments(t *testing.T) {
	two := dialect("two", "/two")
	two.Document.Schemes = []route.Scheme{{Name: "cookie"}}
	two.Document.Failure = struct{ Code, Text string }{}
	r := newRouter(dialect("one", "/one"), two)
	if err := r.ServeDocuments(); err != nil {
		t.Fatal(err)
	}
	for name, fields := range map[string]int{"one": 1, "two": 2} {
		w, _ := send(t, r, "GET /"+name+"/openapi.json", "", "")
		var document struct {
			Info  struct{ Title, Version string }
			Paths map[string]map[string]struct {
				Security  []map[string]any
				Responses map[string]struct{ Description string }
			}
			Components struct {
				Schemas         map[string]struct{ Properties map[string]any }
				SecuritySchemes map[string]any
			}
		}
		if err := stdjson.Unmarshal(w.Body.Bytes(), &document); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
		if document.Info.Title != "the document of "+name || document.Info.Version != "7" {
			t.Errorf("%s: got %+v", name, document.Info)
		}
		if len(document.Paths) != 4 || document.Paths["/"+name+"/notes"] == nil || document.Paths["/of-"+name+"/raw"] == nil {
			t.Errorf("%s: the paths are %v", name, document.Paths)
		}
		get := document.Paths["/"+name+"/notes"]["get"]
		if len(get.Security) != len(document.Components.SecuritySchemes) || get.Responses["default"].Description != "in the words of "+name {
			t.Errorf("%s: got %+v", name, get)
		}
		if got := document.Components.Schemas["Failure"].Properties; len(got) != fields {
			t.Errorf("%s: failures have the fields %v, want %d", name, got, fields)
		}
	}
}

// Every route is told, those that no document has too, with what it needs.
func TestAddedRoutesAreTold(t *testing.T) {
	var got []string
	r := route.NewRouter(route.Config{
		Access: &access.Control{},
		Added:  func(r route.Route) { got = append(got, r.String()) },
	})
	mount(r.Table(dialect("one", "/one")), "/one")
	want := "POST /one/notes open, GET /one/notes permitted, GET /one/raw open, GET /one/whose open"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

// A dialect that shows each field by itself is told of each, without its value.
func TestFieldsAtFault(t *testing.T) {
	d := dialect("fields", "/fields")
	var got []wire.FieldError
	d.Errors = func(_ *http.Request, err error) wire.Answer {
		if e, ok := errors.AsType[*wire.ClientError](err); ok {
			got = e.Fields
		}
		return wire.Answer{Status: http.StatusBadRequest}
	}
	r := newRouter(d)
	send(t, r, "POST /fields/notes", `{"text": 1, "secret": 2}`, json)
	slices.SortFunc(got, func(a, b wire.FieldError) int { return strings.Compare(a.Name, b.Name) })
	want := []wire.FieldError{{Name: "secret", Message: "is not a field"}, {Name: "text", Message: "must be a string"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	send(t, r, "GET /fields/nothing", "", "")
	if got != nil {
		t.Errorf("of a request without fields: got %+v", got)
	}
}
