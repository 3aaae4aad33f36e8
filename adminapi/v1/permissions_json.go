package v1

import (
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// permissionJSON is a permission as the API shows it.
type permissionJSON struct {
	ID        string `json:"id"`
	Resource  string `json:"resource" doc:"An MQTT filter; for http a path, in filter syntax too." example:"site1/#"`
	Operation string `json:"operation" enum:"read,write,readWrite"`
	Context   string `json:"context" enum:"mqtt,http"`
	Effect    string `json:"effect" enum:"allow,deny" doc:"A deny beats any allow."`
}

// newPermissionJSON is a permission to give.
type newPermissionJSON struct {
	Resource  string `json:"resource" minLength:"1" maxLength:"512" doc:"An MQTT filter; for http a path that begins with /api/ or another root, in filter syntax too." example:"site1/#"`
	Operation string `json:"operation" enum:"read,write,readWrite" doc:"For mqtt, read is subscribing and write is publishing; for http, read is GET and write is the rest."`
	Context   string `json:"context" enum:"mqtt,http"`
	Effect    string `json:"effect,omitempty" enum:"allow,deny" default:"allow" doc:"A deny beats any allow."`
}

// permissionChangeJSON is what changes of a permission. What is missing stays.
type permissionChangeJSON struct {
	Resource  *string `json:"resource,omitempty" minLength:"1" maxLength:"512" example:"site1/#"`
	Operation string  `json:"operation" enum:"read,write,readWrite"`
	Context   *string `json:"context,omitempty" enum:"mqtt,http"`
	Effect    *string `json:"effect,omitempty" enum:"allow,deny"`
	ID        *string `json:"id,omitempty" maxLength:"64" doc:"Read only: taken when it is what stands."`
}

func showPermission(p registry.Permission) permissionJSON {
	return permissionJSON{string(p.ID), p.Resource, p.Operation.String(), p.Context.String(), p.Effect.String()}
}

func showGrant(g acl.Grant) permissionJSON {
	return permissionJSON{g.Permission, g.Resource, g.Operation.String(), g.Context.String(), g.Effect.String()}
}

// permission returns the permission that n asks for.
func (n newPermissionJSON) permission() (registry.PermissionSpec, error) {
	p := registry.PermissionSpec{Resource: n.Resource}
	var err error
	if p.Operation, err = acl.ParseOperation(n.Operation); err != nil {
		return p, invalid("operation", err)
	}
	if p.Context, err = acl.ParseContext(n.Context); err != nil {
		return p, invalid("context", err)
	}
	if p.Effect, err = acl.ParseEffect(n.Effect); err != nil {
		return p, invalid("effect", err)
	}
	return p, nil
}

func newPermissions(list []newPermissionJSON) ([]registry.PermissionSpec, error) {
	out := make([]registry.PermissionSpec, 0, len(list))
	for _, n := range list {
		p, err := n.permission()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// update returns the change that c asks for.
func (c permissionChangeJSON) update() (registry.PermissionUpdate, error) {
	upd := registry.PermissionUpdate{Resource: c.Resource}
	op, err := acl.ParseOperation(c.Operation)
	if err != nil {
		return upd, invalid("operation", err)
	}
	upd.Operation = &op
	if c.Context != nil {
		context, err := acl.ParseContext(*c.Context)
		if err != nil {
			return upd, invalid("context", err)
		}
		upd.Context = &context
	}
	if c.Effect != nil {
		effect, err := acl.ParseEffect(*c.Effect)
		if err != nil {
			return upd, invalid("effect", err)
		}
		upd.Effect = &effect
	}
	return upd, nil
}

func invalid(field string, err error) error {
	return registry.Errorf(registry.Invalid, registry.Field(field), "%v", err)
}
