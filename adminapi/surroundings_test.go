package adminapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a golden file, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (run with -update, and read the diff):\n%s", path, diff)
	}
}

func TestDocument(t *testing.T) {
	w := newWorld(t, nil)
	a := w.send("GET", "/openapi.json", "")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("got %d %v", a.status, a.header)
	}
	var document map[string]any
	a.decode(t, &document)
	pretty, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "openapi.golden.json", append(pretty, '\n'))
	if document["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", document["openapi"])
	}
	for _, unwanted := range []string{"$schema", "ErrorModel", "422", "JSON\""} {
		if strings.Contains(a.body, unwanted) {
			t.Errorf("the document has %s", unwanted)
		}
	}
}

// Every operation of the document says what it needs, and is described.
func TestDocumentTellsWhoMay(t *testing.T) {
	w := newWorld(t, nil)
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
			Security    []map[string][]string
			Responses   map[string]struct{ Description string }
		}
		Components struct {
			SecuritySchemes map[string]any
		}
	}
	w.send("GET", "/openapi.json", "").decodeLoosely(t, &document)
	ids := make(map[string]bool)
	for path, methods := range document.Paths {
		for method, op := range methods {
			open := path == "/api/login" || path == "/api/logout" || path == "/api/client-registry/register" || strings.HasPrefix(path, "/pki/")
			if (len(op.Security) == 0) != open {
				t.Errorf("%s %s: security is %v", method, path, op.Security)
			}
			for _, s := range op.Security {
				for name := range s {
					if document.Components.SecuritySchemes[name] == nil {
						t.Errorf("%s %s: there is no scheme %s", method, path, name)
					}
				}
			}
			if op.Summary == "" || len(op.Tags) != 1 || ids[op.OperationID] || len(op.Responses) < 2 || op.Responses["default"].Description == "" {
				t.Errorf("%s %s: %+v", method, path, op)
			}
			ids[op.OperationID] = true
		}
	}
}

// The page runs its own scripts, and none that came from elsewhere.
func TestDocsPage(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/docs", "/docs/"} {
		a := w.send("GET", path, "")
		policy := a.header.Get("Content-Security-Policy")
		if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || !strings.Contains(policy, "default-src 'none'") {
			t.Fatalf("got %d %v", a.status, a.header)
		}
		if n := strings.Count(a.body, "<script>"); n == 0 || strings.Count(policy, "'sha256-") != n {
			t.Errorf("the page has %d scripts of its own, the policy is %q", n, policy)
		}
		for _, m := range regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(a.body, -1) {
			sum := sha256.Sum256([]byte(m[1]))
			if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, hash) {
				t.Errorf("the policy %q refuses the page's own script", policy)
			}
		}
		if scripts, _, _ := strings.Cut(policy[strings.Index(policy, "script-src"):], ";"); strings.Contains(scripts, "unsafe") {
			t.Errorf("%q", scripts)
		}
		if strings.Contains(a.body, "://") && regexp.MustCompile(`(src|href)="?https?://`).MatchString(a.body) {
			t.Error("the page takes something from elsewhere")
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
			f := w.send("GET", m[1], "")
			if f.status != http.StatusOK || f.header.Get("Content-Security-Policy") != policy || f.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: got %d %v", m[1], f.status, f.header)
			}
		}
	}
	message(t, w.send("GET", "/docs/oauth2-redirect.html", ""), http.StatusNotFound)
	message(t, w.send("POST", "/docs", ""), http.StatusMethodNotAllowed)
}

func TestHealth(t *testing.T) {
	w := newWorld(t, func(cfg *Config) {
		cfg.Ready = func(context.Context) Readiness { panic("health does not ask") }
	})
	if a := w.send("GET", "/healthz", ""); a.status != http.StatusOK || a.body != `{"status":"ok"}`+"\n" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestReady(t *testing.T) {
	var parts Readiness
	w := newWorld(t, func(cfg *Config) {
		cfg.Ready = func(ctx context.Context) Readiness {
			if _, limited := ctx.Deadline(); !limited {
				t.Error("a probe may take for ever")
			}
			return parts
		}
	})
	for _, tt := range []struct {
		name  string
		parts Readiness
		want  int
		body  string
	}{
		{"all is well", Readiness{{Name: "store"}, {Name: "broker"}}, http.StatusOK, `{"ready":true,"parts":{"broker":true,"store":true}}`},
		{"the store is away", Readiness{{Name: "store", Err: errors.New("no secret-path")}, {Name: "broker"}}, http.StatusServiceUnavailable, `{"ready":false,"parts":{"broker":true,"store":false}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts = tt.parts
			before := len(w.log.String())
			a := w.send("GET", "/readyz", "")
			if a.status != tt.want || a.body != tt.body+"\n" {
				t.Errorf("got %d %s, want %d %s", a.status, a.body, tt.want, tt.body)
			}
			if line := w.log.String()[before:]; strings.Contains(line, "secret-path") != (tt.want != http.StatusOK) {
				t.Errorf("log is %q", line)
			}
		})
	}
}

func TestMetricsNeedARight(t *testing.T) {
	w := newWorld(t, func(cfg *Config) {
		cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte("up 1\n"))
		})
	})
	message(t, w.send("GET", "/metrics", ""), http.StatusUnauthorized)
	message(t, w.as(w.token("operator", "readWrite /api/#"), "GET", "/metrics", ""), http.StatusForbidden)
	for _, token := range []string{w.token("scraper", "read /metrics"), w.admin} {
		if a := w.as(token, "GET", "/metrics", ""); a.status != http.StatusOK || a.body != "up 1\n" {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	if a := w.send("GET", "/metrics", "", "Authorization", basic("scraper", "password-of-scraper")); a.status != http.StatusOK {
		t.Errorf("with a password: got %d", a.status)
	}
}

func TestConfigMustBeWhole(t *testing.T) {
	whole := Config{}
	newBareWorld(t, func(cfg *Config) { whole = *cfg })
	for name, spoil := range map[string]func(*Config){
		"no service": func(c *Config) { c.Service = nil }, "no sign-in": func(c *Config) { c.SignIn = nil },
		"no follower": func(c *Config) { c.Follower = nil }, "no line of changes": func(c *Config) { c.LastChange = nil },
		"no readiness": func(c *Config) { c.Ready = nil }, "no clock": func(c *Config) { c.Now = nil }, "no log": func(c *Config) { c.Log = nil },
	} {
		cfg := whole
		spoil(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Two of them in one process do not share what differs between them.
func TestTwoInstances(t *testing.T) {
	one := newWorld(t, func(cfg *Config) { cfg.MaxBody = 100 })
	two := newWorld(t, func(cfg *Config) { cfg.Version = "another" })
	body := `{"token": "` + strings.Repeat("x", 200) + `"}`
	message(t, one.do("POST", "/api/logout", body), http.StatusRequestEntityTooLarge)
	two.must(http.StatusOK, "POST", "/api/logout", body)
	message(t, one.as(two.admin, "GET", "/api/session", ""), http.StatusUnauthorized)
	before := one.log.String()
	message(t, two.do("GET", "/api/users/nobody", ""), http.StatusNotFound)
	if one.log.String() != before {
		t.Error("one logs what the other does")
	}
	if !strings.Contains(two.send("GET", "/openapi.json", "").body, `"version":"another"`) {
		t.Error("the document has the version of the other")
	}
}

// Behind trusted proxies the log names the client, and nobody else can pretend.
func TestRemoteInTheLog(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	w.do("GET", "/api/session", "", "X-Forwarded-For", "198.51.100.7")
	if log := w.log.String(); !strings.Contains(log, "remote=198.51.100.7") {
		t.Errorf("log is %q", log)
	}
	w = newWorld(t, nil)
	w.do("GET", "/api/session", "", "X-Forwarded-For", "198.51.100.7")
	if log := w.log.String(); strings.Contains(log, "198.51.100.7") {
		t.Errorf("log is %q", log)
	}
}

// The audit log has the caller, his door and his address.
func TestAuditKnowsTheCaller(t *testing.T) {
	w := newWorld(t, nil)
	w.user("alice")
	entries, err := w.store.Audit(t.Context(), 1)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v %v", entries, err)
	}
	e := entries[0]
	if e.Action != "user.create" || e.Actor != "admin" || e.Door != "api" || e.Remote != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("got %+v", e)
	}
}
