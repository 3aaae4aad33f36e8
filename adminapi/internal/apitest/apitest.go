// Package apitest is what the tests of all APIs stand on: the whole HTTP side over
// a registry in a store of its own, wired as the program wires it, with requests
// to send and users, devices and certificates to send them as.
package apitest

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"mqttwarden/adminapi"
	"mqttwarden/registry"
	"mqttwarden/registry/node"
	"mqttwarden/registry/pki"
	"mqttwarden/registry/registrytest"
)

// AdminPassword is that of the user admin.
const AdminPassword = registrytest.AdminPassword

// API is the whole HTTP side.
type API struct {
	*node.Node // as MQTT clients and the program itself use it

	Handler  http.Handler
	Log      *Log
	Retained *Retained
	Clients  *Clients
	Admin    string // a token of the user admin, who has all rights

	t testing.TB
}

// New starts the whole HTTP side over a store that has had its first start and
// nothing else. Each change changes the configuration. All ends with the test.
func New(t testing.TB, change ...func(*adminapi.Config)) *API {
	t.Helper()
	a := &API{t: t, Log: &Log{}, Retained: &Retained{}, Clients: &Clients{}}
	log := slog.New(slog.NewTextHandler(a.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	rig := registrytest.New(t, func(cfg *node.Config) { cfg.Log = log })
	rig.Follow()
	a.Node = rig.Node
	cfg := a.config(rig.Node, log)
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if a.Handler, err = adminapi.New(cfg); err != nil {
		t.Fatal(err)
	}
	a.Admin = a.Login("admin", AdminPassword)
	return a
}

// config returns what the program configures in startAPI of
// cmd/mqttwarden/internal/program.
func (a *API) config(n *node.Node, log *slog.Logger) adminapi.Config {
	return adminapi.Config{
		Service: n.Service, Registrations: n.Enrolment, Certificates: n.PKI, SignIn: n.SignIn, Follower: n.Follower, Wait: time.Second,
		Position: a.Store.Position,
		Ready:    func(context.Context) adminapi.Readiness { return adminapi.Readiness{{Name: "store"}} },
		Retained: a.Retained,
		Clients:  a.Clients,
		Certificate: func(s *tls.ConnectionState) *registry.Certificate {
			return n.PKI.Trust().Certificate(s.PeerCertificates, pki.MapCommonName)
		},
		AllowQueryToken: true,
		Now:             time.Now, Log: log, Version: "test",
	}
}

// Settle waits until every change so far is enforced.
func (a *API) Settle() {
	a.t.Helper()
	end, err := a.Store.Position(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.Follower.WaitEnforced(a.t.Context(), end.Number); err != nil {
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
