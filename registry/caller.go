package registry

import (
	"context"
	"net/netip"

	"mqttwarden/registry/acl"
)

// Caller is who asks for a change, through which door, from where.
type Caller struct {
	ID       UserID
	Username string
	Door     string // "api", "console", "cli", "start"
	Remote   netip.Addr
	system   bool
}

// System is the program itself, or whoever holds its files: it may do all.
func System(door string) Caller {
	return Caller{Username: "system", Door: door, system: true}
}

// authority is what a caller may give and take, as it stands in the transaction
// in which he does.
type authority struct {
	caller Caller
	policy *acl.Policy // nil: everything
}

func (c Caller) authority(ctx context.Context, tx Tx) (*authority, error) {
	if c.system {
		return &authority{caller: c}, nil
	}
	rec, err := tx.RecordByID(ctx, c.ID)
	if err != nil || !rec.User.Active {
		return nil, Errorf(Unauthenticated, "", "the caller's account is gone")
	}
	return &authority{caller: c, policy: rec.Principal().Policy}, nil
}

// isSelf reports whether the caller is user id.
func (a *authority) isSelf(id UserID) bool { return !a.caller.system && a.caller.ID == id }

// allRights returns Forbidden unless the caller has all rights.
func (a *authority) allRights() error {
	if a.policy == nil || a.policy.AllRights() {
		return nil
	}
	return Errorf(Forbidden, "", "this needs all rights")
}

// covers returns Forbidden, naming the right, unless the caller has every right
// that the grants give. A deny is judged like an allow: to lift it is to grant.
func (a *authority) covers(grants ...acl.Grant) error {
	if a.policy == nil {
		return nil
	}
	for _, g := range grants {
		if !a.policy.CoversGrant(g) {
			return Errorf(Forbidden, "", "your own rights do not cover %s %s on %s", g.Context, g.Operation, g.Resource)
		}
	}
	return nil
}

// mayReplace returns Forbidden unless the caller may turn what a user has, the
// grants before, into the grants after: all that stays must be covered, for
// whoever changes a user could use its rights, and so must all that comes or
// goes. One's own rights need no cover.
func (a *authority) mayReplace(id UserID, before, after []acl.Grant) error {
	if a.policy == nil {
		return nil
	}
	if !a.isSelf(id) {
		if err := a.covers(allows(before)...); err != nil {
			return err
		}
		if err := a.covers(allows(after)...); err != nil {
			return err
		}
	}
	return a.covers(difference(before, after)...)
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
