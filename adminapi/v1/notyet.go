package v1

import "mqttwarden/registry"

// The contract has fields for what this version does not do. They are taken while they
// ask for nothing: a setting that has no effect must not look as if it had one.

// asked is a field, and whether it asks for something.
type asked struct {
	field string
	set   bool
}

// notYet returns Invalid for the first field that asks for what this version lacks.
func notYet(fields ...asked) error {
	for _, f := range fields {
		if f.set {
			return registry.Errorf(registry.Invalid, registry.Field(f.field), "not part of this version")
		}
	}
	return nil
}

// outside reports whether users of a provider prove who they are elsewhere.
func outside(provider string) bool {
	return provider != "" && provider != string(registry.ProviderLocal)
}

// scram reports whether one of the grant types is SCRAM.
func scram(list []grantTypeJSON) bool {
	for _, g := range list {
		if g.Method == string(registry.MethodSCRAM) {
			return true
		}
	}
	return false
}

func (n *newUserJSON) notYet() error {
	return notYet(
		asked{"identityProvider", outside(n.IdentityProvider)},
		asked{"grantTypes", scram(n.GrantTypes)},
		asked{"enforceMFAEnrollment", n.EnforceMFAEnrollment},
	)
}

// notYet lets stay what stands already.
func (c *userChangeJSON) notYet(stands userJSON) error {
	return notYet(
		asked{"identityProvider", c.IdentityProvider != nil && outside(*c.IdentityProvider) && *c.IdentityProvider != stands.IdentityProvider},
		asked{"grantTypes", scram(c.GrantTypes) && !scram(stands.GrantTypes)},
		asked{"enforceMFAEnrollment", c.EnforceMFAEnrollment != nil && *c.EnforceMFAEnrollment && !stands.EnforceMFAEnrollment},
	)
}

func (n *newRoleJSON) notYet() error {
	return notYet(asked{"ldapGroupDn", n.LDAPGroupDN != ""}, asked{"msEntraIdGroupIds", n.MSEntraIDGroupIDs != ""})
}

// notYet lets stay what stands already.
func (c *roleChangeJSON) notYet(stands roleJSON) error {
	return notYet(
		asked{"ldapGroupDn", c.LDAPGroupDN != nil && *c.LDAPGroupDN != "" && *c.LDAPGroupDN != stands.LDAPGroupDN},
		asked{"msEntraIdGroupIds", c.MSEntraIDGroupIDs != nil && *c.MSEntraIDGroupIDs != "" && *c.MSEntraIDGroupIDs != stands.MSEntraIDGroupIDs},
	)
}
