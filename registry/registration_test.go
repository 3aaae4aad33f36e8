package registry_test

import (
	"context"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// request is one that meets every rule.
func request(name string) registry.RegistrationRequest {
	return registry.RegistrationRequest{
		Username: name, Password: name + "-secret", Context: "line 3, left", Source: registry.SourceHTTP,
		Remote: netip.MustParseAddr("192.0.2.7"),
	}
}

func (r *rig) openWindow(d time.Duration) {
	r.t.Helper()
	if _, err := r.service.OpenWindow(r.t.Context(), r.admin, d); err != nil {
		r.t.Fatal(err)
	}
}

// register asks, and ends the test unless the answer has that status.
func (r *rig) register(req registry.RegistrationRequest, want registry.RegistrationStatus) registry.RegistrationAnswer {
	r.t.Helper()
	got, err := r.service.Register(r.t.Context(), req)
	if err != nil || got.Status != want {
		r.t.Fatalf("register %s: %q, %v; want %q", req.Username, got.Status, err, want)
	}
	return got
}

// registerRefused asks, and wants an error.
func (r *rig) registerRefused(what string, req registry.RegistrationRequest, code registry.Code) {
	r.t.Helper()
	got, err := r.service.Register(r.t.Context(), req)
	if err == nil {
		r.t.Errorf("%s: answered %q", what, got.Status)
	}
	wantCode(r.t, what, err, code)
}

func (r *rig) confirm(name string) registry.User {
	r.t.Helper()
	u, n, err := r.service.Confirm(r.t.Context(), r.admin, registry.Confirmation{Username: name})
	if err != nil || n == 0 {
		r.t.Fatalf("confirm %s: number %d, %v", name, n, err)
	}
	return u
}

func (r *rig) pending() []string {
	r.t.Helper()
	list, err := r.service.Pending(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, p := range list {
		names = append(names, p.Username)
	}
	return names
}

func TestTheLadderOfARegistration(t *testing.T) {
	r := newRig(t)
	ctx, req := t.Context(), request("gateway")
	req.Roles = []string{"operators", "no such role"}
	req.Permissions = []registry.PermissionSpec{mqtt(acl.Write, "site/#")}

	locked := r.register(req, registry.RegistrationLocked)
	if locked.RetryAfter <= 0 || locked.ID != "" || locked.PairingCode != "" {
		t.Errorf("locked: %+v", locked)
	}
	r.openWindow(time.Minute)
	first := r.register(req, registry.RegistrationPending)
	if first.ID == "" || !regexp.MustCompile(`^[A-HJ-NP-Z2-9]{6}$`).MatchString(first.PairingCode) || first.RetryAfter <= 0 || first.Username != "gateway" {
		t.Errorf("pending: %+v", first)
	}
	if again := r.register(req, registry.RegistrationPending); again != first {
		t.Errorf("a poll is answered %+v, before %+v", again, first)
	}
	list, err := r.service.Pending(ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("pending: %v, %v", list, err)
	}
	p := list[0]
	if p.PasswordHash != "" {
		t.Error("the list holds the password hash")
	}
	if p.ID != first.ID || p.PairingCode != first.PairingCode || p.Context != req.Context || p.Source != registry.SourceHTTP ||
		p.Remote != req.Remote || p.HasCSR() || p.FirstSeen.IsZero() || p.LastSeen.IsZero() ||
		!reflect.DeepEqual(p.Roles, req.Roles) || !reflect.DeepEqual(p.Permissions, req.Permissions) {
		t.Errorf("the list holds %+v", p)
	}

	role := r.role("sender", mqtt(acl.Write, "out/#"))
	u, n, err := r.service.Confirm(ctx, r.admin, registry.Confirmation{
		Username: "gateway", ID: first.ID, PairingCode: strings.ToLower(first.PairingCode), Roles: []registry.RoleID{role},
		Prefix: "site1/", Permissions: []registry.PermissionSpec{mqtt(acl.Read, "in/#")},
	})
	if err != nil || n == 0 || u.Version != n {
		t.Fatalf("confirm: %+v, %d, %v", u, n, err)
	}
	rec, err := r.store.RecordByName(ctx, "gateway")
	if err != nil {
		t.Fatal(err)
	}
	if !rec.User.Active || rec.User.PublishPrefix != "site1/" || rec.User.Provider != registry.ProviderLocal || len(rec.Grants) != 2 {
		t.Errorf("the user is %+v with %v", rec.User, rec.Grants)
	}
	if got := r.pending(); len(got) != 0 {
		t.Errorf("still pending: %v", got)
	}

	granted := r.register(req, registry.RegistrationGranted)
	if granted.RetryAfter != 0 || granted.Certificate != "" || granted.Username != "gateway" {
		t.Errorf("granted: %+v", granted)
	}
	r.registerRefused("after it was collected", req, registry.Conflict)
	if _, err := r.login("gateway", "gateway-secret"); err != nil {
		t.Errorf("the new user can't sign in: %v", err)
	}
}

func TestAConfirmationGivesOnlyWhatItSays(t *testing.T) {
	r := newRig(t)
	r.openWindow(time.Minute)
	req := request("gateway")
	req.Roles = []string{registry.RoleAdmin}
	req.Permissions = []registry.PermissionSpec{mqtt(acl.ReadWrite, "#")}
	r.register(req, registry.RegistrationPending)
	u := r.confirm("gateway")
	rec, err := r.store.RecordByID(t.Context(), u.ID)
	if err != nil || len(rec.Grants) != 0 || len(rec.User.Roles) != 0 {
		t.Errorf("a wish was granted: %v, %v, %v", rec.User.Roles, rec.Grants, err)
	}
}

func TestRegisterRefusesWhatBreaksARule(t *testing.T) {
	r := newRig(t, withCertificates)
	csr := newCSR(t, "gateway")
	for _, tt := range []struct {
		name   string
		change func(*registry.RegistrationRequest)
		code   registry.Code
		field  string
	}{
		{"short name", func(q *registry.RegistrationRequest) { q.Username = "ab" }, registry.Invalid, "username"},
		{"name with a slash", func(q *registry.RegistrationRequest) { q.Username = "a/b/c" }, registry.Invalid, "username"},
		{"a name of the system's", func(q *registry.RegistrationRequest) { q.Username = "__sys-x" }, registry.Invalid, "username"},
		{"neither password nor CSR", func(q *registry.RegistrationRequest) { q.Password = "" }, registry.Invalid, "password"},
		{"both", func(q *registry.RegistrationRequest) { q.CSR = csr }, registry.Invalid, "password"},
		{"a password below the policy", func(q *registry.RegistrationRequest) { q.Password = "1234" }, registry.WeakPassword, "password"},
		{"a password beyond the limit", func(q *registry.RegistrationRequest) { q.Password = strings.Repeat("x", registry.MaxPassword+1) }, registry.Invalid, "password"},
		{"a CSR for another name", func(q *registry.RegistrationRequest) { q.Password, q.CSR = "", newCSR(t, "other") }, registry.Invalid, "csr"},
		{"a CSR without a name", func(q *registry.RegistrationRequest) { q.Password, q.CSR = "", newCSR(t, "") }, registry.Invalid, "csr"},
		{"no CSR at all", func(q *registry.RegistrationRequest) { q.Password, q.CSR = "", "hello" }, registry.Invalid, "csr"},
		{"context beyond the limit", func(q *registry.RegistrationRequest) { q.Context = strings.Repeat("x", 1025) }, registry.Invalid, "context"},
		{"context with NUL", func(q *registry.RegistrationRequest) { q.Context = "a\x00" }, registry.Invalid, "context"},
		{"context with an escape", func(q *registry.RegistrationRequest) { q.Context = "\x1b[2J" }, registry.Invalid, "context"},
		{"context that is no UTF-8", func(q *registry.RegistrationRequest) { q.Context = "\xff" }, registry.Invalid, "context"},
		{"too many roles", func(q *registry.RegistrationRequest) { q.Roles = make([]string, 33) }, registry.Invalid, "roles"},
		{"an empty role", func(q *registry.RegistrationRequest) { q.Roles = []string{""} }, registry.Invalid, "roles"},
		{"a role beyond the limit", func(q *registry.RegistrationRequest) { q.Roles = []string{strings.Repeat("x", 256)} }, registry.Invalid, "roles"},
		{"too many permissions", func(q *registry.RegistrationRequest) { q.Permissions = make([]registry.PermissionSpec, 65) }, registry.Invalid, "initialPermissions"},
		{"a permission that is none", func(q *registry.RegistrationRequest) {
			q.Permissions = []registry.PermissionSpec{mqtt(acl.Read, "a/#/b")}
		}, registry.Invalid, "resource"},
		{"permissions that are too long together", func(q *registry.RegistrationRequest) {
			for range 17 {
				q.Permissions = append(q.Permissions, mqtt(acl.Read, strings.Repeat("x", 500)))
			}
		}, registry.Invalid, "initialPermissions"},
	} {
		for _, state := range []string{"locked", "open"} { // the rules come first, whatever the window is
			if state == "open" {
				r.openWindow(time.Minute)
			}
			req := request("gateway")
			tt.change(&req)
			_, err := r.service.Register(t.Context(), req)
			wantField(t, tt.name+", "+state, err, tt.code, tt.field)
		}
		if got := r.pending(); len(got) != 0 {
			t.Fatalf("%s: pending is %v", tt.name, got)
		}
		if err := r.service.LockWindow(t.Context(), r.admin); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoCSRIsTakenWhereNoCertificatesAreIssued(t *testing.T) {
	r := newRig(t)
	req := request("gateway")
	req.Password, req.CSR = "", newCSR(t, "gateway")
	_, err := r.service.Register(t.Context(), req)
	wantField(t, "register", err, registry.Invalid, "csr")
}

// TestWhileLockedNobodyLearnsWhoExists compares the answers, and the work behind
// them, about names that are taken and names that are not.
func TestWhileLockedNobodyLearnsWhoExists(t *testing.T) {
	r := newRig(t)
	r.user("existing")
	r.openWindow(time.Minute)
	r.register(request("pending"), registry.RegistrationPending)
	r.register(request("denied"), registry.RegistrationPending)
	if err := r.service.Deny(t.Context(), r.admin, registry.RegistrationRef{Username: "denied"}); err != nil {
		t.Fatal(err)
	}
	r.turn(2 * time.Minute) // it closes by itself; nothing is swept
	for _, name := range []string{"existing", "EXISTING", "pending", "denied", "unknown", "admin"} {
		before := r.pool.Stats().Done
		got := r.register(request(name), registry.RegistrationLocked)
		if want := (registry.RegistrationAnswer{Status: registry.RegistrationLocked, Username: name, RetryAfter: got.RetryAfter}); got != want {
			t.Errorf("%s: %+v", name, got)
		}
		if n := r.pool.Stats().Done - before; n != 0 {
			t.Errorf("%s: %d hashes", name, n)
		}
	}
}

func TestATakenNameIsAConflict(t *testing.T) {
	r := newRig(t)
	r.user("existing")
	r.openWindow(time.Minute)
	before := r.pool.Stats().Done
	r.registerRefused("a user's name", request("existing"), registry.Conflict)
	r.registerRefused("a user's name in another case", request("Existing"), registry.Conflict)
	if n := r.pool.Stats().Done - before; n != 0 {
		t.Errorf("%d hashes for names that are taken", n)
	}
	r.register(request("waiting"), registry.RegistrationPending)
	other := request("waiting")
	other.Password = "another-secret"
	r.registerRefused("a pending name with another secret", other, registry.Conflict)
	other = request("waiting")
	other.Username = "Waiting"
	r.registerRefused("a pending name in another case, with its secret", other, registry.Conflict)
	if got := r.pending(); len(got) != 1 || got[0] != "waiting" {
		t.Errorf("pending: %v", got)
	}
	r.register(request("waiting"), registry.RegistrationPending) // and the first one keeps it
}

func TestAPollCostsNoHash(t *testing.T) {
	r := newRig(t)
	r.openWindow(time.Hour)
	req := request("gateway")
	r.register(req, registry.RegistrationPending) // hashed
	r.register(req, registry.RegistrationPending) // verified
	before := r.pool.Stats().Done
	for range 20 {
		r.register(req, registry.RegistrationPending)
	}
	if n := r.pool.Stats().Done - before; n != 0 {
		t.Errorf("%d hashes for 20 polls", n)
	}
	r.restart()
	for range 5 {
		r.register(req, registry.RegistrationPending)
	}
	if n := r.pool.Stats().Done; n != 1 {
		t.Errorf("%d hashes for 5 polls after a restart, want 1", n)
	}
}

func TestLastSeenFollowsThePolls(t *testing.T) {
	r := newRig(t)
	r.openWindow(time.Hour)
	r.register(request("gateway"), registry.RegistrationPending)
	r.turn(time.Minute)
	r.register(request("gateway"), registry.RegistrationPending)
	list, err := r.service.Pending(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if d := list[0].LastSeen.Sub(list[0].FirstSeen); d < 50*time.Second {
		t.Errorf("last seen %v after first seen", d)
	}
}

func TestADeniedRegistrationHearsSoUntilTheWindowCloses(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.openWindow(time.Minute)
	r.register(request("gateway"), registry.RegistrationPending)
	if err := r.service.Deny(ctx, r.admin, registry.RegistrationRef{Username: "gateway"}); err != nil {
		t.Fatal(err)
	}
	denied := r.register(request("gateway"), registry.RegistrationDenied)
	if denied.RetryAfter != 0 {
		t.Errorf("denied: %+v", denied)
	}
	other := request("gateway")
	other.Password = "another-secret"
	r.registerRefused("another secret", other, registry.Conflict)
	if got := r.pending(); len(got) != 0 {
		t.Errorf("pending: %v", got)
	}
	_, _, err := r.service.Confirm(ctx, r.admin, registry.Confirmation{Username: "gateway"})
	wantCode(t, "confirm what was denied", err, registry.NotFound)
	wantCode(t, "deny what was denied", r.service.Deny(ctx, r.admin, registry.RegistrationRef{Username: "gateway"}), registry.NotFound)
	r.openWindow(time.Minute) // open again: what is there stays
	r.register(request("gateway"), registry.RegistrationDenied)
	r.turn(2 * time.Minute)
	r.openWindow(time.Minute) // another window
	r.register(request("gateway"), registry.RegistrationPending)
}

func TestTheRightEntryIsConfirmed(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.openWindow(time.Minute)
	one, two := r.register(request("one"), registry.RegistrationPending), r.register(request("two"), registry.RegistrationPending)
	for _, tt := range []struct {
		name  string
		c     registry.Confirmation
		code  registry.Code
		field string
	}{
		{"another's id", registry.Confirmation{Username: "one", ID: two.ID}, registry.Conflict, "id"},
		{"another's pairing code", registry.Confirmation{Username: "one", PairingCode: two.PairingCode}, registry.Conflict, "pairingCode"},
		{"the id, but another's code", registry.Confirmation{Username: "one", ID: one.ID, PairingCode: two.PairingCode}, registry.Conflict, "pairingCode"},
		{"an unknown name", registry.Confirmation{Username: "three"}, registry.NotFound, "username"},
		{"the name in another case", registry.Confirmation{Username: "One"}, registry.NotFound, "username"},
		{"no name", registry.Confirmation{ID: one.ID}, registry.NotFound, "username"},
		{"a role that does not exist", registry.Confirmation{Username: "one", Roles: []registry.RoleID{"nope"}}, registry.Invalid, "roles"},
		{"a prefix with a wildcard", registry.Confirmation{Username: "one", Prefix: "a/#"}, registry.Invalid, "mqttPublishPrefix"},
		{"a permission that is none", registry.Confirmation{Username: "one", Permissions: []registry.PermissionSpec{mqtt(acl.Read, "")}}, registry.Invalid, "resource"},
	} {
		_, _, err := r.service.Confirm(ctx, r.admin, tt.c)
		wantField(t, tt.name, err, tt.code, tt.field)
		if tt.code == registry.Conflict {
			err := r.service.Deny(ctx, r.admin, registry.RegistrationRef{Username: tt.c.Username, ID: tt.c.ID, PairingCode: tt.c.PairingCode})
			wantField(t, "deny: "+tt.name, err, tt.code, tt.field)
		}
	}
	if got := r.pending(); len(got) != 2 {
		t.Errorf("pending: %v", got)
	}
	r.confirm("one")
	_, _, err := r.service.Confirm(ctx, r.admin, registry.Confirmation{Username: "one"})
	wantCode(t, "the second confirmation", err, registry.NotFound)
}

func TestConfirmIsNoLadder(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	small := r.role("small", mqtt(acl.Write, "site1/#"))
	r.user("operator", small)
	operator := r.callerNamed("operator")
	r.openWindow(time.Minute)
	for _, tt := range []struct {
		name string
		c    registry.Confirmation
		code registry.Code
	}{
		{"a role with all rights", registry.Confirmation{Roles: []registry.RoleID{r.adminRole()}}, registry.Forbidden},
		{"a permission he has not", registry.Confirmation{Permissions: []registry.PermissionSpec{mqtt(acl.Read, "site1/a")}}, registry.Forbidden},
		{"his own role", registry.Confirmation{Roles: []registry.RoleID{small}}, ""},
		{"nothing", registry.Confirmation{}, ""},
	} {
		name := "dev-" + strings.ReplaceAll(tt.name, " ", "-")
		r.register(request(name), registry.RegistrationPending)
		tt.c.Username = name
		_, _, err := r.service.Confirm(ctx, operator, tt.c)
		wantCode(t, tt.name, err, tt.code)
		if tt.code != "" {
			r.register(request(name), registry.RegistrationPending) // nothing happened
		}
	}
}

// TestAGrantedRegistrationWaitsForItsClient walks through what may happen between
// confirmation and collection.
func TestAGrantedRegistrationWaitsForItsClient(t *testing.T) {
	for _, tt := range []struct {
		name    string
		between func(*rig)
		want    registry.RegistrationStatus // empty: Conflict
	}{
		{"nothing", func(*rig) {}, registry.RegistrationGranted},
		{"the window is locked", func(r *rig) { must(r.t, r.service.LockWindow(r.t.Context(), r.admin)) }, registry.RegistrationGranted},
		{"the window closes by itself", func(r *rig) { r.turn(2 * time.Minute) }, registry.RegistrationGranted},
		{"it is swept", func(r *rig) { r.turn(2 * time.Minute); r.sweep() }, registry.RegistrationGranted},
		{"another window is opened", func(r *rig) { r.turn(2 * time.Minute); r.openWindow(time.Minute) }, registry.RegistrationGranted},
		{"the program is started again", func(r *rig) { r.restart() }, registry.RegistrationGranted},
		{"nine minutes pass", func(r *rig) { r.turn(9 * time.Minute) }, registry.RegistrationGranted},
		{"ten minutes pass, locked", func(r *rig) { r.turn(10 * time.Minute) }, registry.RegistrationLocked},
		{"ten minutes pass, open", func(r *rig) { r.turn(10 * time.Minute); r.openWindow(time.Minute) }, ""},
		{"ten minutes pass and it is swept", func(r *rig) { r.turn(11 * time.Minute); r.sweep(); r.openWindow(time.Minute) }, ""},
		{"the user is deleted", func(r *rig) {
			_, err := r.service.DeleteUser(r.t.Context(), r.admin, r.callerNamed("gateway").ID)
			must(r.t, err)
		}, registry.RegistrationPending},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.openWindow(time.Minute)
			r.register(request("gateway"), registry.RegistrationPending)
			r.confirm("gateway")
			tt.between(r)
			if tt.want == "" {
				r.registerRefused("collect", request("gateway"), registry.Conflict)
				return
			}
			r.register(request("gateway"), tt.want)
		})
	}
}

// TestAGrantedRegistrationIsHandedToNobodyElse asks for it with another secret:
// refused, told to the lockout, and while locked not told at all.
func TestAGrantedRegistrationIsHandedToNobodyElse(t *testing.T) {
	var guesses []registry.Attempt
	r := newRig(t, func(_ *rig, cfg *registry.ServiceConfig) {
		cfg.Registration.Guessed = func(_ context.Context, a registry.Attempt) { guesses = append(guesses, a) }
	})
	r.openWindow(time.Minute)
	r.register(request("gateway"), registry.RegistrationPending)
	guess := request("gateway")
	guess.Password = "another-secret"
	r.registerRefused("while pending", guess, registry.Conflict)
	if len(guesses) != 0 {
		t.Error("a request while pending counts as a guess")
	}
	r.confirm("gateway")
	r.registerRefused("granted", guess, registry.Conflict)
	if len(guesses) != 1 || guesses[0].Username != "gateway" || guesses[0].Remote != guess.Remote {
		t.Errorf("guesses: %+v", guesses)
	}
	must(t, r.service.LockWindow(t.Context(), r.admin))
	got := r.register(guess, registry.RegistrationLocked)
	if got.ID != "" || got.PairingCode != "" {
		t.Errorf("locked: %+v", got)
	}
	if len(guesses) != 2 {
		t.Errorf("%d guesses, want 2", len(guesses))
	}
	r.register(request("gateway"), registry.RegistrationGranted)
}

func TestARegistrationLeavesAnAuditTrailWithoutSecrets(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	r.openWindow(time.Minute)
	req := request("gateway")
	req.Password, req.CSR = "", newCSR(t, "gateway")
	r.register(req, registry.RegistrationPending)
	u := r.confirm("gateway")
	r.register(req, registry.RegistrationGranted)
	r.register(request("second"), registry.RegistrationPending)
	must(t, r.service.Deny(ctx, r.admin, registry.RegistrationRef{Username: "second"}))
	_, err := r.service.Revoke(ctx, r.admin, u.Fingerprints[0].SHA256, 1)
	must(t, err)
	must(t, r.service.LockWindow(ctx, r.admin))
	entries, err := r.store.Audit(ctx, 100)
	must(t, err)
	seen := make(map[string]registry.AuditEntry)
	for _, e := range entries {
		seen[e.Action] = e
		if strings.Contains(e.Detail, "secret") || strings.Contains(e.Detail, "argon2") {
			t.Errorf("%s tells a secret: %s", e.Action, e.Detail)
		}
	}
	for _, want := range []string{
		"authority.create", "registration.open", "registration.request", "registration.confirm", "user.create",
		"certificate.issue", "registration.collect", "registration.deny", "certificate.revoke", "registration.lock",
	} {
		if _, ok := seen[want]; !ok {
			t.Errorf("no entry %s", want)
		}
	}
	if e := seen["registration.request"]; e.Actor != "" || e.Remote != req.Remote || e.Target == "" {
		t.Errorf("a request is told as %+v", e)
	}
	if e := seen["registration.confirm"]; e.Actor != registry.AdminUsername || e.Change == 0 {
		t.Errorf("a confirmation is told as %+v", e)
	}
}

func TestWhoIsGoneDecidesNothing(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	u := r.user("operator", r.adminRole())
	operator := r.callerNamed("operator")
	r.openWindow(time.Minute)
	r.register(request("gateway"), registry.RegistrationPending)
	_, err := r.service.DeleteUser(ctx, r.admin, u.ID)
	must(t, err)
	_, _, err = r.service.Confirm(ctx, operator, registry.Confirmation{Username: "gateway"})
	wantCode(t, "confirm", err, registry.Unauthenticated)
	wantCode(t, "deny", r.service.Deny(ctx, operator, registry.RegistrationRef{Username: "gateway"}), registry.Unauthenticated)
	wantCode(t, "lock", r.service.LockWindow(ctx, operator), registry.Unauthenticated)
	_, err = r.service.OpenWindow(ctx, operator, time.Minute)
	wantCode(t, "open", err, registry.Unauthenticated)
	if got := r.pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) sweep() int {
	r.t.Helper()
	n, err := r.service.SweepRegistrations(r.t.Context())
	must(r.t, err)
	return n
}
