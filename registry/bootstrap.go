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
func (s *Service) Bootstrap(ctx context.Context, password string) (made bool, err error) {
	hash, err := s.passwords.Hash(ctx, FieldPassword, password)
	if err != nil {
		return false, err
	}
	_, err = s.editor.Do(ctx, System("start"), func(ctx context.Context, e *Edit) error {
		made = false
		_, err := e.RoleByName(ctx, RoleAdmin)
		if err == nil || !errors.Is(err, NotFound) {
			return err
		}
		made = true
		return bootstrap(ctx, e, hash)
	})
	return made && err == nil, err
}

func bootstrap(ctx context.Context, e *Edit, password PasswordHash) error {
	if _, err := e.CreateRole(ctx, RoleSpec{Name: RoleMinimumAccess, Shared: true, Permissions: minimumAccess()}); err != nil {
		return err
	}
	role, err := e.CreateRole(ctx, RoleSpec{Name: RoleAdmin, Shared: true, Permissions: allRights()})
	if err != nil {
		return err
	}
	_, err = e.CreateUser(ctx, UserSpec{Username: AdminUsername, Provider: ProviderLocal, Roles: []RoleID{role.ID}}, password)
	return err
}

// Bootstrapped reports whether the store has had its first start.
func (s *Service) Bootstrapped(ctx context.Context) (bool, error) {
	_, err := s.store.RoleByName(ctx, RoleAdmin)
	if err != nil {
		return false, ignoreNotFound(err)
	}
	return true, nil
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
