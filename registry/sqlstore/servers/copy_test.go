package servers

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/registrytest"
	"mqttwarden/registry/sqlstore"
	"mqttwarden/registry/sqlstore/pgtest"
)

// furnish puts something into every table.
func furnish(t *testing.T, r *registrytest.Rig) {
	t.Helper()
	r.OpenWindow(time.Hour)
	u, cert := r.Device("device")
	r.Register(from("waiting", 1), registry.RegistrationPending)
	role := r.Role("role \u2028 \\ ' \" $1", registry.PermissionSpec{Resource: "a/#", Operation: acl.ReadWrite, Context: acl.MQTT, Effect: acl.Deny})
	for i := range 700 { // more than a page
		r.User(fmt.Sprint("user-", i), role)
	}
	_, _, err := r.Service.CreateUser(t.Context(), r.Admin, registry.UserSpec{
		Username: "owner", Provider: registry.ProviderLocal, ClientIDs: []string{"pump-1"},
	})
	registrytest.Must(t, err)
	login, err := r.LoginWith(cert)
	registrytest.Must(t, err)
	_, _, err = r.Service.IssueToken(t.Context(), login, time.Hour, "label")
	registrytest.Must(t, err)
	if _, err := r.PKI.RecordUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, err = r.PKI.AddAnchors(t.Context(), r.Admin, r.NewOutsideCA("elsewhere").PEM())
	registrytest.Must(t, err)
	_, err = r.Store.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
		return errors.Join(
			tx.RemoveCertificate(ctx, strings.Repeat("0", 64), r.Now()),
			tx.CreateRole(ctx, registry.Role{ID: "private", Name: "private", Owner: u.ID}),
			tx.RevokeIssuedOf(ctx, u.ID, r.Now(), ca.Superseded),
		)
	})
	registrytest.Must(t, err)
}

func sqliteAt(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	registrytest.Must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func copied(t *testing.T, from, to *sqlstore.Store) []sqlstore.Copied {
	t.Helper()
	tables, err := sqlstore.Copy(t.Context(), from, to)
	registrytest.Must(t, err)
	for _, table := range tables {
		if table.Rows == 0 || len(table.Digest) != 64 {
			t.Errorf("%s has %d rows, digest %q: want some in every table", table.Table, table.Rows, table.Digest)
		}
	}
	return tables
}

func TestACopyHasAllThatTheOriginalHas(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	furnish(t, r)
	ctx := t.Context()
	want, _, err := r.Store.Users(ctx, registry.UserQuery{})
	registrytest.Must(t, err)
	position, err := r.Store.Position(ctx)
	registrytest.Must(t, err)
	identity, err := r.Store.Identity(ctx)
	registrytest.Must(t, err)

	url := pgtest.Database(t, "", nil)
	there := copied(t, r.Store, openAt(t, &sqlstore.Postgres{URL: url}))
	back := sqliteAt(t, filepath.Join(t.TempDir(), "back.db"))
	again := copied(t, openAt(t, &sqlstore.Postgres{URL: url}), back)
	for i, table := range there {
		if table.Table != "store" && table != again[i] {
			t.Errorf("there: %v, and back: %v", table, again[i])
		}
	}

	// With the same key it is a register like the original.
	n := nodeOn(t, url)
	users, _, err := n.Store.Users(ctx, registry.UserQuery{})
	registrytest.Must(t, err)
	if fmt.Sprint(users) != fmt.Sprint(want) {
		t.Errorf("the users differ")
	}
	if got, err := n.Store.Position(ctx); err != nil || got != position {
		t.Errorf("the position is %v, %v, want %v", got, err, position)
	}
	for i, s := range []*sqlstore.Store{n.Store, back} {
		want := registry.Identity{StoreID: identity.StoreID, Epoch: identity.Epoch + uint64(i) + 1}
		if got, err := s.Identity(ctx); err != nil || got != want {
			t.Errorf("copy %d is %v, %v, want %v", i+1, got, err, want)
		}
	}
	if _, err := n.SignIn.In(ctx, registry.Attempt{Username: "user-7", Password: "user-7-secret", HasPassword: true}); err != nil {
		t.Errorf("sign-in with a password: %v", err)
	}
	if u := n.User("another"); u.Version == 0 {
		t.Errorf("a user made in the copy has no version")
	}
}

func TestACopyIsRefused(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	url := bootstrapped(t)
	for _, tt := range []struct {
		name string
		to   func() *sqlstore.Store
		want string
	}{
		{"into a store that has something", func() *sqlstore.Store { return openAt(t, &sqlstore.Postgres{URL: url, Name: "copy"}) }, "not empty"},
		{"while another node is there", func() *sqlstore.Store {
			openAt(t, &sqlstore.Postgres{URL: url, Name: "a node"})
			return openAt(t, &sqlstore.Postgres{URL: url, Name: "copy"})
		}, "stop all nodes"},
	} {
		before := contents(t, url)
		if _, err := sqlstore.Copy(t.Context(), r.Store, tt.to()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error about %q", tt.name, err, tt.want)
		}
		if after := contents(t, url); after != before {
			t.Errorf("%s: the target has changed", tt.name)
		}
	}
}

// contents returns all users, roles and numbers of a database as text.
func contents(t *testing.T, url string) string {
	t.Helper()
	db := pgtest.Open(t, url+"&application_name=copy")
	defer db.Close()
	return fmt.Sprint(pgtest.Column(t, db, `SELECT users::text FROM users UNION ALL SELECT roles::text FROM roles
		UNION ALL SELECT store::text FROM store ORDER BY 1`))
}

// What a text of PostgreSQL can't hold is found before anything is kept.
func TestACopyThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	db := pgtest.OpenSQLite(t, r.Path)
	if _, err := db.ExecContext(t.Context(), `UPDATE roles SET ldap_group_dn = 'a' || CHAR(0)`); err != nil {
		t.Fatal(err)
	}
	url := pgtest.Database(t, "", nil)
	_, err := sqlstore.Copy(t.Context(), r.Store, openAt(t, &sqlstore.Postgres{URL: url}))
	if err == nil || !strings.Contains(err.Error(), "copy roles") {
		t.Errorf("got %v, want an error about roles", err)
	}
	if users := pgtest.Column(t, pgtest.Open(t, url), `SELECT id FROM users`); len(users) > 0 {
		t.Errorf("%d users are left", len(users))
	}
}
