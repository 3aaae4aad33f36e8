package v1

import (
	"context"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/registry"
)

// NamedRole is part of every request about one role.
type NamedRole struct {
	ID string `path:"id" maxLength:"260" doc:"The role's id, or name: and its name, in the escapes of a URL. A name that holds a slash or a backslash can't stand in a path."`
}

func (n NamedRole) role() registry.RoleID { return registry.RoleID(n.ID) }

// by returns a caller who changes nothing unless they may do the same to the role by
// its id. It is judged in their transaction, for names change.
func (n NamedRole) by(caller registry.Caller, who access.Identity) registry.Caller {
	return caller.If(func(ctx context.Context, r registry.Reader) error {
		role, err := registry.FindRole(ctx, r, n.role())
		if err != nil {
			return err
		}
		return n.allows(role, who)
	})
}

// allows returns Forbidden unless the sender of the request may send it for the role by
// its id, too.
func (n NamedRole) allows(role registry.Role, who access.Identity) error {
	if string(role.ID) == n.ID {
		return nil // Protect has judged that
	}
	return who.MayInstead("id", string(role.ID))
}

// readRole returns the role that a request means, if its sender may see it.
func (a *API) readRole(ctx context.Context, n NamedRole) (registry.Role, error) {
	r, err := a.roles.Role(ctx, n.role())
	if err != nil {
		return registry.Role{}, err
	}
	return r, n.allows(r, access.Who(ctx))
}
