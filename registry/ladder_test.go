package registry_test

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/registrytest"
)

// TestNobodyClimbsByAnotherName is A9: a caller who may write all of /api, with rights
// that hold placeholders or stand under a prefix.
func TestNobodyClimbsByAnotherName(t *testing.T) {
	p := newPlant(t)
	ctx := t.Context()
	role := p.Role("named",
		registrytest.HTTP(acl.ReadWrite, "/api/#"), registrytest.MQTT(acl.ReadWrite, "devices/${username}/#"),
		registrytest.MQTT(acl.ReadWrite, "clients/${clientid}/#"), registrytest.MQTT(acl.Read, "certs/${cert.cn}/#"))
	write := p.Role("writer", registrytest.HTTP(acl.ReadWrite, "/api/#"), registrytest.MQTT(acl.Write, "#"))
	u := p.device("caller", role)
	tenant, _, err := p.Service.CreateUser(ctx, p.Admin, registry.UserSpec{
		Username: "tenant", Provider: registry.ProviderLocal, PublishPrefix: "t1/", Roles: []registry.RoleID{write},
	})
	registrytest.Must(t, err)
	listed, _, err := p.Service.CreateUser(ctx, p.Admin, registry.UserSpec{
		Username: "listed", Provider: registry.ProviderLocal, ClientIDs: []string{"gw-1", "gw-+"}, Roles: []registry.RoleID{role},
	})
	registrytest.Must(t, err)
	update := func(u registry.User, upd registry.UserUpdate) error {
		_, _, err := p.Service.UpdateUser(ctx, registry.Caller{ID: u.ID, Username: u.Username}, u.ID, upd)
		return err
	}
	create := func(by registry.User, spec registry.UserSpec) error {
		spec.Provider = registry.ProviderLocal
		_, _, err := p.Service.CreateUser(ctx, registry.Caller{ID: by.ID, Username: by.Username}, spec)
		return err
	}
	show := func(c *x509.Certificate) error {
		return p.register(registry.Caller{ID: u.ID, Username: "caller"}, c, u, c)
	}
	roles := []registry.RoleID{write}
	for _, tt := range []struct {
		name string
		err  error
		code registry.Code
	}{
		{"takes a free name", update(u, registry.UserUpdate{Username: new("former")}), registry.Forbidden},
		{"takes client IDs", update(u, registry.UserUpdate{ClientIDs: &[]string{"victim"}}), registry.Forbidden},
		{"takes all client IDs of a pattern", update(u, registry.UserUpdate{ClientIDs: &[]string{"+"}}), registry.Forbidden},
		{"exchanges a pattern", update(listed, registry.UserUpdate{ClientIDs: &[]string{"gw-1", "dev-+"}}), registry.Forbidden},
		{"frees themselves from their list", update(listed, registry.UserUpdate{ClientIDs: &[]string{}}), registry.Forbidden},
		{"keeps fewer client IDs", update(listed, registry.UserUpdate{ClientIDs: &[]string{"gw-+"}}), ""},
		{"registers a certificate that names another", show(p.ca.Client(p.Rig, "stranger", nil)), registry.Forbidden},
		{"registers one that nobody vouches for", show(p.NewOutsideCA("Nobody's").Client(p.Rig, "stranger", nil)), ""},
		{"removes their prefix", update(tenant, registry.UserUpdate{PublishPrefix: new("")}), registry.Forbidden},
		{"shortens their prefix", update(tenant, registry.UserUpdate{PublishPrefix: new("t")}), registry.Forbidden},
		{"leaves for another tenant", update(tenant, registry.UserUpdate{PublishPrefix: new("t2/")}), registry.Forbidden},
		{"goes deeper", update(tenant, registry.UserUpdate{PublishPrefix: new("t1/a/")}), ""},
		{"makes a second self without a prefix", create(tenant, registry.UserSpec{Username: "second", Roles: roles}), registry.Forbidden},
		{"makes one with no rights and no prefix", create(tenant, registry.UserSpec{Username: "third"}), registry.Forbidden},
		{"makes one within", create(tenant, registry.UserSpec{Username: "fourth", PublishPrefix: "t1/a/b/", Roles: roles}), ""},
		{"makes one that has the old prefix", create(tenant, registry.UserSpec{Username: "fifth", PublishPrefix: "t1/", Roles: roles}), registry.Forbidden},
		{"makes one that has the role", create(u, registry.UserSpec{Username: "sixth", Roles: []registry.RoleID{role}}), registry.Forbidden},
	} {
		registrytest.WantCode(t, tt.name, tt.err, tt.code)
	}
	_, err = p.Service.RemoveFingerprint(ctx, p.Admin, u.ID, ca.Fingerprint(p.bobs))
	registrytest.WantCode(t, "what was not registered", err, registry.NotFound)
}

// ladder is a register in which one caller tries what it can.
type ladder struct {
	*registrytest.Rig
	caller registry.UserID
	ours   []registry.UserID // users that the caller has changed: it could sign in as any
	roles  []registry.RoleID
	others map[registry.UserID]map[string]bool // who is none of ours, and what each could do
}

// beside makes two users who hold roles of the caller's with others, which the calls
// may reach through those roles.
func (l *ladder) beside(t *rapid.T) {
	l.others = make(map[registry.UserID]map[string]bool)
	far := l.Role("far-"+string(l.caller), registrytest.MQTT(acl.ReadWrite, "t2/#"), registrytest.Deny(registrytest.MQTT(acl.Read, "t2/a")))
	for _, name := range []string{"gw-1", "beside"} {
		roles := rapid.SliceOfNDistinct(rapid.SampledFrom(append([]registry.RoleID{far}, l.roles...)), 1, 2, rapid.ID).Draw(t, "roles of "+name)
		u := userOf(l.Rig, registry.UserSpec{Username: name, PublishPrefix: rapid.SampledFrom(worldPrefixes).Draw(t, "prefix of "+name), Roles: roles})
		l.others[u.ID] = l.reach([]registry.UserID{u.ID})
	}
}

// wantOthersWithin fails if somebody who can do what the caller can't has been changed.
func (l *ladder) wantOthersWithin(t *rapid.T, reach map[string]bool) {
	for id, before := range l.others {
		after := l.reach([]registry.UserID{id})
		if maps.Equal(before, after) {
			continue
		}
		for _, can := range []map[string]bool{before, after} {
			for what := range can {
				if !reach[what] {
					t.Fatalf("the caller has changed a user who may %s: before %v, after %v", what, before, after)
				}
			}
		}
	}
}

// The small world in which the oracle looks for what can be reached.
var (
	worldNames    = []string{"caller", "former", "second"}
	worldIDs      = []string{"gw-1", "gw-2", "former", "caller"}
	worldPrefixes = []string{"", "t1/", "t1/a/", "t", "t2/"}
	worldTopics   = func() (all []string) {
		for _, area := range []string{"devices", "clients", "certs", "t1", "t2"} {
			all = append(all, area)
			for _, level := range slices.Concat(worldNames, worldIDs, []string{"a", "x"}) {
				all = append(all, area+"/"+level, area+"/"+level+"/x")
			}
		}
		return all
	}()
)

// reach is all that can be done by signing in as one of the users, with any client ID
// and with a certificate that has its name: the oracle asks the policies about every
// topic.
func (l *ladder) reach(users []registry.UserID) map[string]bool {
	all := make(map[string]bool)
	for _, id := range users {
		p := l.Principal(id)
		if p == nil {
			continue
		}
		for _, client := range worldIDs {
			if !p.Policy.MayUseClientID(client) {
				continue
			}
			names := p.Policy.Names(client, p.User.Username)
			for _, topic := range worldTopics {
				if p.Policy.MayRead(&names, topic) {
					all["read "+topic] = true
				}
				if rest, ok := strings.CutPrefix(topic, p.Policy.Prefix()); ok && p.Policy.MayPublish(&names, rest) {
					all["write "+topic] = true
				}
			}
		}
	}
	return all
}

// clear makes room for the next sequence.
func (l *ladder) clear() {
	for _, id := range append(l.ours, slices.Collect(maps.Keys(l.others))...) {
		_, err := l.Service.DeleteUser(l.T.Context(), l.Admin, id)
		registrytest.Must(l.T, err)
	}
}

// step does one random call as the caller. What is refused changes nothing.
func (l *ladder) step(t *rapid.T) {
	by := registry.Caller{ID: l.caller}
	target := rapid.SampledFrom(l.ours).Draw(t, "target")
	ctx := l.T.Context()
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom(append([]string{"gw-+", "${username}", "+"}, worldIDs...)), 0, 2, rapid.ID)
	roles := rapid.SliceOfNDistinct(rapid.SampledFrom(l.roles), 0, 2, rapid.ID)
	name, prefix := rapid.SampledFrom(worldNames), rapid.SampledFrom(worldPrefixes)
	var upd registry.UserUpdate
	role := rapid.SampledFrom(l.roles)
	switch rapid.IntRange(0, 7).Draw(t, "call") {
	case 0:
		upd.Username = new(name.Draw(t, "name"))
	case 1:
		upd.ClientIDs = new(ids.Draw(t, "ids"))
	case 2:
		upd.PublishPrefix = new(prefix.Draw(t, "prefix"))
	case 3:
		upd.Roles = new(roles.Draw(t, "roles"))
	case 4:
		p := registrytest.MQTT(acl.ReadWrite, rapid.SampledFrom([]string{
			"#", "t1/#", "t1/+/#", "devices/${username}/#", "clients/${clientid}", "devices/caller/#", "clients/gw-1/#",
		}).Draw(t, "resource"))
		if rapid.Bool().Draw(t, "deny it") {
			p = registrytest.Deny(p)
		}
		_, _, _ = l.Service.AddPermission(ctx, by, role.Draw(t, "role"), p)
		return
	case 5:
		r, err := l.Store.Role(ctx, role.Draw(t, "role"))
		if err == nil && len(r.Permissions) > 0 {
			_, _ = l.Service.DeletePermission(ctx, by, r.ID, rapid.SampledFrom(r.Permissions).Draw(t, "permission").ID)
		}
		return
	case 6:
		_, _ = l.Service.DeleteRole(ctx, by, role.Draw(t, "role"))
		return
	default:
		made, _, err := l.Service.CreateUser(ctx, by, registry.UserSpec{
			Username: name.Draw(t, "name"), Provider: registry.ProviderLocal, PublishPrefix: prefix.Draw(t, "prefix"),
			ClientIDs: ids.Draw(t, "ids"), Roles: roles.Draw(t, "roles"),
		})
		if err == nil {
			l.ours = append(l.ours, made.ID)
		}
		return
	}
	_, _, _ = l.Service.UpdateUser(ctx, by, target, upd)
}

// TestNoSequenceOfCallsReachesMore has callers do what they like, and compares what
// they can reach in the end with what they could at the beginning.
func TestNoSequenceOfCallsReachesMore(t *testing.T) {
	r := registrytest.New(t)
	api := registrytest.HTTP(acl.ReadWrite, "/api/#")
	rapid.Check(t, func(rt *rapid.T) {
		l := &ladder{Rig: r}
		resources := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"devices/${username}/#", "clients/${clientid}/#", "certs/${cert.cn}/#", "#", "t1/#", "clients/gw-1/#",
		}), 1, 3, rapid.ID).Draw(rt, "resources")
		id, err := registry.NewID()
		registrytest.Must(t, err)
		perms := []registry.PermissionSpec{api}
		for _, resource := range resources {
			perms = append(perms, registrytest.MQTT(acl.ReadWrite, resource))
		}
		if rapid.Bool().Draw(rt, "deny") {
			perms = append(perms, registrytest.Deny(registrytest.MQTT(acl.ReadWrite, "devices/${username}/x")))
		}
		l.roles = []registry.RoleID{l.Role("own-"+id, perms...), l.Role("empty-" + id)}
		u, _, err := l.Service.CreateUser(t.Context(), l.Admin, registry.UserSpec{
			Username: "caller", Provider: registry.ProviderLocal, Roles: l.roles[:1],
			PublishPrefix: rapid.SampledFrom(worldPrefixes[:3]).Draw(rt, "prefix"),
			ClientIDs:     rapid.SampledFrom([][]string{nil, {"gw-1"}, {"gw-1", "gw-+"}, {"${username}"}}).Draw(rt, "ids"),
		})
		registrytest.Must(t, err)
		l.caller, l.ours = u.ID, []registry.UserID{u.ID}
		defer l.clear()
		l.beside(rt)
		before := l.reach(l.ours)
		for range rapid.IntRange(1, 8).Draw(rt, "calls") {
			l.step(rt)
			for what := range l.reach(l.ours) {
				if !before[what] {
					rt.Fatalf("the caller has come to %s", what)
				}
			}
			l.wantOthersWithin(rt, before)
		}
	})
}
