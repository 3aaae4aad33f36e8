package registry

import (
	"context"
	"slices"
)

// CreateRole makes a role. It returns Invalid naming the field, Conflict when the
// name is taken, and Forbidden when the role would give a right that the caller
// has not.
func (e *Edit) CreateRole(ctx context.Context, spec RoleSpec) (Role, error) {
	r, err := spec.role(e.now)
	if err != nil {
		return Role{}, err
	}
	if err := e.RequireCover(grants(r.ID, r.Permissions...)...); err != nil {
		return Role{}, err
	}
	if err := e.requireMayMap(&r); err != nil {
		return Role{}, err
	}
	if err := e.tx.CreateRole(ctx, r); err != nil {
		return Role{}, err
	}
	e.TouchKind(RoleChange, string(r.ID))
	e.Audit(RoleCreated, r.target(), compareRoles(&Role{}, &r).Created()...)
	return r, nil
}

// AmendRole changes a role, though not its permissions, as f says. Whoever is
// mapped to it gets what it gives, so the caller must have all of that and all that its
// holders have: else Forbidden. It returns NotFound, Invalid, and Conflict when the name is taken or
// the contract's, or when a role that several users have would not be shared any
// more.
func (e *Edit) AmendRole(ctx context.Context, id RoleID, f func(*Role) error) (Role, error) {
	before, err := FindRole(ctx, e.tx, id)
	if err != nil {
		return Role{}, err
	}
	r := before
	if err := f(&r); err != nil {
		return Role{}, err
	}
	r.Updated = e.now
	if err := r.Validate(); err != nil {
		return Role{}, err
	}
	if before.Builtin() && r.Name != before.Name {
		return Role{}, Errorf(Conflict, FieldName, "of a default role can't change")
	}
	if err := e.requireMayChangeRole(ctx, &before); err != nil {
		return Role{}, err
	}
	if err := e.requireMayMap(&r); err != nil {
		return Role{}, err
	}
	if err := e.mayShare(ctx, &before, r.Shared); err != nil {
		return Role{}, err
	}
	if err := e.tx.UpdateRole(ctx, r); err != nil {
		return Role{}, err
	}
	e.TouchKind(RoleChange, string(r.ID))
	e.Audit(RoleUpdated, r.target(), compareRoles(&before, &r)...)
	return r, nil
}

// mayShare returns Conflict when a role can't be shared, or not shared, from now
// on.
func (e *Edit) mayShare(ctx context.Context, r *Role, shared bool) error {
	switch {
	case r.Shared == shared:
		return nil
	case r.Owner != "":
		return Errorf(Conflict, FieldShared, "of a private role can't change")
	case shared:
		return nil
	}
	holders, err := e.tx.UsersWithRole(ctx, r.ID)
	if err == nil && len(holders) > 1 {
		err = Errorf(Conflict, FieldShared, "can't become false: %d users have the role", len(holders))
	}
	return err
}

// DeleteRole removes a role and takes it from its users. It returns NotFound,
// Conflict for the two default roles, and Forbidden when it gives, or one of its
// holders has, a right that the caller has not.
func (e *Edit) DeleteRole(ctx context.Context, id RoleID) error {
	r, err := FindRole(ctx, e.tx, id)
	if err != nil {
		return err
	}
	if r.Builtin() {
		return Errorf(Conflict, "", "default role %s can't be deleted", r.Name)
	}
	if err := e.requireMayChangeRole(ctx, &r); err != nil {
		return err
	}
	holders, err := e.tx.UsersWithRole(ctx, r.ID)
	if err != nil {
		return err
	}
	if err := e.tx.DeleteRole(ctx, r.ID); err != nil {
		return err
	}
	e.doorAtRisk = true
	e.TouchKind(RoleChange, string(r.ID))
	e.Touch(holders...)
	e.Audit(RoleDeleted, r.target(), compareRoles(&r, &Role{}).Deleted()...)
	return nil
}

// AddPermission adds a permission to a role. It returns NotFound, Invalid,
// Conflict when the role has it already or as many as it can have, and Forbidden when the caller
// does not have that right, or one that the role gives or a holder of it has.
func (e *Edit) AddPermission(ctx context.Context, id RoleID, spec PermissionSpec) (Permission, error) {
	p, err := spec.permission()
	if err != nil {
		return Permission{}, err
	}
	r, err := FindRole(ctx, e.tx, id)
	if err != nil {
		return Permission{}, err
	}
	if len(r.Permissions) >= MaxPermissionsPerRole {
		return Permission{}, Errorf(Conflict, "", "the role has %d permissions: it can have no more", len(r.Permissions))
	}
	if err := r.refuseTwice(&p); err != nil {
		return Permission{}, err
	}
	return p, e.replacePermission(ctx, &r, PermissionAdded, nil, &p)
}

// AmendPermission changes a permission of a role as f says. It returns NotFound,
// Invalid, Conflict when the role has that permission already, and Forbidden as AddPermission does, of the right before and after.
func (e *Edit) AmendPermission(ctx context.Context, id RoleID, pid PermissionID, f func(*Permission)) (Permission, error) {
	r, before, err := e.permission(ctx, id, pid)
	if err != nil {
		return Permission{}, err
	}
	p := before
	f(&p)
	if !p.same(&before) {
		if err := p.validateNew(); err != nil {
			return Permission{}, err
		}
		if err := r.refuseTwice(&p); err != nil {
			return Permission{}, err
		}
	}
	return p, e.replacePermission(ctx, &r, PermissionUpdated, &before, &p)
}

// DeletePermission removes a permission from a role. It returns NotFound, and
// Forbidden as AddPermission does.
func (e *Edit) DeletePermission(ctx context.Context, id RoleID, pid PermissionID) error {
	r, before, err := e.permission(ctx, id, pid)
	if err != nil {
		return err
	}
	return e.replacePermission(ctx, &r, PermissionRemoved, &before, nil)
}

func (e *Edit) permission(ctx context.Context, id RoleID, pid PermissionID) (Role, Permission, error) {
	r, err := FindRole(ctx, e.tx, id)
	if err != nil {
		return Role{}, Permission{}, err
	}
	p, err := r.Permission(pid)
	return r, p, err
}

// replacePermission puts the permission after in the place of before; nil is
// none.
func (e *Edit) replacePermission(ctx context.Context, r *Role, action Action, before, after *Permission) error {
	for _, p := range []*Permission{before, after} {
		if p == nil {
			continue
		}
		if err := e.RequireCover(p.grant(string(r.ID))); err != nil {
			return err
		}
	}
	err := e.requireMayChangeRole(ctx, r)
	switch {
	case err != nil:
	case after != nil:
		err = e.tx.PutPermission(ctx, r.ID, *after)
	default:
		err = e.tx.DeletePermission(ctx, r.ID, before.ID)
	}
	if err != nil {
		return err
	}
	e.doorAtRisk = true
	e.TouchKind(RoleChange, string(r.ID))
	e.Audit(action, r.target(), permissionChange(before, after))
	return nil
}

// AssignRole gives a role to a user; a role that the user has already stays. It
// returns NotFound for the user, Invalid for the role, Conflict when a role that
// is not shared has another user, and Forbidden.
func (e *Edit) AssignRole(ctx context.Context, id UserID, role RoleID) error {
	r, err := e.roleOf(ctx, role)
	if err != nil {
		return err
	}
	_, err = e.AmendUser(ctx, id, RoleAssigned, func(u *User) error {
		if !slices.Contains(u.Roles, r.ID) {
			u.Roles = append(u.Roles, r.ID)
		}
		return nil
	})
	return err
}

// TakeRole takes a role from a user. It returns NotFound, Conflict for the user's
// private role, and Forbidden.
func (e *Edit) TakeRole(ctx context.Context, id UserID, role RoleID) error {
	r, err := e.roleOf(ctx, role)
	if err != nil {
		return err
	}
	if r.Owner == id {
		return Errorf(Conflict, FieldRole, "a user keeps its private role: remove the permissions in it")
	}
	_, err = e.AmendUser(ctx, id, RoleTaken, func(u *User) error {
		i := slices.Index(u.Roles, r.ID)
		if i < 0 {
			return Errorf(NotFound, FieldRole, "user %s does not have role %s", id, role)
		}
		u.Roles = slices.Delete(u.Roles, i, i+1)
		return nil
	})
	return err
}

// roleOf returns the role that a user gets or loses.
func (e *Edit) roleOf(ctx context.Context, id RoleID) (Role, error) {
	r, err := FindRole(ctx, e.tx, id)
	if isNotFound(err) {
		err = errNoRole(Invalid, FieldRole, id)
	}
	return r, err
}

func (r *Role) target() Target { return Target{Kind: TargetRole, ID: string(r.ID), Name: r.Name} }
