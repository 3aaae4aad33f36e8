package adminapi

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTheWindow(t *testing.T) {
	w := newWorld(t, nil)
	status := func() (locked bool, left time.Duration) {
		t.Helper()
		var s struct {
			Locked    bool
			OpenUntil *time.Time
			Remaining int64
		}
		w.must(http.StatusOK, "GET", "/api/client-registry/status", "").decode(t, &s)
		if (s.OpenUntil == nil) != s.Locked || (s.Remaining == 0) != s.Locked {
			t.Errorf("got %+v", s)
		}
		return s.Locked, time.Duration(s.Remaining) * time.Millisecond
	}
	if locked, _ := status(); !locked {
		t.Error("it is open from the beginning")
	}
	if a := w.must(http.StatusOK, "GET", "/api/client-registry/status", ""); strings.TrimSpace(a.body) != `{"locked":true,"openUntil":null,"remaining":0}` {
		t.Errorf("got %s", a.body)
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
		a := w.must(http.StatusNoContent, "POST", "/api/client-registry/open", tt.body)
		if a.body != "" {
			t.Errorf("got %s", a.body)
		}
		if locked, left := status(); locked || left > tt.want || left < tt.want-20*time.Second {
			t.Errorf("after %s it is locked: %v, and %v are left", tt.body, locked, left)
		}
	}
	for _, bad := range []string{"0", "-1", "86400001", "9223372036854775807", "1e300", "1.5", `"60000"`, "true"} {
		m := message(t, w.do("POST", "/api/client-registry/open", `{"duration": `+bad+`}`), http.StatusBadRequest)
		if !strings.Contains(m, "duration") {
			t.Errorf("%s: message %q does not name duration", bad, m)
		}
	}
	w.register(wish("gateway", deviceSecret))
	w.must(http.StatusNoContent, "POST", "/api/client-registry/lock", "")
	if locked, _ := status(); !locked || len(w.pending()) != 0 {
		t.Error("the lock locks nothing")
	}
	w.open()
	if len(w.pending()) != 0 {
		t.Error("what waited before the lock waits again")
	}
}

func TestRightsOnTheClientRegistry(t *testing.T) {
	w := newWorld(t, nil)
	w.open()
	w.register(wish("gateway", deviceSecret))
	top, below := w.token("top", "readWrite /api/client-registry"), w.token("below", "readWrite /api/client-registry/+")
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
			if a := w.as(token, method, path, ""); a.status != want {
				t.Errorf("%s: got %d %s, want %d", tt.endpoint, a.status, a.body, want)
			}
		}
	}
	w.open()
	w.register(wish("gateway", deviceSecret))
	admin := w.roleID("connectware-admin")
	message(t, w.as(below, "POST", "/api/client-registry/confirm", `{"username": "gateway", "roles": ["`+admin+`"]}`), http.StatusForbidden)
	if a := w.as(below, "POST", "/api/client-registry/confirm", `{"username": "gateway"}`); a.status != http.StatusCreated {
		t.Errorf("got %d %s", a.status, a.body)
	}
	entries, err := w.store.Audit(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range entries {
		found = found || e.Action == "registration.confirm" && e.Actor == "below" && e.Door == "api"
	}
	if !found {
		t.Errorf("the confirmation is not in the audit trail")
	}
}
