package adminapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
)

func TestBodies(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.MaxBody = 1000 })
	const json = "application/json"
	user := func(name string) string { return `{"username": "` + name + `", "identityProvider": "local"}` }
	for _, tt := range []struct {
		name, body string
		types      []string
		want       int
	}{
		{"JSON", user("user-1"), []string{json}, http.StatusCreated},
		{"JSON, by its full name", user("user-2"), []string{json + "; charset=utf-8"}, http.StatusCreated},
		{"JSON, spelled freely", user("user-3"), []string{"Application/JSON ; charset=UTF-8"}, http.StatusCreated},
		{"JSON with escapes", `{"username": "us\u0065r-\ud83d\ude00", "identityProvider": "local"}`, []string{json}, http.StatusCreated},
		{"just small enough", user("user-4") + strings.Repeat(" ", 1000-len(user("user-4"))), []string{json}, http.StatusCreated},
		{"too large by a byte", user("user-5") + strings.Repeat(" ", 1001-len(user("user-5"))), []string{json}, http.StatusRequestEntityTooLarge},
		{"no type", user("user-6"), nil, http.StatusUnsupportedMediaType},
		{"an empty type", user("user-6"), []string{""}, http.StatusUnsupportedMediaType},
		{"two types", user("user-6"), []string{json, json}, http.StatusUnsupportedMediaType},
		{"a form", user("user-6"), []string{"application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{"an empty form", "", []string{"application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{"text", user("user-6"), []string{"text/plain"}, http.StatusUnsupportedMediaType},
		{"almost JSON", user("user-6"), []string{"application/problem+json"}, http.StatusUnsupportedMediaType},
		{"another character set", user("user-6"), []string{json + "; charset=utf-16"}, http.StatusUnsupportedMediaType},
		{"nothing", "", []string{json}, http.StatusBadRequest},
		{"half an object", `{"username": "user-6"`, []string{json}, http.StatusBadRequest},
		{"two objects", user("user-6") + user("user-7"), []string{json}, http.StatusBadRequest},
		{"an object and more", user("user-6") + "x", []string{json}, http.StatusBadRequest},
		{"a name twice", `{"username": "user-6", "username": "user-7", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
		{"a name twice, once escaped", `{"username": "user-6", "us\u0065rname": "user-7", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
		{"a name in another case", `{"Username": "user-6", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
		{"not UTF-8", "{\"username\": \"user-\xff\", \"identityProvider\": \"local\"}", []string{json}, http.StatusBadRequest},
		{"half a surrogate pair", `{"username": "user-\ud83d", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
		{"NUL", `{"username": "user-6", "identityProvider": "local", "password": "hunter\u00002"}`, []string{json}, http.StatusBadRequest},
		{"a byte order mark", "\ufeff" + user("user-5"), []string{json}, http.StatusCreated},
		{"a byte order mark in the middle", user("user-6") + "\ufeff", []string{json}, http.StatusBadRequest},
		{"deep nesting", `{"username": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, []string{json}, http.StatusBadRequest},
		{"a comment", `{/**/"username": "user-6", "identityProvider": "local"}`, []string{json}, http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{"Authorization", "Bearer " + api.Admin}
			for _, typ := range tt.types {
				headers = append(headers, "Content-Type", typ)
			}
			a := api.Send("POST", "/api/users", tt.body, headers...)
			if a.Status != tt.want {
				t.Fatalf("got %d %s, want %d", a.Status, a.Body, tt.want)
			}
			if tt.want != http.StatusCreated {
				apitest.Message(t, a, tt.want)
			}
		})
	}
	a := api.Do("POST", "/api/users", user("user-6"), "Content-Encoding", "gzip")
	apitest.Message(t, a, http.StatusUnsupportedMediaType)
}

// What anybody may send is small; what needs a credential is as large as its schema
// can need, within the limit of all bodies.
func TestEachRouteTakesWhatItCanNeed(t *testing.T) {
	api := apitest.New(t)
	for _, tt := range []struct {
		endpoint string
		most     int
	}{
		{"POST /api/login", 16 << 10},
		{"POST /api/logout", 16 << 10},
		{"POST /api/client-registry/register", 64 << 10},
		{"POST /api/client-registry/open", 16 << 10},
		{"PUT /api/users/change-password", 49_218},
		{"POST /api/users", 1 << 20},
		{"POST /api/certificates", 1 << 20},
		{"GET /api/session", 16 << 10},
	} {
		method, path, _ := strings.Cut(tt.endpoint, " ")
		body := `{"x": 1}` + strings.Repeat(" ", tt.most-8)
		if a := api.Do(method, path, body); a.Status == http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d bytes: got %d %s", tt.endpoint, tt.most, a.Status, a.Body)
		}
		m := apitest.Message(t, api.Do(method, path, body+" "), http.StatusRequestEntityTooLarge)
		if want := fmt.Sprintf("at most %d bytes", tt.most); !strings.Contains(m, want) {
			t.Errorf("%s: got %q, want it to say %q", tt.endpoint, m, want)
		}
	}
}

// A body that holds more than its route can need is refused before it is decoded, and
// told what the limit is.
func TestValuesOfABodyAreCounted(t *testing.T) {
	api := apitest.New(t)
	many := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	for _, tt := range []struct{ name, endpoint, body, want string }{
		{"numbers", "POST /api/login", `{"a":[` + many(100, "1") + `]}`, "body: has more than 69 values"},
		{"objects", "POST /api/login", `{"a":[` + many(100, `{"b":1}`) + `]}`, "body: has more than 69 values"},
		{"fields", "POST /api/login", `{` + many(30, `"b":1`) + `}`, "body: has an object with more than 20 fields"},
		{"depth", "POST /api/login", strings.Repeat("[", 17) + strings.Repeat("]", 17), "body: has objects or arrays more than 16 levels deep"},
		{"objects in chunks", "POST /api/users", `{"roles":[` + many(120_000, `{}`) + `]}`, "body: has more than"},
		{"brackets in a text", "POST /api/login", `{"username":"` + strings.Repeat("[{,", 100) + `","password":"x"}`, "username: must have at most 255 characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.endpoint, " ")
			if m := apitest.Message(t, api.Do(method, path, tt.body), http.StatusBadRequest); !strings.HasPrefix(m, tt.want) {
				t.Errorf("got %q, want %q", m, tt.want)
			}
		})
	}
}

// The memory of bodies is shared: who comes when it is spent is told when to come
// again, and what is small is not asked.
func TestBodiesShareABudget(t *testing.T) {
	bodies := adminapi.NewBodies(100_000)
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.Bodies = bodies })
	user := `{"username": "user-1", "identityProvider": "local"}`
	reading, finish := make(chan struct{}), make(chan struct{})
	done := make(chan apitest.Answer)
	go func() {
		body := io.MultiReader(strings.NewReader(strings.Repeat(" ", 100_000)), pause{reading, finish}, strings.NewReader(user))
		done <- api.Stream("POST", "/api/users", body)
	}()
	<-reading
	if taken := bodies.Stats().Taken; taken != 100_000-32<<10 {
		t.Errorf("%d bytes are taken", taken)
	}
	a := api.Do("POST", "/api/roles", strings.Repeat(" ", 70_000)+`{"name": "r", "isShared": true}`)
	apitest.Message(t, a, http.StatusServiceUnavailable)
	if a.Header.Get("Retry-After") == "" || bodies.Stats().Refused != 1 {
		t.Errorf("got %v, %+v", a.Header, bodies.Stats())
	}
	api.Must(http.StatusCreated, "POST", "/api/roles", `{"name": "small", "isShared": true}`)
	close(finish)
	if a := <-done; a.Status != http.StatusCreated {
		t.Errorf("the first one: got %d %s", a.Status, a.Body)
	}
	if stats := bodies.Stats(); stats.Taken != 0 {
		t.Errorf("at the end: %+v", stats)
	}
}

// pause is a body that waits at one place and holds nothing.
type pause struct{ reached, finish chan struct{} }

func (p pause) Read([]byte) (int, error) {
	close(p.reached)
	<-p.finish
	return 0, io.EOF
}
