package adminapi

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Until somebody opens the window, register tells nobody who exists.
func TestWhileLockedAllNamesAreAnsweredAlike(t *testing.T) {
	w := newWorld(t, nil)
	w.user("alice")
	w.open()
	w.register(wish("waiting", deviceSecret))
	w.register(wish("granted", deviceSecret))
	w.must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "granted"}`)
	w.must(http.StatusNoContent, "POST", "/api/client-registry/lock", "")
	strip := func(a answer) answer {
		a.header = a.header.Clone()
		a.header.Del("X-Request-Id")
		return a
	}
	unknown := strip(w.register(wish("nobody", deviceSecret)))
	if unknown.status != http.StatusLocked {
		t.Fatalf("got %d %s", unknown.status, unknown.body)
	}
	for _, name := range []string{"alice", "Alice", "admin", "waiting", "granted"} { // of granted the secret is another one
		got := strip(w.register(wish(name, "another-secret")))
		if diff := cmp.Diff(unknown, got, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%s is told from nobody: %s", name, diff)
		}
	}
	w.open()
	for _, name := range []string{"alice", "Alice", "admin"} {
		message(t, w.register(wish(name, "another-secret")), http.StatusConflict)
	}
}

// Every field of a registration, past its limit: 400, naming it, telling nothing
// of the password, and before the lock is looked at.
func TestRegistrationsThatAreNotValid(t *testing.T) {
	w := newWorld(t, nil)
	with := func(rest string) string {
		return `{"username": "gateway", "password": "` + deviceSecret + `", "context": "x", ` + rest + `}`
	}
	many := func(n int, item string) string { return "[" + strings.Repeat(item+",", n) + item + "]" }
	const grant = `{"resource": "a", "operation": "read", "context": "mqtt"}`
	for _, tt := range []struct{ field, body string }{
		{"username", `{"password": "` + deviceSecret + `", "context": "x"}`},
		{"context", `{"username": "gateway", "password": "` + deviceSecret + `"}`},
		{"password", `{"username": "gateway", "context": "x"}`},
		{"password", `{"username": "gateway", "context": "x", "password": "` + deviceSecret + `", "csr": "` + csr(t, newKey(t), "gateway") + `"}`},
		{"password", wish("gateway", "hunt")},
		{"password", wish("gateway", "")},
		{"password", wish("gateway", strings.Repeat("x", 1025))},
		{"username", wish("ab", deviceSecret)},
		{"username", wish(strings.Repeat("x", 256), deviceSecret)},
		{"username", wish("a/b", deviceSecret)},
		{"username", wish("$abc", deviceSecret)},
		{"username", wish("a b c", deviceSecret)},
		{"username", wish("__sys-x", deviceSecret)},
		{"context", `{"username": "gateway", "password": "` + deviceSecret + `", "context": "` + strings.Repeat("x", 1025) + `"}`},
		{"context", `{"username": "gateway", "password": "` + deviceSecret + `", "context": "a\u001bb"}`},
		{"roles", with(`"roles": ` + many(32, `"r"`))},
		{"roles", with(`"roles": [""]`)},
		{"initialPermissions", with(`"initialPermissions": ` + many(64, grant))},
		{"permissions", with(`"permissions": ` + many(64, grant))},
		{"permissions", with(`"permissions": [], "initialPermissions": []`)},
		{"resource", with(`"permissions": [{"resource": "a/#/b", "operation": "read", "context": "mqtt"}]`)},
		{"operation", with(`"permissions": [{"resource": "a", "operation": "subscribe", "context": "mqtt"}]`)},
		{"pairingCode", with(`"pairingCode": "ABCDEF"`)},
		{"body", ``},
		{"body", `[]`},
	} {
		m := message(t, w.register(tt.body), http.StatusBadRequest)
		if !strings.Contains(m, tt.field) || strings.Contains(m, "hunt") || len(m) > 1000 {
			t.Errorf("%.200s: message %q, want %s named and nothing repeated", tt.body, m, tt.field)
		}
	}
	message(t, w.send("POST", "/api/client-registry/register", wish("gateway", deviceSecret), "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	if strings.Contains(w.log.String(), "hunt") {
		t.Error("a password is in the log")
	}
}

// A device is no browser; a page that makes a browser ask is.
func TestPagesDoNotRegister(t *testing.T) {
	w := newWorld(t, nil)
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://evil.example"}, {"Origin", "null"},
	} {
		message(t, w.register(wish("gateway", deviceSecret), headers...), http.StatusForbidden)
	}
	if a := w.register(wish("gateway", deviceSecret), "User-Agent", "device/1.0"); a.status != http.StatusLocked {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestWhereARegistrationComesFrom(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	w.open()
	w.register(wish("gateway", deviceSecret), "X-Forwarded-For", "203.0.113.9, 198.51.100.7, 192.0.2.4")
	if got := w.pending()[0]["remote"]; got != "198.51.100.7" {
		t.Errorf("remote is %v", got)
	}
}

func TestTooManyRegistrationsFromOneAddress(t *testing.T) {
	w := newWorld(t, nil)
	var refused answer
	for range 130 { // a burst of 100, and then five a second
		if refused = w.register(wish("gateway", deviceSecret)); refused.status != http.StatusLocked {
			break
		}
	}
	m := message(t, refused, http.StatusServiceUnavailable)
	if refused.header.Get("Retry-After") == "" || !strings.Contains(m, "too many") {
		t.Errorf("got %v %s", refused.header, m)
	}
}

func TestARegistryThatIsAway(t *testing.T) {
	w := newWorld(t, nil)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	a := w.register(wish("gateway", deviceSecret))
	message(t, a, http.StatusServiceUnavailable)
	if a.header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
}
