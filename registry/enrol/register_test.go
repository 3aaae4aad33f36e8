package enrol_test

import (
	"context"
	"encoding/base64"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
)

func TestTheLadderOfARegistration(t *testing.T) {
	r := registrytest.New(t)
	ctx, req := t.Context(), registrytest.Request("gateway")
	req.Roles = []string{"operators", "no such role"}
	req.Permissions = []registry.PermissionSpec{registrytest.MQTT(acl.Write, "site/#")}

	locked := r.Register(req, registry.RegistrationLocked)
	if locked.RetryAfter <= 0 || locked.ID != "" || locked.PairingCode != "" {
		t.Errorf("locked: %+v", locked)
	}
	r.OpenWindow(time.Minute)
	first := r.Register(req, registry.RegistrationPending)
	if first.ID == "" || !regexp.MustCompile(`^[A-HJ-NP-Z2-9]{6}$`).MatchString(first.PairingCode) || first.RetryAfter <= 0 || first.Username != "gateway" {
		t.Errorf("pending: %+v", first)
	}
	if again := r.Register(req, registry.RegistrationPending); again != first {
		t.Errorf("a poll is answered %+v, before %+v", again, first)
	}
	list, err := r.Enrolment.Pending(ctx)
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

	role := r.Role("sender", registrytest.MQTT(acl.Write, "out/#"))
	u, n, err := r.Enrolment.Confirm(ctx, r.Admin, enrol.Confirmation{
		Ref:   enrol.Ref{Username: "gateway", ID: first.ID, PairingCode: strings.ToLower(first.PairingCode)},
		Roles: []registry.RoleID{role}, Prefix: "site1/", Permissions: []registry.PermissionSpec{registrytest.MQTT(acl.Read, "in/#")},
	})
	if err != nil || n == 0 || u.Version != n {
		t.Fatalf("confirm: %+v, %d, %v", u, n, err)
	}
	made := r.Principal(u.ID)
	if !made.User.Active || made.User.PublishPrefix != "site1/" || made.User.Provider != registry.ProviderLocal || len(made.Grants()) != 2 {
		t.Errorf("the user is %+v with %v", made.User, made.Grants())
	}
	if got := r.Pending(); len(got) != 0 {
		t.Errorf("still pending: %v", got)
	}

	granted := r.Register(req, registry.RegistrationGranted)
	if granted.RetryAfter != 0 || granted.Certificate != "" || granted.Username != "gateway" {
		t.Errorf("granted: %+v", granted)
	}
	r.RegisterRefused("after it was collected", req, registry.Conflict)
	if _, err := r.Login("gateway", "gateway-secret"); err != nil {
		t.Errorf("the new user can't sign in: %v", err)
	}
}

func TestRegisterRefusesWhatBreaksARule(t *testing.T) {
	r := registrytest.New(t)
	csr := registrytest.NewCSR(t, "gateway")
	for _, tt := range []struct {
		name   string
		change func(*enrol.Request)
		code   registry.Code
		field  registry.Field
	}{
		{"short name", func(q *enrol.Request) { q.Username = "ab" }, registry.Invalid, "username"},
		{"name with a slash", func(q *enrol.Request) { q.Username = "a/b/c" }, registry.Invalid, "username"},
		{"a name of the system's", func(q *enrol.Request) { q.Username = "__sys-x" }, registry.Invalid, "username"},
		{"neither password nor CSR", func(q *enrol.Request) { q.Password = "" }, registry.Invalid, "password"},
		{"both", func(q *enrol.Request) { q.CSR = csr }, registry.Invalid, "password"},
		{"a password below the policy", func(q *enrol.Request) { q.Password = "1234" }, registry.WeakPassword, "password"},
		{"a password beyond the limit", func(q *enrol.Request) { q.Password = strings.Repeat("x", registry.MaxPassword+1) }, registry.Invalid, "password"},
		{"a CSR for another name", func(q *enrol.Request) { q.Password, q.CSR = "", registrytest.NewCSR(t, "other") }, registry.Invalid, "csr"},
		{"a CSR without a name", func(q *enrol.Request) { q.Password, q.CSR = "", registrytest.NewCSR(t, "") }, registry.Invalid, "csr"},
		{"no CSR at all", func(q *enrol.Request) { q.Password, q.CSR = "", "hello" }, registry.Invalid, "csr"},
		{"context beyond the limit", func(q *enrol.Request) { q.Context = strings.Repeat("x", 1025) }, registry.Invalid, "context"},
		{"context with NUL", func(q *enrol.Request) { q.Context = "a\x00" }, registry.Invalid, "context"},
		{"context with an escape", func(q *enrol.Request) { q.Context = "\x1b[2J" }, registry.Invalid, "context"},
		{"context that is no UTF-8", func(q *enrol.Request) { q.Context = "\xff" }, registry.Invalid, "context"},
		{"too many roles", func(q *enrol.Request) { q.Roles = make([]string, 33) }, registry.Invalid, "roles"},
		{"an empty role", func(q *enrol.Request) { q.Roles = []string{""} }, registry.Invalid, "roles"},
		{"a role beyond the limit", func(q *enrol.Request) { q.Roles = []string{strings.Repeat("x", 256)} }, registry.Invalid, "roles"},
		{"too many permissions", func(q *enrol.Request) { q.Permissions = make([]registry.PermissionSpec, 65) }, registry.Invalid, "permissions"},
		{"a permission that is none", func(q *enrol.Request) {
			q.Permissions = []registry.PermissionSpec{registrytest.MQTT(acl.Read, "a/#/b")}
		}, registry.Invalid, "permissions[0].resource"},
		{"permissions that are too long together", func(q *enrol.Request) {
			for range 17 {
				q.Permissions = append(q.Permissions, registrytest.MQTT(acl.Read, strings.Repeat("x", 500)))
			}
		}, registry.Invalid, "permissions"},
	} {
		for _, state := range []string{"locked", "open"} { // the rules come first, whatever the window is
			if state == "open" {
				r.OpenWindow(time.Minute)
			}
			req := registrytest.Request("gateway")
			tt.change(&req)
			_, err := r.Enrolment.Register(t.Context(), req)
			registrytest.WantField(t, tt.name+", "+state, err, tt.code, tt.field)
		}
		if got := r.Pending(); len(got) != 0 {
			t.Fatalf("%s: pending is %v", tt.name, got)
		}
		if _, err := r.Enrolment.LockWindow(t.Context(), r.Admin); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhileLockedNobodyLearnsWhoExists compares the answers, and the work behind
// them, about names that are taken and names that are not.
func TestWhileLockedNobodyLearnsWhoExists(t *testing.T) {
	r := registrytest.New(t)
	r.User("existing")
	r.OpenWindow(time.Minute)
	r.Register(registrytest.Request("pending"), registry.RegistrationPending)
	r.Register(registrytest.Request("denied"), registry.RegistrationPending)
	if err := r.Enrolment.Deny(t.Context(), r.Admin, enrol.Ref{Username: "denied"}); err != nil {
		t.Fatal(err)
	}
	r.Turn(2 * time.Minute) // it closes by itself; nothing is swept
	for _, name := range []string{"existing", "EXISTING", "pending", "denied", "unknown", "admin"} {
		before := r.Hashes.Stats().Done
		got := r.Register(registrytest.Request(name), registry.RegistrationLocked)
		if want := (enrol.Answer{Status: registry.RegistrationLocked, Username: name, RetryAfter: got.RetryAfter}); got != want {
			t.Errorf("%s: %+v", name, got)
		}
		if n := r.Hashes.Stats().Done - before; n != 0 {
			t.Errorf("%s: %d hashes", name, n)
		}
	}
}

func TestATakenNameIsAConflict(t *testing.T) {
	r := registrytest.New(t)
	r.User("existing")
	r.OpenWindow(time.Minute)
	before := r.Hashes.Stats().Done
	r.RegisterRefused("a user's name", registrytest.Request("existing"), registry.Conflict)
	r.RegisterRefused("a user's name in another case", registrytest.Request("Existing"), registry.Conflict)
	if n := r.Hashes.Stats().Done - before; n != 0 {
		t.Errorf("%d hashes for names that are taken", n)
	}
	r.Register(registrytest.Request("waiting"), registry.RegistrationPending)
	other := registrytest.Request("waiting")
	other.Password = "another-secret"
	r.RegisterRefused("a pending name with another secret", other, registry.Conflict)
	other = registrytest.Request("waiting")
	other.Username = "Waiting"
	r.RegisterRefused("a pending name in another case, with its secret", other, registry.Conflict)
	if got := r.Pending(); len(got) != 1 || got[0] != "waiting" {
		t.Errorf("pending: %v", got)
	}
	r.Register(registrytest.Request("waiting"), registry.RegistrationPending) // and the first one keeps it
}

func TestAPollCostsNoHash(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Hour)
	req := registrytest.Request("gateway")
	r.Register(req, registry.RegistrationPending) // hashed
	r.Register(req, registry.RegistrationPending) // verified
	before := r.Hashes.Stats().Done
	for range 20 {
		r.Register(req, registry.RegistrationPending)
	}
	if n := r.Hashes.Stats().Done - before; n != 0 {
		t.Errorf("%d hashes for 20 polls", n)
	}
	r.Restart()
	for range 5 {
		r.Register(req, registry.RegistrationPending)
	}
	if n := r.Hashes.Stats().Done; n != 1 {
		t.Errorf("%d hashes for 5 polls after a restart, want 1", n)
	}
}

func TestLastSeenFollowsThePolls(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Hour)
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	r.Turn(time.Minute)
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	list, err := r.Enrolment.Pending(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if d := list[0].LastSeen.Sub(list[0].FirstSeen); d < 50*time.Second {
		t.Errorf("last seen %v after first seen", d)
	}
}

// TestAGrantedRegistrationWaitsForItsClient walks through what may happen between
// confirmation and collection.
func TestAGrantedRegistrationWaitsForItsClient(t *testing.T) {
	for _, tt := range []struct {
		name    string
		between func(*registrytest.Rig)
		want    registry.RegistrationStatus // empty: Conflict
	}{
		{"nothing", func(*registrytest.Rig) {}, registry.RegistrationGranted},
		{"the window is locked", func(r *registrytest.Rig) { r.LockWindow() }, registry.RegistrationGranted},
		{"the window closes by itself", func(r *registrytest.Rig) { r.Turn(2 * time.Minute) }, registry.RegistrationGranted},
		{"it is swept", func(r *registrytest.Rig) { r.Turn(2 * time.Minute); sweep(r) }, registry.RegistrationGranted},
		{"another window is opened", func(r *registrytest.Rig) { r.Turn(2 * time.Minute); r.OpenWindow(time.Minute) }, registry.RegistrationGranted},
		{"the program is started again", func(r *registrytest.Rig) { r.Restart() }, registry.RegistrationGranted},
		{"nine minutes pass", func(r *registrytest.Rig) { r.Turn(9 * time.Minute) }, registry.RegistrationGranted},
		{"ten minutes pass, locked", func(r *registrytest.Rig) { r.Turn(10 * time.Minute) }, registry.RegistrationLocked},
		{"ten minutes pass, open", func(r *registrytest.Rig) { r.Turn(10 * time.Minute); r.OpenWindow(time.Minute) }, ""},
		{"ten minutes pass and it is swept", func(r *registrytest.Rig) { r.Turn(11 * time.Minute); sweep(r); r.OpenWindow(time.Minute) }, ""},
		{"the user is deleted", func(r *registrytest.Rig) {
			_, err := r.Service.DeleteUser(r.T.Context(), r.Admin, r.CallerNamed("gateway").ID)
			registrytest.Must(r.T, err)
		}, registry.RegistrationPending},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := registrytest.New(t)
			r.OpenWindow(time.Minute)
			r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
			r.Confirm("gateway")
			tt.between(r)
			if tt.want == "" {
				r.RegisterRefused("collect", registrytest.Request("gateway"), registry.Conflict)
				return
			}
			r.Register(registrytest.Request("gateway"), tt.want)
		})
	}
}

// TestAGrantedRegistrationIsHandedToNobodyElse asks for it with another secret:
// refused, told to the lockout, and while locked not told at all.
func TestAGrantedRegistrationIsHandedToNobodyElse(t *testing.T) {
	var guesses []registry.Attempt
	r := registrytest.New(t, func(cfg *node.Config) {
		cfg.Enrolment.Guessed = func(_ context.Context, a registry.Attempt) { guesses = append(guesses, a) }
	})
	r.OpenWindow(time.Minute)
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	guess := registrytest.Request("gateway")
	guess.Password = "another-secret"
	r.RegisterRefused("while pending", guess, registry.Conflict)
	if len(guesses) != 0 {
		t.Error("a request while pending counts as a guess")
	}
	r.Confirm("gateway")
	r.RegisterRefused("granted", guess, registry.Conflict)
	if len(guesses) != 1 || guesses[0].Username != "gateway" || guesses[0].Remote != guess.Remote {
		t.Errorf("guesses: %+v", guesses)
	}
	r.LockWindow()
	got := r.Register(guess, registry.RegistrationLocked)
	if got.ID != "" || got.PairingCode != "" {
		t.Errorf("locked: %+v", got)
	}
	if len(guesses) != 2 {
		t.Errorf("%d guesses, want 2", len(guesses))
	}
	r.Register(registrytest.Request("gateway"), registry.RegistrationGranted)
}

func TestARegistrationLeavesAnAuditTrailWithoutSecrets(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	r.OpenWindow(time.Minute)
	req := registrytest.Request("gateway")
	req.Password, req.CSR = "", registrytest.NewCSR(t, "gateway")
	r.Register(req, registry.RegistrationPending)
	u := r.Confirm("gateway")
	r.Register(req, registry.RegistrationGranted)
	r.Register(registrytest.Request("second"), registry.RegistrationPending)
	registrytest.Must(t, r.Enrolment.Deny(ctx, r.Admin, enrol.Ref{Username: "second"}))
	_, _, err := r.PKI.Revoke(ctx, r.Admin, u.Fingerprints[0].SHA256, 1)
	registrytest.Must(t, err)
	r.LockWindow()
	entries, err := r.Store.Audit(ctx, 100)
	registrytest.Must(t, err)
	seen := make(map[registry.Action]registry.AuditEntry)
	for _, e := range entries {
		seen[e.Action] = e
		registrytest.WantNoSecret(t, e)
	}
	for _, want := range []registry.Action{
		"authority.create", "registration.open", "registration.request", "registration.confirm", "user.create",
		"certificate.issue", "registration.collect", "registration.deny", "certificate.revoke", "registration.lock",
	} {
		if _, ok := seen[want]; !ok {
			t.Errorf("no entry %s", want)
		}
	}
	if e := seen["registration.request"]; e.Actor != (registry.Actor{}) || e.Remote != req.Remote || e.Target.ID == "" || e.Door != "http" {
		t.Errorf("a request is told as %+v", e)
	}
	if e := seen["registration.confirm"]; e.Actor.Name != registry.AdminUsername || e.Change == 0 {
		t.Errorf("a confirmation is told as %+v", e)
	}
}

func sweep(r *registrytest.Rig) int {
	r.T.Helper()
	n, err := r.Enrolment.Sweep(r.T.Context())
	registrytest.Must(r.T, err)
	return n
}

// The same device asks again: with the same key for the same name it is the same
// client, however its request is written. Another key is another client, which is told
// what is in its way.
func TestTheSameKeyAsksAgain(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Hour)
	key := registrytest.NewKey(t)
	ask := func(csr string) enrol.Request {
		req := registrytest.Request("gateway")
		req.Password, req.CSR = "", csr
		return req
	}
	first := registrytest.CSRWith(t, "gateway", key)
	r.Register(ask(first), registry.RegistrationPending)
	again := map[string]string{
		"the same request":           first,
		"with CRLF":                  strings.ReplaceAll(first, "\n", "\r\n"),
		"with a byte order mark":     "\ufeff" + first,
		"in base64":                  base64.StdEncoding.EncodeToString([]byte(first)),
		"a new request":              registrytest.CSRWith(t, "gateway", key),
		"a new one, more in subject": registrytest.CSRWith(t, "gateway", key, "Example"),
	}
	for name, csr := range again {
		t.Log("pending,", name)
		r.Register(ask(csr), registry.RegistrationPending)
	}
	for name, req := range map[string]enrol.Request{"another key": ask(registrytest.NewCSR(t, "gateway")), "a password": registrytest.Request("gateway")} {
		_, err := r.Enrolment.Register(t.Context(), req)
		if !errors.Is(err, registry.Conflict) || !strings.Contains(err.Error(), "another request for this name waits") {
			t.Errorf("%s: got %v, want a conflict that says that another request waits", name, err)
		}
	}
	if got := r.Pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
	r.Confirm("gateway")
	for name, csr := range again {
		if a := r.Register(ask(csr), registry.RegistrationGranted); a.Certificate == "" {
			t.Errorf("granted, %s: no certificate", name)
		}
	}
	_, err := r.Enrolment.Register(t.Context(), ask(registrytest.NewCSR(t, "gateway")))
	if !errors.Is(err, registry.Conflict) || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("another key, when it is granted: got %v, want that the name is taken", err)
	}
}
