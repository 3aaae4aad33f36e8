package v1_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
)

// Until somebody opens the window, register tells nobody who exists.
func TestWhileLockedAllNamesAreAnsweredAlike(t *testing.T) {
	api := apitest.New(t)
	api.User("alice")
	openWindow(t, api)
	api.Register(wish("waiting", deviceSecret))
	api.Register(wish("granted", deviceSecret))
	api.Must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "granted"}`)
	api.Must(http.StatusNoContent, "POST", "/api/client-registry/lock", "")
	strip := func(a apitest.Answer) apitest.Answer {
		a.Header = a.Header.Clone()
		a.Header.Del("X-Request-Id")
		return a
	}
	unknown := strip(api.Register(wish("nobody", deviceSecret)))
	if unknown.Status != http.StatusLocked {
		t.Fatalf("got %d %s", unknown.Status, unknown.Body)
	}
	for _, name := range []string{"alice", "Alice", "admin", "waiting", "granted"} { // of granted the secret is another one
		got := strip(api.Register(wish(name, "another-secret")))
		if diff := cmp.Diff(unknown, got); diff != "" {
			t.Errorf("%s is told from nobody: %s", name, diff)
		}
	}
	openWindow(t, api)
	for _, name := range []string{"alice", "Alice", "admin"} {
		apitest.Message(t, api.Register(wish(name, "another-secret")), http.StatusConflict)
	}
}

// Every field of a registration, past its limit: 400, naming it, telling nothing
// of the password, and before the lock is looked at.
func TestRegistrationsThatAreNotValid(t *testing.T) {
	api := apitest.New(t)
	with := func(rest string) string {
		return `{"username": "gateway", "password": "` + deviceSecret + `", "context": "x", ` + rest + `}`
	}
	many := func(n int, item string) string { return "[" + strings.Repeat(item+",", n) + item + "]" }
	const grant = `{"resource": "a", "operation": "read", "context": "mqtt"}`
	for _, tt := range []struct{ field, body string }{
		{"username", `{"password": "` + deviceSecret + `", "context": "x"}`},
		{"context", `{"username": "gateway", "password": "` + deviceSecret + `"}`},
		{"password", `{"username": "gateway", "context": "x"}`},
		{"password", `{"username": "gateway", "context": "x", "password": "` + deviceSecret + `", "csr": "` + apitest.CSR(t, apitest.NewKey(t), "gateway") + `"}`},
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
		m := apitest.Message(t, api.Register(tt.body), http.StatusBadRequest)
		if !strings.Contains(m, tt.field) || strings.Contains(m, "hunt") || len(m) > 1000 {
			t.Errorf("%.200s: message %q, want %s named and nothing repeated", tt.body, m, tt.field)
		}
	}
	apitest.Message(t, api.Send("POST", "/api/client-registry/register", wish("gateway", deviceSecret), "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	if strings.Contains(api.Log.String(), "hunt") {
		t.Error("a password is in the log")
	}
}

// A device is no browser; a page that makes a browser ask is.
func TestPagesDoNotRegister(t *testing.T) {
	api := apitest.New(t)
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://evil.example"}, {"Origin", "null"},
	} {
		apitest.Message(t, api.Register(wish("gateway", deviceSecret), headers...), http.StatusForbidden)
	}
	if a := api.Register(wish("gateway", deviceSecret), "User-Agent", "device/1.0"); a.Status != http.StatusLocked {
		t.Errorf("got %d %s", a.Status, a.Body)
	}
}

func TestWhereARegistrationComesFrom(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	openWindow(t, api)
	api.Register(wish("gateway", deviceSecret), "X-Forwarded-For", "203.0.113.9, 198.51.100.7, 192.0.2.4")
	if got := pending(t, api)[0]["remote"]; got != "198.51.100.7" {
		t.Errorf("remote is %v", got)
	}
}

func TestTooManyRegistrationsFromOneAddress(t *testing.T) {
	api := apitest.New(t)
	var refused apitest.Answer
	for range 130 { // a burst of 100, and then five a second
		if refused = api.Register(wish("gateway", deviceSecret)); refused.Status != http.StatusLocked {
			break
		}
	}
	m := apitest.Message(t, refused, http.StatusServiceUnavailable)
	if refused.Header.Get("Retry-After") == "" || !strings.Contains(m, "too many") {
		t.Errorf("got %v %s", refused.Header, m)
	}
}

func TestARegistryThatIsAway(t *testing.T) {
	api := apitest.New(t)
	if err := api.Store.Close(); err != nil {
		t.Fatal(err)
	}
	a := api.Register(wish("gateway", deviceSecret))
	apitest.Message(t, a, http.StatusServiceUnavailable)
	if a.Header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
}
