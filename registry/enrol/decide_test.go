package enrol_test

import (
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/registrytest"
)

func TestTheRightEntryIsConfirmed(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	r.OpenWindow(time.Minute)
	one, two := r.Register(registrytest.Request("one"), registry.RegistrationPending), r.Register(registrytest.Request("two"), registry.RegistrationPending)
	for _, tt := range []struct {
		name  string
		c     enrol.Confirmation
		code  registry.Code
		field registry.Field
	}{
		{"another's id", enrol.Confirmation{Ref: enrol.Ref{Username: "one", ID: two.ID}}, registry.Conflict, "id"},
		{"another's pairing code", enrol.Confirmation{Ref: enrol.Ref{Username: "one", PairingCode: two.PairingCode}}, registry.Conflict, "pairingCode"},
		{"the id, but another's code", enrol.Confirmation{Ref: enrol.Ref{Username: "one", ID: one.ID, PairingCode: two.PairingCode}}, registry.Conflict, "pairingCode"},
		{"an unknown name", enrol.Confirmation{Ref: enrol.Ref{Username: "three"}}, registry.NotFound, "username"},
		{"the name in another case", enrol.Confirmation{Ref: enrol.Ref{Username: "One"}}, registry.NotFound, "username"},
		{"no name", enrol.Confirmation{Ref: enrol.Ref{ID: one.ID}}, registry.NotFound, "username"},
		{"a role that does not exist", enrol.Confirmation{Ref: enrol.Ref{Username: "one"}, Roles: []registry.RoleID{"nope"}}, registry.Invalid, "roles"},
		{"a prefix with a wildcard", enrol.Confirmation{Ref: enrol.Ref{Username: "one"}, Prefix: "a/#"}, registry.Invalid, "publishPrefix"},
		{"a permission that is none", enrol.Confirmation{Ref: enrol.Ref{Username: "one"}, Permissions: []registry.PermissionSpec{registrytest.MQTT(acl.Read, "")}}, registry.Invalid, "permissions[0].resource"},
	} {
		_, _, err := r.Enrolment.Confirm(ctx, r.Admin, tt.c)
		registrytest.WantField(t, tt.name, err, tt.code, tt.field)
		if tt.code == registry.Conflict {
			err := r.Enrolment.Deny(ctx, r.Admin, enrol.Ref{Username: tt.c.Username, ID: tt.c.ID, PairingCode: tt.c.PairingCode})
			registrytest.WantField(t, "deny: "+tt.name, err, tt.code, tt.field)
		}
	}
	if got := r.Pending(); len(got) != 2 {
		t.Errorf("pending: %v", got)
	}
	r.Confirm("one")
	_, _, err := r.Enrolment.Confirm(ctx, r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: "one"}})
	registrytest.WantCode(t, "the second confirmation", err, registry.NotFound)
}

func TestConfirmIsNoEscalation(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	small := r.Role("small", registrytest.MQTT(acl.Write, "site1/#"))
	r.User("operator", small)
	operator := r.CallerNamed("operator")
	r.OpenWindow(time.Minute)
	for _, tt := range []struct {
		name string
		c    enrol.Confirmation
		code registry.Code
	}{
		{"a role with all rights", enrol.Confirmation{Roles: []registry.RoleID{r.AdminRole()}}, registry.Forbidden},
		{"a permission that they lack", enrol.Confirmation{Permissions: []registry.PermissionSpec{registrytest.MQTT(acl.Read, "site1/a")}}, registry.Forbidden},
		{"their own role", enrol.Confirmation{Roles: []registry.RoleID{small}}, ""},
		{"nothing", enrol.Confirmation{}, ""},
	} {
		name := "dev-" + strings.ReplaceAll(tt.name, " ", "-")
		r.Register(registrytest.Request(name), registry.RegistrationPending)
		tt.c.Username = name
		_, _, err := r.Enrolment.Confirm(ctx, operator, tt.c)
		registrytest.WantCode(t, tt.name, err, tt.code)
		if tt.code != "" {
			r.Register(registrytest.Request(name), registry.RegistrationPending) // nothing happened
		}
	}
}

func TestWhoIsGoneDecidesNothing(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	u := r.User("operator", r.AdminRole())
	operator := r.CallerNamed("operator")
	r.OpenWindow(time.Minute)
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	_, err := r.Service.DeleteUser(ctx, r.Admin, u.ID)
	registrytest.Must(t, err)
	_, _, err = r.Enrolment.Confirm(ctx, operator, enrol.Confirmation{Ref: enrol.Ref{Username: "gateway"}})
	registrytest.WantCode(t, "confirm", err, registry.Unauthenticated)
	registrytest.WantCode(t, "deny", r.Enrolment.Deny(ctx, operator, enrol.Ref{Username: "gateway"}), registry.Unauthenticated)
	_, err = r.Enrolment.LockWindow(ctx, operator)
	registrytest.WantCode(t, "lock", err, registry.Unauthenticated)
	_, _, err = r.Enrolment.OpenWindow(ctx, operator, time.Minute)
	registrytest.WantCode(t, "open", err, registry.Unauthenticated)
	if got := r.Pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
}

func TestAConfirmationGivesOnlyWhatItSays(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Minute)
	req := registrytest.Request("gateway")
	req.Roles = []string{registry.RoleAdmin}
	req.Permissions = []registry.PermissionSpec{registrytest.MQTT(acl.ReadWrite, "#")}
	r.Register(req, registry.RegistrationPending)
	u := r.Confirm("gateway")
	if made := r.Principal(u.ID); len(made.Grants()) != 0 || len(made.User.Roles) != 0 {
		t.Errorf("a wish was granted: %v, %v", made.User.Roles, made.Grants())
	}
}

func TestADeniedRegistrationHearsSoUntilTheWindowCloses(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	r.OpenWindow(time.Minute)
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	if err := r.Enrolment.Deny(ctx, r.Admin, enrol.Ref{Username: "gateway"}); err != nil {
		t.Fatal(err)
	}
	denied := r.Register(registrytest.Request("gateway"), registry.RegistrationDenied)
	if denied.RetryAfter != 0 {
		t.Errorf("denied: %+v", denied)
	}
	other := registrytest.Request("gateway")
	other.Password = "another-secret"
	r.RegisterRefused("another secret", other, registry.Conflict)
	if got := r.Pending(); len(got) != 0 {
		t.Errorf("pending: %v", got)
	}
	_, _, err := r.Enrolment.Confirm(ctx, r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: "gateway"}})
	registrytest.WantCode(t, "confirm what was denied", err, registry.NotFound)
	registrytest.WantCode(t, "deny what was denied", r.Enrolment.Deny(ctx, r.Admin, enrol.Ref{Username: "gateway"}), registry.NotFound)
	r.OpenWindow(time.Minute) // open again: what is there stays
	r.Register(registrytest.Request("gateway"), registry.RegistrationDenied)
	r.Turn(2 * time.Minute)
	r.OpenWindow(time.Minute) // another window
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
}
