package v1

import (
	"context"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/registry"
)

// Permissions are what roles give.
type Permissions interface {
	AddPermission(ctx context.Context, by registry.Caller, id registry.RoleID, n registry.PermissionSpec) (registry.Permission, uint64, error)
	UpdatePermission(ctx context.Context, by registry.Caller, id registry.RoleID, pid registry.PermissionID, upd registry.PermissionUpdate) (registry.Permission, uint64, error)
	DeletePermission(ctx context.Context, by registry.Caller, id registry.RoleID, pid registry.PermissionID) (uint64, error)
}

// NamedPermission is part of every request about one permission of a role.
type NamedPermission struct {
	Named
	PermissionID string `path:"pemId" maxLength:"64" doc:"The permission's id."`
}

func (p NamedPermission) permission() registry.PermissionID {
	return registry.PermissionID(p.PermissionID)
}

// listRolePermissions serves GET /roles/{id}/permissions.
func (a *API) listRolePermissions(ctx context.Context, in *struct{ Named }) (*struct{ Body []permissionJSON }, error) {
	r, err := a.roles.Role(ctx, in.role())
	if err != nil {
		return nil, err
	}
	return &struct{ Body []permissionJSON }{each(r.Permissions, showPermission)}, nil
}

// addPermission serves POST /roles/{id}/permissions.
func (a *API) addPermission(ctx context.Context, in *struct {
	Named
	Preference
	Body newPermissionJSON
},
) (*changed, error) {
	n, err := in.Body.permission()
	if err != nil {
		return nil, err
	}
	_, change, err := a.roles.AddPermission(ctx, access.Caller(ctx), in.role(), n)
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}

// getPermission serves GET /roles/{id}/permissions/{pemId}.
func (a *API) getPermission(ctx context.Context, in *struct{ NamedPermission }) (*struct{ Body permissionJSON }, error) {
	r, err := a.roles.Role(ctx, in.role())
	if err != nil {
		return nil, err
	}
	p, err := r.Permission(in.permission())
	if err != nil {
		return nil, err
	}
	return &struct{ Body permissionJSON }{showPermission(p)}, nil
}

// updatePermission serves PUT /roles/{id}/permissions/{pemId}.
func (a *API) updatePermission(ctx context.Context, in *struct {
	NamedPermission
	Preference
	Body permissionChangeJSON
},
) (*changed, error) {
	upd, err := in.Body.update()
	if err != nil {
		return nil, err
	}
	_, change, err := a.roles.UpdatePermission(ctx, access.Caller(ctx), in.role(), in.permission(), upd)
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}

// deletePermission serves DELETE /roles/{id}/permissions/{pemId}.
func (a *API) deletePermission(ctx context.Context, in *struct {
	NamedPermission
	Preference
},
) (*changed, error) {
	change, err := a.roles.DeletePermission(ctx, access.Caller(ctx), in.role(), in.permission())
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}
