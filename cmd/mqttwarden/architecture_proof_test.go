package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// These tests show that the checks of architecture_test.go can fail: a rule that
// nothing breaks proves nothing.

func TestViolations(t *testing.T) {
	const (
		mochi    = "github.com/mochi-mqtt/server/v2"
		allowAll = mochi + "/hooks/auth"
		redis    = "github.com/redis/go-redis/v9"
		paho     = "github.com/eclipse/paho.golang/paho"
	)
	tests := []struct {
		name string
		path string
		pkg  string
		want string // part of the objection; empty for none
	}{
		{"registry may use its own packages", "registry/user.go", "mqttwarden/registry/acl", ""},
		{"registry does not know broker", "registry/user.go", "mqttwarden/broker", "registry does not know broker"},
		{"nor does a package below it", "registry/acl/policy.go", "mqttwarden/authhook", "registry does not know authhook"},
		{"nor do its tests", "registry/user_test.go", "mqttwarden/adminapi/v1", "registry does not know adminapi"},
		{"authhook knows registry", "authhook/hook.go", "mqttwarden/registry", ""},
		{"authhook knows what is below registry", "authhook/hook.go", "mqttwarden/registry/acl", ""},
		{"authhook does not know broker", "authhook/hook.go", "mqttwarden/broker", "authhook does not know broker"},
		{"its tests do", "authhook/hook_test.go", "mqttwarden/broker", ""},
		{"but not adminapi", "authhook/hook_test.go", "mqttwarden/adminapi", "authhook does not know adminapi"},
		{"broker does not know authhook", "broker/broker.go", "mqttwarden/authhook", "broker does not know authhook"},
		{"broker does not know adminapi", "broker/broker.go", "mqttwarden/adminapi", "broker does not know adminapi"},
		{"broker does not know registry", "broker/broker.go", "mqttwarden/registry", "broker does not know registry"},
		{"nor what is below it", "broker/internal/keep/store.go", "mqttwarden/registry/acl", "broker does not know registry"},
		{"but leaf packages", "broker/listener.go", "mqttwarden/registry/peer", ""},
		{"a leaf knows nobody", "registry/peer/peer.go", "mqttwarden/registry", "registry/peer is a leaf"},
		{"nor does its test, but itself", "registry/peer/peer_test.go", "mqttwarden/registry/acl", "registry/peer is a leaf"},
		{"a leaf's test knows the leaf", "registry/peer/peer_test.go", "mqttwarden/registry/peer", ""},
		{"what is below a leaf is none", "broker/listener.go", "mqttwarden/registry/peer/more", "broker does not know registry"},
		{"adminapi does not know broker, deep down", "adminapi/compat/kura/kura.go", "mqttwarden/broker", "adminapi does not know broker"},
		{"a name that only begins like a part is another one", "registry/user.go", "mqttwarden/registrytools", "registry does not know registrytools"},
		{"nobody knows cmd", "adminapi/adminapi.go", "mqttwarden/cmd/mqttwarden", "adminapi does not know cmd"},
		{"cmd knows everyone", "cmd/mqttwarden/serve.go", "mqttwarden/adminapi", ""},
		{"nobody knows deploy", "cmd/mqttwarden/serve.go", "mqttwarden/deploy/chart", "cmd does not know deploy"},
		{"Go code stays out of deploy", "deploy/gen/main.go", "fmt", "Go code belongs in"},
		{"Go code stays out of the top", "main.go", "fmt", "Go code belongs in"},

		{"cmd plugs the store in", "cmd/mqttwarden/serve.go", "mqttwarden/registry/sqlstore", ""},
		{"adminapi does not plug the store in", "adminapi/v1/users.go", "mqttwarden/registry/sqlstore", "may be imported here"},
		{"a test of adminapi may use a store", "adminapi/v1/users_test.go", "mqttwarden/registry/sqlstore", ""},
		{"the conformance suite is for tests", "registry/sqlstore/store.go", "mqttwarden/registry/storetest", "may be imported here"},
		{"a log for tests is for tests", "broker/listener.go", "mqttwarden/registry/logtest", "may be imported here"},
		{"all of them", "broker/listener_test.go", "mqttwarden/registry/logtest", ""},
		{"the client for tests is for tests", "authhook/hook.go", "mqttwarden/broker/mqtttest", "authhook does not know broker"},
		{"also where it could be reached", "cmd/mqttwarden/app.go", "mqttwarden/broker/mqtttest", "may be imported here"},
		{"a store's test runs the suite", "registry/sqlstore/store_test.go", "mqttwarden/registry/storetest", ""},

		{"broker holds mochi", "broker/broker.go", mochi, ""},
		{"authhook holds mochi, below the root package too", "authhook/hook.go", mochi + "/packets", ""},
		{"registry does not", "registry/acl/policy.go", mochi, "may be imported here: broker, authhook, cmd/bench"},
		{"cmd does not", "cmd/mqttwarden/serve.go", mochi, "may be imported here"},
		{"a test in cmd may", "cmd/mqttwarden/e2e/policy/live_test.go", mochi, ""},
		{"the benchmark may", "cmd/bench/main.go", mochi, ""},
		{"the hook that allows everything is not linked", "broker/broker.go", allowAll, "may be imported here: cmd/bench"},
		{"a broker's test may use it", "broker/guard_test.go", allowAll, ""},
		{"cmd may be an MQTT client", "cmd/mqttwarden/probe.go", paho, ""},
		{"adminapi may not", "adminapi/v1/users.go", paho, "may be imported here"},
		{"its tests may", "adminapi/v1/users_test.go", paho, ""},

		{"sqlstore speaks SQL", "registry/sqlstore/store.go", "database/sql", ""},
		{"a driver's interface is SQL too", "registry/sqlstore/store.go", "database/sql/driver", ""},
		{"adminapi does not speak SQL", "adminapi/v1/users.go", "database/sql", "may be imported here: registry/sqlstore"},
		{"nor does its test", "adminapi/v1/users_test.go", "database/sql", "may be imported here"},
		{"nor does a neighbour with a longer name", "registry/sqlstores/x.go", "database/sql", "may be imported here"},
		{"rediscache speaks Redis", "registry/rediscache/cache.go", redis, ""},
		{"cmd hands rediscache a URL, not a client", "cmd/mqttwarden/serve.go", redis, "may be imported here"},
		{"a test in cmd may look into Redis", "cmd/mqttwarden/cluster_test.go", redis, ""},
		{"a test among those with servers may start Redis", "cmd/mqttwarden/e2e/servers/redis_test.go", "mqttwarden/registry/rediscache/redistest", ""},
		{"a test among those without may not", "cmd/mqttwarden/e2e/policy/live_test.go", "mqttwarden/registry/rediscache/redistest", "may be imported here: cmd/mqttwarden/e2e/servers"},

		{"adminapi answers HTTP", "adminapi/v1/users.go", "net/http", ""},
		{"registry does not", "registry/signin.go", "net/http", "may be imported here"},
		{"directory is a client", "registry/directory/oidc.go", "net/http", ""},
		{"the WebSocket listener begins as HTTP", "broker/websocket.go", "net/http", ""},
		{"the rest of broker has no HTTP", "broker/listener.go", "net/http", "may be imported here"},
		{"a test may ask by HTTP", "broker/websocket_dial_test.go", "net/http/httptest", ""},
		{"only adminapi routes", "cmd/mqttwarden/serve.go", "github.com/go-chi/chi/v5", "may be imported here: adminapi"},
		{"directory speaks LDAP", "registry/directory/ldap.go", "github.com/go-ldap/ldap/v3", ""},
		{"signin does not", "registry/signin.go", "github.com/go-ldap/ldap/v3", "may be imported here"},

		{"the rest of the standard library is free", "registry/user.go", "encoding/json", ""},
		{"cgo is not", "registry/sqlstore/store.go", "C", "may be imported here: nowhere"},
		{"an unlisted module is refused", "cmd/mqttwarden/serve.go", "github.com/spf13/viper", "without a home"},
		{"in tests too", "cmd/mqttwarden/e2e/policy/live_test.go", "github.com/stretchr/testify/assert", "without a home"},
		{"a module for tests stays in tests", "registry/acl/policy.go", "pgregory.net/rapid", "may be imported here: registry/storetest"},
		{"and is free there", "registry/acl/policy_test.go", "pgregory.net/rapid", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(violations([]file{{tt.path, []string{tt.pkg}}}), "\n")
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%s imports %s: got %q, want %q", tt.path, tt.pkg, got, tt.want)
			}
		})
	}
}

func TestViolationsAreAllReported(t *testing.T) {
	got := violations([]file{
		{"registry/user.go", []string{"fmt", "mqttwarden/broker", "net/http"}},
		{"broker/broker.go", []string{"mqttwarden/registry", "mqttwarden/adminapi"}},
	})
	if len(got) != 4 {
		t.Errorf("got %d violations, want 4:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestGoFiles(t *testing.T) {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	got, err := goFiles(fstest.MapFS{
		"registry/user.go":                text("package registry\nimport (\n\"fmt\"\nsib \"mqttwarden/broker\"\n)"),
		"registry/user_windows.go":        text("//go:build windows\n\npackage registry\nimport _ \"C\""),
		"registry/testdata/x.go":          text("not Go"),
		"deploy/tools/go.mod":             text("module other"),
		"deploy/tools/tools.go":           text("package tools\nimport \"os\""),
		"deploy/test/node_modules/x/y.go": text("package y"),
		".cache/z.go":                     text("package z"),
		"README.md":                       text("# Go"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []file{
		{"registry/user.go", []string{"fmt", "mqttwarden/broker"}},
		{"registry/user_windows.go", []string{"C"}},
	}
	if !slices.EqualFunc(got, want, func(a, b file) bool { return a.path == b.path && slices.Equal(a.imports, b.imports) }) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestGoFilesReportsWhatItCannotRead(t *testing.T) {
	if _, err := goFiles(fstest.MapFS{"registry/user.go": {Data: []byte("packag registry")}}); err == nil {
		t.Error("a broken file was passed over")
	}
}

// TestTreeIsWhatGitTracks (O12): a folder that somebody keeps beside the project is not
// the project's, and in an export, which has no .git, all is.
func TestTreeIsWhatGitTracks(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(".gitignore", "/bin/\n")
	write("registry/user.go", "package registry\n")
	write("registry/gone.go", "package registry\n")
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}} {
		if _, err := git(t.Context(), root, args...); err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
	}
	write("scratch/try.go", "package main\n")
	if err := os.Remove(filepath.Join(root, "registry/gone.go")); err != nil {
		t.Fatal(err)
	}
	look := func(when string, wantFiles int, wantStrangers ...string) {
		t.Helper()
		files, err := goFiles(tree(t.Context(), root))
		found, err2 := strangers(tree(t.Context(), root))
		if err := errors.Join(err, err2); err != nil || len(files) != wantFiles || !slices.Equal(found, wantStrangers) {
			t.Errorf("%s: files %v and strangers %v, %v; want %d files and %v", when, files, found, err, wantFiles, wantStrangers)
		}
	}
	look("with git", 1)
	if err := os.RemoveAll(filepath.Join(root, ".git")); err != nil {
		t.Fatal(err)
	}
	look("in an export", 2, "scratch")
}

func TestStrangers(t *testing.T) {
	got, err := strangers(fstest.MapFS{
		".gitignore":     {Data: []byte("/bin/\n*.prof\n")},
		".ci/run":        {},
		"registry/x.go":  {},
		"README.md":      {},
		"bin/mqttwarden": {},
		"cpu.prof":       {},
		"util/util.go":   {},
		"docs/index.md":  {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"docs", "util"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
