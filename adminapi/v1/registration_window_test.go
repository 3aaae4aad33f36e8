package v1_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry"
)

func TestTheWindow(t *testing.T) {
	api := apitest.New(t)
	status := func() (locked bool, left time.Duration) {
		t.Helper()
		var s struct {
			Locked    bool
			OpenUntil *time.Time
			Remaining int64
		}
		api.Must(http.StatusOK, "GET", "/api/client-registry/status", "").Decode(t, &s)
		if (s.OpenUntil == nil) != s.Locked || (s.Remaining == 0) != s.Locked {
			t.Errorf("got %+v", s)
		}
		return s.Locked, time.Duration(s.Remaining) * time.Millisecond
	}
	if locked, _ := status(); !locked {
		t.Error("it is open from the beginning")
	}
	if a := api.Must(http.StatusOK, "GET", "/api/client-registry/status", ""); strings.TrimSpace(a.Body) != `{"locked":true,"openUntil":null,"remaining":0}` {
		t.Errorf("got %s", a.Body)
	}
	for _, tt := range []struct {
		body string
		want time.Duration
	}{
		{"", 30 * time.Second},
		{"{}", 30 * time.Second},
		{`{"duration": 300000}`, 5 * time.Minute},
		{`{"duration": 86400000}`, 24 * time.Hour},
		{`{"duration": 60000}`, time.Minute},
	} {
		a := api.Must(http.StatusNoContent, "POST", "/api/client-registry/open", tt.body)
		if a.Body != "" {
			t.Errorf("got %s", a.Body)
		}
		if locked, left := status(); locked || left > tt.want || left < tt.want-20*time.Second {
			t.Errorf("after %s it is locked: %v, and %v are left", tt.body, locked, left)
		}
	}
	for _, bad := range []string{"0", "-1", "86400001", "9223372036854775807", "1e300", "1.5", `"60000"`, "true"} {
		m := apitest.Message(t, api.Do("POST", "/api/client-registry/open", `{"duration": `+bad+`}`), http.StatusBadRequest)
		if !strings.Contains(m, "duration") {
			t.Errorf("%s: message %q does not name duration", bad, m)
		}
	}
	api.Register(wish("gateway", deviceSecret))
	api.Must(http.StatusNoContent, "POST", "/api/client-registry/lock", "")
	if locked, _ := status(); !locked || len(pending(t, api)) != 0 {
		t.Error("the lock locks nothing")
	}
	openWindow(t, api)
	if len(pending(t, api)) != 0 {
		t.Error("what waited before the lock waits again")
	}
}

func TestRightsOnTheClientRegistry(t *testing.T) {
	api := apitest.New(t)
	openWindow(t, api)
	api.Register(wish("gateway", deviceSecret))
	top, below := api.Token("top", "readWrite /api/client-registry"), api.Token("below", "readWrite /api/client-registry/+")
	for _, tt := range []struct {
		endpoint   string
		top, below int
	}{
		{"GET /api/client-registry", http.StatusOK, http.StatusForbidden},
		{"GET /api/client-registry/status", http.StatusForbidden, http.StatusOK},
		{"POST /api/client-registry/open", http.StatusForbidden, http.StatusNoContent},
		{"POST /api/client-registry/confirm", http.StatusForbidden, http.StatusBadRequest},
		{"POST /api/client-registry/deny", http.StatusForbidden, http.StatusBadRequest},
		{"POST /api/client-registry/lock", http.StatusForbidden, http.StatusNoContent},
	} {
		method, path, _ := strings.Cut(tt.endpoint, " ")
		for token, want := range map[string]int{top: tt.top, below: tt.below} {
			if a := api.As(token, method, path, ""); a.Status != want {
				t.Errorf("%s: got %d %s, want %d", tt.endpoint, a.Status, a.Body, want)
			}
		}
	}
	openWindow(t, api)
	api.Register(wish("gateway", deviceSecret))
	admin := api.RoleID("connectware-admin")
	apitest.Message(t, api.As(below, "POST", "/api/client-registry/confirm", `{"username": "gateway", "roles": ["`+admin+`"]}`), http.StatusForbidden)
	if a := api.As(below, "POST", "/api/client-registry/confirm", `{"username": "gateway"}`); a.Status != http.StatusCreated {
		t.Errorf("got %d %s", a.Status, a.Body)
	}
	entries, err := api.Store.Audit(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range entries {
		found = found || e.Action == "registration.confirm" && e.Actor.Name == "below" && e.Door == "api"
	}
	if !found {
		t.Errorf("the confirmation is not in the audit trail")
	}
}

// An MQTT client that is no user registers by trying to connect.
func TestAnMQTTClientIsInTheList(t *testing.T) {
	api := apitest.New(t)
	openWindow(t, api)
	_, err := api.SignIn.In(t.Context(), registry.Attempt{
		ClientID: "c-1", Username: "gateway", Password: deviceSecret, HasPassword: true, Remote: netip.MustParseAddr("198.51.100.7"),
	})
	if !errors.Is(err, registry.Unauthenticated) {
		t.Fatalf("got %v", err)
	}
	list := pending(t, api)
	if len(list) != 1 || list[0]["username"] != "gateway" || list[0]["source"] != "mqtt" || list[0]["remote"] != "198.51.100.7" {
		t.Errorf("got %v", list)
	}
	api.Must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "gateway"}`)
	api.Settle()
	api.Login("gateway", deviceSecret)
}
