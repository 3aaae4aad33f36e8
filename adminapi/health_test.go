package adminapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
)

func TestHealth(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) {
		cfg.Ready = func(context.Context) adminapi.Readiness { panic("health does not ask") }
	})
	if a := api.Send("GET", "/healthz", ""); a.Status != http.StatusOK || a.Body != `{"status":"ok"}`+"\n" {
		t.Errorf("got %d %s", a.Status, a.Body)
	}
}

func TestReady(t *testing.T) {
	var parts adminapi.Readiness
	api := apitest.New(t, func(cfg *adminapi.Config) {
		cfg.Ready = func(ctx context.Context) adminapi.Readiness {
			if _, limited := ctx.Deadline(); !limited {
				t.Error("a probe may take for ever")
			}
			return parts
		}
	})
	for _, tt := range []struct {
		name  string
		parts adminapi.Readiness
		want  int
		body  string
	}{
		{"all is well", adminapi.Readiness{{Name: "store"}, {Name: "broker"}}, http.StatusOK, `{"ready":true,"parts":{"broker":true,"store":true}}`},
		{"the store is away", adminapi.Readiness{{Name: "store", Err: errors.New("no secret-path")}, {Name: "broker"}}, http.StatusServiceUnavailable, `{"ready":false,"parts":{"broker":true,"store":false}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts = tt.parts
			before := len(api.Log.String())
			a := api.Send("GET", "/readyz", "")
			if a.Status != tt.want || a.Body != tt.body+"\n" {
				t.Errorf("got %d %s, want %d %s", a.Status, a.Body, tt.want, tt.body)
			}
			if line := api.Log.String()[before:]; strings.Contains(line, "secret-path") != (tt.want != http.StatusOK) {
				t.Errorf("log is %q", line)
			}
		})
	}
}

func TestMetricsNeedARight(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) {
		cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte("up 1\n"))
		})
	})
	apitest.Message(t, api.Send("GET", "/metrics", ""), http.StatusUnauthorized)
	apitest.Message(t, api.As(api.Token("operator", "readWrite /api/#"), "GET", "/metrics", ""), http.StatusForbidden)
	for _, token := range []string{api.Token("scraper", "read /metrics"), api.Admin} {
		if a := api.As(token, "GET", "/metrics", ""); a.Status != http.StatusOK || a.Body != "up 1\n" {
			t.Errorf("got %d %s", a.Status, a.Body)
		}
	}
	if a := api.Send("GET", "/metrics", "", "Authorization", apitest.Basic("scraper", "password-of-scraper")); a.Status != http.StatusOK {
		t.Errorf("with a password: got %d", a.Status)
	}
}
