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

// maxWeighed is how many holders of one role are weighed each by itself.
const maxWeighed = 1000

// requireMayChangeRole returns Forbidden when somebody who holds the role has a right
// that the caller has not, as if each holder were changed. Of a role that nobody holds,
// and of one that groups are mapped to, what it gives must be covered whoever comes to
// hold it.
func (e *Edit) requireMayChangeRole(ctx context.Context, r *Role) error {
	if e.hasAllRights() {
		return nil
	}
	held, err := e.tx.HoldersGrants(ctx, r.ID, e.caller.ID, e.rights.Prefix())
	if err != nil {
		return err
	}
	gives := grants(r.ID, r.Permissions...)
	if len(held) > 0 && !r.mapped() {
		gives = slices.DeleteFunc(gives, func(g acl.Grant) bool { return g.Effect == acl.Allow })
	}
	if err := e.RequireCover(gives...); err != nil {
		return err
	}
	if e.coversWhoever(held) {
		return nil
	}
	return e.requireCoverHolders(ctx, r)
}

// coversWhoever reports whether the caller has what the holders of a role are allowed,
// whatever their names are: so that many holders are weighed at once.
func (e *Edit) coversWhoever(held []HolderGrant) bool {
	for i := range held {
		whoever := acl.Held{Username: acl.Unknown, ClientIDs: []string{acl.Unknown}, CertNames: []string{acl.Unknown}}
		if held[i].Within {
			whoever.Prefix = e.rights.Prefix()
		}
		for _, right := range whoever.Rights(held[i].Permission.grant(string(held[i].Role))) {
			if !e.rights.CoversRight(right) {
				return false
			}
		}
	}
	return true
}

// requireCoverHolders returns Forbidden unless the caller has what the rights of each
// holder of a role come to. Who holds it as well needs no cover for their own.
func (e *Edit) requireCoverHolders(ctx context.Context, r *Role) error {
	holders, err := e.tx.UsersWithRole(ctx, r.ID)
	if err != nil {
		return err
	}
	holders = slices.DeleteFunc(holders, e.isSelf)
	if n := len(holders); n > maxWeighed {
		return Errorf(Forbidden, "", "role %s is held by %d users: rights to change it that depend on their names are weighed for at most %d", r.Name, n, maxWeighed)
	}
	for _, id := range holders {
		u, err := e.tx.User(ctx, id)
		if err != nil {
			return err
		}
		has, err := e.rightsOf(ctx, &u)
		if err != nil {
			return err
		}
		if e.requireMayReplace(id, has, has) != nil {
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

// requireMayMap returns Forbidden when groups are mapped to a role that gives what the
// caller has not, or nothing yet, for the same reason.
func (e *Edit) requireMayMap(r *Role) error {
	switch {
	case !r.mapped() || e.hasAllRights():
		return nil
	case len(r.Permissions) == 0:
		return errGivesNothing(r.Name)
	default:
		return e.RequireCover(grants(r.ID, r.Permissions...)...)
	}
}

// mapped reports whether groups are mapped to the role, so that whoever is in them may
// come to hold it.
func (r *Role) mapped() bool { return r.LDAPGroupDN != "" || len(r.EntraGroupIDs) > 0 }

func errGivesNothing(role string) error {
	return Errorf(Forbidden, "", "role %s gives nothing yet: add its permissions first, or have it done by somebody with all rights", role)
}

// added returns the roles of the second list that are not in the first.
func added(before, after []RoleID) []RoleID {
	return slices.DeleteFunc(slices.Clone(after), func(id RoleID) bool { return slices.Contains(before, id) })
}
