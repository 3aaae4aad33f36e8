package adminapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/adminapi/internal/route"
)

func TestUnknownRoutesAndMethods(t *testing.T) {
	api := apitest.New(t)
	for _, headers := range [][]string{nil, {"Authorization", "Bearer " + api.Admin}} {
		for _, endpoint := range []string{
			"GET /", "GET /api", "GET /api/nothing", "POST /api/users/x/y/z", "GET /api/roles/x/permissions/y/z", "GET /metrics",
			"FOO /api/nothing", "OPTIONS /nothing", "GET /docs/index.html", "GET /docs/../api", "GET /console", "GET /users", "HEAD /nothing",
		} {
			method, path, _ := strings.Cut(endpoint, " ")
			if path == "/docs/../api" {
				apitest.Message(t, api.Send(method, path, "", headers...), http.StatusBadRequest)
				continue
			}
			apitest.Message(t, api.Send(method, path, "", headers...), http.StatusNotFound)
		}
		for endpoint, allow := range map[string]string{
			"DELETE /api/users":                  "GET, HEAD, POST",
			"PATCH /api/users/x":                 "GET, HEAD, PUT, DELETE",
			"GET /api/login":                     "POST",
			"HEAD /api/login":                    "POST",
			"POST /api/session":                  "GET, HEAD",
			"OPTIONS /api/users/x/roles":         "POST, DELETE",
			"FOO /api/roles/x/permissions/y":     "GET, HEAD, PUT, DELETE",
			"POST /healthz":                      "GET, HEAD",
			"POST /api/users/x/certificates/..x": "",
		} {
			method, path, _ := strings.Cut(endpoint, " ")
			a := api.Send(method, path, "", headers...)
			if allow == "" {
				apitest.Message(t, a, http.StatusNotFound)
				continue
			}
			apitest.Message(t, a, http.StatusMethodNotAllowed)
			if got := strings.Join(a.Header.Values("Allow"), ", "); got != allow {
				t.Errorf("%s: Allow is %q, want %q", endpoint, got, allow)
			}
		}
	}
}

// routes returns every route there can be, in the order of their paths.
func routes(t *testing.T) []route.Route {
	t.Helper()
	var cfg adminapi.Config
	apitest.New(t, func(c *adminapi.Config) { cfg = *c })
	cfg.Metrics = http.NotFoundHandler()
	all, err := adminapi.Routes(cfg)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b route.Route) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	return all
}

// The list of all routes: who reads its diff sees what is new, and whom it lets in.
func TestRoutes(t *testing.T) {
	var list strings.Builder
	for _, r := range routes(t) {
		fmt.Fprintln(&list, r)
	}
	golden(t, "routes.golden", []byte(list.String()))
}

// filled fills the parameters of a path with ids that nobody has.
var filled = strings.NewReplacer(
	"{id}", "nobody", "{pemId}", "nothing", "{n}", "999999", "{serial}", "01", "{generation}", "1", "{request}", "MAA",
	"{clientId}", "nobody",
)

// Who has no credential learns that, and who has no right learns that, whatever
// else is wrong with the request, and whether or not the thing is there.
func TestWhoAsksIsJudgedBeforeWhatIsAsked(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.Metrics = http.NotFoundHandler() })
	nobody := api.Token("no-rights")
	requests := []struct {
		name, body string
		headers    []string
	}{
		{"no body", "", nil},
		{"a body of another type", "x", []string{"Content-Type", "text/plain"}},
		{"a broken body", "{", []string{"Content-Type", "application/json"}},
		{"a body that is too large", strings.Repeat(" ", 1<<20+1), []string{"Content-Type", "application/json"}},
		{"an unknown parameter", "", []string{"Prefer", strings.Repeat("x", 300)}},
	}
	for _, route := range routes(t) {
		path := filled.Replace(route.Path)
		if strings.Contains(path, "{") {
			t.Errorf("%s: nobody fills its parameter", route)
		}
		if route.Need == access.Open {
			continue
		}
		for _, r := range requests {
			a := api.Send(route.Method, path, r.body, r.headers...)
			apitest.Message(t, a, http.StatusUnauthorized)
			if a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with %s: WWW-Authenticate is %q", route, r.name, a.Header.Get("WWW-Authenticate"))
			}
			if route.Need == access.SignedIn {
				continue
			}
			headers := append([]string{"Authorization", "Bearer " + nobody}, r.headers...)
			apitest.Message(t, api.Send(route.Method, path, r.body, headers...), http.StatusForbidden)
		}
		if route.Need == access.SignedIn {
			if a := api.As(nobody, route.Method, path, ""); a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden {
				t.Errorf("%s: got %d %s", route, a.Status, a.Body)
			}
		}
	}
}

// No spelling of a path reaches what its plain spelling may not.
func TestPathTricks(t *testing.T) {
	api := apitest.New(t)
	bob := api.User("bob-1")
	mine := api.User("carol", "readWrite /api/users/mine/#", "read /api/users")
	token := api.Login("carol", "password-of-carol")
	for _, path := range []string{
		"/api/users/mine/../" + bob, "/api/users/mine/%2e%2e/" + bob, "/api/users/mine/%2E%2e/" + bob, "/api/users/mine/.%2e/" + bob,
		"/api/users/./" + bob, "/api/users/%2e/" + bob, "/api/users/mine/..", "/api/users/mine/.",
		"/api/users/mine%2f..%2f" + bob, "/api/users/mine%2F" + bob, "/api/users/" + bob + "%2ftokens", "/api%2fusers",
		"/api/users/mine\\" + bob, "/api/users/mine%5c" + bob, "/api/users/mine%5C..%5C" + bob,
		"/api/users/" + bob + "%00", "/api/users/mine%00/" + bob, "/api/users/%00",
		"//api/users", "/api//users", "/api/users//" + bob, "/api/users//", "/api/users/" + bob + "//", "//",
		"/api/users/" + bob + "%0a", "/api/users/%7f", "/api/users/%ff", "/api/users/a%0d%0ab",
		"/api/users?x=%00", "/api/users?x=%ff", "/api/users?x=%zz", "/api/users?a;b", "/api/users?%00=x",
	} {
		for _, token := range []string{token, api.Admin} {
			if a := api.As(token, "GET", path, ""); a.Status != http.StatusBadRequest {
				t.Errorf("%q: got %d %s, want 400", path, a.Status, a.Body)
			}
		}
		apitest.Message(t, api.Send("GET", path, ""), http.StatusBadRequest)
	}
	for path, want := range map[string]int{
		"/api/users/" + bob:                http.StatusForbidden,
		"/api/users/" + bob + "/":          http.StatusForbidden,
		"/api/users/%62ob":                 http.StatusForbidden, // an encoded letter is the letter
		"/api/users/%252e%252e":            http.StatusForbidden, // encoded twice it is a name like others
		"/api/users/mine/%252e%252e":       http.StatusNotFound,  // no such route
		"/api/users/mine":                  http.StatusNotFound,  // carol may ask for it, but there is nobody
		"/api/users/%6dine":                http.StatusNotFound,
		"/api/users/mine/":                 http.StatusNotFound,
		"/api/users/mine/tokens":           http.StatusNotFound,
		"/api/users/+":                     http.StatusForbidden, // a wildcard asked for is no wildcard
		"/api/users/%23":                   http.StatusForbidden,
		"/api/users/":                      http.StatusOK,
		"/api/%75sers":                     http.StatusOK,
		"/api/users/...":                   http.StatusForbidden,
		"/api/users/" + mine:               http.StatusForbidden,
		"/API/users":                       http.StatusNotFound,
		"/api/users/mine;x=/" + bob:        http.StatusNotFound,
		"/api/users;x":                     http.StatusNotFound,
		"http://other.example/api/users/":  http.StatusOK, // the form for proxies
		"http://other.example//api/users/": http.StatusBadRequest,
	} {
		if a := api.As(token, "GET", path, ""); a.Status != want {
			t.Errorf("%q: got %d %s, want %d", path, a.Status, a.Body, want)
		}
	}
}

// What a method may be called does not change what is judged.
func TestMethodTricks(t *testing.T) {
	api := apitest.New(t)
	bob := api.User("bob-1")
	reader := api.Token("reader", "read /api/#")
	for _, headers := range [][]string{
		{"X-HTTP-Method-Override", "DELETE"},
		{"X-Method-Override", "DELETE"},
		{"X-HTTP-Method", "DELETE"},
		{"X-Original-URL", "/api/login"},
		{"X-Rewrite-URL", "/api/login"},
	} {
		api.As(reader, "GET", "/api/users/"+bob+"?_method=DELETE", "", headers...)
		api.Must(http.StatusOK, "GET", "/api/users/"+bob, "")
		if a := api.As(reader, "DELETE", "/api/users/"+bob, "", headers...); a.Status != http.StatusForbidden {
			t.Errorf("%v: got %d", headers, a.Status)
		}
	}
	for _, method := range []string{"get", "Delete", "FOO"} {
		if a := api.Do(method, "/api/users/"+bob, ""); a.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: got %d", method, a.Status)
		}
	}
	api.Must(http.StatusOK, "GET", "/api/users/"+bob, "")
}
