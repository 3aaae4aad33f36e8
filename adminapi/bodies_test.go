package adminapi_test

import (
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
		{"a byte order mark", "\ufeff" + user("user-6"), []string{json}, http.StatusBadRequest},
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

func TestAMebibyteIsTheDefaultLimit(t *testing.T) {
	api := apitest.New(t)
	body := `{"token": "` + strings.Repeat("x", 1<<20-14) + `"}`
	if a := api.Do("POST", "/api/logout", body); a.Status != http.StatusOK || len(body) != 1<<20-1 {
		t.Errorf("%d bytes: got %d %.200s", len(body), a.Status, a.Body)
	}
	apitest.Message(t, api.Do("POST", "/api/logout", body+"  "), http.StatusRequestEntityTooLarge)
}
