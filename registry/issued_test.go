package registry_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

func TestTheLadderOfACertificate(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	r.openWindow(time.Minute)
	req := request("gateway")
	req.Password, req.CSR = "", newCSR(t, "gateway")
	if got := r.register(req, registry.RegistrationPending); got.Certificate != "" {
		t.Error("a pending one has a certificate")
	}
	other := request("gateway")
	other.Password, other.CSR = "", newCSR(t, "gateway")
	r.registerRefused("another CSR for the name", other, registry.Conflict)
	r.registerRefused("a password for the name", request("gateway"), registry.Conflict)

	u := r.confirm("gateway")
	r.restart() // between confirmation and collection nothing is lost
	granted := r.register(req, registry.RegistrationGranted)
	got := parse(t, granted.Certificate)
	if got.Subject.CommonName != "gateway" || ca.Fingerprint(got) != u.Fingerprints[0].SHA256 {
		t.Errorf("the certificate is %v, registered is %v", got.Subject, u.Fingerprints)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(granted.CACertificates)) {
		t.Error("no CA certificates")
	}
	if _, err := got.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: r.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("it does not verify: %v", err)
	}
	if len(u.GrantTypes) != 1 || u.GrantTypes[0].Method != registry.MethodCertificate || u.PasswordHash != "" {
		t.Errorf("the user has %v", u.GrantTypes)
	}
	row, err := r.service.IssuedCertificate(ctx, ca.FormatSerial(got.SerialNumber))
	must(t, err)
	if row.User != u.ID || row.Username != "gateway" || row.Authority != 1 || !row.Revoked.IsZero() || row.PEM != granted.Certificate ||
		!row.NotAfter.Equal(got.NotAfter) || !u.Fingerprints[0].Expires.Equal(got.NotAfter) {
		t.Errorf("recorded is %+v", row)
	}

	login, err := r.loginWith(got)
	must(t, err)
	if login.Subject.ID() != u.ID || !r.holds(login) {
		t.Errorf("signed in as %v", login.Subject.ID())
	}
	_, err = r.signIn.In(ctx, registry.Attempt{Username: "admin", Certificate: r.shown(got)})
	wantCode(t, "with another name", err, registry.Forbidden)
}

// TestALostAnswerLosesNoDevice collects the certificate again.
func TestALostAnswerLosesNoDevice(t *testing.T) {
	r := newRig(t, withCertificates)
	r.openWindow(time.Hour)
	req := request("gateway")
	req.Password, req.CSR = "", newCSR(t, "gateway")
	r.register(req, registry.RegistrationPending)
	r.confirm("gateway")
	first := r.register(req, registry.RegistrationGranted)
	r.turn(20 * time.Second)
	r.restart()
	if again := r.register(req, registry.RegistrationGranted); again != first {
		t.Errorf("first %+v, then %+v", first, again)
	}
	r.turn(11 * time.Second) // 31 s after the first answer: asking again does not prolong it
	r.registerRefused("later", req, registry.Conflict)
	if n := r.sweep(); n != 1 {
		t.Errorf("swept %d", n)
	}
}

func TestWithoutGraceTheFirstAnswerIsTheOnlyOne(t *testing.T) {
	r := newRig(t, withCertificates, func(_ *rig, cfg *registry.ServiceConfig) { cfg.Registration.Grace = -1 })
	r.openWindow(time.Hour)
	req := request("gateway")
	req.Password, req.CSR = "", newCSR(t, "gateway")
	r.register(req, registry.RegistrationPending)
	r.confirm("gateway")
	r.register(req, registry.RegistrationGranted)
	r.registerRefused("at once again", req, registry.Conflict)
}

// TestHowACertificateEnds ends one in every way there is: it signs nobody in any
// more, its sessions end, and it is revoked for all the world.
func TestHowACertificateEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(r *rig, u registry.User, c *x509.Certificate) error
		reason ca.Reason
	}{
		{"revoked by serial number", func(r *rig, _ registry.User, c *x509.Certificate) error {
			_, err := r.service.Revoke(r.t.Context(), r.admin, strings.ToUpper(ca.FormatSerial(c.SerialNumber)), ca.KeyCompromise)
			return err
		}, ca.KeyCompromise},
		{"revoked by fingerprint", func(r *rig, _ registry.User, c *x509.Certificate) error {
			_, err := r.service.Revoke(r.t.Context(), r.admin, ca.Fingerprint(c), ca.PrivilegeWithdrawn)
			return err
		}, ca.PrivilegeWithdrawn},
		{"its fingerprint is removed", func(r *rig, u registry.User, c *x509.Certificate) error {
			_, err := r.service.RemoveFingerprint(r.t.Context(), r.admin, u.ID, ca.Fingerprint(c))
			return err
		}, ca.Unspecified},
		{"its user is deleted", func(r *rig, u registry.User, _ *x509.Certificate) error {
			_, err := r.service.DeleteUser(r.t.Context(), r.admin, u.ID)
			return err
		}, ca.CessationOfOperation},
		{"its user is deleted, and one of that name made", func(r *rig, u registry.User, _ *x509.Certificate) error {
			if _, err := r.service.DeleteUser(r.t.Context(), r.admin, u.ID); err != nil {
				return err
			}
			_, _, err := r.service.CreateUser(r.t.Context(), r.admin, registry.UserSpec{
				Username: u.Username, Provider: registry.ProviderLocal,
				GrantTypes: []registry.GrantType{{Method: registry.MethodCertificate}},
			})
			return err
		}, ca.CessationOfOperation},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, withCertificates)
			ctx := t.Context()
			u, c := r.device("gateway")
			login, err := r.loginWith(c)
			must(t, err)
			must(t, tt.end(r, u, c))
			if r.holds(login) {
				t.Error("a session that was opened with it goes on")
			}
			if _, err := r.loginWith(c); err == nil {
				t.Error("it signs in")
			}
			_, err = r.signIn.In(ctx, registry.Attempt{Username: "gateway", Certificate: r.shown(c)})
			if err == nil {
				t.Error("it signs in beside the name")
			}
			row, err := r.service.IssuedCertificate(ctx, ca.Fingerprint(c))
			must(t, err)
			if row.Revoked.IsZero() || row.Reason != tt.reason {
				t.Errorf("recorded is revocation at %v for reason %d, want reason %d", row.Revoked, row.Reason, tt.reason)
			}
			_, err = r.service.Revoke(ctx, r.admin, ca.Fingerprint(c), ca.KeyCompromise)
			wantCode(t, "revoke once more", err, registry.Conflict)

			_, err = r.service.AddFingerprint(ctx, r.admin, u.ID, registry.FingerprintSpec{Fingerprint: ca.Fingerprint(c)})
			if tt.reason == ca.CessationOfOperation {
				wantCode(t, "register it for its user, which is gone", err, registry.NotFound)
			} else {
				wantCode(t, "register it for its user again", err, registry.Conflict)
			}
			target := r.user("somebody") // and no fingerprint brings it back
			_, err = r.service.AddFingerprint(ctx, r.admin, target.ID, registry.FingerprintSpec{Fingerprint: ca.Fingerprint(c)})
			wantCode(t, "register it for another", err, registry.Conflict)
			_, _, err = r.service.CreateUser(ctx, r.admin, registry.UserSpec{
				Username: "gateway-2", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: ca.Fingerprint(c)}},
			})
			wantCode(t, "make a user with it", err, registry.Conflict)
		})
	}
}

func TestACertificateOfOursIsNoOtherUsers(t *testing.T) {
	r := newRig(t, withCertificates)
	_, c := r.device("gateway")
	other := r.user("other")
	_, err := r.service.AddFingerprint(t.Context(), r.admin, other.ID, registry.FingerprintSpec{Fingerprint: ca.Fingerprint(c)})
	wantCode(t, "register it for another", err, registry.Conflict)
}

func TestRevokeJudgesWhoAsks(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	_, c := r.device("gateway")
	for _, tt := range []struct {
		name, certificate string
		reason            ca.Reason
		code              registry.Code
	}{
		{"unknown serial number", "0102", 1, registry.NotFound},
		{"unknown fingerprint", printA, 1, registry.NotFound},
		{"nonsense", "hello", 1, registry.NotFound},
		{"empty", "", 1, registry.NotFound},
		{"a reason that does not apply", ca.Fingerprint(c), 6, registry.Invalid},
	} {
		_, err := r.service.Revoke(ctx, r.admin, tt.certificate, tt.reason)
		wantCode(t, tt.name, err, tt.code)
	}
	boss := r.user("boss", r.adminRole())
	r.user("operator")
	_, err := r.service.AssignRole(ctx, r.admin, r.callerNamed("gateway").ID, r.adminRole())
	must(t, err)
	_, err = r.service.Revoke(ctx, r.callerNamed("operator"), ca.Fingerprint(c), ca.Unspecified)
	wantCode(t, "of a user with more rights", err, registry.Forbidden)
	if _, err := r.loginWith(c); err != nil {
		t.Errorf("after what was refused: %v", err)
	}
	_, err = r.service.Revoke(ctx, r.callerNamed(boss.Username), ca.Fingerprint(c), ca.Unspecified)
	wantCode(t, "of an equal", err, "")
}

func TestIssuedCertificatesAreListed(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	var users []registry.User
	for _, name := range []string{"gateway-a", "gateway-b", "gateway-c"} {
		u, _ := r.device(name)
		users = append(users, u)
	}
	_, err := r.service.Revoke(ctx, r.admin, users[1].Fingerprints[0].SHA256, ca.Superseded)
	must(t, err)
	for _, tt := range []struct {
		name  string
		q     registry.IssuedQuery
		total int
		want  string
	}{
		{"all", registry.IssuedQuery{}, 3, "gateway-a gateway-b gateway-c"},
		{"a page", registry.IssuedQuery{Offset: 1, Limit: 1}, 3, "gateway-b"},
		{"of a user", registry.IssuedQuery{User: users[2].ID}, 1, "gateway-c"},
		{"of a name", registry.IssuedQuery{Username: "gateway-a"}, 1, "gateway-a"},
		{"revoked", registry.IssuedQuery{Revoked: ptr(true)}, 1, "gateway-b"},
		{"standing", registry.IssuedQuery{Revoked: ptr(false)}, 2, "gateway-a gateway-c"},
		{"that expire soon", registry.IssuedQuery{ExpiresBefore: r.now().Add(24 * time.Hour)}, 0, ""},
	} {
		got, total, err := r.service.IssuedCertificates(ctx, tt.q)
		must(t, err)
		var names []string
		for _, c := range got {
			names = append(names, c.Username)
		}
		if total != tt.total || strings.Join(names, " ") != tt.want {
			t.Errorf("%s: %d, %v", tt.name, total, names)
		}
	}
	year := r.now().Add(ca.DefaultClientLife)
	for at, want := range map[time.Time]int{year.Add(-time.Hour): 0, year.Add(time.Hour): 2} {
		if n, err := r.service.ExpiringBefore(ctx, at); err != nil || n != want {
			t.Errorf("expiring before %v: %d, %v; want %d", at, n, err, want)
		}
	}
	r.turn(ca.DefaultClientLife + time.Hour)
	if n, err := r.service.ExpiringBefore(ctx, r.now().Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("what has expired counts: %d, %v", n, err)
	}
}

func TestWhenACertificateWasUsedIsNotedNowAndThen(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	u, c := r.device("gateway")
	record := func(want int) {
		t.Helper()
		before, err := r.store.LastChange(ctx)
		must(t, err)
		if n, err := r.service.RecordUses(ctx); err != nil || n != want {
			t.Errorf("recorded %d, %v; want %d", n, err, want)
		}
		if after, err := r.store.LastChange(ctx); err != nil || after != before {
			t.Errorf("the change number went from %d to %d, %v", before, after, err)
		}
	}
	login := func() {
		t.Helper()
		_, err := r.loginWith(c)
		must(t, err)
	}
	last := func() time.Time {
		t.Helper()
		used, err := r.service.CertificateUses(ctx, u.ID)
		must(t, err)
		return used[ca.Fingerprint(c)]
	}
	record(0)
	if !last().IsZero() {
		t.Error("used before it was")
	}
	login()
	login()
	record(1)
	first := last()
	if r.now().Sub(first).Abs() > time.Minute {
		t.Errorf("last used at %v", first)
	}
	r.turn(30 * time.Minute)
	login()
	record(0)
	r.turn(31 * time.Minute)
	login()
	record(1)
	if got := last(); got.Sub(first) < time.Hour {
		t.Errorf("last used at %v, before at %v", got, first)
	}
	if _, err := r.loginWith(newOutsideCA(t, r, "x").client(t, r, "gateway", nil)); err == nil {
		t.Error("a stranger's certificate signs in")
	}
	record(0)
	if n, err := r.service.SweepUses(ctx); err != nil || n != 0 {
		t.Errorf("swept %d, %v", n, err)
	}
	_, err := r.service.RemoveFingerprint(ctx, r.admin, u.ID, ca.Fingerprint(c))
	must(t, err)
	if n, err := r.service.SweepUses(ctx); err != nil || n != 1 {
		t.Errorf("swept %d, %v; want 1", n, err)
	}
}
