package registry_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/bearer"
	"mqttwarden/registry/secret"
	"mqttwarden/registry/sqlstore"
)

// rig is the domain over a real store, with a clock that the test turns.
type rig struct {
	t          *testing.T
	path       string // of the store
	options    []option
	store      *sqlstore.Store
	service    *registry.Service
	signIn     *registry.SignIn
	principals *registry.Principals
	anchors    *registry.Anchors // see withCertificates
	pool       *secret.Pool
	offset     atomic.Int64
	admin      registry.Caller
}

// option changes what the service of a rig works with.
type option func(*rig, *registry.ServiceConfig)

func (r *rig) now() time.Time { return time.Now().Add(time.Duration(r.offset.Load())) }

// turn sets the clock on, or back.
func (r *rig) turn(d time.Duration) { r.offset.Add(int64(d)) }

// cheap are hash parameters that keep the tests quick.
var cheap = secret.Params{Memory: 64, Time: 1, Threads: 1}

func newRig(t *testing.T, options ...option) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "test.db"), options: options}
	r.open()
	t.Cleanup(func() { _ = r.store.Close() })
	if made, err := r.service.Bootstrap(t.Context(), "admin-secret"); err != nil || !made {
		t.Fatalf("bootstrap: %v, %v", made, err)
	}
	r.admin = r.callerNamed(registry.AdminUsername)
	return r
}

// restart ends the program and starts it again: what was in memory only is gone.
func (r *rig) restart() {
	r.t.Helper()
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

// node returns another node over the same store.
func (r *rig) node() *rig {
	r.t.Helper()
	n := &rig{t: r.t, path: r.path, options: r.options, admin: r.admin}
	n.offset.Store(r.offset.Load())
	n.open()
	r.t.Cleanup(func() { _ = n.store.Close() })
	return n
}

func (r *rig) open() {
	t := r.t
	t.Helper()
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: r.path, Now: r.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := bearer.NewSigner(tokenKey(t), "mqttwarden")
	if err != nil {
		t.Fatal(err)
	}
	r.store, r.pool = store, secret.NewPool(secret.PoolConfig{Params: cheap, Workers: 2})
	verifier := secret.NewVerifier(r.pool, secret.VerifierConfig{Now: r.now})
	cfg := registry.ServiceConfig{
		Store: store, Passwords: r.pool, Checker: verifier, Signer: signer,
		Policy: registry.DefaultPasswordPolicy(), Now: r.now, Log: slog.New(slog.DiscardHandler),
	}
	for _, o := range r.options {
		o(r, &cfg)
	}
	r.service = registry.NewService(cfg)
	// Nothing is remembered between two sign-ins: what is tested here are the rules.
	r.principals = registry.NewPrincipals(store, 1, func() bool { return false })
	r.signIn = registry.NewSignIn(r.principals, verifier, store, signer, r.now)
	r.signIn.Strangers(r.service.Knock)
	r.signIn.CertificateUsed(r.service.CertificateUsed)
	if r.anchors != nil {
		r.signIn.TrustAnchors(r.anchors)
	}
}

// tokenKey returns one signing key for all tests: making one takes a while.
var tokenKey = func() func(*testing.T) []byte {
	var key atomic.Pointer[[]byte]
	return func(t *testing.T) []byte {
		t.Helper()
		if k := key.Load(); k != nil {
			return *k
		}
		k, err := bearer.NewKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		key.Store(&k)
		return k
	}
}()

func (r *rig) callerNamed(name string) registry.Caller {
	r.t.Helper()
	u, err := r.store.UserByName(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return registry.Caller{ID: u.ID, Username: name, Door: "test"}
}

// role makes a role with the permissions, given as "context operation resource"
// or "deny context operation resource".
func (r *rig) role(name string, perms ...registry.PermissionSpec) registry.RoleID {
	r.t.Helper()
	role, _, err := r.service.CreateRole(r.t.Context(), r.admin, registry.RoleSpec{Name: name, Shared: true, Permissions: perms})
	if err != nil {
		r.t.Fatal(err)
	}
	return role.ID
}

// user makes a user with a password and roles.
func (r *rig) user(name string, roles ...registry.RoleID) registry.User {
	r.t.Helper()
	u, _, err := r.service.CreateUser(r.t.Context(), r.admin, registry.UserSpec{
		Username: name, Provider: registry.ProviderLocal, Password: name + "-secret", Roles: roles,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

func (r *rig) adminRole() registry.RoleID {
	r.t.Helper()
	role, err := r.store.RoleByName(r.t.Context(), registry.RoleAdmin)
	if err != nil {
		r.t.Fatal(err)
	}
	return role.ID
}

func mqtt(op acl.Operation, resource string) registry.PermissionSpec {
	return registry.PermissionSpec{Context: acl.MQTT, Operation: op, Resource: resource}
}

func http(op acl.Operation, resource string) registry.PermissionSpec {
	return registry.PermissionSpec{Context: acl.HTTP, Operation: op, Resource: resource}
}

func deny(p registry.PermissionSpec) registry.PermissionSpec {
	p.Effect = acl.Deny
	return p
}

func wantCode(t *testing.T, what string, err error, code registry.Code) {
	t.Helper()
	switch {
	case code == "" && err != nil:
		t.Errorf("%s: %v, want no error", what, err)
	case code != "" && !errors.Is(err, code):
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func wantField(t *testing.T, what string, err error, code registry.Code, field string) {
	t.Helper()
	wantCode(t, what, err, code)
	if _, got, _ := registry.Public(err); got != field {
		t.Errorf("%s: blames %q, want %q (%v)", what, got, field, err)
	}
}

func (r *rig) login(name, password string) (registry.Login, error) {
	return r.signIn.In(context.Background(), registry.Attempt{Username: name, Password: password, HasPassword: true})
}

func ptr[T any](v T) *T { return &v }

func hasRole(u registry.User, id registry.RoleID) bool { return slices.Contains(u.Roles, id) }
