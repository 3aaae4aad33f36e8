package servers

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
)

// Each rule that reads in order to decide, decided by two nodes at once.

var system = registry.System("test") //nolint:gochecknoglobals // a constant

// allRights returns the role that gives them.
func allRights(t *testing.T, r *registrytest.Rig) registry.RoleID {
	t.Helper()
	role, err := r.Store.RoleByName(t.Context(), registry.RoleAdmin)
	registrytest.Must(t, err)
	return role.ID
}

// admin makes a user with that role, whoever else there is.
func admin(t *testing.T, r *registrytest.Rig, name string, role registry.RoleID) registry.User {
	t.Helper()
	u, _, err := r.Service.CreateUser(t.Context(), system, registry.UserSpec{
		Username: name, Provider: registry.ProviderLocal, Password: name + "-secret", Roles: []registry.RoleID{role},
	})
	registrytest.Must(t, err)
	return u
}

func off() registry.UserUpdate {
	active := false
	return registry.UserUpdate{Active: &active}
}

func TestTheLastDoorStaysOpen(t *testing.T) {
	t.Parallel()
	interleave(t, func(t *testing.T, r *registrytest.Rig, i int) duel {
		role := allRights(t, r)
		before, err := r.Store.UsersWithRole(t.Context(), role)
		registrytest.Must(t, err)
		one, two := admin(t, r, fmt.Sprint("one-", i), role), admin(t, r, fmt.Sprint("two-", i), role)
		for _, id := range before {
			_, err := r.Service.DeleteUser(t.Context(), system, id)
			registrytest.Must(t, err)
		}
		return duel{
			func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
				return r.Service.DeleteUser(ctx, system, one.ID)
			},
			func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
				_, n, err := r.Service.UpdateUser(ctx, system, two.ID, off())
				return n, err
			},
			onlyOne(registry.LastAdmin),
		}
	})
}

func TestNobodyGivesWhatWasTakenFromThem(t *testing.T) {
	t.Parallel()
	interleave(t, func(t *testing.T, r *registrytest.Rig, i int) duel {
		role := r.Role(fmt.Sprint("role-", i), registry.PermissionSpec{Resource: "a/#", Operation: acl.ReadWrite, Context: acl.MQTT})
		manager, friend := r.User(fmt.Sprint("manager-", i), role), r.User(fmt.Sprint("friend-", i))
		caller := registry.Caller{ID: manager.ID, Username: manager.Username, Door: "test"}
		return duel{
			func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
				return r.Service.AssignRole(ctx, caller, friend.ID, role)
			},
			func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
				return r.Service.TakeRole(ctx, system, manager.ID, role)
			},
			judgedBefore,
		}
	})
}

func TestNobodyChangesARoleOfWhoHasMore(t *testing.T) {
	t.Parallel()
	interleave(t, func(t *testing.T, r *registrytest.Rig, i int) duel {
		role := r.Role(fmt.Sprint("role-", i), registry.PermissionSpec{Resource: "a/#", Operation: acl.ReadWrite, Context: acl.MQTT})
		manager, admin := r.User(fmt.Sprint("manager-", i), role), r.User(fmt.Sprint("admin-", i), allRights(t, r))
		caller := registry.Caller{ID: manager.ID, Username: manager.Username, Door: "test"}
		return duel{
			func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
				_, n, err := r.Service.AddPermission(ctx, caller, role,
					registry.PermissionSpec{Resource: "a/b", Operation: acl.ReadWrite, Context: acl.MQTT, Effect: acl.Deny})
				return n, err
			},
			func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
				return r.Service.AssignRole(ctx, system, admin.ID, role)
			},
			judgedBefore,
		}
	})
}

func TestANameIsOneUsersInWhateverCase(t *testing.T) {
	t.Parallel()
	create := func(name string) act {
		return func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
			_, n, err := r.Service.CreateUser(ctx, system, registry.UserSpec{Username: name, Provider: registry.ProviderLocal})
			return n, err
		}
	}
	interleave(t, func(_ *testing.T, _ *registrytest.Rig, i int) duel {
		return duel{create(fmt.Sprint("Gateway-É-", i)), create(fmt.Sprint("gateway-é-", i)), onlyOne(registry.Conflict)}
	})
}

func TestARoleThatIsNotSharedHasOneUser(t *testing.T) {
	t.Parallel()
	assign := func(user registry.UserID, role registry.RoleID) act {
		return func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
			return r.Service.AssignRole(ctx, system, user, role)
		}
	}
	t.Run("given to two", func(t *testing.T) {
		interleave(t, func(t *testing.T, r *registrytest.Rig, i int) duel {
			role, _, err := r.Service.CreateRole(t.Context(), system, registry.RoleSpec{Name: fmt.Sprint("private-", i)})
			registrytest.Must(t, err)
			one, two := r.User(fmt.Sprint("one-", i)), r.User(fmt.Sprint("two-", i))
			return duel{assign(one.ID, role.ID), assign(two.ID, role.ID), onlyOne(registry.Conflict)}
		})
	})
	t.Run("given to a second while it is made private", func(t *testing.T) {
		interleave(t, func(t *testing.T, r *registrytest.Rig, i int) duel {
			role := r.Role(fmt.Sprint("role-", i))
			r.User(fmt.Sprint("one-", i), role)
			two := r.User(fmt.Sprint("two-", i))
			return duel{assign(two.ID, role), func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
				shared := false
				_, n, err := r.Service.UpdateRole(ctx, system, role, registry.RoleUpdate{Shared: &shared})
				return n, err
			}, onlyOne(registry.Conflict)}
		})
	})
}

func TestARegistrationIsConfirmedOnce(t *testing.T) {
	t.Parallel()
	interleave(t, func(_ *testing.T, r *registrytest.Rig, i int) duel {
		name := fmt.Sprint("gateway-", i)
		r.OpenWindow(time.Hour)
		r.Register(from(name, i), registry.RegistrationPending)
		confirm := func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
			_, n, err := r.Enrolment.Confirm(ctx, system, enrol.Confirmation{Ref: enrol.Ref{Username: name}})
			return n, err
		}
		return duel{confirm, confirm, onlyOne(registry.NotFound, registry.Conflict)}
	})
}

func TestTheLastPlaceForARegistrationIsTakenOnce(t *testing.T) {
	t.Parallel()
	capped := func(cfg *node.Config) { cfg.Enrolment.Max, cfg.Enrolment.MaxPerAddress = 1, 1 }
	interleave(t, func(t *testing.T, r *registrytest.Rig, i int) duel {
		r.OpenWindow(time.Hour)
		for _, name := range r.Pending() {
			registrytest.Must(t, r.Enrolment.Deny(t.Context(), system, enrol.Ref{Username: name}))
		}
		register := func(name string, address int) act {
			return func(ctx context.Context, r *registrytest.Rig) (uint64, error) {
				_, err := r.Enrolment.Register(ctx, from(name, address))
				return 0, err
			}
		}
		return duel{register(fmt.Sprint("one-", i), 2*i), register(fmt.Sprint("two-", i), 2*i+1), onlyOne(registry.Busy)}
	}, capped)
}

// from returns a request from an address of its own.
func from(name string, address int) enrol.Request {
	req := registrytest.Request(name)
	req.Remote = netip.AddrFrom4([4]byte{192, 0, byte(address >> 8), byte(address)}) // #nosec G115 -- the last bits are meant
	return req
}
