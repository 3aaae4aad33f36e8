package adminapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/apitest"
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
	api := apitest.New(t)
	a := api.Send("GET", "/openapi.json", "")
	if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("got %d %v", a.Status, a.Header)
	}
	var document map[string]any
	a.Decode(t, &document)
	pretty, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "openapi.golden.json", append(pretty, '\n'))
	if document["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", document["openapi"])
	}
	for _, unwanted := range []string{"$schema", "ErrorModel", "422", "JSON\""} {
		if strings.Contains(a.Body, unwanted) {
			t.Errorf("the document has %s", unwanted)
		}
	}
}

// Every operation of the document says what it needs, and is described, and every
// route of an API is in the document.
func TestDocumentTellsWhoMay(t *testing.T) {
	api := apitest.New(t)
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
	api.Send("GET", "/openapi.json", "").DecodeLoosely(t, &document)
	needs := make(map[string]access.Need)
	for _, r := range routes(t) {
		needs[r.Method+" "+r.Path] = r.Need
	}
	ids := make(map[string]bool)
	for path, methods := range document.Paths {
		for method, op := range methods {
			need, there := needs[strings.ToUpper(method)+" "+path]
			if delete(needs, strings.ToUpper(method)+" "+path); !there || (len(op.Security) == 0) != (need == access.Open) {
				t.Errorf("%s %s: security is %v, the route is there: %v, and %s", method, path, op.Security, there, need)
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
	for endpoint := range needs {
		if strings.Contains(endpoint, " /api/") || strings.Contains(endpoint, " /pki/") {
			t.Errorf("%s is not in the document", endpoint)
		}
	}
}

// The page runs its own scripts, and none that came from elsewhere.
func TestDocsPage(t *testing.T) {
	api := apitest.New(t)
	for _, path := range []string{"/docs", "/docs/"} {
		a := api.Send("GET", path, "")
		policy := a.Header.Get("Content-Security-Policy")
		if a.Status != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(policy, "default-src 'none'") {
			t.Fatalf("got %d %v", a.Status, a.Header)
		}
		if n := strings.Count(a.Body, "<script>"); n == 0 || strings.Count(policy, "'sha256-") != n {
			t.Errorf("the page has %d scripts of its own, the policy is %q", n, policy)
		}
		for _, m := range regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(a.Body, -1) {
			sum := sha256.Sum256([]byte(m[1]))
			if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, hash) {
				t.Errorf("the policy %q refuses the page's own script", policy)
			}
		}
		if scripts, _, _ := strings.Cut(policy[strings.Index(policy, "script-src"):], ";"); strings.Contains(scripts, "unsafe") {
			t.Errorf("%q", scripts)
		}
		if strings.Contains(a.Body, "://") && regexp.MustCompile(`(src|href)="?https?://`).MatchString(a.Body) {
			t.Error("the page takes something from elsewhere")
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(a.Body, -1) {
			f := api.Send("GET", m[1], "")
			if f.Status != http.StatusOK || f.Header.Get("Content-Security-Policy") != policy || f.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: got %d %v", m[1], f.Status, f.Header)
			}
		}
	}
	apitest.Message(t, api.Send("GET", "/docs/oauth2-redirect.html", ""), http.StatusNotFound)
	apitest.Message(t, api.Send("POST", "/docs", ""), http.StatusMethodNotAllowed)
}

// Linters of OpenAPI documents ask for a server and for tags that are declared.
func TestDocumentNamesWhatItRefersTo(t *testing.T) {
	var document struct {
		Servers []struct{ URL string }
		Tags    []struct{ Name string }
		Paths   map[string]map[string]struct {
			Tags []string
		}
	}
	apitest.New(t).Send("GET", "/openapi.json", "").DecodeLoosely(t, &document)
	if len(document.Servers) == 0 {
		t.Error("no server")
	}
	declared := make(map[string]bool)
	for _, tag := range document.Tags {
		declared[tag.Name] = true
	}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			if len(operation.Tags) != 1 || !declared[operation.Tags[0]] {
				t.Errorf("%s %s: tags are %v", method, path, operation.Tags)
			}
		}
	}
}
