package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

func permissionCases() []testCase {
	return []testCase{
		{"every operation, context and effect is kept", rolePermissionKinds},
		{"a permission is added, replaced and removed alone", rolePermissions},
		{"permissions come in the order of their ids", rolePermissionOrder},
		{"permissions with one id in two roles are two", rolePermissionsApart},
		{"a role of many permissions is one role", roleLarge},
	}
}

func rolePermissionKinds(t *testing.T, s registry.Store) {
	want := registry.Role{ID: "r-1", Name: "all"}
	for _, o := range []acl.Operation{acl.Read, acl.Write, acl.ReadWrite} {
		for _, c := range []acl.Context{acl.MQTT, acl.HTTP} {
			for _, e := range []acl.Effect{acl.Allow, acl.Deny} {
				want.Permissions = append(want.Permissions, registry.Permission{
					ID: registry.PermissionID(fmt.Sprintf("p-%02d", len(want.Permissions))), Resource: "a/b",
					Operation: o, Context: c, Effect: e,
				})
			}
		}
	}
	given(t, s, want)
	same(t, "Permissions", must(s.Role(t.Context(), "r-1"))(t).Permissions, want.Permissions)
}

func rolePermissions(t *testing.T, s registry.Store) {
	given(t, s, auditors())
	want := auditors().Permissions
	put := func(p registry.Permission) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.PutPermission(ctx, "r-2", p) })
	}

	added := registry.Permission{ID: "p-9", Resource: "x/#", Operation: acl.ReadWrite, Context: acl.MQTT, Effect: acl.Deny}
	put(added)
	want = append(want, added)
	same(t, "added", must(s.Role(t.Context(), "r-2"))(t).Permissions, want)

	want[0] = registry.Permission{ID: "p-2", Resource: "/api", Operation: acl.Write, Context: acl.HTTP, Effect: acl.Deny}
	put(want[0])
	same(t, "replaced", must(s.Role(t.Context(), "r-2"))(t).Permissions, want)

	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.DeletePermission(ctx, "r-2", "p-3") })
	want = slices.Delete(want, 1, 2)
	same(t, "removed", must(s.Role(t.Context(), "r-2"))(t).Permissions, want)
}

func rolePermissionOrder(t *testing.T, s registry.Store) {
	r := registry.Role{ID: "r-1", Name: "one"}
	var want []registry.PermissionID
	for _, id := range []registry.PermissionID{"b", "B", "a", "10", "9", "é", "_"} {
		r.Permissions = append(r.Permissions, registry.Permission{ID: id, Resource: "x", Operation: acl.Read, Context: acl.MQTT})
		want = append(want, id)
	}
	slices.Sort(want)
	given(t, s, r)
	var got []registry.PermissionID
	for _, p := range must(s.Role(t.Context(), "r-1"))(t).Permissions {
		got = append(got, p.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func rolePermissionsApart(t *testing.T, s registry.Store) {
	one, two := auditors(), auditors()
	two.ID, two.Name = "r-3", "Others"
	given(t, s, one, two)
	changed := registry.Permission{ID: "p-2", Resource: "changed", Operation: acl.Read, Context: acl.MQTT}
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		if err := tx.PutPermission(ctx, two.ID, changed); err != nil {
			return err
		}
		return tx.DeletePermission(ctx, two.ID, "p-3")
	})
	same(t, "the other role", must(s.Role(t.Context(), one.ID))(t).Permissions, one.Permissions)
	same(t, "the role", must(s.Role(t.Context(), two.ID))(t).Permissions, []registry.Permission{changed})
}

func roleLarge(t *testing.T, s registry.Store) {
	r := registry.Role{ID: "r-1", Name: "large"}
	for i := range 2000 {
		r.Permissions = append(r.Permissions, registry.Permission{
			ID: registry.PermissionID(fmt.Sprintf("p-%05d", i)), Resource: fmt.Sprintf("site%d/#", i),
			Operation: acl.Read, Context: acl.MQTT,
		})
	}
	u := bob()
	u.Roles = []registry.RoleID{r.ID}
	given(t, s, r, u)
	same(t, "permissions", must(s.Role(t.Context(), r.ID))(t).Permissions, r.Permissions)
	if n := len(must(s.RolesByID(t.Context(), u.Roles))(t)[0].Permissions); n != len(r.Permissions) {
		t.Errorf("found by its ID it has %d permissions, want %d", n, len(r.Permissions))
	}
}
