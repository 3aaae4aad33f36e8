package v1_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry"
)

// Every route that changes something says which change it was.
func TestEveryChangeHasANumber(t *testing.T) {
	api := apitest.New(t)
	last := uint64(1)
	change := func(status int, method, path, body string) apitest.Answer {
		t.Helper()
		a := api.Must(status, method, path, body)
		n, err := strconv.ParseUint(a.Header.Get("X-Change"), 10, 64)
		if err != nil || n <= last {
			t.Errorf("%s %s: X-Change is %q after %d", method, path, a.Header.Get("X-Change"), last)
		}
		last = n
		return a
	}
	user := "/api/users/" + apitest.ID(t, change(http.StatusCreated, "POST", "/api/users", `{"username": "alice", "identityProvider": "local"}`))
	change(http.StatusOK, "PUT", user, `{"mqttPublishPrefix": "a/"}`)
	change(http.StatusCreated, "POST", user+"/certificates", `{"fingerprint": "`+fingerprint+`"}`)
	change(http.StatusOK, "DELETE", user+"/certificates", `{"fingerprint": "`+fingerprint+`"}`)
	roleID := apitest.ID(t, change(http.StatusCreated, "POST", "/api/roles", `{"name": "ops", "isShared": true}`))
	role := "/api/roles/" + roleID
	change(http.StatusOK, "PUT", role, `{"name": "operators"}`)
	change(http.StatusCreated, "POST", user+"/roles", `{"roleId": "`+roleID+`"}`)
	change(http.StatusCreated, "POST", role+"/permissions", `{"resource": "a", "operation": "read", "context": "mqtt"}`)
	var list []struct{ ID string }
	api.Must(http.StatusOK, "GET", role+"/permissions", "").DecodeLoosely(t, &list)
	change(http.StatusOK, "PUT", role+"/permissions/"+list[0].ID, `{"operation": "write"}`)
	change(http.StatusOK, "DELETE", role+"/permissions/"+list[0].ID, "")
	change(http.StatusOK, "DELETE", user+"/roles", `{"roleId": "`+roleID+`"}`)
	change(http.StatusOK, "DELETE", user+"/tokens", "")
	change(http.StatusOK, "DELETE", role, "")
	change(http.StatusOK, "DELETE", user, "")
	change(http.StatusNoContent, "PUT", "/api/users/change-password", `{"password": "`+apitest.AdminPassword+`", "newPassword": "new-password"}`)
	for _, path := range []string{"/api/users", "/api/session", "/api/roles"} {
		if a := api.Must(http.StatusOK, "GET", path, ""); a.Header.Get("X-Change") != "" {
			t.Errorf("GET %s has a number", path)
		}
	}
}

// follower is a Follower that is told how far it is.
type follower struct {
	enforced uint64
	waits    []time.Duration // what it was asked to wait
	err      error
}

func (f *follower) Enforced() uint64 { return f.enforced }

func (f *follower) WaitEnforced(ctx context.Context, _ uint64) error {
	deadline, _ := ctx.Deadline()
	f.waits = append(f.waits, time.Until(deadline).Round(time.Second))
	return f.err
}

func TestPreferWait(t *testing.T) {
	f := &follower{}
	late := 0
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.Follower, cfg.Late = f, func() { late++ } })
	for _, tt := range []struct {
		name, prefer string
		err          error
		wait         time.Duration // 0: not at all
		applied      string
	}{
		{"nothing", "", nil, time.Second, ""},
		{"some seconds", "wait=5", nil, 5 * time.Second, "wait=5"},
		{"more than there are", "wait=61", nil, 60 * time.Second, "wait=60"},
		{"far more than there are", "wait=65536", nil, time.Second, ""},
		{"in quotes", `wait="7"`, nil, 7 * time.Second, "wait=7"},
		{"among others", `respond-async, Wait = 3; x=1, return=minimal`, nil, 3 * time.Second, "wait=3"},
		{"no time", "wait=0", nil, 0, ""},
		{"no number", "wait=long", nil, time.Second, ""},
		{"something else", "return=minimal", nil, time.Second, ""},
		{"not enforced in time", "wait=5", context.DeadlineExceeded, 5 * time.Second, ""},
		{"nothing, and not enforced in time", "", context.DeadlineExceeded, time.Second, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.waits, f.err, late = nil, tt.err, 0
			var headers []string
			if tt.prefer != "" {
				headers = []string{"Prefer", tt.prefer}
			}
			a := api.Do("POST", "/api/users", `{"username": "user-`+strconv.Itoa(len(api.Log.String()))+`", "identityProvider": "local"}`, headers...)
			if a.Status != http.StatusCreated || a.Header.Get("X-Change") == "" {
				t.Fatalf("got %d %s", a.Status, a.Body)
			}
			if got := a.Header.Get("Preference-Applied"); got != tt.applied {
				t.Errorf("Preference-Applied is %q, want %q", got, tt.applied)
			}
			isLate := tt.err != nil || tt.wait == 0
			if got := a.Header.Get("X-Change-Enforced"); (got == "false") != isLate || (late == 1) != isLate {
				t.Errorf("X-Change-Enforced is %q, and %d are counted as late", got, late)
			}
			var want []time.Duration
			if tt.wait > 0 {
				want = []time.Duration{tt.wait}
			}
			if diff := cmp.Diff(want, f.waits); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// With the real follower: what was waited for holds at the next request.
func TestAnAwaitedChangeHolds(t *testing.T) {
	api := apitest.New(t)
	alice := api.User("alice", "read /api/users")
	token := api.Login("alice", "password-of-alice")
	if a := api.As(token, "GET", "/api/users", ""); a.Status != http.StatusOK {
		t.Fatalf("got %d", a.Status)
	}
	a := api.Do("PUT", "/api/users/"+alice, `{"isActive": false}`, "Prefer", "wait=30")
	if a.Status != http.StatusOK || a.Header.Get("Preference-Applied") != "wait=30" {
		t.Fatalf("got %d, Preference-Applied %q", a.Status, a.Header.Get("Preference-Applied"))
	}
	apitest.Message(t, api.As(token, "GET", "/api/users", ""), http.StatusUnauthorized)
	got := apitest.Fields(t, api.Must(http.StatusOK, "GET", "/api/changes/"+a.Header.Get("X-Change"), "").Body)
	if node := got["nodes"].([]any)[0].(map[string]any)["node"]; got["enforced"] != true || node != "local" {
		t.Errorf("the change is %v", got)
	}
}

func TestChanges(t *testing.T) {
	f := &follower{}
	last, lastErr := uint64(7), error(nil)
	api := apitest.New(t, func(cfg *adminapi.Config) {
		cfg.Follower, cfg.Node = f, "node-1"
		cfg.Position = func(context.Context) (registry.Position, error) { return registry.Position{Number: last}, lastErr }
	})
	f.enforced = 5
	for n, enforced := range map[string]bool{"1": true, "5": true, "6": false, "7": false} {
		got := apitest.Fields(t, api.Must(http.StatusOK, "GET", "/api/changes/"+n, "").Body)
		number, _ := strconv.ParseFloat(n, 64)
		want := map[string]any{
			"change": number, "enforced": enforced, "missing": []any{},
			"nodes": []any{map[string]any{"node": "node-1", "enforced": 5.0}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("change %s: %s", n, diff)
		}
	}
	for _, n := range []string{"0", "8", "18446744073709551615"} {
		apitest.Message(t, api.Do("GET", "/api/changes/"+n, ""), http.StatusNotFound)
	}
	lastErr = errors.New("away")
	apitest.Message(t, api.Do("GET", "/api/changes/6", ""), http.StatusInternalServerError)
	api.Must(http.StatusOK, "GET", "/api/changes/5", "") // what is enforced needs no store
}
