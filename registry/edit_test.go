package registry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
)

// everything reads what a store holds, in words.
func everything(t *testing.T, r *registrytest.Rig) string {
	t.Helper()
	ctx := t.Context()
	users, _, err := r.Store.Users(ctx, registry.UserQuery{})
	registrytest.Must(t, err)
	roles, _, err := r.Store.Roles(ctx, registry.RoleQuery{})
	registrytest.Must(t, err)
	changes, err := r.Store.Changes(ctx, 0, 1000)
	registrytest.Must(t, err)
	entries, err := r.Store.Audit(ctx, 1000)
	registrytest.Must(t, err)
	return fmt.Sprintf("%+v %+v %+v %+v", users, roles, changes, entries)
}

func TestAPreviewRunsEverythingAndStoresNothing(t *testing.T) {
	r := registrytest.New(t)
	role := r.Role("some", registrytest.MQTT(acl.Read, "a"))
	before := everything(t, r)
	seen := false
	work := func(ctx context.Context, e *registry.Edit) error {
		u, err := e.CreateUser(ctx, registry.UserSpec{Username: "gateway", Provider: registry.ProviderLocal}, registry.PasswordHash{})
		if err != nil {
			return err
		}
		if err := e.AssignRole(ctx, u.ID, role); err != nil {
			return err
		}
		now, err := e.User(ctx, u.ID)
		seen = err == nil && len(now.Roles) == 1
		return err
	}
	entries, err := r.Editor.Preview(t.Context(), r.Admin, work)
	if err != nil || !seen {
		t.Fatalf("it did not see what it wrote: %v", err)
	}
	if got := everything(t, r); got != before {
		t.Errorf("something was stored:\n%s\nwant\n%s", got, before)
	}
	if len(entries) != 2 || entries[0].Action != registry.UserCreated || entries[1].Action != registry.RoleAssigned ||
		entries[0].Actor.Name != registry.AdminUsername {
		t.Errorf("told: %+v", entries)
	}
	if _, err := r.Editor.Do(t.Context(), r.Admin, work); err != nil {
		t.Errorf("done for real: %v", err)
	}
}

func TestAPreviewKeepsEveryRule(t *testing.T) {
	r := registrytest.New(t)
	operator := r.User("operator", r.Role("operators", registrytest.HTTP(acl.ReadWrite, "/api/users/#")))
	caller := registry.Caller{ID: operator.ID, Username: operator.Username}
	for _, tt := range []struct {
		name   string
		caller registry.Caller
		work   func(context.Context, *registry.Edit) error
		code   registry.Code
	}{
		{"the last door", r.Admin, func(ctx context.Context, e *registry.Edit) error {
			_, err := e.AmendUser(ctx, r.Admin.ID, registry.UserUpdated, func(u *registry.User) error { u.Active = false; return nil })
			return err
		}, registry.LastAdmin},
		{"rights beyond the caller's own", caller, func(ctx context.Context, e *registry.Edit) error {
			return e.AssignRole(ctx, operator.ID, r.AdminRole())
		}, registry.Forbidden},
		{"a taken name", r.Admin, func(ctx context.Context, e *registry.Edit) error {
			_, err := e.CreateUser(ctx, registry.UserSpec{Username: "OPERATOR", Provider: registry.ProviderLocal}, registry.PasswordHash{})
			return err
		}, registry.Conflict},
		{"an account that is gone", registry.Caller{ID: "nobody"}, func(context.Context, *registry.Edit) error { return nil }, registry.Unauthenticated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, err := r.Editor.Preview(t.Context(), tt.caller, tt.work)
			registrytest.WantCode(t, "preview", err, tt.code)
			if entries != nil {
				t.Errorf("told %+v of what was refused", entries)
			}
			_, err = r.Editor.Do(t.Context(), tt.caller, tt.work)
			registrytest.WantCode(t, "do", err, tt.code)
		})
	}
}

// TestTheLastDoorIsLookedForWhenTheWorkIsDone: the administrator may change hands
// in one unit of work, in whatever order.
func TestTheLastDoorIsLookedForWhenTheWorkIsDone(t *testing.T) {
	r := registrytest.New(t)
	heir := r.User("heir")
	system := registry.System("test")
	_, err := r.Editor.Do(t.Context(), system, func(ctx context.Context, e *registry.Edit) error {
		if err := e.DeleteUser(ctx, r.Admin.ID); err != nil {
			return err
		}
		return e.AssignRole(ctx, heir.ID, r.AdminRole())
	})
	registrytest.WantCode(t, "hand over", err, "")
	_, err = r.Editor.Do(t.Context(), system, func(ctx context.Context, e *registry.Edit) error { return e.DeleteUser(ctx, heir.ID) })
	registrytest.WantCode(t, "delete the heir", err, registry.LastAdmin)
}

func TestWhatFailsInAUnitOfWorkLeavesNothing(t *testing.T) {
	r := registrytest.New(t)
	before := everything(t, r)
	failed := errors.New("changed its mind")
	_, err := r.Editor.Do(t.Context(), r.Admin, func(ctx context.Context, e *registry.Edit) error {
		if _, err := e.CreateRole(ctx, registry.RoleSpec{Name: "late"}); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) || everything(t, r) != before {
		t.Errorf("got %v, and what is stored is another", err)
	}
}

func TestAuditEntriesTellWhatChanged(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	role := r.Role("senders", registrytest.MQTT(acl.Write, "out/#"))
	stored, err := r.Store.Role(ctx, role)
	registrytest.Must(t, err)
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	u, _, err := r.Service.CreateUser(ctx, r.Admin, registry.UserSpec{
		Username: "gateway", Provider: registry.ProviderLocal, Password: "gateway-secret", PublishPrefix: "site<1>/",
		Certificates: []registry.FingerprintSpec{{Fingerprint: printA, Expires: end}},
	})
	registrytest.Must(t, err)
	user := registry.Target{Kind: registry.TargetUser, ID: string(u.ID), Name: "gateway"}
	for _, tt := range []struct {
		name string
		do   func() error
		want registry.AuditEntry
	}{
		{"a user is made", func() error { return nil }, registry.AuditEntry{Action: registry.UserCreated, Target: user, Fields: []registry.FieldChange{
			{Field: "username", After: `"gateway"`},
			{Field: "provider", After: `"local"`},
			{Field: "active", After: `true`},
			{Field: "publishPrefix", After: `"site<1>/"`},
			{Field: "grantTypes", After: `[{"method":"password"},{"method":"certificate"}]`},
			{Field: "password"},
			{Field: "certificates", After: registry.Value(`[{"sha256":"` + printA + `","expires":"2030-01-02T03:04:05Z"}]`)},
		}}},
		{"a user is changed", func() error {
			_, _, err := r.Service.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{
				Password: new("another-secret"), PublishPrefix: new(""), Active: new(false), ClientIDs: &[]string{"pump-1"},
			})
			return err
		}, registry.AuditEntry{Action: registry.UserUpdated, Target: user, Fields: []registry.FieldChange{
			{Field: "active", Before: `true`, After: `false`},
			{Field: "publishPrefix", Before: `"site<1>/"`},
			{Field: "clientIDs", After: `["pump-1"]`},
			{Field: "password"},
		}}},
		{
			"a user gets a role", func() error { _, err := r.Service.AssignRole(ctx, r.Admin, u.ID, role); return err },
			registry.AuditEntry{Action: registry.RoleAssigned, Target: user, Fields: []registry.FieldChange{
				{Field: "roles", After: registry.Value(`["` + role + `"]`)},
			}},
		},
		{"a permission goes", func() error {
			_, err := r.Service.DeletePermission(ctx, r.Admin, role, stored.Permissions[0].ID)
			return err
		}, registry.AuditEntry{
			Action: registry.PermissionRemoved, Target: registry.Target{Kind: registry.TargetRole, ID: string(role), Name: "senders"},
			Fields: []registry.FieldChange{{Field: "permission", Before: registry.Value(
				`{"id":"` + string(stored.Permissions[0].ID) + `","resource":"out/#","operation":"write","context":"mqtt","effect":"allow"}`)}},
		}},
		{"a role is renamed", func() error {
			_, _, err := r.Service.UpdateRole(ctx, r.Admin, role, registry.RoleUpdate{Name: new("writers"), EntraGroupIDs: &[]string{"g-1", "g-2"}})
			return err
		}, registry.AuditEntry{
			Action: registry.RoleUpdated, Target: registry.Target{Kind: registry.TargetRole, ID: string(role), Name: "writers"},
			Fields: []registry.FieldChange{{Field: "name", Before: `"senders"`, After: `"writers"`}, {Field: "entraGroupIDs", After: `["g-1","g-2"]`}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			registrytest.Must(t, tt.do())
			entries, err := r.Store.Audit(ctx, 1)
			registrytest.Must(t, err)
			e := entries[0]
			tt.want.ID, tt.want.Change, tt.want.Time, tt.want.Door = e.ID, e.Change, e.Time, "test"
			tt.want.Actor = registry.Actor{ID: r.Admin.ID, Name: registry.AdminUsername}
			if got, want := fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", tt.want); got != want || e.Change == 0 {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
