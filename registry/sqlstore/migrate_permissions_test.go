package sqlstore

import (
	"testing"

	"mqttwarden/registry"
)

// Permissions that stood twice before version 5 are one each, and those that only look
// alike stay.
func TestPermissionsThatStoodTwiceAreMerged(t *testing.T) {
	s := openAt(t, olderStore(t, 3,
		`INSERT INTO roles (id, name, name_fold, shared, auto_generated, owner, ldap_group_dn, entra_group_ids) VALUES
			('r-1', 'one', 'one', TRUE, FALSE, NULL, '', 'null'), ('r-2', 'two', 'two', TRUE, FALSE, NULL, '', 'null')`,
		`INSERT INTO permissions VALUES
			('r-1', 'p-3', 'pump/set', 'write', 'mqtt', 'allow'), ('r-1', 'p-1', 'pump/set', 'write', 'mqtt', 'allow'),
			('r-1', 'p-2', 'pump/set', 'write', 'mqtt', 'allow'), ('r-1', 'p-4', 'pump/set', 'write', 'mqtt', 'deny'),
			('r-1', 'p-5', 'pump/set', 'readWrite', 'mqtt', 'allow'), ('r-1', 'p-6', 'pump/Set', 'write', 'mqtt', 'allow'),
			('r-2', 'p-9', 'pump/set', 'write', 'mqtt', 'allow')`,
	))
	for role, want := range map[registry.RoleID]string{"r-1": "p-1 p-4 p-5 p-6 ", "r-2": "p-9 "} {
		r, err := s.Role(t.Context(), role)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range r.Permissions {
			got += string(p.ID) + " "
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", role, got, want)
		}
	}
}
