package servers

import (
	"fmt"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/registrytest"
	"mqttwarden/registry/sqlstore/pgtest"
)

// A database is a round trip away, and round trips are what most of the time goes into.
func TestRoundTripsOfAFirstSignIn(t *testing.T) {
	t.Parallel()
	gate := pgtest.NewGate(t, bootstrapped(t))
	n := nodeOn(t, gate.URL)
	n.Follow()
	role := func(i int) registry.RoleID {
		return n.Role(fmt.Sprint("role-", i), registry.PermissionSpec{Resource: "a/#", Operation: acl.ReadWrite, Context: acl.MQTT})
	}
	const tries = 4
	known := role(0)
	var before, alike, apart []string
	for i := range tries {
		before = append(before, n.User(fmt.Sprint("before-", i), known).Username)
		alike = append(alike, n.User(fmt.Sprint("alike-", i), known).Username)
		apart = append(apart, n.User(fmt.Sprint("apart-", i), known, role(1+2*i), role(2+2*i)).Username)
	}
	n.CatchUp()
	for _, tt := range []struct {
		name  string
		users []string
		want  int
	}{
		{"what the connections prepare at first", before, 3},
		{"a user whose roles somebody has", alike, 1},
		{"a user with roles that nobody has", apart, 2},
	} {
		least := 1000 // of several: the follower may ask in between
		for _, name := range tt.users {
			gate.HoldAt(1000)
			_, err := n.SignIn.In(t.Context(), registry.Attempt{Username: name, Password: name + "-secret", HasPassword: true})
			registrytest.Must(t, err)
			least = min(least, gate.Passed())
		}
		if least > tt.want {
			t.Errorf("%s: %d round trips, want %d", tt.name, least, tt.want)
		}
	}
}
