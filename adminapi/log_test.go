package adminapi_test

import (
	"net/netip"
	"strings"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
)

func TestAccessLog(t *testing.T) {
	api := apitest.New(t)
	for _, tt := range []struct {
		name, endpoint, body string
		want                 []string
	}{
		{"one thing", "GET /api/users/some-secret-id", "", []string{"level=INFO", "method=GET", "route=/api/users/{id}", "status=404", "user=admin", "remote=192.0.2.1", "request=", "duration="}},
		{"a query", "GET /api/users?username[eq]=some-secret-id", "", []string{"route=/api/users ", "status=200"}},
		{"nothing there", "GET /api/some-secret-id", "", []string{"route=unknown", "status=404", `user=""`}},
		{"a login", "POST /api/login", `{"username": "admin", "password": "` + apitest.AdminPassword + `"}`, []string{"route=/api/login", "status=200", "user=admin"}},
		{"a refused login", "POST /api/login", `{"username": "some-secret-id", "password": "some-secret-id"}`, []string{"route=/api/login", "status=401", `user=""`}},
		{"an odd method", strings.Repeat("X", 100) + " /api/users", "", []string{"method=" + strings.Repeat("X", 16) + " ", "status=405"}},
		{"a probe", "GET /healthz", "", []string{"level=DEBUG", "route=/healthz", "status=200"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(api.Log.String())
			method, path, _ := strings.Cut(tt.endpoint, " ")
			api.Do(method, path, tt.body)
			line := api.Log.String()[before:]
			for _, want := range tt.want {
				if !strings.Contains(line, want) {
					t.Errorf("log is %q, without %s", line, want)
				}
			}
			if strings.Contains(line, "secret") || strings.Contains(line, apitest.AdminPassword) || strings.Count(line, "\n") != 1 {
				t.Errorf("log is %q", line)
			}
		})
	}
}

// Requests that are refused again and again do not fill the log.
func TestRefusedRequestsAreCollapsed(t *testing.T) {
	api := apitest.New(t)
	before := strings.Count(api.Log.String(), "status=401")
	for range 50 {
		api.Do("POST", "/api/login", `{"username": "nobody", "password": "wrong-pass-word"}`)
	}
	if got := strings.Count(api.Log.String(), "status=401") - before; got != 10 {
		t.Errorf("%d lines for 50 refusals, want 10", got)
	}
}

// Behind trusted proxies the log names the client, and nobody else can pretend.
func TestRemoteInTheLog(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	api.Do("GET", "/api/session", "", "X-Forwarded-For", "198.51.100.7")
	if log := api.Log.String(); !strings.Contains(log, "remote=198.51.100.7") {
		t.Errorf("log is %q", log)
	}
	api = apitest.New(t)
	api.Do("GET", "/api/session", "", "X-Forwarded-For", "198.51.100.7")
	if log := api.Log.String(); strings.Contains(log, "198.51.100.7") {
		t.Errorf("log is %q", log)
	}
}

// The audit log has the caller, their door and their address.
func TestAuditKnowsTheCaller(t *testing.T) {
	api := apitest.New(t)
	api.User("alice")
	entries, err := api.Store.Audit(t.Context(), 1)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v %v", entries, err)
	}
	e := entries[0]
	if e.Action != "user.create" || e.Actor.Name != "admin" || e.Door != "api" || e.Remote != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("got %+v", e)
	}
}
