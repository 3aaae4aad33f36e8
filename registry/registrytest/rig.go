// Package registrytest gives tests the register of one node over a real store, as
// the program assembles it, with a clock that the test turns.
package registrytest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/node"
	"mqttwarden/registry/secret"
)

// AdminPassword is that of the user admin.
const AdminPassword = "admin-secret"

// Cheap are hash parameters that keep the tests quick.
var Cheap = secret.Params{Memory: 64, Time: 1, Threads: 1} //nolint:gochecknoglobals // a constant

// Rig is a node for a test. Until Follow is called nothing follows the changes, so
// nothing is answered from memory.
type Rig struct {
	*node.Node

	T     testing.TB
	Path  string // of the store
	Admin registry.Caller

	options []Option
	offset  atomic.Int64 // of the clock
}

// Option changes what a rig works with.
type Option func(*node.Config)

// New returns a rig over a store that has had its first start. It ends with the
// test.
func New(tb testing.TB, options ...Option) *Rig {
	tb.Helper()
	r := &Rig{T: tb, Path: Store(tb), options: options}
	r.open()
	r.Admin = r.CallerNamed(registry.AdminUsername)
	return r
}

// Store returns the path of a new store that has had its first start.
func Store(tb testing.TB) string {
	tb.Helper()
	b, err := made()
	Must(tb, err)
	path := filepath.Join(tb.TempDir(), "test.db")
	Must(tb, os.WriteFile(path, b, 0o600))
	return path
}

// made returns a store that has had its first start. It is made once in each
// program: its signing key takes a while.
var made = sync.OnceValues(func() ([]byte, error) { //nolint:gochecknoglobals // made once
	dir, err := os.MkdirTemp("", "registrytest")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "made.db")
	keys, err := keyRing()
	if err != nil {
		return nil, err
	}
	n, err := node.Open(context.Background(), node.Config{
		Database: path, Keys: keys, Now: time.Now, Log: slog.New(slog.DiscardHandler), Hash: Cheap,
		Policy: registry.DefaultPasswordPolicy(),
	})
	if err != nil {
		return nil, err
	}
	_, err = n.Service.Bootstrap(context.Background(), AdminPassword)
	if err := errors.Join(err, n.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func keyRing() (*secret.KeyRing, error) {
	key := make([]byte, 32)
	key[0] = 1
	return secret.NewKeyRing(key)
}

// KeyRing returns the master key of all rigs.
func KeyRing(tb testing.TB) *secret.KeyRing {
	tb.Helper()
	ring, err := keyRing()
	Must(tb, err)
	return ring
}

func (r *Rig) open() {
	r.T.Helper()
	cfg := node.Config{
		Database: r.Path, Keys: KeyRing(r.T), Now: r.Now, Log: slog.New(slog.DiscardHandler),
		Hash: Cheap, HashWorkers: 2, Policy: registry.DefaultPasswordPolicy(),
	}
	for _, o := range r.options {
		o(&cfg)
	}
	n, err := node.Open(r.T.Context(), cfg)
	Must(r.T, err)
	r.Node = n
	r.T.Cleanup(func() { _ = n.Close() })
}

// Restart ends the program and starts it again: what was in memory only is gone.
func (r *Rig) Restart() {
	r.T.Helper()
	Must(r.T, r.Close())
	r.open()
}

// Another returns another node over the same store, with a clock of its own that
// shows the same.
func (r *Rig) Another() *Rig {
	r.T.Helper()
	n := &Rig{T: r.T, Path: r.Path, options: r.options, Admin: r.Admin}
	n.offset.Store(r.offset.Load())
	n.open()
	return n
}

// Follow has changes followed until the test ends, as the program does.
func (r *Rig) Follow(enforcers ...node.Enforcer) {
	r.T.Helper()
	Must(r.T, r.Start(r.T.Context(), enforcers...))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Follower.Run(ctx) })
	r.T.Cleanup(func() { cancel(); wg.Wait() })
}

// CatchUp returns when every change so far is in force here; see Follow.
func (r *Rig) CatchUp() {
	r.T.Helper()
	end, err := r.Store.Position(r.T.Context())
	Must(r.T, err)
	r.Follower.Wake()
	ctx, cancel := context.WithTimeout(r.T.Context(), 30*time.Second)
	defer cancel()
	Must(r.T, r.Follower.WaitEnforced(ctx, end.Number))
}

// Now returns the time as the rig has it.
func (r *Rig) Now() time.Time { return time.Now().Add(time.Duration(r.offset.Load())) }

// Turn sets the clock on, or back.
func (r *Rig) Turn(d time.Duration) { r.offset.Add(int64(d)) }

// CallerNamed returns the user of that name as a caller.
func (r *Rig) CallerNamed(name string) registry.Caller {
	r.T.Helper()
	u, err := r.Store.UserByName(r.T.Context(), name)
	Must(r.T, err)
	return registry.Caller{ID: u.ID, Username: name, Door: "test"}
}

// Role makes a shared role with the permissions.
func (r *Rig) Role(name string, perms ...registry.PermissionSpec) registry.RoleID {
	r.T.Helper()
	role, _, err := r.Service.CreateRole(r.T.Context(), r.Admin, registry.RoleSpec{Name: name, Shared: true, Permissions: perms})
	Must(r.T, err)
	return role.ID
}

// User makes a user with roles, whose password is its name and "-secret".
func (r *Rig) User(name string, roles ...registry.RoleID) registry.User {
	r.T.Helper()
	u, _, err := r.Service.CreateUser(r.T.Context(), r.Admin, registry.UserSpec{
		Username: name, Provider: registry.ProviderLocal, Password: name + "-secret", Roles: roles,
	})
	Must(r.T, err)
	return u
}

// Passwords returns what hashes and verifies passwords as the node does, with a
// memory of its own.
func (r *Rig) Passwords() *registry.Passwords {
	return &registry.Passwords{
		Policy: registry.DefaultPasswordPolicy(), Hasher: r.Hashes, Now: r.Now,
		Verifier: secret.NewVerifier(r.Hashes, secret.VerifierConfig{Now: r.Now}),
	}
}

// AdminRole returns the role that gives all rights.
func (r *Rig) AdminRole() registry.RoleID {
	r.T.Helper()
	role, err := r.Store.RoleByName(r.T.Context(), registry.RoleAdmin)
	Must(r.T, err)
	return role.ID
}

// Login signs in with a name and a password.
func (r *Rig) Login(name, password string) (registry.Login, error) {
	return r.SignIn.In(context.Background(), registry.Attempt{Username: name, Password: password, HasPassword: true})
}

// Holds reports whether a login could be made again as its user is now.
func (r *Rig) Holds(l registry.Login) bool {
	r.T.Helper()
	return l.Proof.Holds(r.Principal(l.Subject.ID()), r.Now())
}

// Principal returns a user as it is now, nil when it is gone.
func (r *Rig) Principal(id registry.UserID) *registry.Principal {
	r.T.Helper()
	u, err := r.Store.User(r.T.Context(), id)
	if err != nil {
		WantCode(r.T, "read the user", err, registry.NotFound)
		return nil
	}
	roles, err := r.Store.RolesOf(r.T.Context(), u.ID)
	Must(r.T, err)
	return registry.NewPrincipal(u, roles)
}

// MQTT returns a permission for topics.
func MQTT(op acl.Operation, resource string) registry.PermissionSpec {
	return registry.PermissionSpec{Context: acl.MQTT, Operation: op, Resource: resource}
}

// HTTP returns a permission for paths.
func HTTP(op acl.Operation, resource string) registry.PermissionSpec {
	return registry.PermissionSpec{Context: acl.HTTP, Operation: op, Resource: resource}
}

// Deny makes a deny of a permission.
func Deny(p registry.PermissionSpec) registry.PermissionSpec {
	p.Effect = acl.Deny
	return p
}

// Must ends the test on an error.
func Must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// WantCode fails the test unless err has the code; an empty one is no error.
func WantCode(tb testing.TB, what string, err error, code registry.Code) {
	tb.Helper()
	switch {
	case code == "" && err != nil:
		tb.Errorf("%s: %v, want no error", what, err)
	case code != "" && !errors.Is(err, code):
		tb.Errorf("%s: %v, want %s", what, err, code)
	}
}

// WantField is WantCode for an error that blames a field.
func WantField(tb testing.TB, what string, err error, code registry.Code, field registry.Field) {
	tb.Helper()
	WantCode(tb, what, err, code)
	if _, got, _ := registry.Public(err); got != field {
		tb.Errorf("%s: blames %q, want %q (%v)", what, got, field, err)
	}
}

// WantNoSecret fails the test if an audit entry holds a password, as the rigs'
// have them, or a hash.
func WantNoSecret(tb testing.TB, e registry.AuditEntry) {
	tb.Helper()
	text := fmt.Sprintf("%+v", e)
	if strings.Contains(text, "-secret") || strings.Contains(text, "argon2") {
		tb.Errorf("an entry holds a secret: %s", text)
	}
}
