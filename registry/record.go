package registry

import (
	"slices"

	"mqttwarden/registry/acl"
)

// Record is everything that a decision about one user rests on, read in one
// snapshot of the store. It holds the password hash: it never leaves the
// process unsealed.
type Record struct {
	User   User
	Grants []acl.Grant // of all roles of the user
}

// NewRecord joins a user and the roles it holds.
func NewRecord(u User, roles []Role) Record {
	r := Record{User: u}
	for _, role := range roles {
		r.Grants = slices.Grow(r.Grants, len(role.Permissions))
		for i := range role.Permissions {
			r.Grants = append(r.Grants, role.Permissions[i].grant(string(role.ID)))
		}
	}
	return r
}

// Principal compiles the record.
func (r Record) Principal() *Principal {
	return &Principal{
		User: r.User,
		Policy: acl.Compile(acl.Source{
			Username:  r.User.Username,
			ClientIDs: r.User.ClientIDs,
			Prefix:    r.User.PublishPrefix,
			Number:    r.User.Version,
			Grants:    r.Grants,
		}),
		Grants: r.Grants,
	}
}

// Principal is a user as decisions see it: immutable, compiled once for each
// number and shared by all sessions of the user.
type Principal struct {
	User   User
	Policy *acl.Policy
	Grants []acl.Grant
}
