// Package storetest is the conformance suite for stores: a registry.Store is
// what passes it. Whoever finds a fault in one store adds the case here that all
// must pass.
package storetest

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mqttwarden/registry"
)

// Run runs the suite. open returns a fresh, empty store and cleans up after
// itself with t.Cleanup; it is called once for each case.
func Run(t *testing.T, open func(t *testing.T) registry.Store) {
	for _, tt := range slices.Concat(
		userCases(), userNameCases(), userListCases(), roleCases(), permissionCases(), tokenCases(), recordCases(),
		updateCases(), failureCases(), changeCases(), auditCases(), settingCases(),
		registrationCases(), certificateCases(), reservedCases(),
	) {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

// testCase is one belief about a store, run on a fresh one.
type testCase struct {
	name string
	run  func(*testing.T, registry.Store)
}

// update runs change and returns its number. It ends the test if that fails.
func update(t *testing.T, s registry.Store, change func(ctx context.Context, tx registry.Tx) error) uint64 {
	t.Helper()
	n, err := s.Update(t.Context(), change)
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	return n
}

// given stores roles, users and tokens in one change and touches the users.
func given(t *testing.T, s registry.Store, things ...any) uint64 {
	t.Helper()
	return update(t, s, func(ctx context.Context, tx registry.Tx) error {
		for _, thing := range things {
			var err error
			switch v := thing.(type) {
			case registry.Role:
				err = tx.CreateRole(ctx, v)
			case registry.User:
				err = tx.CreateUser(ctx, v)
				touchAll(tx, v.ID)
			case registry.Token:
				err = tx.CreateToken(ctx, v)
			default:
				t.Fatalf("given: a %T", v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// refused runs change, which must fail with code, and checks what may leave the
// process: the field at fault and a text that names no table.
func refused(t *testing.T, s registry.Store, code registry.Code, field registry.Field, change func(context.Context, registry.Tx) error) {
	t.Helper()
	before := contents(t, s)
	n, err := s.Update(t.Context(), change)
	if n != 0 {
		t.Errorf("a refused change has the number %d", n)
	}
	gotCode, gotField, detail := registry.Public(err)
	if gotCode != code || gotField != field {
		t.Errorf("got %q for field %q (%v), want %q for field %q", gotCode, gotField, err, code, field)
	}
	for _, internal := range []string{"constraint", "UNIQUE", "SQL", "users.", "roles.", "_fold"} {
		if contains(detail, internal) {
			t.Errorf("the detail %q lets %q out", detail, internal)
		}
	}
	if diff := compare(before, contents(t, s)); diff != "" {
		t.Errorf("a refused change left something behind (-before +after):\n%s", diff)
	}
}

// notFound checks that err, which do returned, is NotFound.
func notFound(t *testing.T, do string, err error) {
	t.Helper()
	if code, _, _ := registry.Public(err); code != registry.NotFound {
		t.Errorf("%s: got %v, want NotFound", do, err)
	}
}

// same checks that got is want, to the last field and the location of times.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got what differs (-want +got):\n%s\ngot  %+v\nwant %+v", what, compare(want, got), got, want)
	}
}

// must ends the test if err is one, and returns v.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func compare(a, b any) string {
	return cmp.Diff(a, b, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
}

// snapshot is everything that a store answers with.
type snapshot struct {
	Users   []registry.User
	Roles   []registry.Role
	Tokens  []registry.Token
	Changes []registry.Change
	Audit   []registry.AuditEntry
	Last    uint64
}

// contents reads the whole store.
func contents(t *testing.T, s registry.Store) (all snapshot) {
	t.Helper()
	ctx := t.Context()
	var err error
	if all.Users, _, err = s.Users(ctx, registry.UserQuery{}); err != nil {
		t.Fatal(err)
	}
	if all.Roles, _, err = s.Roles(ctx, registry.RoleQuery{}); err != nil {
		t.Fatal(err)
	}
	for _, u := range all.Users {
		all.Tokens = append(all.Tokens, must(s.TokensOf(ctx, u.ID))(t)...)
	}
	all.Changes = must(s.Changes(ctx, 0, 1<<20))(t)
	all.Audit = must(s.Audit(ctx, 1<<20))(t)
	all.Last = must(s.Position(ctx))(t).Number
	return all
}
