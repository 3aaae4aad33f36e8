package adminapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry"
)

// failing is a register in which reading fails with err.
type failing struct {
	*registry.Service
	err error
}

func (f *failing) Usernames(context.Context) ([]string, error) { return nil, f.err }

func (f *failing) UserIDs(context.Context) ([]registry.UserID, error) { panic("out of luck") }

func TestFailuresOfOurs(t *testing.T) {
	service := &failing{}
	api := apitest.New(t, func(cfg *adminapi.Config) {
		service.Service = cfg.Service.(*registry.Service)
		cfg.Service = service
	})
	cause := errors.New("disk: secret-path is full")
	for _, tt := range []struct {
		name   string
		err    error
		status int
		retry  string
		level  string
		logged string
	}{
		{"an error without a code", cause, http.StatusInternalServerError, "", "ERROR", "secret-path"},
		{"an internal error", &registry.Error{Code: registry.Internal, Detail: "secret-path", Err: cause}, http.StatusInternalServerError, "", "ERROR", "secret-path"},
		{"the store is away", &registry.Error{Code: registry.Unavailable, Detail: "the store can't be reached", Err: cause}, http.StatusServiceUnavailable, "5", "ERROR", "secret-path"},
		{"too much work", &registry.Error{Code: registry.Busy, Detail: "try again", Err: cause}, http.StatusServiceUnavailable, "1", "INFO", "secret-path"},
		{"locked", registry.Errorf(registry.Locked, "", "too many failures"), http.StatusTooManyRequests, "60", "INFO", ""},
		{"too often", registry.Errorf(registry.TooOften, "", "try again"), http.StatusTooManyRequests, "1", "INFO", ""},
		{"out of time", context.DeadlineExceeded, http.StatusServiceUnavailable, "5", "ERROR", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			service.err = tt.err
			before := len(api.Log.String())
			a := api.Do("GET", "/api/users/usernames", "")
			if m := apitest.Message(t, a, tt.status); strings.Contains(m, "secret") {
				t.Errorf("message %q tells of the inside", m)
			}
			if got := a.Header.Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After is %q, want %q", got, tt.retry)
			}
			line := api.Log.String()[before:]
			if !strings.Contains(line, "level="+tt.level) || !strings.Contains(line, tt.logged) || strings.Count(line, "\n") != 1 {
				t.Errorf("log is %q", line)
			}
		})
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.Service = &failing{Service: cfg.Service.(*registry.Service)} })
	before := len(api.Log.String())
	if m := apitest.Message(t, api.Do("GET", "/api/users/ids", ""), http.StatusInternalServerError); m != "internal error" {
		t.Errorf("message is %q", m)
	}
	line := api.Log.String()[before:]
	for _, want := range []string{"level=ERROR", "route=/api/users/ids", "status=500", "out of luck", "failures_test.go"} {
		if !strings.Contains(line, want) {
			t.Errorf("log is %q, without %s", line, want)
		}
	}
	api.Must(http.StatusOK, "GET", "/api/session", "")
}
