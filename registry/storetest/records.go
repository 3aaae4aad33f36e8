package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

func recordCases() []testCase {
	return []testCase{
		{"a record joins a user with the versions of its roles", recordWhole},
		{"roles are found by their ids, with their versions and permissions", rolesByID},
		{"a touched role has the number of its row as its version", roleVersions},
		{"a record of somebody with nothing is empty", recordSparse},
		{"a record of nobody is NotFound", recordMissing},
		{"records are listed in pages, in the order of their IDs", recordPages},
		{"a record is one snapshot, whatever is written meanwhile", recordSnapshot},
	}
}

func recordWhole(t *testing.T, s registry.Store) {
	empty := registry.Role{ID: "r-0", Name: "empty"} // held, but grants nothing
	u := alice()
	u.Roles = []registry.RoleID{"r-0", "r-1", "r-2"}
	u.Version = given(t, s, empty, operators(), auditors(), registry.Role{ID: "r-9", Name: "not held", Permissions: []registry.Permission{
		{ID: "p", Resource: "#", Operation: acl.ReadWrite, Context: acl.MQTT},
	}}, u)
	n := update(t, s, func(_ context.Context, tx registry.Tx) error {
		tx.Touch(registry.RoleChange, "r-1")
		tx.Touch(registry.RoleChange, "r-2")
		return nil
	})
	want := registry.Record{User: u, RoleVersions: []uint64{0, n - 1, n}}
	records := func(what string, r registry.RecordReader, ctx context.Context) {
		t.Helper()
		same(t, what+" by ID", must(r.RecordByID(ctx, u.ID))(t), want)
		same(t, what+" by name", must(r.RecordByName(ctx, u.Username))(t), want)
		same(t, what+" by fingerprint", must(r.RecordByFingerprint(ctx, fingerprint1))(t), want)
		same(t, what+" by the other fingerprint", must(r.RecordByFingerprint(ctx, fingerprint2))(t), want)
	}
	records("without a transaction", s, t.Context())
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		records("within a transaction", tx, ctx)
		return nil
	})
	same(t, "the user alone", must(s.User(t.Context(), u.ID))(t), u)
}

func recordPages(t *testing.T, s registry.Store) {
	version := given(t, s, operators(), auditors(), alice())
	given(t, s, bob())
	ctx := t.Context()
	whole := must(s.RecordByName(ctx, "alice"))(t)
	if whole.User.Version != version || len(whole.RoleVersions) == 0 {
		t.Fatalf("alice has version %d and %d roles, want %d and some", whole.User.Version, len(whole.RoleVersions), version)
	}
	all := []registry.Record{whole, must(s.RecordByName(ctx, "bob"))(t)}
	slices.SortFunc(all, func(a, b registry.Record) int { return strings.Compare(string(a.User.ID), string(b.User.ID)) })
	same(t, "all", must(s.RecordsAfter(ctx, "", 10))(t), all)
	same(t, "the first page", must(s.RecordsAfter(ctx, "", 1))(t), all[:1])
	same(t, "the second page", must(s.RecordsAfter(ctx, all[0].User.ID, 1))(t), all[1:])
	same(t, "what comes after the last", len(must(s.RecordsAfter(ctx, all[1].User.ID, 1))(t)), 0)
}

func rolesByID(t *testing.T, s registry.Store) {
	given(t, s, registry.Role{ID: "r-0", Name: "empty"}, operators(), auditors(), alice())
	n := update(t, s, func(_ context.Context, tx registry.Tx) error { tx.Touch(registry.RoleChange, "r-1"); return nil })
	want := []registry.Role{{ID: "r-0"}, {ID: "r-1", Version: n, Permissions: operators().Permissions}, {ID: "r-2", Permissions: auditors().Permissions}}
	check := func(what string, r registry.RoleSource, ctx context.Context) {
		t.Helper()
		all := must(r.RolesByID(ctx, []registry.RoleID{"r-2", "r-9", "r-0", "r-1"}))(t)
		slices.SortFunc(all, func(a, b registry.Role) int { return strings.Compare(string(a.ID), string(b.ID)) })
		same(t, what+": all", all, want)
		same(t, what+": one", must(r.RolesByID(ctx, []registry.RoleID{"r-1"}))(t), want[1:2])
		same(t, what+": none", len(must(r.RolesByID(ctx, []registry.RoleID{"r-9"}))(t)), 0)
		same(t, what+": nothing", len(must(r.RolesByID(ctx, nil))(t)), 0)
	}
	check("without a transaction", s, t.Context())
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		check("within a transaction", tx, ctx)
		return nil
	})
}

func roleVersions(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice())
	before := must(s.Role(t.Context(), "r-2"))(t)
	n := update(t, s, func(ctx context.Context, tx registry.Tx) error {
		tx.Touch(registry.RoleChange, "r-1")
		tx.Touch(registry.UserChange, "r-2") // another thing of that id
		return tx.DeletePermission(ctx, "r-1", "p-1")
	})
	if got := must(s.Role(t.Context(), "r-1"))(t); got.Version != n-1 || len(got.Permissions) != 1 {
		t.Errorf("the role has version %d and %d permissions, want %d and one", got.Version, len(got.Permissions), n-1)
	}
	if got := must(s.Role(t.Context(), "r-2"))(t); got.Version != before.Version {
		t.Errorf("the other has version %d, want %d still", got.Version, before.Version)
	}
}

func recordSparse(t *testing.T, s registry.Store) {
	want := registry.Record{User: bob()}
	want.User.Version = given(t, s, bob())
	if diff := compare(want, must(s.RecordByName(t.Context(), "bob"))(t)); diff != "" {
		t.Errorf("got what differs (-want +got):\n%s", diff)
	}
}

func recordMissing(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice())
	ctx := t.Context()
	for _, id := range []registry.UserID{"u-9", "U-1", "", "alice"} {
		_, err := s.RecordByID(ctx, id)
		notFound(t, fmt.Sprintf("RecordByID %q", id), err)
	}
	_, err := s.RecordByName(ctx, "nobody")
	notFound(t, "RecordByName", err)
	for _, fp := range []string{"", strings.ToUpper(fingerprint1), fingerprint1[:63] + "0"} {
		_, err := s.RecordByFingerprint(ctx, fp)
		notFound(t, fmt.Sprintf("RecordByFingerprint %q", fp), err)
	}
}

// recordSnapshot changes everything about a user again and again while others
// read it: what they see must belong together.
func recordSnapshot(t *testing.T, s registry.Store) {
	const rounds = 40
	// In each state the user, its only role, and the permission of that carry
	// the same letter.
	state := func(letter string) (registry.User, registry.Role) {
		role := registry.Role{ID: registry.RoleID("r-" + letter), Name: "role " + letter, Permissions: []registry.Permission{
			{ID: registry.PermissionID(letter), Resource: letter, Operation: acl.Read, Context: acl.MQTT},
		}}
		u := bob()
		u.PublishPrefix, u.Roles = letter, []registry.RoleID{role.ID}
		u.Fingerprints = []registry.Fingerprint{{SHA256: strings.Repeat(letter, 64)}}
		return u, role
	}
	userA, roleA := state("a")
	userB, roleB := state("b")
	given(t, s, roleA, userA)
	update(t, s, func(_ context.Context, tx registry.Tx) error {
		touchAll(tx, userA.ID)
		tx.Touch(registry.RoleChange, string(roleA.ID))
		return nil
	})

	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var last uint64
			for {
				rec, err := s.RecordByName(t.Context(), "bob")
				if err != nil {
					t.Errorf("RecordByName: %v", err)
					return
				}
				u := rec.User
				if u.Version < last {
					t.Errorf("read version %d after %d", u.Version, last)
				}
				last = u.Version
				if want := map[bool]string{true: "a", false: "b"}[u.Version/2%2 == 1]; u.PublishPrefix != want ||
					len(u.Roles) != 1 || u.Roles[0] != registry.RoleID("r-"+want) ||
					len(u.Fingerprints) != 1 || u.Fingerprints[0].SHA256[:1] != want ||
					len(rec.RoleVersions) != 1 || rec.RoleVersions[0] != u.Version+1 {
					t.Errorf("version %d is a mix: prefix %q, roles %v, fingerprints %v, versions of roles %v",
						u.Version, u.PublishPrefix, u.Roles, u.Fingerprints, rec.RoleVersions)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range rounds {
		u, create, drop := userB, roleB, roleA.ID
		if i%2 == 1 {
			u, create, drop = userA, roleA, roleB.ID
		}
		update(t, s, func(ctx context.Context, tx registry.Tx) error {
			touchAll(tx, u.ID)
			tx.Touch(registry.RoleChange, string(create.ID))
			if err := tx.DeleteRole(ctx, drop); err != nil {
				return err
			}
			if err := tx.CreateRole(ctx, create); err != nil {
				return err
			}
			return tx.UpdateUser(ctx, u)
		})
	}
	close(done)
	wg.Wait()
}
