package enrol_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/registrytest"
)

func renew(r *registrytest.Rig, l registry.Login) (enrol.Issuance, error) {
	name := l.Subject.Principal().User.Username
	got, _, err := r.Enrolment.Renew(r.T.Context(), r.CallerNamed(name), l, registrytest.NewCSR(r.T, name))
	return got, err
}

func TestARenewedCertificateOverlapsTheOldOne(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	u, old := r.Device("gateway")
	session, err := r.LoginWith(old)
	registrytest.Must(t, err)
	before := session.Proof.Ends(session.Subject.Principal())
	issued, n, err := r.Enrolment.Renew(ctx, r.CallerNamed("gateway"), session, registrytest.NewCSR(t, "gateway"))
	registrytest.Must(t, err)
	next := registrytest.Parse(t, issued.PEM)
	if n == 0 || issued.User != u.ID || issued.Replaces != ca.Fingerprint(old) || issued.CACertificates == "" || next.Subject.CommonName != "gateway" {
		t.Errorf("change %d: %+v", n, issued)
	}
	row, err := r.Store.IssuedByFingerprint(ctx, ca.Fingerprint(next))
	if err != nil || row.Replaces != ca.Fingerprint(old) {
		t.Errorf("recorded is %+v, %v", row, err)
	}
	r.Turn(23 * time.Hour)
	if _, err := r.LoginWith(old); err != nil {
		t.Errorf("the old one, 23 h later: %v", err)
	}
	if _, err := r.LoginWith(next); err != nil {
		t.Errorf("the new one: %v", err)
	}
	if !r.Holds(session) {
		t.Error("the session of the old one has ended")
	}
	if ends := session.Proof.Ends(r.Principal(u.ID)); !ends.Before(before) || ends.Before(r.Now()) || ends.After(r.Now().Add(2*time.Hour)) {
		t.Errorf("the session ends at %v, before the renewal at %v", ends, before)
	}
	r.Turn(2 * time.Hour)
	if _, err := r.LoginWith(old); err == nil {
		t.Error("the old one signs in after the overlap")
	}
	if _, err := r.LoginWith(next); err != nil {
		t.Errorf("the new one, after the overlap: %v", err)
	}
	if r.Holds(session) {
		t.Error("the session of the old one goes on after the overlap")
	}
	_, err = renew(r, session)
	registrytest.WantCode(t, "renew with the old one after the overlap", err, registry.Forbidden)
}

func TestTheOverlapProlongsNothing(t *testing.T) {
	r := registrytest.New(t)
	u, old := r.Device("gateway")
	login, err := r.LoginWith(old)
	registrytest.Must(t, err)
	r.Turn(ca.DefaultClientLife - time.Hour)
	_, err = renew(r, login)
	registrytest.Must(t, err)
	after, err := r.Store.User(t.Context(), u.ID)
	registrytest.Must(t, err)
	if got := after.Fingerprints[0].Expires; !got.Equal(old.NotAfter) {
		t.Errorf("the old one expires at %v, its own end is %v", got, old.NotAfter)
	}
}

// TestALostRenewalLosesNoDevice renews again with the old certificate: the
// replacement that never arrived ends with the overlap, one in use does not.
func TestALostRenewalLosesNoDevice(t *testing.T) {
	r := registrytest.New(t)
	_, old := r.Device("gateway")
	login, err := r.LoginWith(old)
	registrytest.Must(t, err)
	lost, err := renew(r, login)
	registrytest.Must(t, err)
	r.Turn(time.Hour)
	arrived, err := renew(r, login)
	registrytest.Must(t, err)
	_, err = r.LoginWith(registrytest.Parse(t, arrived.PEM))
	registrytest.Must(t, err)
	_, err = r.PKI.RecordUses(t.Context())
	registrytest.Must(t, err)
	_, err = renew(r, login)
	registrytest.WantCode(t, "by somebody who has the old one too", err, registry.Forbidden)
	r.Turn(25 * time.Hour)
	for _, tt := range []struct {
		name string
		pem  string
		want bool
	}{{"the one that was lost", lost.PEM, false}, {"the one in use", arrived.PEM, true}} {
		if _, err := r.LoginWith(registrytest.Parse(t, tt.pem)); (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestRenewalsStayBounded(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	u, old := r.Device("gateway")
	login, err := r.LoginWith(old)
	registrytest.Must(t, err)
	for range registry.MaxFingerprints - 1 {
		_, err := renew(r, login)
		registrytest.Must(t, err)
	}
	_, err = renew(r, login)
	registrytest.WantCode(t, "one more", err, registry.Conflict)

	r.Turn(2 * time.Hour)
	standing := ca.Fingerprint(registrytest.Parse(t, lastIssued(t, r).PEM))
	r.Turn(23 * time.Hour) // all but the last have expired
	next, err := r.LoginWith(registrytest.Parse(t, lastIssued(t, r).PEM))
	registrytest.Must(t, err)
	_, err = renew(r, next)
	registrytest.Must(t, err)
	after, err := r.Store.User(ctx, u.ID)
	registrytest.Must(t, err)
	if n := len(after.Fingerprints); n != 2 {
		t.Errorf("%d certificates are registered, want 2", n)
	}
	for fp, want := range map[string]bool{ca.Fingerprint(old): true, standing: false} {
		row, err := r.Store.IssuedByFingerprint(ctx, fp)
		registrytest.Must(t, err)
		if (row.Reason == ca.Superseded && !row.Revoked.IsZero()) != want {
			t.Errorf("superseded: %v, want %v", !want, want)
		}
	}
}

func lastIssued(t *testing.T, r *registrytest.Rig) registry.IssuedCertificate {
	t.Helper()
	all, n, err := r.PKI.IssuedCertificates(t.Context(), registry.IssuedQuery{})
	registrytest.Must(t, err)
	return all[n-1]
}

func TestWhoMayRenew(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	u, c := r.Device("gateway")
	byCertificate, err := r.LoginWith(c)
	registrytest.Must(t, err)
	r.User("human")
	byPassword, err := r.Login("human", "human-secret")
	registrytest.Must(t, err)
	foreign, _, err := r.Service.CreateUser(ctx, r.Admin, registry.UserSpec{
		Username: "foreign", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: strings.Repeat("aa", 32)}},
	})
	registrytest.Must(t, err)
	byForeign, err := r.SignIn.In(ctx, registry.Attempt{Certificate: r.Certificate(strings.Repeat("aa", 32), "foreign", false)})
	registrytest.Must(t, err)
	for _, tt := range []struct {
		name   string
		caller registry.Caller
		login  registry.Login
		csr    string
		code   registry.Code
	}{
		{"by password", r.CallerNamed("human"), byPassword, registrytest.NewCSR(t, "human"), registry.Forbidden},
		{"by another's certificate", registry.Caller{ID: foreign.ID}, byForeign, registrytest.NewCSR(t, "foreign"), registry.Forbidden},
		{"for another user", r.Admin, byCertificate, registrytest.NewCSR(t, "gateway"), registry.Forbidden},
		{"by nobody", registry.Caller{}, registry.Login{}, registrytest.NewCSR(t, "gateway"), registry.Forbidden},
		{"under another name", registry.Caller{ID: u.ID}, byCertificate, registrytest.NewCSR(t, "admin"), registry.Invalid},
		{"with nonsense", registry.Caller{ID: u.ID}, byCertificate, "hello", registry.Invalid},
	} {
		_, _, err := r.Enrolment.Renew(ctx, tt.caller, tt.login, tt.csr)
		registrytest.WantCode(t, tt.name, err, tt.code)
	}
	_, _, err = r.PKI.Revoke(ctx, r.Admin, ca.Fingerprint(c), ca.KeyCompromise)
	registrytest.Must(t, err)
	_, err = renew(r, byCertificate)
	registrytest.WantCode(t, "with a revoked one", err, registry.Forbidden)
	if _, n, err := r.PKI.IssuedCertificates(ctx, registry.IssuedQuery{}); err != nil || n != 1 {
		t.Errorf("%d certificates were issued, %v", n, err)
	}
}

func TestADisabledUserRenewsNothing(t *testing.T) {
	r := registrytest.New(t)
	u, c := r.Device("gateway")
	login, err := r.LoginWith(c)
	registrytest.Must(t, err)
	_, _, err = r.Service.UpdateUser(t.Context(), r.Admin, u.ID, registry.UserUpdate{Active: new(false)})
	registrytest.Must(t, err)
	_, err = renew(r, login)
	registrytest.WantCode(t, "renew", err, registry.Unauthenticated)
}

// TestTheRecordDecidesBesideTheRegistration has a fingerprint registered that the
// record of what was issued speaks against. No method of the service leads there.
func TestTheRecordDecidesBesideTheRegistration(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(u registry.User, c *registry.IssuedCertificate)
		code   registry.Code
	}{
		{"it agrees", func(registry.User, *registry.IssuedCertificate) {}, ""},
		{"revoked", func(_ registry.User, c *registry.IssuedCertificate) { c.Revoked = c.Issued }, registry.Forbidden},
		{"another user's", func(_ registry.User, c *registry.IssuedCertificate) { c.User = "another" }, registry.Forbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := registrytest.New(t)
			ctx := t.Context()
			u, _, err := r.Service.CreateUser(ctx, r.Admin, registry.UserSpec{
				Username: "gateway", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: strings.Repeat("aa", 32)}},
			})
			registrytest.Must(t, err)
			login, err := r.SignIn.In(ctx, registry.Attempt{Certificate: r.Certificate(strings.Repeat("aa", 32), "gateway", false)})
			registrytest.Must(t, err)
			row := registry.IssuedCertificate{
				Serial: "01", Fingerprint: strings.Repeat("aa", 32), Authority: 1, User: u.ID, Username: "gateway", Issued: r.Now(), NotAfter: r.Now().Add(time.Hour),
			}
			tt.change(u, &row)
			_, err = r.Store.Update(ctx, func(ctx context.Context, tx registry.Tx) error { return tx.CreateIssued(ctx, row) })
			registrytest.Must(t, err)
			_, err = renew(r, login)
			registrytest.WantCode(t, "renew", err, tt.code)
			if row.User == u.ID {
				return
			}
			free := registry.IssuedCertificate{Serial: "02", Fingerprint: strings.Repeat("bb", 32), Authority: 1, User: "another"}
			_, err = r.Store.Update(ctx, func(ctx context.Context, tx registry.Tx) error { return tx.CreateIssued(ctx, free) })
			registrytest.Must(t, err)
			_, err = r.Service.AddFingerprint(ctx, r.Admin, u.ID, registry.FingerprintSpec{Fingerprint: strings.Repeat("bb", 32)})
			registrytest.WantCode(t, "register another user's that is not registered", err, registry.Conflict)
		})
	}
}

// TestOnceItsSuccessorIsInUseACertificateRenewsNothing is A12: whoever has stolen the
// old key gets nothing by it, and takes nothing from the owner.
func TestOnceItsSuccessorIsInUseACertificateRenewsNothing(t *testing.T) {
	for name, inUse := range map[string]func(*testing.T, *registrytest.Rig, enrol.Issuance){
		"it signed in a moment ago": func(t *testing.T, r *registrytest.Rig, next enrol.Issuance) {
			_, err := r.LoginWith(registrytest.Parse(t, next.PEM))
			registrytest.Must(t, err)
		},
		"it signed in before a restart": func(t *testing.T, r *registrytest.Rig, next enrol.Issuance) {
			_, err := r.LoginWith(registrytest.Parse(t, next.PEM))
			registrytest.Must(t, err)
			_, err = r.PKI.RecordUses(t.Context())
			registrytest.Must(t, err)
			r.Restart()
		},
		"it was renewed itself": func(t *testing.T, r *registrytest.Rig, next enrol.Issuance) {
			login, err := r.LoginWith(registrytest.Parse(t, next.PEM))
			registrytest.Must(t, err)
			_, err = renew(r, login)
			registrytest.Must(t, err)
			r.Restart()
		},
		"it was revoked": func(t *testing.T, r *registrytest.Rig, next enrol.Issuance) {
			_, _, err := r.PKI.Revoke(t.Context(), r.Admin, next.Serial, ca.Unspecified)
			registrytest.Must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			u, old := r.Device("gateway")
			login, err := r.LoginWith(old)
			registrytest.Must(t, err)
			next, err := renew(r, login)
			registrytest.Must(t, err)
			inUse(t, r, next)
			before, err := r.Store.User(t.Context(), u.ID)
			registrytest.Must(t, err)
			thief, err := r.LoginWith(old)
			registrytest.Must(t, err)
			_, err = renew(r, thief)
			registrytest.WantCode(t, "renew with the old one", err, registry.Forbidden)
			after, err := r.Store.User(t.Context(), u.ID)
			registrytest.Must(t, err)
			if len(after.Fingerprints) != len(before.Fingerprints) || after.Version != before.Version {
				t.Errorf("the owner has %v, before %v", after.Fingerprints, before.Fingerprints)
			}
		})
	}
}

// TestRevokingForKeyCompromiseRevokesAllThatWasRenewed is the other half of A12.
func TestRevokingForKeyCompromiseRevokesAllThatWasRenewed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reason ca.Reason
		before bool // the first was revoked before, for another reason
		want   int
	}{
		{"for key compromise", ca.KeyCompromise, false, 3},
		{"for key compromise, when it was revoked already", ca.KeyCompromise, true, 2},
		{"for another reason", ca.Superseded, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := registrytest.New(t)
			ctx := t.Context()
			u, first := r.Device("gateway")
			chain := []string{ca.Fingerprint(first)}
			login, err := r.LoginWith(first)
			for range 2 {
				registrytest.Must(t, err)
				next, renewErr := renew(r, login)
				registrytest.Must(t, renewErr)
				chain = append(chain, next.Fingerprint)
				login, err = r.LoginWith(registrytest.Parse(t, next.PEM))
			}
			registrytest.Must(t, err)
			if tt.before {
				_, err := r.Service.RemoveFingerprint(ctx, r.Admin, u.ID, chain[0])
				registrytest.Must(t, err)
			}
			revoked, n, err := r.PKI.Revoke(ctx, r.Admin, chain[0], tt.reason)
			if err != nil || n == 0 || len(revoked) != tt.want {
				t.Fatalf("revoked %d, change %d, %v; want %d", len(revoked), n, err, tt.want)
			}
			if got := r.Holds(login); got != (tt.reason != ca.KeyCompromise) {
				t.Errorf("the session of the last holds: %v", got)
			}
			_, _, err = r.PKI.Revoke(ctx, r.Admin, chain[0], tt.reason)
			registrytest.WantCode(t, "again", err, registry.Conflict)
		})
	}
}
