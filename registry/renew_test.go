package registry_test

import (
	"context"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

func (r *rig) renew(l registry.Login) (registry.Issuance, error) {
	name := l.Subject.Principal().User.Username
	got, _, err := r.service.Renew(r.t.Context(), r.callerNamed(name), l, newCSR(r.t, name))
	return got, err
}

func TestARenewedCertificateOverlapsTheOldOne(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	u, old := r.device("gateway")
	session, err := r.loginWith(old)
	must(t, err)
	before := session.Proof.Ends(session.Subject.Principal())
	issued, n, err := r.service.Renew(ctx, r.callerNamed("gateway"), session, newCSR(t, "gateway"))
	must(t, err)
	next := parse(t, issued.PEM)
	if n == 0 || issued.User != u.ID || issued.Replaces != ca.Fingerprint(old) || issued.CACertificates == "" || next.Subject.CommonName != "gateway" {
		t.Errorf("change %d: %+v", n, issued)
	}
	row, err := r.service.IssuedCertificate(ctx, ca.Fingerprint(next))
	if err != nil || row.Replaces != ca.Fingerprint(old) {
		t.Errorf("recorded is %+v, %v", row, err)
	}
	r.turn(23 * time.Hour)
	if _, err := r.loginWith(old); err != nil {
		t.Errorf("the old one, 23 h later: %v", err)
	}
	if _, err := r.loginWith(next); err != nil {
		t.Errorf("the new one: %v", err)
	}
	if !r.holds(session) {
		t.Error("the session of the old one has ended")
	}
	rec, err := r.store.RecordByID(ctx, u.ID)
	must(t, err)
	if ends := session.Proof.Ends(rec.Principal()); !ends.Before(before) || ends.Before(r.now()) || ends.After(r.now().Add(2*time.Hour)) {
		t.Errorf("the session ends at %v, before the renewal at %v", ends, before)
	}
	r.turn(2 * time.Hour)
	if _, err := r.loginWith(old); err == nil {
		t.Error("the old one signs in after the overlap")
	}
	if _, err := r.loginWith(next); err != nil {
		t.Errorf("the new one, after the overlap: %v", err)
	}
	if r.holds(session) {
		t.Error("the session of the old one goes on after the overlap")
	}
	_, err = r.renew(session)
	wantCode(t, "renew with the old one after the overlap", err, registry.Forbidden)
}

func TestTheOverlapProlongsNothing(t *testing.T) {
	r := newRig(t, withCertificates)
	u, old := r.device("gateway")
	login, err := r.loginWith(old)
	must(t, err)
	r.turn(ca.DefaultClientLife - time.Hour)
	_, err = r.renew(login)
	must(t, err)
	after, err := r.store.User(t.Context(), u.ID)
	must(t, err)
	if got := after.Fingerprints[0].Expires; !got.Equal(old.NotAfter) {
		t.Errorf("the old one expires at %v, its own end is %v", got, old.NotAfter)
	}
}

// TestALostRenewalLosesNoDevice renews again with the old certificate: the
// replacement that never arrived ends with the overlap, one in use does not.
func TestALostRenewalLosesNoDevice(t *testing.T) {
	r := newRig(t, withCertificates)
	_, old := r.device("gateway")
	login, err := r.loginWith(old)
	must(t, err)
	lost, err := r.renew(login)
	must(t, err)
	r.turn(time.Hour)
	arrived, err := r.renew(login)
	must(t, err)
	_, err = r.loginWith(parse(t, arrived.PEM))
	must(t, err)
	_, err = r.service.RecordUses(t.Context())
	must(t, err)
	_, err = r.renew(login) // by somebody who has the old one too
	must(t, err)
	r.turn(25 * time.Hour)
	for _, tt := range []struct {
		name string
		pem  string
		want bool
	}{{"the one that was lost", lost.PEM, false}, {"the one in use", arrived.PEM, true}} {
		if _, err := r.loginWith(parse(t, tt.pem)); (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestRenewalsStayBounded(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	u, old := r.device("gateway")
	login, err := r.loginWith(old)
	must(t, err)
	for range registry.MaxFingerprints - 1 {
		_, err := r.renew(login)
		must(t, err)
	}
	_, err = r.renew(login)
	wantCode(t, "one more", err, registry.Conflict)

	r.turn(2 * time.Hour)
	standing := ca.Fingerprint(parse(t, lastIssued(t, r).PEM))
	r.turn(23 * time.Hour) // all but the last have expired
	next, err := r.loginWith(parse(t, lastIssued(t, r).PEM))
	must(t, err)
	_, err = r.renew(next)
	must(t, err)
	after, err := r.store.User(ctx, u.ID)
	must(t, err)
	if n := len(after.Fingerprints); n != 2 {
		t.Errorf("%d certificates are registered, want 2", n)
	}
	for fp, want := range map[string]bool{ca.Fingerprint(old): true, standing: false} {
		row, err := r.service.IssuedCertificate(ctx, fp)
		must(t, err)
		if (row.Reason == ca.Superseded && !row.Revoked.IsZero()) != want {
			t.Errorf("superseded: %v, want %v", !want, want)
		}
	}
}

func lastIssued(t *testing.T, r *rig) registry.IssuedCertificate {
	t.Helper()
	all, n, err := r.service.IssuedCertificates(t.Context(), registry.IssuedQuery{})
	must(t, err)
	return all[n-1]
}

func TestWhoMayRenew(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	u, c := r.device("gateway")
	byCertificate, err := r.loginWith(c)
	must(t, err)
	r.user("human")
	byPassword, err := r.login("human", "human-secret")
	must(t, err)
	foreign, _, err := r.service.CreateUser(ctx, r.admin, registry.UserSpec{
		Username: "foreign", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: printA}},
	})
	must(t, err)
	byForeign, err := r.signIn.In(ctx, registry.Attempt{Certificate: cert(r, printA, "foreign", false)})
	must(t, err)
	for _, tt := range []struct {
		name   string
		caller registry.Caller
		login  registry.Login
		csr    string
		code   registry.Code
	}{
		{"by password", r.callerNamed("human"), byPassword, newCSR(t, "human"), registry.Forbidden},
		{"by another's certificate", registry.Caller{ID: foreign.ID}, byForeign, newCSR(t, "foreign"), registry.Forbidden},
		{"for another user", r.admin, byCertificate, newCSR(t, "gateway"), registry.Forbidden},
		{"by nobody", registry.Caller{}, registry.Login{}, newCSR(t, "gateway"), registry.Forbidden},
		{"under another name", registry.Caller{ID: u.ID}, byCertificate, newCSR(t, "admin"), registry.Invalid},
		{"with nonsense", registry.Caller{ID: u.ID}, byCertificate, "hello", registry.Invalid},
	} {
		_, _, err := r.service.Renew(ctx, tt.caller, tt.login, tt.csr)
		wantCode(t, tt.name, err, tt.code)
	}
	_, err = r.service.Revoke(ctx, r.admin, ca.Fingerprint(c), ca.KeyCompromise)
	must(t, err)
	_, err = r.renew(byCertificate)
	wantCode(t, "with a revoked one", err, registry.Forbidden)
	if _, n, err := r.service.IssuedCertificates(ctx, registry.IssuedQuery{}); err != nil || n != 1 {
		t.Errorf("%d certificates were issued, %v", n, err)
	}
}

func TestADisabledUserRenewsNothing(t *testing.T) {
	r := newRig(t, withCertificates)
	u, c := r.device("gateway")
	login, err := r.loginWith(c)
	must(t, err)
	_, _, err = r.service.UpdateUser(t.Context(), r.admin, u.ID, registry.UserUpdate{Active: ptr(false)})
	must(t, err)
	_, err = r.renew(login)
	wantCode(t, "renew", err, registry.Unauthenticated)
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
			r := newRig(t, withCertificates)
			ctx := t.Context()
			u, _, err := r.service.CreateUser(ctx, r.admin, registry.UserSpec{
				Username: "gateway", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: printA}},
			})
			must(t, err)
			login, err := r.signIn.In(ctx, registry.Attempt{Certificate: cert(r, printA, "gateway", false)})
			must(t, err)
			row := registry.IssuedCertificate{
				Serial: "01", Fingerprint: printA, Authority: 1, User: u.ID, Username: "gateway", Issued: r.now(), NotAfter: r.now().Add(time.Hour),
			}
			tt.change(u, &row)
			_, err = r.store.Update(ctx, func(ctx context.Context, tx registry.Tx) error { return tx.CreateIssued(ctx, row) })
			must(t, err)
			_, err = r.renew(login)
			wantCode(t, "renew", err, tt.code)
			if row.User == u.ID {
				return
			}
			free := registry.IssuedCertificate{Serial: "02", Fingerprint: printB, Authority: 1, User: "another"}
			_, err = r.store.Update(ctx, func(ctx context.Context, tx registry.Tx) error { return tx.CreateIssued(ctx, free) })
			must(t, err)
			_, err = r.service.AddFingerprint(ctx, r.admin, u.ID, registry.FingerprintSpec{Fingerprint: printB})
			wantCode(t, "register another user's that is not registered", err, registry.Conflict)
		})
	}
}
