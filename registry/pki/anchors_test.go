package pki_test

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/pki"
	"mqttwarden/registry/registrytest"
)

// trust uploads an authority.
func trust(r *registrytest.Rig, c registrytest.OutsideCA) registry.Anchor {
	r.T.Helper()
	added, n, err := r.PKI.AddAnchors(r.T.Context(), r.Admin, c.PEM())
	if err != nil || n == 0 || len(added) != 1 {
		r.T.Fatalf("%v, %d, %v", added, n, err)
	}
	registrytest.Must(r.T, r.PKI.Trust().Reload(r.T.Context()))
	return added[0]
}

// byName makes a user that signs in by its name in a certificate.
func byName(r *registrytest.Rig, name string) registry.User {
	r.T.Helper()
	u, _, err := r.Service.CreateUser(r.T.Context(), r.Admin, registry.UserSpec{
		Username: name, Provider: registry.ProviderLocal, GrantTypes: []registry.GrantType{{Method: registry.MethodCertificate}},
	})
	registrytest.Must(r.T, err)
	return u
}

func TestTrustAnchors(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	byName(r, "gateway")
	outside := r.NewOutsideCA("Plant CA")
	client := outside.Client(r, "gateway", nil)
	if _, err := r.LoginWith(client); err == nil {
		t.Error("signed in before the CA was trusted")
	}
	a := trust(r, outside)
	if string(a.ID) != ca.Fingerprint(outside.Cert) || a.Subject != "CN=Plant CA" || a.Issuer != a.Subject || a.Serial != "07" || a.Added.IsZero() {
		t.Errorf("added: %+v", a)
	}
	list, err := r.PKI.Anchors(ctx)
	if err != nil || len(list) != 1 || list[0] != a {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if got, err := r.PKI.Anchor(ctx, a.ID); err != nil || got.PEM != string(outside.PEM()) {
		t.Errorf("content: %+v, %v", got, err)
	}
	login, err := r.LoginWith(client)
	registrytest.Must(t, err)
	if len(login.Proof.Paths) != 1 || !r.Holds(login) {
		t.Errorf("the proof is %+v", login.Proof)
	}

	n, err := r.PKI.DeleteAnchor(ctx, r.Admin, a.ID)
	if err != nil || n == 0 {
		t.Fatalf("delete: %d, %v", n, err)
	}
	registrytest.Must(t, r.PKI.Trust().Reload(ctx))
	if r.Holds(login) {
		t.Error("a session that rests on the CA goes on")
	}
	if _, err := r.LoginWith(client); err == nil {
		t.Error("signed in after the CA was removed")
	}
	// What the TLS layer said before the removal counts no more.
	_, err = r.SignIn.In(ctx, registry.Attempt{Certificate: &registry.Certificate{
		SHA256: ca.Fingerprint(client), CommonName: "gateway", Trusted: true, Paths: login.Proof.Paths, NotBefore: client.NotBefore, NotAfter: client.NotAfter,
	}})
	registrytest.WantCode(t, "with an old word of the TLS layer", err, registry.Forbidden)
	_, err = r.SignIn.In(ctx, registry.Attempt{Certificate: r.Certificate(strings.Repeat("cd", 32), "gateway", true)})
	registrytest.WantCode(t, "trusted, nobody says by what", err, registry.Forbidden)
	_, err = r.PKI.DeleteAnchor(ctx, r.Admin, a.ID)
	registrytest.WantCode(t, "delete again", err, registry.NotFound)
	_, err = r.PKI.Anchor(ctx, a.ID)
	registrytest.WantCode(t, "content of what is gone", err, registry.NotFound)
}

func TestASessionThatRestsOnSomethingElseSurvivesItsAnchor(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	outside := r.NewOutsideCA("Plant CA")
	a := trust(r, outside)
	pinned := outside.Client(r, "whatever", nil)
	_, _, err := r.Service.CreateUser(ctx, r.Admin, registry.UserSpec{
		Username: "pinned", Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{{Fingerprint: ca.Fingerprint(pinned)}},
	})
	registrytest.Must(t, err)
	byFingerprint, err := r.LoginWith(pinned)
	registrytest.Must(t, err)
	r.User("human")
	byPassword, err := r.Login("human", "human-secret")
	registrytest.Must(t, err)
	_, err = r.PKI.DeleteAnchor(ctx, r.Admin, a.ID)
	registrytest.Must(t, err)
	registrytest.Must(t, r.PKI.Trust().Reload(ctx))
	if !r.Holds(byFingerprint) || !r.Holds(byPassword) {
		t.Error("a session ended that does not rest on the CA")
	}
}

func TestWhatIsNoTrustAnchor(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	outside, second := r.NewOutsideCA("Plant CA"), r.NewOutsideCA("Other CA")
	leaf := outside.Client(r, "gateway", nil)
	chain, err := r.PKI.AuthorityPEM(0)
	registrytest.Must(t, err)
	trust(r, outside)
	for _, tt := range []struct {
		name string
		pem  string
		code registry.Code
	}{
		{"nothing", "", registry.Invalid},
		{"garbage", "hello", registry.Invalid},
		{"a client certificate", pemOf(leaf), registry.Invalid},
		{"a private key", string(outside.KeyPEM(t)), registry.Invalid},
		{"one that is there", string(outside.PEM()), registry.Conflict},
		{"one that is there beside a new one", string(second.PEM()) + string(outside.PEM()), registry.Conflict},
		{"a new one beside garbage", string(second.PEM()) + "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", registry.Invalid},
		{"our own", chain, registry.Conflict},
	} {
		_, _, err := r.PKI.AddAnchors(ctx, r.Admin, []byte(tt.pem))
		registrytest.WantField(t, tt.name, err, tt.code, "certificate")
	}
	if list, err := r.PKI.Anchors(ctx); err != nil || len(list) != 1 {
		t.Errorf("listed: %v, %v", list, err)
	}
	added, _, err := r.PKI.AddAnchors(ctx, r.Admin, append(second.PEM(), r.NewOutsideCA("Third CA").PEM()...))
	if err != nil || len(added) != 2 {
		t.Errorf("two at once: %v, %v", added, err)
	}
}

func TestAnExpiredAuthorityIsNoTrustAnchor(t *testing.T) {
	r := registrytest.New(t)
	byName(r, "gateway")
	outside := r.NewOutsideCA("Plant CA")
	client := outside.Client(r, "gateway", func(c *x509.Certificate) { c.NotAfter = r.Now().Add(1000 * time.Hour) })
	trust(r, outside)
	shown := r.Shown(client)
	if !shown.Trusted || !shown.NotAfter.Equal(outside.Cert.NotAfter) {
		t.Errorf("a certificate that outlives its CA is good until %v, want %v", shown.NotAfter, outside.Cert.NotAfter)
	}
	r.Turn(48 * time.Hour)
	if _, err := r.LoginWith(client); err == nil {
		t.Error("signed in with a CA that has expired")
	}
	_, _, err := r.PKI.AddAnchors(t.Context(), r.Admin, newExpired(t, r))
	registrytest.WantCode(t, "upload an expired one", err, registry.Invalid)
}

func newExpired(t *testing.T, r *registrytest.Rig) []byte {
	t.Helper()
	r.Turn(-72 * time.Hour)
	c := r.NewOutsideCA("Old CA")
	r.Turn(72 * time.Hour)
	return c.PEM()
}

func TestTrustAnchorsNeedAllRights(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	outside := r.NewOutsideCA("Plant CA")
	a := trust(r, outside)
	role := r.Role("almost", registrytest.HTTP(3, "/#"), registrytest.MQTT(3, "#"))
	r.User("operator", role)
	operator := r.CallerNamed("operator")
	_, _, err := r.PKI.AddAnchors(ctx, operator, r.NewOutsideCA("Other CA").PEM())
	registrytest.WantCode(t, "add", err, registry.Forbidden)
	_, err = r.PKI.DeleteAnchor(ctx, operator, a.ID)
	registrytest.WantCode(t, "delete", err, registry.Forbidden)
	_, err = r.PKI.ImportAuthority(ctx, operator, outside.PEM(), outside.KeyPEM(t))
	registrytest.WantCode(t, "import", err, registry.Forbidden)
	_, err = r.PKI.RenewAuthority(ctx, operator)
	registrytest.WantCode(t, "renew", err, registry.Forbidden)
}

func TestWhatACertificateIsWorth(t *testing.T) {
	r := registrytest.New(t)
	outside := r.NewOutsideCA("Plant CA")
	trust(r, outside)
	stranger := r.NewOutsideCA("Stranger CA")
	_, ours := r.Device("gateway")
	for _, tt := range []struct {
		name    string
		chain   []*x509.Certificate
		trusted bool
	}{
		{"of a trusted CA", []*x509.Certificate{outside.Client(r, "gateway", nil)}, true},
		{"of another CA", []*x509.Certificate{stranger.Client(r, "gateway", nil)}, false},
		{"of another CA that it brings along", []*x509.Certificate{stranger.Client(r, "gateway", nil), stranger.Cert}, false},
		{"for servers only", []*x509.Certificate{outside.Client(r, "gateway", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})}, false},
		{"past its time", []*x509.Certificate{outside.Client(r, "gateway", func(c *x509.Certificate) { c.NotAfter = r.Now().Add(-time.Minute) })}, false},
		{"the CA itself", []*x509.Certificate{outside.Cert}, false},
		{"ours", []*x509.Certificate{ours}, false},
	} {
		got := r.Shown(tt.chain...)
		if got.Trusted != tt.trusted || got.SHA256 != ca.Fingerprint(tt.chain[0]) || (len(got.Paths) > 0) != tt.trusted {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	if got := r.Shown(); got != nil {
		t.Errorf("none shown: %+v", got)
	}
}

// TestOurOwnIsNotTrustedByNameWhateverIsTrusted imports an issuing CA whose root
// the operator trusts for names.
func TestOurOwnIsNotTrustedByNameWhateverIsTrusted(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	corporate := r.NewOutsideCA("Corporate CA")
	trust(r, corporate)
	_, err := r.PKI.ImportAuthority(ctx, r.Admin, corporate.PEM(), corporate.KeyPEM(t))
	registrytest.Must(t, err)
	u, c := r.Device("gateway")
	if got := r.Shown(c); got.Trusted {
		t.Errorf("shown: %+v", got)
	}
	_, err = r.LoginWith(c)
	registrytest.Must(t, err)
	_, err = r.Service.DeleteUser(ctx, r.Admin, u.ID)
	registrytest.Must(t, err)
	byName(r, "gateway")
	if _, err := r.LoginWith(c); err == nil {
		t.Error("the certificate of a deleted user signs in one that has its name")
	}
}

func TestFilesAreTrustedBesideWhatIsUploaded(t *testing.T) {
	r := registrytest.New(t)
	file, uploaded := r.NewOutsideCA("File CA"), r.NewOutsideCA("Plant CA")
	anchors := pki.NewAnchors(pki.AnchorsConfig{Store: r.Store, Files: []*x509.Certificate{file.Cert}, Now: r.Now})
	trust(r, uploaded)
	trusts := func(c registrytest.OutsideCA) bool {
		shown := anchors.Certificate([]*x509.Certificate{c.Client(r, "gateway", nil)}, pki.MapCommonName)
		if _, ok := anchors.Until(anchorOf(r, c)); shown.Trusted != ok {
			t.Errorf("%v: the two views differ", c.Cert.Subject)
		}
		return shown.Trusted
	}
	if !trusts(file) || trusts(uploaded) {
		t.Error("before the first reload")
	}
	registrytest.Must(t, anchors.Reload(t.Context()))
	if !trusts(file) || !trusts(uploaded) || trusts(r.NewOutsideCA("Plant CA")) {
		t.Error("after the reload")
	}
	other := r.NewOutsideCA("Other file CA")
	anchors.UseFiles([]*x509.Certificate{other.Cert})
	if trusts(file) || !trusts(other) || !trusts(uploaded) {
		t.Error("after the file has changed")
	}
	registrytest.Must(t, anchors.Reload(t.Context()))
	if trusts(file) || !trusts(other) || !trusts(uploaded) {
		t.Error("after another reload")
	}
}

// anchorOf returns how a CA is named in paths.
func anchorOf(r *registrytest.Rig, c registrytest.OutsideCA) string {
	only := pki.NewAnchors(pki.AnchorsConfig{Files: []*x509.Certificate{c.Cert}, Now: r.Now})
	return only.Certificate([]*x509.Certificate{c.Client(r, "x", nil)}, pki.MapCommonName).Paths[0].Anchor
}

func TestNameFromCertificate(t *testing.T) {
	r := registrytest.New(t)
	outside := r.NewOutsideCA("Plant CA")
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		registrytest.Must(t, err)
		return u
	}
	full := outside.Client(r, "common", func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"host"}, []string{"me@example.com"}
		c.URIs = []*url.URL{uri("https://example.com/"), uri("urn:mqttwarden:user:pump%20%C3%BC")}
	})
	double := outside.Client(r, "common", func(c *x509.Certificate) {
		c.Subject.ExtraNames = append(c.Subject.ToRDNSequence()[0], c.Subject.ToRDNSequence()[0]...)
		c.Subject.ExtraNames[1].Value = "other"
		c.Subject.CommonName = ""
		c.DNSNames, c.EmailAddresses = []string{"a", "b"}, []string{"a@x", "b@x"}
		c.URIs = []*url.URL{uri("urn:a:b"), uri("urn:a:c")}
	})
	foreign := outside.Client(r, "", func(c *x509.Certificate) { c.URIs = []*url.URL{uri("urn:dev:mac:0024befffe804ff1")} })
	for _, tt := range []struct {
		name string
		cert *x509.Certificate
		m    pki.Mapping
		want string
	}{
		{"common name by default", full, "", "common"},
		{"common name", full, pki.MapCommonName, "common"},
		{"DNS", full, pki.MapDNS, "host"},
		{"email", full, pki.MapEmail, "me@example.com"},
		{"URN of ours", full, pki.MapURN, "pump ü"},
		{"another URN", foreign, pki.MapURN, "urn:dev:mac:0024befffe804ff1"},
		{"fingerprint", full, pki.MapFingerprint, ""},
		{"a mapping that is none", full, "serial", ""},
		{"no common name", foreign, pki.MapCommonName, ""},
		{"no DNS name", foreign, pki.MapDNS, ""},
		{"two common names", double, pki.MapCommonName, ""},
		{"two DNS names", double, pki.MapDNS, ""},
		{"two addresses", double, pki.MapEmail, ""},
		{"two URNs", double, pki.MapURN, ""},
	} {
		if got := pki.NameFromCertificate(tt.cert, tt.m); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for in, want := range map[string]pki.Mapping{"": pki.MapCommonName, "cn": pki.MapCommonName, "uri": pki.MapURN} {
		if got, err := pki.ParseMapping(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	_, err := pki.ParseMapping("CN")
	registrytest.WantCode(t, "CN", err, registry.Invalid)
}

func pemOf(c *x509.Certificate) string {
	return strings.TrimSpace(string(registrytest.OutsideCA{Cert: c}.PEM())) + "\n"
}
