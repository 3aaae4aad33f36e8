package registry

import (
	"context"
	"slices"

	"mqttwarden/registry/acl"
)

// A role is a door to whoever holds it: what it gives, it gives to all of them, now and
// later. So who changes a role changes its holders, and who lets somebody into a role
// that gives nothing yet lets them into what it will give.

// hasAllRights reports whether nothing is beyond the caller.
func (e *Edit) hasAllRights() bool { return e.rights == nil || e.rights.AllRights() }

// requireMayChangeRole returns Forbidden when the role, or another role of somebody who
// holds it, gives a right that the caller has not: as if each holder were changed.
func (e *Edit) requireMayChangeRole(ctx context.Context, r *Role) error {
	if e.hasAllRights() {
		return nil
	}
	if err := e.RequireCover(grants(r.ID, r.Permissions...)...); err != nil {
		return err
	}
	beside, err := e.tx.RolesBeside(ctx, r.ID, e.caller.ID)
	if err != nil {
		return err
	}
	for _, id := range beside {
		other, err := e.tx.Role(ctx, id)
		if err != nil {
			return err
		}
		if e.RequireCover(allowing(grants(id, other.Permissions...))...) != nil {
			return Errorf(Forbidden, "", "role %s is held by a user with rights beyond your own", r.Name)
		}
	}
	return nil
}

// requireMayEnter returns Forbidden when one of the roles of a user gives nothing yet:
// whoever could sign in as its holder then waits for rights that nobody has weighed.
// Private roles are the user's own. Nobody with all rights needs to ask.
func (e *Edit) requireMayEnter(ctx context.Context, roles []RoleID) error {
	if e.hasAllRights() {
		return nil
	}
	for _, id := range roles {
		r, err := e.tx.Role(ctx, id)
		if isNotFound(err) {
			continue // gone since the user had it: it gives nothing to anybody
		}
		if err != nil {
			return err
		}
		if r.Owner == "" && len(r.Permissions) == 0 {
			return errGivesNothing(r.Name)
		}
	}
	return nil
}

// requireMayMap returns Forbidden when groups are mapped to a role that gives nothing
// yet, for the same reason.
func (e *Edit) requireMayMap(r *Role) error {
	mapped := r.LDAPGroupDN != "" || len(r.EntraGroupIDs) > 0
	if !mapped || len(r.Permissions) > 0 || e.hasAllRights() {
		return nil
	}
	return errGivesNothing(r.Name)
}

func errGivesNothing(role string) error {
	return Errorf(Forbidden, "", "role %s gives nothing yet: add its permissions first, or have it done by somebody with all rights", role)
}

// added returns the roles of the second list that are not in the first.
func added(before, after []RoleID) []RoleID {
	return slices.DeleteFunc(slices.Clone(after), func(id RoleID) bool { return slices.Contains(before, id) })
}

// allowing returns those of some grants that allow.
func allowing(all []acl.Grant) []acl.Grant {
	return slices.DeleteFunc(all, func(g acl.Grant) bool { return g.Effect != acl.Allow })
}
