package registry

import (
	"context"
	"slices"

	"mqttwarden/registry/acl"
)

// RequireAllRights returns Forbidden unless the caller has all rights.
func (e *Edit) RequireAllRights() error {
	if e.hasAllRights() {
		return nil
	}
	return Errorf(Forbidden, "", "this needs all rights")
}

// RequireCover returns Forbidden, naming the right, unless the caller has every
// right that the grants give. A deny is judged like an allow: to lift it is to
// grant.
func (e *Edit) RequireCover(grants ...acl.Grant) error {
	if e.hasAllRights() {
		return nil
	}
	for _, g := range grants {
		if !e.rights.CoversGrant(g) {
			return Errorf(Forbidden, "", "your own rights do not cover %s %s on %s", g.Context, g.Operation, g.Resource)
		}
	}
	return nil
}

// isSelf reports whether the caller is user id.
func (e *Edit) isSelf(id UserID) bool { return !e.caller.system && e.caller.ID == id }

// risk notes that a user, as it was, may have been the last administrator.
func (e *Edit) risk(u *User) { e.doorAtRisk = e.doorAtRisk || u.signsInLocally() }

// keepDoor returns LastAdmin unless somebody with all rights is left who can sign
// in without an outside directory. It looks only when the unit of work has
// changed a user or a role that could be the one.
func (e *Edit) keepDoor(ctx context.Context) error {
	if !e.doorAtRisk {
		return nil
	}
	candidates, err := e.tx.AdminCandidates(ctx)
	if err != nil {
		return err
	}
	for _, id := range candidates {
		u, err := e.tx.User(ctx, id)
		if err != nil {
			return err
		}
		if !u.signsInLocally() {
			continue
		}
		roles, err := e.tx.RolesOf(ctx, id)
		if err != nil {
			return err
		}
		if NewPrincipal(u, roles).Policy.AllRights() {
			return nil
		}
	}
	return Errorf(LastAdmin, "", "nobody with all rights who can sign in with a password would be left")
}

// signsInLocally reports whether the user can sign in to the API with nothing
// but its password.
func (u *User) signsInLocally() bool {
	if !u.Active || u.Provider != ProviderLocal || u.PasswordHash == "" {
		return false
	}
	granted, _ := u.Granted(MethodPassword)
	return granted && !slices.ContainsFunc(u.GrantTypes, func(g GrantType) bool {
		return g.Required && g.Method != MethodPassword
	})
}
