package registry

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry/acl"
)

// fleet is a store of any number of devices that hold the same role.
type fleet struct {
	role    Role
	changes []Change
}

func newFleet(permissions int) *fleet {
	f := &fleet{role: Role{ID: "devices"}}
	f.edit(permissions)
	return f
}

// edit gives the role so many permissions.
func (f *fleet) edit(permissions int) (number uint64) {
	number = uint64(len(f.changes) + 1)
	f.role = Role{ID: "devices", Version: number, Permissions: make([]Permission, permissions)}
	for i := range f.role.Permissions {
		f.role.Permissions[i] = Permission{
			ID: PermissionID(fmt.Sprintf("p%d", i)), Context: acl.MQTT, Operation: acl.ReadWrite,
			Resource: fmt.Sprintf("site1/line%d/${username}/#", i),
		}
	}
	f.changes = append(f.changes, Change{Number: number, Kind: RoleChange, ID: "devices"})
	return number
}

// RecordByName implements RecordReader. All the texts are new ones, as when they
// come from a database.
func (f *fleet) RecordByName(_ context.Context, name string) (Record, error) {
	return Record{
		User: User{
			ID: UserID("id of " + name), Username: strings.Clone(name), Active: true, Version: 1, Provider: ProviderLocal,
			GrantTypes: []GrantType{{Method: MethodPassword}}, Roles: []RoleID{f.role.ID},
			PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$" + strings.Repeat("s", 22) + "$" + strings.Repeat("h", 43),
		},
		RoleVersions: []uint64{f.role.Version},
	}, nil
}

func (f *fleet) RecordByID(ctx context.Context, id UserID) (Record, error) {
	return f.RecordByName(ctx, strings.TrimPrefix(string(id), "id of "))
}

func (f *fleet) RecordByFingerprint(context.Context, string) (Record, error) {
	return Record{}, Errorf(NotFound, "", "no such user")
}

func (f *fleet) RolesByID(context.Context, []RoleID) ([]Role, error) { return []Role{f.role}, nil }

func (f *fleet) Changes(_ context.Context, after uint64, _ int) ([]Change, error) {
	return f.changes[min(int(after), len(f.changes)):], nil
}

func (f *fleet) ChangesSince(context.Context, time.Time) ([]Change, error) { return nil, nil }

func (f *fleet) Position(context.Context) (Position, error) {
	return Position{Number: uint64(len(f.changes))}, nil
}

// near returns a near cache of the first n devices.
func (f *fleet) near(tb testing.TB, n int) *Principals {
	tb.Helper()
	p := NewPrincipals(PrincipalsConfig{Store: f, Roles: NewHeldRoles(), Size: 1 << 30, Fresh: always})
	for i := range n {
		if _, err := p.ByName(tb.Context(), device(i)); err != nil {
			tb.Fatal(err)
		}
	}
	return p
}

func device(i int) string { return fmt.Sprintf("device-%06d", i) }

// counting is an Enforcer that counts.
type counting struct{ users int }

func (c *counting) EndTokens(context.Context, []EndedTokens)   {}
func (c *counting) Enforce(_ context.Context, users []Swapped) { c.users += len(users) }

// What a role is made of stands in memory once, so that neither the memory nor the
// time of an edit grows with permissions times users.
func BenchmarkFleet(b *testing.B) {
	for _, size := range []struct{ users, permissions int }{{100_000, 20}, {100, 10_000}} {
		b.Run(fmt.Sprintf("%d users of a role of %d", size.users, size.permissions), func(b *testing.B) {
			var inMemory, edit float64
			for b.Loop() {
				f := newFleet(size.permissions)
				before := heap()
				p := f.near(b, size.users)
				inMemory = float64(heap()-before) / (1 << 20)
				enforcer := new(counting)
				follower := NewFollower(FollowerConfig{Now: time.Now, Log: slog.New(slog.DiscardHandler)}, f)
				if err := follower.Start(b.Context(), p, nil, enforcer); err != nil {
					b.Fatal(err)
				}
				f.edit(size.permissions + 1)
				start := time.Now()
				if err := follower.catchUp(b.Context()); err != nil {
					b.Fatal(err)
				}
				edit = float64(time.Since(start).Microseconds()) / 1000
				if enforcer.users != size.users {
					b.Fatalf("the edit was enforced for %d users", enforcer.users)
				}
				runtime.KeepAlive(p)
			}
			b.ReportMetric(inMemory, "MiB")
			b.ReportMetric(edit, "ms/edit")
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
