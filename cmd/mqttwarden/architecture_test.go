package main_test

import (
	"bufio"
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// The rule of the tree: registry imports none of its siblings; authhook and
// adminapi import registry, broker nobody, and none of them each other; leaf
// packages import nothing of ours, and anybody may import them; cmd knows everyone
// and fits the plugs; what speaks to the outside world has one home. See
// deploy/docs/adr/0001-layout-and-the-one-rule.md and 0011.
//
// The rule stands here and nowhere else.

// module is our module's path, as go.mod says it.
const module = "mqttwarden"

// knows lists, for each part of the tree, the other parts that it may import.
var knows = map[string][]string{
	"registry": nil,
	"authhook": {"registry"},
	"broker":   nil,
	"adminapi": {"registry"},
	"cmd":      {"registry", "authhook", "broker", "adminapi"},
}

// testsKnow lists, for each part, the other parts that its tests may import
// besides.
var testsKnow = map[string][]string{
	"authhook": {"broker"},   // the hook is tested in the broker that it runs in
	"broker":   {"registry"}, // what matches a filter is the same in both
}

// leaves are the packages that import nothing of ours, so that every part may
// import them.
var leaves = []string{
	"registry/durable",  // files that survive a loss of power
	"registry/loglimit", // a log of what those outside bring about
	"registry/logtest",  // a log for tests to read
	"registry/peer",     // where a connection comes from
	"registry/throttle", // how often something may be done
}

// home says where a package, with all packages below it, may be imported. A place
// is a directory with all below it, or a pattern of file paths as path.Match
// reads them.
type home struct {
	pkg   string
	code  []string // places for the program's own files
	tests []string // further places for its _test.go files
}

var (
	anywhere = []string{"registry", "authhook", "broker", "adminapi", "cmd"}
	nowhere  []string
	tests    = []string{"registry/storetest", "registry/registrytest", "registry/logtest", "broker/mqtttest", "adminapi/internal/apitest", "cmd/mqttwarden/internal/rig"} // code that only tests import
	cmd      = []string{"cmd"}
	servers  = []string{"cmd/mqttwarden/e2e/servers", "registry/rediscache", "registry/sqlstore/servers"}
)

// homes is the list of everything that has a home. The longest path that fits
// decides. A third-party module that is not listed is refused: a new one needs a
// reason, a row in deploy/docs/adr/0008-dependencies.md and a row here.
var homes = []home{
	// Ours: what cmd plugs in.
	{module + "/registry/sqlstore", []string{"registry/sqlstore", "registry/node", "cmd"}, anywhere},
	{module + "/registry/rediscache", []string{"registry/rediscache", "registry/node", "cmd"}, anywhere},
	{module + "/registry/directory", []string{"registry/directory", "cmd"}, anywhere},
	{module + "/registry/storetest", tests, anywhere},
	{module + "/registry/registrytest", tests, anywhere},
	{module + "/registry/logtest", tests, anywhere},
	{module + "/broker/mqtttest", tests, anywhere},
	// What starts servers by others. make check leaves the packages out whose tests
	// need them; the Makefile knows them by their names.
	{module + "/registry/rediscache/redistest", nowhere, servers},
	{module + "/registry/sqlstore/pgtest", nowhere, servers},
	{module + "/cmd/mqttwarden/internal/rig", nowhere, cmd},

	// The standard library's.
	{"C", nowhere, nowhere}, // the program is built without cgo
	{"database/sql", []string{"registry/sqlstore"}, cmd},
	{"net/http", []string{
		"adminapi", "cmd",
		"registry/directory",   // a client, to identity providers
		"broker/websocket*.go", // MQTT over WebSocket begins as HTTP
	}, anywhere},

	// The broker library. Of several hooks that answer, mochi takes any yes: one
	// that allows everything must not even be linked (ADR 0002).
	{"github.com/mochi-mqtt/server", []string{"broker", "authhook", "cmd/bench"}, cmd},
	{"github.com/mochi-mqtt/server/v2/hooks/auth", []string{"cmd/bench"}, anywhere},
	{"github.com/eclipse/paho.golang", cmd, anywhere},
	{"github.com/coder/websocket", []string{"broker"}, cmd},
	{"github.com/pires/go-proxyproto", []string{"broker"}, cmd},
	{"github.com/gorilla/websocket", nowhere, nowhere}, // mochi brings it for a listener we do not use

	// Stores and caches.
	{"go.etcd.io/bbolt", []string{"broker/internal/keep"}, nowhere},
	{"modernc.org/sqlite", []string{"registry/sqlstore"}, cmd},
	{"github.com/jackc/pgx", []string{"registry/sqlstore"}, cmd},
	{"github.com/pressly/goose", []string{"registry/sqlstore"}, cmd},
	{"github.com/redis/go-redis", []string{"registry/rediscache"}, cmd},

	// HTTP.
	{"github.com/go-chi/chi", []string{"adminapi"}, nowhere},
	{"github.com/danielgtaylor/huma", []string{"adminapi"}, nowhere},
	{"github.com/swaggest/swgui", []string{"adminapi"}, nowhere},

	// Credentials and outside identities.
	{"golang.org/x/crypto", []string{"registry"}, anywhere},
	{"github.com/go-jose/go-jose", []string{"registry", "adminapi"}, anywhere},
	{"github.com/go-ldap/ldap", []string{"registry/directory"}, cmd},
	{"github.com/coreos/go-oidc", []string{"registry/directory"}, cmd},
	{"golang.org/x/oauth2", []string{"registry/directory"}, cmd},

	// The program's own face.
	{"github.com/alecthomas/kong", cmd, nowhere},
	{"github.com/goccy/go-yaml", cmd, nowhere},

	// Small things that carry no architecture.
	{"github.com/google/uuid", anywhere, nowhere},
	{"github.com/prometheus", anywhere, nowhere},
	{"golang.org/x/sync", anywhere, nowhere},
	{"golang.org/x/time", anywhere, nowhere},

	// For tests alone.
	{"pgregory.net/rapid", tests, anywhere},
	{"golang.org/x/sys", nowhere, cmd}, // limits of a process, for a disk that is full
	{"go.uber.org/goleak", tests, anywhere},
	{"github.com/google/go-cmp", tests, anywhere},
	{"github.com/zmap/zlint", tests, []string{"registry/ca", "cmd"}},
	{"github.com/zmap/zcrypto", tests, []string{"registry/ca", "cmd"}},
}

// file is a Go file of the tree and what it imports.
type file struct {
	path    string // from the root of the module, with slashes
	imports []string
}

func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// part returns the name of the part of the tree that p, a path from the root of
// the module, belongs to.
func part(p string) string {
	name, _, _ := strings.Cut(p, "/")
	return name
}

// within reports whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// lives reports whether the file at p is in one of places.
func lives(p string, places []string) bool {
	return slices.ContainsFunc(places, func(place string) bool {
		matched, err := path.Match(place, p)
		return within(p, place) || matched && err == nil
	})
}

// homeOf returns the row of homes that decides about an imported package.
func homeOf(pkg string) (home, bool) {
	var best home
	for _, h := range homes {
		if within(pkg, h.pkg) && len(h.pkg) > len(best.pkg) {
			best = h
		}
	}
	return best, best.pkg != ""
}

// objection says why f may not import pkg. It is empty if f may.
func (f file) objection(pkg string) string {
	if to, ours := strings.CutPrefix(pkg, module+"/"); ours {
		if why := f.objectionToOurs(to); why != "" {
			return why
		}
	}
	h, listed := homeOf(pkg)
	switch {
	case !listed && strings.Contains(part(pkg), "."):
		return "a third-party module without a home: give it a row in homes, and a reason in ADR 0008"
	case !listed:
		return ""
	}
	places := h.code
	if f.isTest() {
		places = slices.Concat(h.code, h.tests)
	}
	if !lives(f.path, places) {
		return fmt.Sprintf("%s may be imported here: %s", h.pkg, orNowhere(places))
	}
	return ""
}

// objectionToOurs says why f may not import one of our own packages, by its path
// from the root of the module. It is empty if f may.
func (f file) objectionToOurs(to string) string {
	dir := path.Dir(f.path)
	switch {
	case dir == to: // its own tests
		return ""
	case slices.Contains(leaves, dir):
		return dir + " is a leaf: it imports nothing of ours"
	case slices.Contains(leaves, to):
		return ""
	}
	from, to := part(f.path), part(to)
	known := to == from || slices.Contains(knows[from], to)
	if f.isTest() {
		known = known || slices.Contains(testsKnow[from], to)
	}
	if !known {
		return fmt.Sprintf("%s does not know %s; declare the interface you need, and cmd fits the plug", from, to)
	}
	return ""
}

func orNowhere(places []string) string {
	if len(places) == 0 {
		return "nowhere"
	}
	return strings.Join(places, ", ")
}

// violations returns every breach of the rule in files, one a line.
func violations(files []file) []string {
	var found []string
	for _, f := range files {
		if _, known := knows[part(f.path)]; !known {
			found = append(found, f.path+": Go code belongs in "+strings.Join(anywhere, ", "))
			continue
		}
		for _, pkg := range f.imports {
			if why := f.objection(pkg); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", f.path, pkg, why))
			}
		}
	}
	return found
}

// tree returns the files below a directory that belong to the project: those that git
// tracks, or all where there is no git to ask, as in an export. What lies about on
// somebody's machine keeps no rule.
func tree(ctx context.Context, root string) fs.FS {
	all := os.DirFS(root)
	if _, err := fs.Stat(all, ".git"); err != nil {
		return all
	}
	names, err := git(ctx, root, "ls-files", "-z")
	if err != nil {
		return all
	}
	tracked := make(fstest.MapFS)
	for name := range strings.SplitSeq(strings.TrimRight(names, "\x00"), "\x00") {
		if b, err := fs.ReadFile(all, name); err == nil { // else it was removed, and that not told to git
			tracked[name] = &fstest.MapFile{Data: b}
		}
	}
	return tracked
}

// git runs git in a directory, whatever the environment says of another repository, as it
// does within a hook.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...) // #nosec G204 -- ours
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	out, err := cmd.Output()
	return string(out), err
}

// goFiles returns all Go files below root, whatever their build tags, less what
// the go command leaves out too: hidden directories, testdata and other modules.
func goFiles(root fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != ".":
			_, err := fs.Stat(root, path.Join(p, "go.mod"))
			if err == nil || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") ||
				d.Name() == "testdata" || d.Name() == "node_modules" {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		src, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), p, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		f := file{path: p}
		for _, spec := range syntax.Imports {
			pkg, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			f.imports = append(f.imports, pkg)
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// strangers returns what stands at the top of the tree and should not: all but the
// five parts, the four files of a Go project, dot files, and what git ignores.
func strangers(root fs.FS) ([]string, error) {
	allowed := []string{
		"registry", "authhook", "broker", "adminapi", "cmd", "deploy",
		"README.md", "Makefile", "go.mod", "go.sum", ".*",
	}
	ignore, err := root.Open(".gitignore")
	if err != nil {
		return nil, err
	}
	defer ignore.Close()
	for lines := bufio.NewScanner(ignore); lines.Scan(); {
		allowed = append(allowed, strings.Trim(lines.Text(), "/"))
	}
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if !lives(e.Name(), allowed) {
			found = append(found, e.Name())
		}
	}
	return found, nil
}

func TestTreeKeepsTheRule(t *testing.T) {
	root := tree(t.Context(), "../..")
	files, err := goFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(f file) bool { return f.path == "cmd/mqttwarden/architecture_test.go" }) {
		t.Fatalf("this file is not among the %d found: the walk is broken", len(files))
	}
	for _, v := range violations(files) {
		t.Error(v)
	}
	found, err := strangers(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		t.Errorf("%s does not belong at the top of the repository", name)
	}
}
