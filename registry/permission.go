package registry

import "mqttwarden/registry/acl"

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
	if err := p.grant("").Validate(); err != nil {
		return Errorf(Invalid, FieldResource, "%v", err)
	}
	return nil
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
