package sqlstore

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// olderStore makes a store as the program with that version of the schema left it,
// with what rows say in it.
func olderStore(t *testing.T, version int64, rows ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := openSQLiteWriter(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if _, err := db.ExecContext(t.Context(), row); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
	}
	return path
}

// never is how the zero time was stored before version 3.
const never = "-62135596800000000"

func TestAStoreOfVersion2IsTakenOver(t *testing.T) {
	s := openAt(t, olderStore(t, 2,
		`INSERT INTO store VALUES (1, 'old-store', 1, 3, 2)`,
		`INSERT INTO users VALUES ('u-1', 'alice', 'alice', 'local', TRUE, FALSE, 'site1/', '["pump-1"]',
			'[{"method":"password","required":true}]', 'hash', 1700000000000001, FALSE, 1700000000000002, 1700000000000003, 1)`,
		`INSERT INTO users VALUES ('u-2', 'bob', 'bob', 'local', TRUE, FALSE, '', 'null', 'null', '', `+never+`, FALSE, 1700000000000004, 1700000000000005, 2)`,
		`INSERT INTO user_fingerprints VALUES ('f-1', 'u-1', 1, 1700000000000006, `+never+`), ('f-2', 'u-1', 2, 1700000000000007, 1800000000000000)`,
		`INSERT INTO roles VALUES ('r-1', 'one', 'one', TRUE, FALSE, NULL, 'cn=x', 'a-1, b"2,c\3', 1700000000000008, 1700000000000009),
			('r-2', 'two', 'two', TRUE, FALSE, NULL, '', '', 1700000000000010, 1700000000000011)`,
		`INSERT INTO user_roles VALUES ('u-1', 'r-1')`,
		`INSERT INTO tokens VALUES ('t-1', 'u-1', 'f', 'l', 1700000000000012, 1700000000000013)`,
		`INSERT INTO changes VALUES (1, 'u-1', 1700000000000014), (2, 'u-2', 1700000000000015), (3, '', 1700000000000016)`,
		`INSERT INTO audit VALUES (1, 1, 1700000000000014, 'admin', 'api', '192.0.2.1', 'user.create', 'u-1', 'alice'),
			(2, 3, 1700000000000016, 'admin', 'api', '', 'registration.open', '', 'for 1m0s')`,
		`INSERT INTO registration_window VALUES (1, `+never+`, `+never+`)`,
		`INSERT INTO registrations VALUES ('reg-1', 'gw', 'gw', 'ABC234', 'h', '', '', 'null', 'null', 'http', '', '', 1700000000000017,
			1700000000000018, 'granted', 'u-2', '', '', 1700000000000019, `+never+`)`,
		`INSERT INTO issued VALUES ('aa', 'f-1', 1, 'u-1', 'alice', '', 1700000000000020, 1700000000000021, 1700000000000022, `+never+`, 0, 'pem'),
			('bb', 'f-2', 1, 'u-1', 'alice', '', 1700000000000020, 1700000000000021, 1700000000000022, 1700000000000023, 1, 'pem')`,
		`INSERT INTO authorities VALUES (1, 'chain', x'01', x'02', 1700000000000024, 7)`,
		`INSERT INTO anchors VALUES ('a-1', 's', 'i', '07', 1700000000000025, 1700000000000026, 1700000000000027, 'pem')`,
	))
	ctx := t.Context()
	at := func(n int) time.Time { return time.UnixMicro(1_700_000_000_000_000 + int64(n)).UTC() }
	checkUsersOfVersion2(t, s, at)
	role, err := s.Role(ctx, "r-1")
	if err != nil || !slices.Equal(role.EntraGroupIDs, []string{"a-1", `b"2`, `c\3`}) || !role.Created.Equal(at(8)) || !role.Updated.Equal(at(9)) {
		t.Errorf("role: %+v, %v", role, err)
	}
	if role, err := s.Role(ctx, "r-2"); err != nil || len(role.EntraGroupIDs) != 0 {
		t.Errorf("role without groups: %+v, %v", role, err)
	}
	changes, err := s.Changes(ctx, 0, 9)
	if err != nil || len(changes) != 3 || changes[0].User() != "u-1" || changes[1].Kind != registry.UserChange || changes[2].User() != "" || changes[2].Kind == registry.UserChange {
		t.Errorf("changes: %+v, %v", changes, err)
	}
	entries, err := s.Audit(ctx, 9)
	if err != nil || len(entries) != 2 || entries[1].Actor.Name != "admin" || entries[1].Action != registry.UserCreated ||
		entries[1].Target != (registry.Target{Kind: registry.TargetUser, ID: "u-1", Name: "alice"}) || entries[0].Target.Kind != registry.TargetWindow {
		t.Errorf("audit: %+v, %v", entries, err)
	}
	checkCertificatesOfVersion2(t, s, at)
	if n := update(t, s, func(_ context.Context, tx registry.Tx) error { tx.Touch(registry.UserChange, "u-2"); return nil }); n != 4 {
		t.Errorf("the next number is %d, want 4", n)
	}
}

func checkUsersOfVersion2(t *testing.T, s *Store, at func(int) time.Time) {
	t.Helper()
	ctx := t.Context()
	u, err := s.User(ctx, "u-1")
	if err != nil || !u.PasswordSet.Equal(at(1)) || !u.Created.Equal(at(2)) || !u.Updated.Equal(at(3)) || u.Version != 1 || len(u.Roles) != 1 {
		t.Errorf("alice: %+v, %v", u, err)
	}
	if len(u.Fingerprints) != 2 || !u.Fingerprints[0].Expires.IsZero() || !u.Fingerprints[0].Created.Equal(at(6)) || u.Fingerprints[1].Expires.IsZero() {
		t.Errorf("alice's certificates: %+v", u.Fingerprints)
	}
	if u, err := s.User(ctx, "u-2"); err != nil || !u.PasswordSet.IsZero() || !u.Created.Equal(at(4)) {
		t.Errorf("bob: %+v, %v", u, err)
	}
	if tok, err := s.Token(ctx, "t-1"); err != nil || !tok.Created.Equal(at(12)) || !tok.Expires.Equal(at(13)) {
		t.Errorf("token: %+v, %v", tok, err)
	}
	reg, err := s.Registration(ctx, "gw")
	if err != nil || !reg.FirstSeen.Equal(at(17)) || !reg.LastSeen.Equal(at(18)) || !reg.Granted.Equal(at(19)) || !reg.Collected.IsZero() {
		t.Errorf("registration: %+v, %v", reg, err)
	}
	if w, err := s.Window(ctx); err != nil || w != (registry.Window{}) {
		t.Errorf("window: %+v, %v", w, err)
	}
}

func checkCertificatesOfVersion2(t *testing.T, s *Store, at func(int) time.Time) {
	t.Helper()
	ctx := t.Context()
	standing, err := s.IssuedBySerial(ctx, "aa")
	if err != nil || !standing.Revoked.IsZero() || !standing.NotBefore.Equal(at(20)) || !standing.NotAfter.Equal(at(21)) || !standing.Issued.Equal(at(22)) {
		t.Errorf("certificate: %+v, %v", standing, err)
	}
	revoked, err := s.Revocations(ctx, 1, time.Time{})
	if err != nil || len(revoked) != 1 || !revoked[0].At.Equal(at(23)) || revoked[0].Reason != ca.KeyCompromise {
		t.Errorf("revoked: %+v, %v", revoked, err)
	}
	authorities, err := s.Authorities(ctx)
	if err != nil || len(authorities) != 1 || !authorities[0].Created.Equal(at(24)) {
		t.Errorf("authorities: %+v, %v", authorities, err)
	}
	anchor, err := s.Anchor(ctx, "a-1")
	if err != nil || !anchor.NotBefore.Equal(at(25)) || !anchor.NotAfter.Equal(at(26)) || !anchor.Added.Equal(at(27)) {
		t.Errorf("anchor: %+v, %v", anchor, err)
	}
}

// Whoever has a credential and no grant types had them taken away; whoever has neither
// gets what the first credential calls for.
func TestAStoreOfVersion8TellsWhoseGrantTypesWereTaken(t *testing.T) {
	user := func(id, hash string) string {
		return `INSERT INTO users (id, username, username_fold, provider, active, auto_generated, publish_prefix, client_ids, grant_types,
			password_hash, enforce_mfa, pinned, created, updated, version)
			VALUES ('` + id + `', '` + id + `', '` + id + `', 'local', TRUE, FALSE, '', 'null', 'null', '` + hash + `', FALSE, FALSE, 1, 1, 1)`
	}
	s := openAt(t, olderStore(t, 8, user("password", "hash"), user("certificate", ""), user("neither", ""),
		`INSERT INTO user_fingerprints VALUES ('f', 'certificate', 1, 1, NULL)`))
	for id, taken := range map[registry.UserID]bool{"password": true, "certificate": true, "neither": false} {
		u, err := s.User(t.Context(), id)
		if err != nil || len(u.GrantTypes) != 0 || (u.GrantTypes != nil) != taken {
			t.Errorf("%s: %#v, %v; taken away: want %v", id, u.GrantTypes, err, taken)
		}
	}
}
