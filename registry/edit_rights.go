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

// requireMayReplace returns Forbidden unless the caller may turn what a user has,
// the grants before, into the grants after: all that stays must be covered, for
// whoever changes a user could use its rights, and so must all that comes or
// goes. One's own rights need no cover.
func (e *Edit) requireMayReplace(id UserID, before, after []acl.Grant) error {
	if e.hasAllRights() {
		return nil
	}
	if !e.isSelf(id) {
		if err := e.RequireCover(allows(before)...); err != nil {
			return err
		}
		if err := e.RequireCover(allows(after)...); err != nil {
			return err
		}
	}
	return e.RequireCover(difference(before, after)...)
}

func allows(grants []acl.Grant) []acl.Grant {
	var out []acl.Grant
	for _, g := range grants {
		if g.Effect == acl.Allow {
			out = append(out, g)
		}
	}
	return out
}

// difference returns the grants that stand in one of the two only.
func difference(before, after []acl.Grant) []acl.Grant {
	count := make(map[acl.Grant]int, len(before))
	for _, g := range before {
		count[g]++
	}
	var out []acl.Grant
	for _, g := range after {
		if count[g] > 0 {
			count[g]--
		} else {
			out = append(out, g)
		}
	}
	for _, g := range before {
		if count[g] > 0 {
			count[g]--
			out = append(out, g)
		}
	}
	return out
}

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

// grantsOf returns what the roles of a user give and forbid, nothing for a caller
// with all rights: nobody asks for it then.
func (e *Edit) grantsOf(ctx context.Context, id UserID) ([]acl.Grant, error) {
	if e.hasAllRights() {
		return nil, nil
	}
	roles, err := e.tx.RolesOf(ctx, id)
	if err != nil {
		return nil, err
	}
	var all []acl.Grant
	for i := range roles {
		all = append(all, grants(roles[i].ID, roles[i].Permissions...)...)
	}
	return all, nil
}
