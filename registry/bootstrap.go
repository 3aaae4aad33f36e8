package registry

import (
	"context"
	"errors"

	"mqttwarden/registry/acl"
)

// AdminUsername is the user that the first start makes.
const AdminUsername = "admin"

// Bootstrap gives a new store its two default roles and the user admin with the
// password, and reports whether it did: a store that has the role
// connectware-admin is left as it is.
func (s *Service) Bootstrap(ctx context.Context, password string) (bool, error) {
	var admin User
	if err := s.setPassword(ctx, &admin, "password", password); err != nil {
		return false, err
	}
	made := false
	_, err := s.change(ctx, System("start"), func(ctx context.Context, tx Tx, by *authority) error {
		made = false
		_, err := tx.RoleByName(ctx, RoleAdmin)
		if err == nil || !errors.Is(err, NotFound) {
			return err
		}
		if _, err := s.defaultRole(ctx, tx, RoleMinimumAccess, minimumAccess()); err != nil {
			return err
		}
		role, err := s.defaultRole(ctx, tx, RoleAdmin, allRights())
		if err != nil {
			return err
		}
		id, err := newID()
		if err != nil {
			return err
		}
		admin.ID, admin.Username, admin.Provider, admin.Active = UserID(id), AdminUsername, ProviderLocal, true
		admin.GrantTypes, admin.Roles = impliedGrants(true, false), []RoleID{role}
		admin.Created, admin.Updated = s.stamp(), s.stamp()
		if _, err := s.insert(ctx, tx, by, admin.Clone(), nil); err != nil {
			return err
		}
		made = true
		return nil
	})
	return made && err == nil, err
}

// Bootstrapped reports whether the store has had its first start.
func (s *Service) Bootstrapped(ctx context.Context) (bool, error) {
	_, err := s.store.RoleByName(ctx, RoleAdmin)
	if err != nil {
		return false, ignoreNotFound(err)
	}
	return true, nil
}

func (s *Service) defaultRole(ctx context.Context, tx Tx, name string, wanted []PermissionSpec) (RoleID, error) {
	id, err := newID()
	if err != nil {
		return "", err
	}
	own, err := permissions(wanted)
	if err != nil {
		return "", err
	}
	return RoleID(id), tx.CreateRole(ctx, Role{
		ID: RoleID(id), Name: name, Shared: true, Permissions: own, Created: s.stamp(), Updated: s.stamp(),
	})
}

// allRights is what connectware-admin gives. # does not reach topics that begin
// with $, so the broker's own are named.
func allRights() []PermissionSpec {
	return []PermissionSpec{
		{Resource: "/#", Operation: acl.ReadWrite, Context: acl.HTTP},
		{Resource: "#", Operation: acl.ReadWrite, Context: acl.MQTT},
		{Resource: "$SYS/#", Operation: acl.ReadWrite, Context: acl.MQTT},
	}
}

// minimumAccess is what minimum-access gives, as the contract names it.
func minimumAccess() []PermissionSpec {
	return []PermissionSpec{
		{Resource: "/api/auth/mfa", Operation: acl.Read, Context: acl.HTTP},
		{Resource: "/api/policy/password", Operation: acl.Read, Context: acl.HTTP},
		{Resource: "/api/users/change-password", Operation: acl.Write, Context: acl.HTTP},
		{Resource: "/api/mfa/#", Operation: acl.ReadWrite, Context: acl.HTTP},
	}
}
