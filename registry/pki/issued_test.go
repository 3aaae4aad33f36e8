package pki_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
)

func TestTheLadderOfACertificate(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	r.OpenWindow(time.Minute)
	req := registrytest.Request("gateway")
	req.Password, req.CSR = "", registrytest.NewCSR(t, "gateway")
	if got := r.Register(req, registry.RegistrationPending); got.Certificate != "" {
		t.Error("a pending one has a certificate")
	}
	other := registrytest.Request("gateway")
	other.Password, other.CSR = "", registrytest.NewCSR(t, "gateway")
	r.RegisterRefused("another CSR for the name", other, registry.Conflict)
	r.RegisterRefused("a password for the name", registrytest.Request("gateway"), registry.Conflict)

	u := r.Confirm("gateway")
	r.Restart() // between confirmation and collection nothing is lost
	granted := r.Register(req, registry.RegistrationGranted)
	got := registrytest.Parse(t, granted.Certificate)
	if got.Subject.CommonName != "gateway" || ca.Fingerprint(got) != u.Fingerprints[0].SHA256 {
		t.Errorf("the certificate is %v, registered is %v", got.Subject, u.Fingerprints)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(granted.CACertificates)) {
		t.Error("no CA certificates")
	}
	if _, err := got.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: r.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("it does not verify: %v", err)
	}
	if len(u.GrantTypes) != 1 || u.GrantTypes[0].Method != registry.MethodCertificate || u.PasswordHash != "" {
		t.Errorf("the user has %v", u.GrantTypes)
	}
	row, err := r.Store.IssuedBySerial(ctx, ca.FormatSerial(got.SerialNumber))
	registrytest.Must(t, err)
	if row.User != u.ID || row.Username != "gateway" || row.Authority != 1 || !row.Revoked.IsZero() || row.PEM != granted.Certificate ||
		!row.NotAfter.Equal(got.NotAfter) || !u.Fingerprints[0].Expires.Equal(got.NotAfter) {
		t.Errorf("recorded is %+v", row)
	}

	login, err := r.LoginWith(got)
	registrytest.Must(t, err)
	if login.Subject.ID() != u.ID || !r.Holds(login) {
		t.Errorf("signed in as %v", login.Subject.ID())
	}
	_, err = r.SignIn.In(ctx, registry.Attempt{Username: "admin", Certificate: r.Shown(got)})
	registrytest.WantCode(t, "with another name", err, registry.Forbidden)
}

// TestALostAnswerLosesNoDevice collects the certificate again.
func TestALostAnswerLosesNoDevice(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Hour)
	req := registrytest.Request("gateway")
	req.Password, req.CSR = "", registrytest.NewCSR(t, "gateway")
	r.Register(req, registry.RegistrationPending)
	r.Confirm("gateway")
	first := r.Register(req, registry.RegistrationGranted)
	r.Turn(20 * time.Second)
	r.Restart()
	if again := r.Register(req, registry.RegistrationGranted); again != first {
		t.Errorf("first %+v, then %+v", first, again)
	}
	r.Turn(11 * time.Second) // 31 s after the first answer: asking again does not prolong it
	r.RegisterRefused("later", req, registry.Conflict)
	if n := sweep(r); n != 1 {
		t.Errorf("swept %d", n)
	}
}

func TestWithoutGraceTheFirstAnswerIsTheOnlyOne(t *testing.T) {
	r := registrytest.New(t, func(cfg *node.Config) { cfg.Enrolment.Grace = -1 })
	r.OpenWindow(time.Hour)
	req := registrytest.Request("gateway")
	req.Password, req.CSR = "", registrytest.NewCSR(t, "gateway")
	r.Register(req, registry.RegistrationPending)
	r.Confirm("gateway")
	r.Register(req, registry.RegistrationGranted)
	r.RegisterRefused("at once again", req, registry.Conflict)
}

// TestHowACertificateEnds ends one in every way there is: it signs nobody in any
// more, its sessions end, and it is revoked for all the world.
func TestHowACertificateEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(r *registrytest.Rig, u registry.User, c *x509.Certificate) error
		reason ca.Reason
	}{
		{"revoked by serial number", func(r *registrytest.Rig, _ registry.User, c *x509.Certificate) error {
			_, _, err := r.PKI.Revoke(r.T.Context(), r.Admin, strings.ToUpper(ca.FormatSerial(c.SerialNumber)), ca.KeyCompromise)
			return err
		}, ca.KeyCompromise},
		{"revoked by fingerprint", func(r *registrytest.Rig, _ registry.User, c *x509.Certificate) error {
			_, _, err := r.PKI.Revoke(r.T.Context(), r.Admin, ca.Fingerprint(c), ca.PrivilegeWithdrawn)
			return err
		}, ca.PrivilegeWithdrawn},
		{"its fingerprint is removed", func(r *registrytest.Rig, u registry.User, c *x509.Certificate) error {
			_, err := r.Service.RemoveFingerprint(r.T.Context(), r.Admin, u.ID, ca.Fingerprint(c))
			return err
		}, ca.Unspecified},
		{"its user is deleted", func(r *registrytest.Rig, u registry.User, _ *x509.Certificate) error {
			_, err := r.Service.DeleteUser(r.T.Context(), r.Admin, u.ID)
			return err
		}, ca.CessationOfOperation},
		{"its user is deleted, and one of that name made", func(r *registrytest.Rig, u registry.User, _ *x509.Certificate) error {
			if _, err := r.Service.DeleteUser(r.T.Context(), r.Admin, u.ID); err != nil {
				return err
			}
			_, _, err := r.Service.CreateUser(r.T.Context(), r.Admin, registry.UserSpec{
				Username: u.Username, Provider: registry.ProviderLocal,
				GrantTypes: []registry.GrantType{{Method: registry.MethodCertificate}},
			})
			return err
		}, ca.CessationOfOperation},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := registrytest.New(t)
			ctx := t.Context()
			u, c := r.Device("gateway")
			login, err := r.LoginWith(c)
			registrytest.Must(t, err)
			registrytest.Must(t, tt.end(r, u, c))
			if r.Holds(login) {
				t.Error("a session that was opened with it goes on")
			}
			if _, err := r.LoginWith(c); err == nil {
				t.Error("it signs in")
			}
			_, err = r.SignIn.In(ctx, registry.Attempt{Username: "gateway", Certificate: r.Shown(c)})
			if err == nil {
				t.Error("it signs in beside the name")
			}
			row, err := r.Store.IssuedByFingerprint(ctx, ca.Fingerprint(c))
			registrytest.Must(t, err)
			if row.Revoked.IsZero() || row.Reason != tt.reason {
				t.Errorf("recorded is revocation at %v for reason %d, want reason %d", row.Revoked, row.Reason, tt.reason)
			}
			_, _, err = r.PKI.Revoke(ctx, r.Admin, ca.Fingerprint(c), ca.KeyCompromise)
			registrytest.WantCode(t, "revoke once more", err, registry.Conflict)

			_, err = r.Service.AddFingerprint(ctx, r.Admin, u.ID, registry.FingerprintSpec{Fingerprint: ca.Fingerprint(c)})
			if tt.reason == ca.CessationOfOperation {
				registrytest.WantCode(t, "register it for its user, which is gone", err, registry.NotFound)
			} else {
				registrytest.WantCode(t, "register it for its user again", err, registry.Conflict)
			}
			target := r.User("somebody") // and no fingerprint brings it back
			_, err = r.Service.AddFingerprint(ctx, r.Admin, target.ID, registry.FingerprintSpec{Fingerprint: ca.Fingerprint(c)})
			registrytest.WantCode(t, "register it for another", err, registry.Conflict)
			_, _, err = r.Service.CreateUser(ctx, r.Admin, registry.UserSpec{
				Username: "gateway-2", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: ca.Fingerprint(c)}},
			})
			registrytest.WantCode(t, "make a user with it", err, registry.Conflict)
		})
	}
}

func TestACertificateOfOursIsNoOtherUsers(t *testing.T) {
	r := registrytest.New(t)
	_, c := r.Device("gateway")
	other := r.User("other")
	_, err := r.Service.AddFingerprint(t.Context(), r.Admin, other.ID, registry.FingerprintSpec{Fingerprint: ca.Fingerprint(c)})
	registrytest.WantCode(t, "register it for another", err, registry.Conflict)
}

func TestRevokeJudgesWhoAsks(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	_, c := r.Device("gateway")
	for _, tt := range []struct {
		name, certificate string
		reason            ca.Reason
		code              registry.Code
	}{
		{"unknown serial number", "0102", 1, registry.NotFound},
		{"unknown fingerprint", strings.Repeat("aa", 32), 1, registry.NotFound},
		{"nonsense", "hello", 1, registry.NotFound},
		{"empty", "", 1, registry.NotFound},
		{"a reason that does not apply", ca.Fingerprint(c), 6, registry.Invalid},
	} {
		_, _, err := r.PKI.Revoke(ctx, r.Admin, tt.certificate, tt.reason)
		registrytest.WantCode(t, tt.name, err, tt.code)
	}
	boss := r.User("boss", r.AdminRole())
	r.User("operator")
	_, err := r.Service.AssignRole(ctx, r.Admin, r.CallerNamed("gateway").ID, r.AdminRole())
	registrytest.Must(t, err)
	_, _, err = r.PKI.Revoke(ctx, r.CallerNamed("operator"), ca.Fingerprint(c), ca.Unspecified)
	registrytest.WantCode(t, "of a user with more rights", err, registry.Forbidden)
	if _, err := r.LoginWith(c); err != nil {
		t.Errorf("after what was refused: %v", err)
	}
	_, _, err = r.PKI.Revoke(ctx, r.CallerNamed(boss.Username), ca.Fingerprint(c), ca.Unspecified)
	registrytest.WantCode(t, "of an equal", err, "")
}

func TestIssuedCertificatesAreListed(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	var users []registry.User
	for _, name := range []string{"gateway-a", "gateway-b", "gateway-c"} {
		u, _ := r.Device(name)
		users = append(users, u)
	}
	_, _, err := r.PKI.Revoke(ctx, r.Admin, users[1].Fingerprints[0].SHA256, ca.Superseded)
	registrytest.Must(t, err)
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
		{"revoked", registry.IssuedQuery{Revoked: new(true)}, 1, "gateway-b"},
		{"standing", registry.IssuedQuery{Revoked: new(false)}, 2, "gateway-a gateway-c"},
		{"that expire soon", registry.IssuedQuery{ExpiresBefore: r.Now().Add(24 * time.Hour)}, 0, ""},
	} {
		got, total, err := r.PKI.IssuedCertificates(ctx, tt.q)
		registrytest.Must(t, err)
		var names []string
		for _, c := range got {
			names = append(names, c.Username)
		}
		if total != tt.total || strings.Join(names, " ") != tt.want {
			t.Errorf("%s: %d, %v", tt.name, total, names)
		}
	}
	year := r.Now().Add(ca.DefaultClientLife)
	for at, want := range map[time.Time]int{year.Add(-time.Hour): 0, year.Add(time.Hour): 2} {
		if n, err := r.PKI.ExpiringBefore(ctx, at); err != nil || n != want {
			t.Errorf("expiring before %v: %d, %v; want %d", at, n, err, want)
		}
	}
	r.Turn(ca.DefaultClientLife + time.Hour)
	if n, err := r.PKI.ExpiringBefore(ctx, r.Now().Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("what has expired counts: %d, %v", n, err)
	}
}

func TestWhenACertificateWasUsedIsNotedNowAndThen(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	u, c := r.Device("gateway")
	record := func(want int) {
		t.Helper()
		before, err := r.Store.Position(ctx)
		registrytest.Must(t, err)
		if n, err := r.PKI.RecordUses(ctx); err != nil || n != want {
			t.Errorf("recorded %d, %v; want %d", n, err, want)
		}
		if after, err := r.Store.Position(ctx); err != nil || after != before {
			t.Errorf("the change number went from %d to %d, %v", before, after, err)
		}
	}
	login := func() {
		t.Helper()
		_, err := r.LoginWith(c)
		registrytest.Must(t, err)
	}
	last := func() time.Time {
		t.Helper()
		used, err := r.PKI.CertificateUses(ctx, u.ID)
		registrytest.Must(t, err)
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
	if r.Now().Sub(first).Abs() > time.Minute {
		t.Errorf("last used at %v", first)
	}
	r.Turn(30 * time.Minute)
	login()
	record(0)
	r.Turn(31 * time.Minute)
	login()
	record(1)
	if got := last(); got.Sub(first) < time.Hour {
		t.Errorf("last used at %v, before at %v", got, first)
	}
	if _, err := r.LoginWith(r.NewOutsideCA("x").Client(r, "gateway", nil)); err == nil {
		t.Error("a stranger's certificate signs in")
	}
	record(0)
	if n, err := r.PKI.SweepUses(ctx); err != nil || n != 0 {
		t.Errorf("swept %d, %v", n, err)
	}
	_, err := r.Service.RemoveFingerprint(ctx, r.Admin, u.ID, ca.Fingerprint(c))
	registrytest.Must(t, err)
	if n, err := r.PKI.SweepUses(ctx); err != nil || n != 1 {
		t.Errorf("swept %d, %v; want 1", n, err)
	}
}

func sweep(r *registrytest.Rig) int {
	r.T.Helper()
	n, err := r.Enrolment.Sweep(r.T.Context())
	registrytest.Must(r.T, err)
	return n
}
