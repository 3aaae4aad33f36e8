package v1

import (
	"context"
	"net/url"

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
	NamedRole
	PermissionID string `path:"pemId" maxLength:"64" doc:"The permission's id."`
}

func (p NamedPermission) permission() registry.PermissionID {
	return registry.PermissionID(p.PermissionID)
}

// listRolePermissions serves GET /roles/{id}/permissions.
func (a *API) listRolePermissions(ctx context.Context, in *struct{ NamedRole }) (*struct{ Body []permissionJSON }, error) {
	r, err := a.readRole(ctx, in.NamedRole)
	if err != nil {
		return nil, err
	}
	return &struct{ Body []permissionJSON }{each(r.Permissions, showPermission)}, nil
}

// permissionAdded is the answer to a permission that was added: it says where it is, and
// so its id.
type permissionAdded struct {
	Receipt

	Location string `header:"Location" doc:"The path of the permission, which ends with its id."`
}

// addPermission serves POST /roles/{id}/permissions.
func (a *API) addPermission(ctx context.Context, in *struct {
	NamedRole
	Preference
	Body newPermissionJSON
},
) (*permissionAdded, error) {
	n, err := in.Body.permission()
	if err != nil {
		return nil, err
	}
	p, change, err := a.roles.AddPermission(ctx, in.by(access.Caller(ctx), access.Who(ctx)), in.role(), n)
	if err != nil {
		return nil, err
	}
	return &permissionAdded{
		a.receipt(ctx, in.Preference, change), "/api/roles/" + url.PathEscape(in.ID) + "/permissions/" + string(p.ID),
	}, nil
}

// getPermission serves GET /roles/{id}/permissions/{pemId}.
func (a *API) getPermission(ctx context.Context, in *struct{ NamedPermission }) (*struct {
	Tagged
	Body permissionJSON
}, error,
) {
	r, err := a.readRole(ctx, in.NamedRole)
	if err != nil {
		return nil, err
	}
	p, err := r.Permission(in.permission())
	if err != nil {
		return nil, err
	}
	return &struct {
		Tagged
		Body permissionJSON
	}{Tagged{etag(showPermission(p))}, showPermission(p)}, nil
}

// updatePermission serves PUT /roles/{id}/permissions/{pemId}.
func (a *API) updatePermission(ctx context.Context, in *struct {
	NamedPermission
	Preference
	Match
	Body permissionChangeJSON
},
) (*changed, error) {
	if err := fixed("id", in.Body.ID, in.PermissionID); err != nil {
		return nil, err
	}
	upd, err := in.Body.update()
	if err != nil {
		return nil, err
	}
	_, change, err := a.roles.UpdatePermission(ctx, in.by(in.caller(ctx, permissionTag(in.role(), in.permission())), access.Who(ctx)), in.role(), in.permission(), upd)
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}

// deletePermission serves DELETE /roles/{id}/permissions/{pemId}.
func (a *API) deletePermission(ctx context.Context, in *struct {
	NamedPermission
	Preference
	Match
},
) (*changed, error) {
	change, err := a.roles.DeletePermission(ctx, in.by(in.caller(ctx, permissionTag(in.role(), in.permission())), access.Who(ctx)), in.role(), in.permission())
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}
