package registry

import (
	"errors"

	"mqttwarden/registry/acl"
)

// PermissionID identifies a permission.
type PermissionID string

// Permission lets the holders of its role do Operation on Resource, or, with
// the effect deny, forbids it to them.
type Permission struct {
	ID        PermissionID
	Resource  string // a filter; in the http context a path in filter syntax
	Operation acl.Operation
	Context   acl.Context
	Effect    acl.Effect
}

// Validate reports the field that breaks its rule, as Invalid.
func (p *Permission) Validate() error {
	err := p.grant("").Validate()
	if e, ok := errors.AsType[*acl.SyntaxError](err); ok {
		return Errorf(Invalid, Field(e.What), "%q: %s", e.Value, e.Detail)
	}
	return err
}

// grant returns the permission as the policy sees it.
func (p *Permission) grant(role string) acl.Grant {
	return acl.Grant{
		Context:    p.Context,
		Operation:  p.Operation,
		Effect:     p.Effect,
		Resource:   p.Resource,
		Permission: string(p.ID),
		Role:       role,
	}
}
