package sqlstore

import (
	"context"
	"fmt"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

func BenchmarkRecordByName(b *testing.B) {
	for _, n := range []int{0, 20, 1000} {
		b.Run(fmt.Sprintf("permissions=%d", n), func(b *testing.B) {
			s := openTemp(b)
			fill(b, s, 10_000, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.RecordByName(b.Context(), "user-5000"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecordByNameParallel(b *testing.B) {
	s := openTemp(b)
	fill(b, s, 10_000, 20)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.RecordByName(b.Context(), "user-5000"); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkUpdate is what one API call costs that creates a user.
func BenchmarkUpdate(b *testing.B) {
	s := openTemp(b)
	role(b, s, 20)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		create(b, s, i, 1)
	}
}

// BenchmarkBulk is a batch of 1,000 users; ns/user is what counts.
func BenchmarkBulk(b *testing.B) {
	s := openTemp(b)
	role(b, s, 20)
	i := 0
	for b.Loop() {
		create(b, s, i, 1000)
		i += 1000
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(i), "ns/user")
}

// BenchmarkTouch changes a role of 100,000 users.
func BenchmarkTouch(b *testing.B) {
	s := openTemp(b)
	fill(b, s, 100_000, 1)
	for b.Loop() {
		update(b, s, func(ctx context.Context, tx registry.Tx) error {
			ids, err := tx.UsersWithRole(ctx, "role")
			for _, id := range ids {
				tx.Touch(registry.UserChange, string(id))
			}
			return err
		})
	}
}

// role makes a role with n permissions.
func role(tb testing.TB, s *Store, n int) {
	tb.Helper()
	r := registry.Role{ID: "role", Name: "role", Shared: true}
	for i := range n {
		r.Permissions = append(r.Permissions, registry.Permission{
			ID: registry.PermissionID(fmt.Sprintf("p-%d", i)), Resource: fmt.Sprintf("site%d/+/temp/#", i),
			Operation: acl.ReadWrite, Context: acl.MQTT,
		})
	}
	update(tb, s, func(ctx context.Context, tx registry.Tx) error { return tx.CreateRole(ctx, r) })
}

// create makes the users from number first on, with the role, in one change.
func create(tb testing.TB, s *Store, first, n int) {
	tb.Helper()
	update(tb, s, func(ctx context.Context, tx registry.Tx) error {
		for i := first; i < first+n; i++ {
			u := registry.User{
				ID: registry.UserID(fmt.Sprintf("%08x-id", uint32(i)*2654435761)), Username: fmt.Sprintf("user-%d", i),
				Provider: registry.ProviderLocal, Active: true, PublishPrefix: "site1/",
				GrantTypes: []registry.GrantType{{Method: registry.MethodPassword}},
				Roles:      []registry.RoleID{"role"},
			}
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			tx.Touch(registry.UserChange, string(u.ID))
			tx.Audit(registry.AuditEntry{
				Actor: registry.Actor{Name: "admin"}, Door: "api", Action: registry.UserCreated,
				Target: registry.Target{Kind: registry.TargetUser, ID: string(u.ID), Name: u.Username},
			})
		}
		return nil
	})
}

// fill makes a role with that many permissions, and that many users who hold it.
func fill(tb testing.TB, s *Store, users, permissions int) {
	tb.Helper()
	role(tb, s, permissions)
	create(tb, s, 0, users)
}
