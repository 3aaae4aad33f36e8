package storetest

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

func registrationCases() []testCase {
	return []testCase{
		{"a store that was never opened for registrations has no window", windowNever},
		{"the last window stands", windowStands},
		{"a registration keeps every field", registrationRoundTrip},
		{"an update replaces every field of a registration", registrationUpdate},
		{"a registration with nothing has nothing", registrationSparse},
		{"whatever a client says, it comes back as it was", registrationHostile},
		{"a name asks once, in whatever case", registrationTaken},
		{"a registration that is missing is NotFound", registrationMissing},
		{"registrations come by status, the oldest first", registrationsListed},
		{"registrations are counted and removed by status", registrationsRemoved},
		{"granted registrations end by either of two times", registrationsGranted},
		{"a granted registration goes with its user", registrationOfUser},
		{"a name is taken in whatever case", nameTaken},
	}
}

// application is a registration of alice.
func application() registry.Registration {
	return registry.Registration{
		ID: "q-1", Username: "Pump", PairingCode: "ABC234", PasswordHash: "$argon2id$x", CSR: "-----BEGIN", Context: "line 3",
		Roles: []string{"writer", "reader"},
		Permissions: []registry.PermissionSpec{
			{Resource: "b/#", Operation: acl.Write, Context: acl.MQTT, Effect: acl.Deny},
			{Resource: "/a", Operation: acl.Read, Context: acl.HTTP, Effect: acl.Deny},
		},
		Source: registry.SourceMQTT, Remote: netip.MustParseAddr("2001:db8::7%eth0"), ClientID: "pump-7",
		FirstSeen: at(31), LastSeen: at(32), Status: registry.RegistrationGranted, User: "u-1",
		Certificate: "-----BEGIN A", CACertificates: "-----BEGIN B", Granted: at(33), Collected: at(34),
	}
}

// asking is a registration with little.
func asking(id, name string, status registry.RegistrationStatus) registry.Registration {
	return registry.Registration{ID: registry.RegistrationID(id), Username: name, Status: status, Source: registry.SourceHTTP}
}

func givenRegistrations(t *testing.T, s registry.Store, rs ...registry.Registration) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		for _, r := range rs {
			if err := tx.CreateRegistration(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// waiting returns the ids of the registrations with a status, in their order.
func waiting(t *testing.T, s registry.Store, status registry.RegistrationStatus) string {
	t.Helper()
	var ids []string
	for _, r := range must(s.Registrations(t.Context(), status))(t) {
		ids = append(ids, string(r.ID))
	}
	return strings.Join(ids, " ")
}

func windowNever(t *testing.T, s registry.Store) {
	same(t, "Window", must(s.Window(t.Context()))(t), registry.Window{})
}

func windowStands(t *testing.T, s registry.Store) {
	for _, want := range []registry.Window{{Opened: at(1), Until: at(2)}, {Opened: at(3), Until: at(4)}, {}} {
		n := update(t, s, func(ctx context.Context, tx registry.Tx) error {
			err := tx.PutWindow(ctx, want)
			same(t, "Window within the change", must(tx.Window(ctx))(t), want)
			return err
		})
		if n != 0 {
			t.Errorf("a window took the number %d", n)
		}
		same(t, "Window", must(s.Window(t.Context()))(t), want)
	}
}

func registrationRoundTrip(t *testing.T, s registry.Store) {
	want := application()
	complete(t, want)
	given(t, s, operators(), auditors(), alice())
	givenRegistrations(t, s, want)
	same(t, "Registration", must(s.Registration(t.Context(), "Pump"))(t), want)
	same(t, "Registration in another case", must(s.Registration(t.Context(), "pUMP"))(t), want)
	same(t, "Registrations", must(s.Registrations(t.Context(), want.Status))(t), []registry.Registration{want})
}

func registrationUpdate(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice(), bob())
	givenRegistrations(t, s, application(), asking("q-2", "other", registry.RegistrationPending))
	want := registry.Registration{
		ID: "q-1", Username: "valve", PairingCode: "XYZ789", PasswordHash: "$other", CSR: "csr", Context: "else",
		Roles: []string{"x"}, Permissions: []registry.PermissionSpec{{Resource: "c", Operation: acl.ReadWrite, Context: acl.MQTT}},
		Source: registry.SourceHTTP, Remote: netip.MustParseAddr("192.0.2.1"), ClientID: "c", FirstSeen: at(41), LastSeen: at(42),
		Status: registry.RegistrationDenied, User: "u-2", Certificate: "d", CACertificates: "e", Granted: at(43), Collected: at(44),
	}
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.UpdateRegistration(ctx, want) })
	same(t, "after the update", must(s.Registration(t.Context(), "valve"))(t), want)
	_, err := s.Registration(t.Context(), "Pump")
	notFound(t, "by its old name", err)
	if got := must(s.Registration(t.Context(), "other"))(t); got.Status != registry.RegistrationPending {
		t.Errorf("the update of one changed another: %+v", got)
	}
	want = asking("q-1", "valve", registry.RegistrationPending)
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.UpdateRegistration(ctx, want) })
	same(t, "after the second update", must(s.Registration(t.Context(), "valve"))(t), want)
}

func registrationSparse(t *testing.T, s registry.Store) {
	want := asking("q-1", "pump", registry.RegistrationPending)
	givenRegistrations(t, s, want)
	same(t, "Registration", must(s.Registration(t.Context(), "pump"))(t), want)
}

func registrationHostile(t *testing.T, s registry.Store) {
	for i, text := range hostile() {
		want := asking("q", "pump", registry.RegistrationPending)
		want.Context, want.CSR, want.ClientID, want.Roles = text, text, text, []string{text, text}
		if i == 0 {
			givenRegistrations(t, s, want)
		} else {
			update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.UpdateRegistration(ctx, want) })
		}
		same(t, text, must(s.Registration(t.Context(), "pump"))(t), want)
	}
}

func registrationTaken(t *testing.T, s registry.Store) {
	givenRegistrations(t, s, asking("q-1", "Pump", registry.RegistrationDenied), asking("q-2", "valve", registry.RegistrationPending))
	for _, name := range []string{"Pump", "pump", "PUMP"} {
		refused(t, s, registry.Conflict, "username", func(ctx context.Context, tx registry.Tx) error {
			return tx.CreateRegistration(ctx, asking("q-3", name, registry.RegistrationPending))
		})
		refused(t, s, registry.Conflict, "username", func(ctx context.Context, tx registry.Tx) error {
			return tx.UpdateRegistration(ctx, asking("q-2", name, registry.RegistrationPending))
		})
	}
	refused(t, s, registry.Conflict, "id", func(ctx context.Context, tx registry.Tx) error {
		return tx.CreateRegistration(ctx, asking("q-1", "third", registry.RegistrationPending))
	})
}

func registrationMissing(t *testing.T, s registry.Store) {
	givenRegistrations(t, s, asking("q-1", "pump", registry.RegistrationPending))
	for _, name := range []string{"", "q-1", "pum", "pump "} {
		_, err := s.Registration(t.Context(), name)
		notFound(t, "Registration "+name, err)
	}
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		notFound(t, "UpdateRegistration", tx.UpdateRegistration(ctx, asking("q-9", "x", registry.RegistrationPending)))
		notFound(t, "DeleteRegistration", tx.DeleteRegistration(ctx, "q-9"))
		if err := tx.DeleteRegistration(ctx, "q-1"); err != nil {
			return err
		}
		notFound(t, "DeleteRegistration again", tx.DeleteRegistration(ctx, "q-1"))
		return nil
	})
	_, err := s.Registration(t.Context(), "pump")
	notFound(t, "what was deleted", err)
}

func registrationsListed(t *testing.T, s registry.Store) {
	var rs []registry.Registration
	for i, id := range []string{"d", "b", "c", "a"} {
		r := asking(id, "pump-"+id, registry.RegistrationPending)
		r.FirstSeen = at(10 - i/2) // two are as old as each other
		rs = append(rs, r)
	}
	rs = append(rs, asking("e", "pump-e", registry.RegistrationDenied))
	givenRegistrations(t, s, rs...)
	for status, want := range map[registry.RegistrationStatus]string{
		registry.RegistrationPending: "a c b d", registry.RegistrationDenied: "e", registry.RegistrationGranted: "",
	} {
		if got := waiting(t, s, status); got != want {
			t.Errorf("%s: got %q, want %q", status, got, want)
		}
	}
}

func registrationsRemoved(t *testing.T, s registry.Store) {
	p, d, g := registry.RegistrationPending, registry.RegistrationDenied, registry.RegistrationGranted
	givenRegistrations(t, s, asking("a", "aaa", p), asking("b", "bbb", p), asking("c", "ccc", d), asking("e", "eee", g))
	for _, tt := range []struct {
		statuses []registry.RegistrationStatus
		want     int
	}{{nil, 0}, {[]registry.RegistrationStatus{p}, 2}, {[]registry.RegistrationStatus{p, d}, 3}, {[]registry.RegistrationStatus{p, d, g}, 4}} {
		if got := must(s.CountRegistrations(t.Context(), tt.statuses...))(t); got != tt.want {
			t.Errorf("%v: counted %d, want %d", tt.statuses, got, tt.want)
		}
	}
	from := must(s.PendingRemotes(t.Context()))(t)
	if len(from) != 2 || from[0] != asking("a", "aaa", p).Remote {
		t.Errorf("pending ones came from %v", from)
	}
	for _, want := range []int{3, 0} {
		update(t, s, func(ctx context.Context, tx registry.Tx) error {
			if n := must(tx.DeleteRegistrations(ctx))(t); n != 0 {
				t.Errorf("removed %d of no status", n)
			}
			if n := must(tx.DeleteRegistrations(ctx, p, d))(t); n != want {
				t.Errorf("removed %d, want %d", n, want)
			}
			return nil
		})
	}
	if got := waiting(t, s, g); got != "e" {
		t.Errorf("left: %q", got)
	}
}

func registrationsGranted(t *testing.T, s registry.Store) {
	granted := func(id string, status registry.RegistrationStatus, at, collected time.Time) registry.Registration {
		r := asking(id, "pump-"+id, status)
		r.Granted, r.Collected = at, collected
		return r
	}
	givenRegistrations(
		t, s,
		granted("a", registry.RegistrationGranted, at(9), time.Time{}), // too old
		granted("b", registry.RegistrationGranted, at(10), time.Time{}),
		granted("c", registry.RegistrationGranted, at(15), at(19)), // collected too long ago
		granted("d", registry.RegistrationGranted, at(15), at(20)),
		granted("e", registry.RegistrationPending, time.Time{}, time.Time{}),
		granted("f", registry.RegistrationDenied, at(1), at(1)),
	)
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		if n := must(tx.DeleteGranted(ctx, at(10), at(20)))(t); n != 2 {
			t.Errorf("removed %d, want 2", n)
		}
		return nil
	})
	if got := waiting(t, s, registry.RegistrationGranted); got != "b d" {
		t.Errorf("left: %q, want those of that very moment", got)
	}
	if n := must(s.CountRegistrations(t.Context(), registry.RegistrationPending, registry.RegistrationDenied))(t); n != 2 {
		t.Errorf("%d that were not granted are left, want 2", n)
	}
}

func registrationOfUser(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice(), bob())
	givenRegistrations(t, s, application(), asking("q-2", "other", registry.RegistrationPending))
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.DeleteUser(ctx, "u-1") })
	_, err := s.Registration(t.Context(), "Pump")
	notFound(t, "the registration of a deleted user", err)
	if got := waiting(t, s, registry.RegistrationPending); got != "q-2" {
		t.Errorf("left: %q", got)
	}
}

func nameTaken(t *testing.T, s registry.Store) {
	given(t, s, registry.User{ID: "u-1", Username: "Ünder"})
	givenRegistrations(t, s, asking("q-1", "pump", registry.RegistrationPending))
	for name, want := range map[string]bool{
		"Ünder": true, "ünder": true, "ÜNDER": true, "under": false, "": false, "pump": false, "u-1": false,
	} {
		if got := must(s.NameTaken(t.Context(), name))(t); got != want {
			t.Errorf("%q: taken is %v", name, got)
		}
	}
}
