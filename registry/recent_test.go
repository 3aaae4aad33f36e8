package registry

import (
	"fmt"
	"runtime"
	"testing"

	"mqttwarden/registry/acl"
)

// What is reckoned for a user and for a role decides how much memory the near cache
// takes: it must be near what they take.
func TestWhatTheNearCacheReckonsIsNearWhatItTakes(t *testing.T) {
	tests := []struct {
		name               string
		users, permissions int
	}{
		{"many users of one role", 20_000, 20},
		{"a role of many permissions", 1, 20_000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFleet(test.permissions)
			before := heap()
			p := f.near(t, test.users)
			took, reckoned := float64(heap()-before), float64(p.Stats().Bytes)
			runtime.KeepAlive(f)
			if ratio := reckoned / took; ratio < 0.7 || 1.5 < ratio {
				t.Errorf("reckoned %.0f KiB, taken %.0f KiB: %.2f", reckoned/1024, took/1024, ratio)
			}
			runtime.KeepAlive(p)
		})
	}
}

// holder is a user of a role, and the role in a version with so many permissions.
func holder(name string, permissions int, version uint64) *Principal {
	role := Role{ID: "devices", Version: version}
	for i := range permissions {
		role.Permissions = append(role.Permissions, Permission{
			ID: PermissionID(fmt.Sprint(i)), Context: acl.MQTT, Operation: acl.Read, Resource: fmt.Sprintf("a/%d", i),
		})
	}
	return NewPrincipal(User{ID: UserID(name), Username: name, Roles: []RoleID{role.ID}}, []Role{role})
}

func TestRecentCountsARoleOnce(t *testing.T) {
	r := newRecent(1 << 30)
	a, b := holder("alice", 1000, 1), holder("bobby", 1000, 1)
	one := &Subject{id: "alice"}
	r.put(one, a)
	alone := r.bytes
	r.put(&Subject{id: "bobby"}, b)
	if more := r.bytes - alone; more != b.size() {
		t.Errorf("a second holder of the role takes %d bytes, want %d", more, b.size())
	}
	r.replace(one, "alice", holder("alice", 10, 2))
	if want := a.size() + b.size() + newHeldRole(&Role{ID: "devices", Permissions: nil}).set.Size(); r.bytes < want || r.bytes >= alone {
		t.Errorf("after the role became smaller %d bytes are counted, want %d or little more", r.bytes, want)
	}
	r.replace(one, "alice", nil)
	if r.get("alice") != nil || r.get("bobby") == nil {
		t.Error("of a user who is gone and one who is not the wrong one is kept")
	}
	r.remove(&Subject{id: "bobby"}, "bobby")
	if r.get("bobby") == nil {
		t.Error("a subject was forgotten that another one of its name was removed for")
	}
	r.drop(r.names["bobby"])
	if r.bytes != 0 || len(r.roles) != 0 || r.order.Len() != 0 {
		t.Errorf("nobody is kept, and %d bytes are counted of %d roles", r.bytes, len(r.roles))
	}
}

func TestRecentForgetsWhoWasNotAskedForTheLongest(t *testing.T) {
	size := holder("alice", 1, 1).size()
	r := newRecent(3*size + holder("alice", 1, 1).held.roles[0].set.Size())
	for _, name := range []string{"user1", "user2", "user3"} {
		r.put(&Subject{}, holder(name, 1, 1))
	}
	r.get("user1")
	r.put(&Subject{}, holder("user4", 1, 1))
	for name, want := range map[string]bool{"user1": true, "user2": false, "user3": true, "user4": true} {
		if got := r.names[name] != nil; got != want {
			t.Errorf("%s is kept: %t, want %t", name, got, want)
		}
	}
	r.put(&Subject{}, holder("large", 10_000, 2))
	if r.order.Len() != 0 || r.bytes != 0 {
		t.Errorf("%d are kept, want none: the one that was asked for last is too large by itself", r.order.Len())
	}
}
