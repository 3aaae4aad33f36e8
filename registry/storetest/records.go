package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

func recordCases() []testCase {
	return []testCase{
		{"a record joins a user with what its roles permit", recordWhole},
		{"a record of somebody with nothing is empty", recordSparse},
		{"a record of nobody is NotFound", recordMissing},
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
	want := registry.NewRecord(u, []registry.Role{empty, operators(), auditors()})
	if len(want.Grants) != 4 {
		t.Fatalf("the fixture has %d grants, want 4", len(want.Grants))
	}
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
	got := registry.NewRecord(must(s.User(t.Context(), u.ID))(t), must(s.RolesOf(t.Context(), u.ID))(t))
	same(t, "a user and its roles, joined", got, want)
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
				if want := map[bool]string{true: "a", false: "b"}[u.Version%2 == 1]; u.PublishPrefix != want ||
					len(u.Roles) != 1 || u.Roles[0] != registry.RoleID("r-"+want) ||
					len(u.Fingerprints) != 1 || u.Fingerprints[0].SHA256[:1] != want ||
					len(rec.Grants) != 1 || rec.Grants[0].Resource != want {
					t.Errorf("version %d is a mix: prefix %q, roles %v, fingerprints %v, grants %v",
						u.Version, u.PublishPrefix, u.Roles, u.Fingerprints, rec.Grants)
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
