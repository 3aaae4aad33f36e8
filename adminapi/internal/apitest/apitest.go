// Package apitest is what the tests of all APIs stand on: the whole HTTP side over
// a registry in a store of its own, wired as the program wires it, with requests
// to send and users, devices and certificates to send them as.
//
// Only tests may use the program's store, so each package of tests hands it in:
//
//	var start = apitest.Over(openStore)
//
//	func TestSomething(t *testing.T) {
//		api := start(t)
//		api.Must(http.StatusOK, "GET", "/api/users", "")
//	}
package apitest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mqttwarden/adminapi"
	"mqttwarden/registry"
)

// AdminPassword is that of the user admin.
const AdminPassword = "the-admin's-password"

// API is the whole HTTP side.
type API struct {
	Handler  http.Handler
	Store    registry.Store
	Service  *registry.Service
	SignIn   *registry.SignIn // as an MQTT client uses it
	Log      *Log
	Retained *Retained
	Admin    string // a token of the user admin, who has all rights

	t        testing.TB
	follower *registry.Follower
}

// OpenStore opens the store in a file, a new one if there is none.
type OpenStore func(ctx context.Context, path string, log *slog.Logger) (registry.Store, error)

// Over returns a function that starts the whole HTTP side over such a store, which
// has had its first start and nothing else. Each change changes the configuration.
// All ends with the test.
func Over(openStore OpenStore) func(t testing.TB, change ...func(*adminapi.Config)) *API {
	started := sync.OnceValues(func() ([]byte, error) { return firstStart(openStore) })
	return func(t testing.TB, change ...func(*adminapi.Config)) *API {
		t.Helper()
		image, err := started()
		if err != nil {
			t.Fatal(err)
		}
		return start(t, openStore, image, change)
	}
}

// firstStart returns the file of a store that has had its first start: to migrate
// one for each test, and to make its keys, would take most of their time.
func firstStart(openStore OpenStore) (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "apitest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, path, log := context.Background(), filepath.Join(dir, "first.db"), slog.New(slog.DiscardHandler)
	store, err := openStore(ctx, path, log)
	if err != nil {
		return nil, err
	}
	parts, err := open(ctx, store, log)
	if err == nil {
		_, err = parts.service.Bootstrap(ctx, AdminPassword)
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path) // #nosec G304 -- made here
}

func start(t testing.TB, openStore OpenStore, image []byte, change []func(*adminapi.Config)) *API {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a := &API{t: t, Log: &Log{}, Retained: &Retained{}}
	log := slog.New(slog.NewTextHandler(a.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	path := filepath.Join(t.TempDir(), "test.db")
	must(os.WriteFile(path, image, 0o600))
	store, err := openStore(context.WithoutCancel(t.Context()), path, log)
	must(err)
	t.Cleanup(func() { must(store.Close()) })
	parts, err := open(t.Context(), store, log)
	must(err)
	must(parts.follower.Start(t.Context(), parts.principals, nil))
	a.background(parts.follower.Run)
	a.Store, a.Service, a.SignIn, a.follower = store, parts.service, parts.signIn, parts.follower
	cfg := a.config(parts, log)
	for _, f := range change {
		f(&cfg)
	}
	a.Handler, err = adminapi.New(cfg)
	must(err)
	a.Admin = a.Login("admin", AdminPassword)
	return a
}

// background runs f until the test ends.
func (a *API) background(f func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	a.t.Cleanup(func() { stop(); wg.Wait() })
}

// config returns what the program would configure, startAPI in cmd/mqttwarden.
func (a *API) config(p *parts, log *slog.Logger) adminapi.Config {
	return adminapi.Config{
		Service: p.service, SignIn: p.signIn, Follower: p.follower,
		LastChange: a.Store.LastChange,
		Ready:      func(context.Context) adminapi.Readiness { return adminapi.Readiness{{Name: "store"}} },
		Retained:   a.Retained,
		Certificate: func(s *tls.ConnectionState) *registry.Certificate {
			return p.anchors.Certificate(s.PeerCertificates, registry.MapCommonName)
		},
		AllowQueryToken: true,
		Now:             time.Now, Log: log, Version: "test",
	}
}

// Settle waits until every change so far is enforced.
func (a *API) Settle() {
	a.t.Helper()
	last, err := a.Store.LastChange(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.follower.WaitEnforced(a.t.Context(), last); err != nil {
		a.t.Fatal(err)
	}
}

// Log is a log that may be written while it is read.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// String returns everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
