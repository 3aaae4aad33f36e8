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

// What a principal takes in memory in bytes, about: with its subject and its places
// in the near cache, then what is more for each element of a list.
const (
	principalSize   = 900
	fingerprintSize = 128
	listedSize      = 40 // of a text in a list, without the text
)

// size returns about how many bytes the principal takes in memory, without what it
// shares with others.
func (p *Principal) size() int {
	u := p.User
	size := principalSize + len(u.ID) + len(u.Username) + len(u.PublishPrefix) + len(u.PasswordHash) +
		fingerprintSize*len(u.Fingerprints)
	for _, r := range u.Roles {
		size += listedSize + len(r)
	}
	for _, c := range u.ClientIDs {
		size += 2 * (listedSize + len(c)) // in the user and in the policy
	}
	return size
}

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
