package registry

import (
	"slices"

	"mqttwarden/registry/acl"
)

// Principal is a user as decisions see it: immutable, and shared by all sessions
// of the user. What it holds is shared with everybody who holds the same.
type Principal struct {
	User   *User // not to be changed
	Policy *acl.Policy
	held   *holding
}

// NewPrincipal compiles a user and the roles that it holds, for this one use.
func NewPrincipal(u User, roles []Role) *Principal {
	held := make([]*heldRole, len(roles))
	for i := range roles {
		held[i] = newHeldRole(&roles[i])
	}
	return newPrincipal(u, newHolding(held))
}

func newPrincipal(u User, held *holding) *Principal {
	policy := acl.Compile(acl.Source{Username: u.Username, ClientIDs: u.ClientIDs, Prefix: u.PublishPrefix, Held: held.acl})
	return &Principal{User: &u, Policy: policy, held: held}
}

// with returns the principal when it holds something else.
func (p *Principal) with(held *holding) *Principal {
	return &Principal{User: p.User, Policy: p.Policy.With(held.acl), held: held}
}

// Grants returns what the principal's roles give and forbid.
func (p *Principal) Grants() []acl.Grant { return slices.Collect(p.Policy.Grants()) }

// older reports whether p is the same user as other at an earlier time.
func (p *Principal) older(other *Principal) bool {
	if p.User.Version != other.User.Version {
		return p.User.Version < other.User.Version
	}
	for i, h := range p.held.roles { // the same roles: they are part of the user
		if h.version < other.held.roles[i].version {
			return true
		}
	}
	return false
}
