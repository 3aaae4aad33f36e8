package registry_test

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// trust uploads an authority.
func (r *rig) trust(c outsideCA) registry.Anchor {
	r.t.Helper()
	added, n, err := r.service.AddAnchors(r.t.Context(), r.admin, c.pem())
	if err != nil || n == 0 || len(added) != 1 {
		r.t.Fatalf("%v, %d, %v", added, n, err)
	}
	must(r.t, r.anchors.Reload(r.t.Context()))
	return added[0]
}

// byName makes a user that signs in by its name in a certificate.
func (r *rig) byName(name string) registry.User {
	r.t.Helper()
	u, _, err := r.service.CreateUser(r.t.Context(), r.admin, registry.UserSpec{
		Username: name, Provider: registry.ProviderLocal, GrantTypes: []registry.GrantType{{Method: registry.MethodCertificate}},
	})
	must(r.t, err)
	return u
}

func TestTrustAnchors(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	r.byName("gateway")
	outside := newOutsideCA(t, r, "Plant CA")
	client := outside.client(t, r, "gateway", nil)
	if _, err := r.loginWith(client); err == nil {
		t.Error("signed in before the CA was trusted")
	}
	a := r.trust(outside)
	if string(a.ID) != ca.Fingerprint(outside.cert) || a.Subject != "CN=Plant CA" || a.Issuer != a.Subject || a.Serial != "07" || a.Added.IsZero() {
		t.Errorf("added: %+v", a)
	}
	list, err := r.service.Anchors(ctx)
	if err != nil || len(list) != 1 || list[0] != a {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if got, err := r.service.Anchor(ctx, a.ID); err != nil || got.PEM != string(outside.pem()) {
		t.Errorf("content: %+v, %v", got, err)
	}
	login, err := r.loginWith(client)
	must(t, err)
	if login.Proof.Anchor != string(a.ID) || !r.holds(login) {
		t.Errorf("the proof is %+v", login.Proof)
	}

	n, err := r.service.DeleteAnchor(ctx, r.admin, a.ID)
	if err != nil || n == 0 {
		t.Fatalf("delete: %d, %v", n, err)
	}
	must(t, r.anchors.Reload(ctx))
	if r.holds(login) {
		t.Error("a session that rests on the CA goes on")
	}
	if _, err := r.loginWith(client); err == nil {
		t.Error("signed in after the CA was removed")
	}
	// What the TLS layer said before the removal counts no more.
	_, err = r.signIn.In(ctx, registry.Attempt{Certificate: &registry.Certificate{
		SHA256: ca.Fingerprint(client), CommonName: "gateway", Trusted: true, Anchor: string(a.ID), NotBefore: client.NotBefore, NotAfter: client.NotAfter,
	}})
	wantCode(t, "with an old word of the TLS layer", err, registry.Forbidden)
	_, err = r.signIn.In(ctx, registry.Attempt{Certificate: cert(r, printC(), "gateway", true)})
	wantCode(t, "trusted, nobody says by what", err, registry.Forbidden)
	_, err = r.service.DeleteAnchor(ctx, r.admin, a.ID)
	wantCode(t, "delete again", err, registry.NotFound)
	_, err = r.service.Anchor(ctx, a.ID)
	wantCode(t, "content of what is gone", err, registry.NotFound)
}

func TestASessionThatRestsOnSomethingElseSurvivesItsAnchor(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	outside := newOutsideCA(t, r, "Plant CA")
	a := r.trust(outside)
	pinned := outside.client(t, r, "whatever", nil)
	_, _, err := r.service.CreateUser(ctx, r.admin, registry.UserSpec{
		Username: "pinned", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: ca.Fingerprint(pinned)}},
	})
	must(t, err)
	byFingerprint, err := r.loginWith(pinned)
	must(t, err)
	r.user("human")
	byPassword, err := r.login("human", "human-secret")
	must(t, err)
	_, err = r.service.DeleteAnchor(ctx, r.admin, a.ID)
	must(t, err)
	must(t, r.anchors.Reload(ctx))
	if !r.holds(byFingerprint) || !r.holds(byPassword) {
		t.Error("a session ended that does not rest on the CA")
	}
}

func TestWhatIsNoTrustAnchor(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	outside, second := newOutsideCA(t, r, "Plant CA"), newOutsideCA(t, r, "Other CA")
	leaf := outside.client(t, r, "gateway", nil)
	own := r.service
	chain, err := own.AuthorityPEM(0)
	must(t, err)
	r.trust(outside)
	for _, tt := range []struct {
		name string
		pem  string
		code registry.Code
	}{
		{"nothing", "", registry.Invalid},
		{"garbage", "hello", registry.Invalid},
		{"a client certificate", pemOf(leaf), registry.Invalid},
		{"a private key", string(outside.keyPEM(t)), registry.Invalid},
		{"one that is there", string(outside.pem()), registry.Conflict},
		{"one that is there beside a new one", string(second.pem()) + string(outside.pem()), registry.Conflict},
		{"a new one beside garbage", string(second.pem()) + "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", registry.Invalid},
		{"our own", chain, registry.Conflict},
	} {
		_, _, err := r.service.AddAnchors(ctx, r.admin, []byte(tt.pem))
		wantField(t, tt.name, err, tt.code, "certificate")
	}
	if list, err := r.service.Anchors(ctx); err != nil || len(list) != 1 {
		t.Errorf("listed: %v, %v", list, err)
	}
	added, _, err := r.service.AddAnchors(ctx, r.admin, append(second.pem(), newOutsideCA(t, r, "Third CA").pem()...))
	if err != nil || len(added) != 2 {
		t.Errorf("two at once: %v, %v", added, err)
	}
}

func TestAnExpiredAuthorityIsNoTrustAnchor(t *testing.T) {
	r := newRig(t, withCertificates)
	r.byName("gateway")
	outside := newOutsideCA(t, r, "Plant CA")
	client := outside.client(t, r, "gateway", func(c *x509.Certificate) { c.NotAfter = r.now().Add(1000 * time.Hour) })
	r.trust(outside)
	shown := r.shown(client)
	if !shown.Trusted || !shown.NotAfter.Equal(outside.cert.NotAfter) {
		t.Errorf("a certificate that outlives its CA is good until %v, want %v", shown.NotAfter, outside.cert.NotAfter)
	}
	r.turn(48 * time.Hour)
	if _, err := r.loginWith(client); err == nil {
		t.Error("signed in with a CA that has expired")
	}
	_, _, err := r.service.AddAnchors(t.Context(), r.admin, newExpired(t, r))
	wantCode(t, "upload an expired one", err, registry.Invalid)
}

func newExpired(t *testing.T, r *rig) []byte {
	t.Helper()
	r.turn(-72 * time.Hour)
	c := newOutsideCA(t, r, "Old CA")
	r.turn(72 * time.Hour)
	return c.pem()
}

func TestTrustAnchorsNeedAllRights(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	outside := newOutsideCA(t, r, "Plant CA")
	a := r.trust(outside)
	role := r.role("almost", http(3, "/#"), mqtt(3, "#"))
	r.user("operator", role)
	operator := r.callerNamed("operator")
	_, _, err := r.service.AddAnchors(ctx, operator, newOutsideCA(t, r, "Other CA").pem())
	wantCode(t, "add", err, registry.Forbidden)
	_, err = r.service.DeleteAnchor(ctx, operator, a.ID)
	wantCode(t, "delete", err, registry.Forbidden)
	_, err = r.service.ImportAuthority(ctx, operator, outside.pem(), outside.keyPEM(t))
	wantCode(t, "import", err, registry.Forbidden)
	_, err = r.service.RenewAuthority(ctx, operator)
	wantCode(t, "renew", err, registry.Forbidden)
}

func TestWhatACertificateIsWorth(t *testing.T) {
	r := newRig(t, withCertificates)
	outside := newOutsideCA(t, r, "Plant CA")
	r.trust(outside)
	stranger := newOutsideCA(t, r, "Stranger CA")
	_, ours := r.device("gateway")
	for _, tt := range []struct {
		name    string
		chain   []*x509.Certificate
		trusted bool
	}{
		{"of a trusted CA", []*x509.Certificate{outside.client(t, r, "gateway", nil)}, true},
		{"of another CA", []*x509.Certificate{stranger.client(t, r, "gateway", nil)}, false},
		{"of another CA that it brings along", []*x509.Certificate{stranger.client(t, r, "gateway", nil), stranger.cert}, false},
		{"for servers only", []*x509.Certificate{outside.client(t, r, "gateway", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})}, false},
		{"past its time", []*x509.Certificate{outside.client(t, r, "gateway", func(c *x509.Certificate) { c.NotAfter = r.now().Add(-time.Minute) })}, false},
		{"the CA itself", []*x509.Certificate{outside.cert}, false},
		{"ours", []*x509.Certificate{ours}, false},
	} {
		got := r.shown(tt.chain...)
		if got.Trusted != tt.trusted || got.SHA256 != ca.Fingerprint(tt.chain[0]) || (got.Anchor != "") != tt.trusted {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	if got := r.shown(); got != nil {
		t.Errorf("none shown: %+v", got)
	}
}

// TestOurOwnIsNotTrustedByNameWhateverIsTrusted imports an issuing CA whose root
// the operator trusts for names.
func TestOurOwnIsNotTrustedByNameWhateverIsTrusted(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	corporate := newOutsideCA(t, r, "Corporate CA")
	r.trust(corporate)
	_, err := r.service.ImportAuthority(ctx, r.admin, corporate.pem(), corporate.keyPEM(t))
	must(t, err)
	u, c := r.device("gateway")
	if got := r.shown(c); got.Trusted {
		t.Errorf("shown: %+v", got)
	}
	_, err = r.loginWith(c)
	must(t, err)
	_, err = r.service.DeleteUser(ctx, r.admin, u.ID)
	must(t, err)
	r.byName("gateway")
	if _, err := r.loginWith(c); err == nil {
		t.Error("the certificate of a deleted user signs in one that has its name")
	}
}

func TestFilesAreTrustedBesideWhatIsUploaded(t *testing.T) {
	r := newRig(t, withCertificates)
	file, uploaded := newOutsideCA(t, r, "File CA"), newOutsideCA(t, r, "Plant CA")
	anchors := registry.NewAnchors(registry.AnchorsConfig{Store: r.store, Files: []*x509.Certificate{file.cert}, Now: r.now})
	r.trust(uploaded)
	trusts := func(c outsideCA) bool {
		shown := anchors.Certificate([]*x509.Certificate{c.client(t, r, "gateway", nil)}, registry.MapCommonName)
		if shown.Trusted != anchors.Trusts(ca.Fingerprint(c.cert)) {
			t.Errorf("%v: the two views differ", c.cert.Subject)
		}
		return shown.Trusted
	}
	if !trusts(file) || trusts(uploaded) {
		t.Error("before the first reload")
	}
	must(t, anchors.Reload(t.Context()))
	if !trusts(file) || !trusts(uploaded) || trusts(newOutsideCA(t, r, "Plant CA")) {
		t.Error("after the reload")
	}
	other := newOutsideCA(t, r, "Other file CA")
	anchors.UseFiles([]*x509.Certificate{other.cert})
	if trusts(file) || !trusts(other) || !trusts(uploaded) {
		t.Error("after the file has changed")
	}
	must(t, anchors.Reload(t.Context()))
	if trusts(file) || !trusts(other) || !trusts(uploaded) {
		t.Error("after another reload")
	}
}

func TestNameFromCertificate(t *testing.T) {
	r := newRig(t)
	outside := newOutsideCA(t, r, "Plant CA")
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		must(t, err)
		return u
	}
	full := outside.client(t, r, "common", func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"host"}, []string{"me@example.com"}
		c.URIs = []*url.URL{uri("https://example.com/"), uri("urn:mqttwarden:user:pump%20%C3%BC")}
	})
	double := outside.client(t, r, "common", func(c *x509.Certificate) {
		c.Subject.ExtraNames = append(c.Subject.ToRDNSequence()[0], c.Subject.ToRDNSequence()[0]...)
		c.Subject.ExtraNames[1].Value = "other"
		c.Subject.CommonName = ""
		c.DNSNames, c.EmailAddresses = []string{"a", "b"}, []string{"a@x", "b@x"}
		c.URIs = []*url.URL{uri("urn:a:b"), uri("urn:a:c")}
	})
	foreign := outside.client(t, r, "", func(c *x509.Certificate) { c.URIs = []*url.URL{uri("urn:dev:mac:0024befffe804ff1")} })
	for _, tt := range []struct {
		name string
		cert *x509.Certificate
		m    registry.Mapping
		want string
	}{
		{"common name by default", full, "", "common"},
		{"common name", full, registry.MapCommonName, "common"},
		{"DNS", full, registry.MapDNS, "host"},
		{"email", full, registry.MapEmail, "me@example.com"},
		{"URN of ours", full, registry.MapURN, "pump ü"},
		{"another URN", foreign, registry.MapURN, "urn:dev:mac:0024befffe804ff1"},
		{"fingerprint", full, registry.MapFingerprint, ""},
		{"a mapping that is none", full, "serial", ""},
		{"no common name", foreign, registry.MapCommonName, ""},
		{"no DNS name", foreign, registry.MapDNS, ""},
		{"two common names", double, registry.MapCommonName, ""},
		{"two DNS names", double, registry.MapDNS, ""},
		{"two addresses", double, registry.MapEmail, ""},
		{"two URNs", double, registry.MapURN, ""},
	} {
		if got := registry.NameFromCertificate(tt.cert, tt.m); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for in, want := range map[string]registry.Mapping{"": registry.MapCommonName, "cn": registry.MapCommonName, "uri": registry.MapURN} {
		if got, err := registry.ParseMapping(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	_, err := registry.ParseMapping("CN")
	wantCode(t, "CN", err, registry.Invalid)
}

func pemOf(c *x509.Certificate) string {
	return strings.TrimSpace(string(outsideCA{cert: c}.pem())) + "\n"
}

// TestARegisteredCertificateDoesNotBecomeATrustedOne takes a certificate away
// that nobody vouches for, from the user whose name it carries.
func TestARegisteredCertificateDoesNotBecomeATrustedOne(t *testing.T) {
	r := newRig(t) // where nobody asks the anchors
	ctx := t.Context()
	u, _, err := r.service.CreateUser(ctx, r.admin, registry.UserSpec{
		Username: "pinned", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: printA}},
	})
	must(t, err)
	for trusted, want := range map[bool]bool{false: false, true: true} {
		login, err := r.signIn.In(ctx, registry.Attempt{Certificate: cert(r, printA, "pinned", trusted)})
		must(t, err)
		_, err = r.service.RemoveFingerprint(ctx, r.admin, u.ID, printA)
		must(t, err)
		if got := r.holds(login); got != want {
			t.Errorf("trusted %v: holds %v, want %v", trusted, got, want)
		}
		_, err = r.service.AddFingerprint(ctx, r.admin, u.ID, registry.FingerprintSpec{Fingerprint: printA})
		must(t, err)
	}
}
