package pki_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/pki"
	"mqttwarden/registry/registrytest"
	"mqttwarden/registry/secret"
	"mqttwarden/registry/sqlstore"
)

func TestTheAuthorityIsMadeOnceAndSealed(t *testing.T) {
	ctx := t.Context()
	store, err := sqlstore.Open(ctx, sqlstore.Config{Path: filepath.Join(t.TempDir(), "new.db")})
	registrytest.Must(t, err)
	defer store.Close()
	ring := registrytest.KeyRing(t)
	issuers := make([]*pki.Issuer, 4)
	var wg sync.WaitGroup
	for i := range issuers { // as many nodes start at once
		wg.Go(func() {
			var err error
			if issuers[i], err = openIssuer(t, store, ring, ca.Config{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, i := range issuers {
		if i.Current().ChainPEM() != issuers[0].Current().ChainPEM() {
			t.Error("two nodes have different authorities")
		}
	}
	stored, err := store.Authorities(ctx)
	registrytest.Must(t, err)
	if len(stored) != 1 || bytes.Contains(stored[0].Key, []byte("PRIVATE KEY")) || bytes.Contains(stored[0].RootKey, []byte("PRIVATE KEY")) || len(stored[0].RootKey) == 0 {
		t.Errorf("stored: %d generations, the keys as they are", len(stored))
	}
	again, err := openIssuer(t, store, ring, ca.Config{})
	if err != nil || again.Current().ChainPEM() != issuers[0].Current().ChainPEM() {
		t.Errorf("opened again it is another: %v", err)
	}
	other, err := secret.NewKeyRing(bytes.Repeat([]byte{2}, 32))
	registrytest.Must(t, err)
	if _, err := openIssuer(t, store, other, ca.Config{}); err == nil {
		t.Error("another master key opens it")
	}
}

// openIssuer returns the authority of a store.
func openIssuer(t *testing.T, store *sqlstore.Store, keys registry.Sealer, cfg ca.Config) (*pki.Issuer, error) {
	t.Helper()
	s, err := pki.Open(t.Context(), pki.Config{
		Editor: registry.NewEditor(store, registry.NewHeldRoles(), time.Now, nil), Store: store, Keys: keys, CA: cfg, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return s.Issuer(), nil
}

// revocation returns what the list of a generation says of a certificate.
func revocation(r *registrytest.Rig, generation uint64, c *x509.Certificate) (*x509.RevocationListEntry, *x509.RevocationList) {
	r.T.Helper()
	der, err := r.PKI.CRL(r.T.Context(), generation)
	registrytest.Must(r.T, err)
	list, err := x509.ParseRevocationList(der)
	registrytest.Must(r.T, err)
	i := slices.IndexFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(c.SerialNumber) == 0 })
	if i < 0 {
		return nil, list
	}
	return &list.RevokedCertificateEntries[i], list
}

// issuingCertificate returns the issuing certificate of a generation.
func issuingCertificate(r *registrytest.Rig, generation uint64) *x509.Certificate {
	r.T.Helper()
	chain, err := r.PKI.AuthorityPEM(generation)
	registrytest.Must(r.T, err)
	anchors, err := ca.ParseTrustPEM([]byte(chain), r.Now())
	registrytest.Must(r.T, err)
	return anchors[0].Certificate
}

// askOCSP returns what the responder says of a certificate.
func askOCSP(r *registrytest.Rig, c, issuer *x509.Certificate) *ocsp.Response {
	r.T.Helper()
	req, err := ocsp.CreateRequest(c, issuer, &ocsp.RequestOptions{Hash: crypto.SHA256})
	registrytest.Must(r.T, err)
	der, err := r.PKI.OCSP(r.T.Context(), req)
	registrytest.Must(r.T, err)
	got, err := ocsp.ParseResponseForCert(der, c, issuer)
	registrytest.Must(r.T, err)
	return got
}

func TestARevocationIsToldByCRLAndOCSP(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	_, c := r.Device("gateway")
	issuer := issuingCertificate(r, 0)
	if e, _ := revocation(r, 0, c); e != nil {
		t.Error("listed before it was revoked")
	}
	if got := askOCSP(r, c, issuer); got.Status != ocsp.Good {
		t.Errorf("OCSP says %d before it was revoked", got.Status)
	}
	_, before := revocation(r, 0, c)
	_, _, err := r.PKI.Revoke(ctx, r.Admin, ca.Fingerprint(c), ca.KeyCompromise)
	registrytest.Must(t, err)
	if got := askOCSP(r, c, issuer); got.Status != ocsp.Revoked || got.RevocationReason != int(ca.KeyCompromise) {
		t.Errorf("OCSP says %d, reason %d", got.Status, got.RevocationReason)
	}
	r.Turn(5 * time.Second)
	e, list := revocation(r, 0, c)
	if e == nil || e.ReasonCode != int(ca.KeyCompromise) {
		t.Fatalf("the list says %+v", e)
	}
	if list.Number.Cmp(before.Number) <= 0 {
		t.Errorf("number %v follows %v", list.Number, before.Number)
	}
	registrytest.Must(t, list.CheckSignatureFrom(issuer))

	r.Turn(time.Minute)
	if _, same := revocation(r, 0, c); same.Number.Cmp(list.Number) != 0 {
		t.Error("a new list is signed though nothing happened")
	}
	r.Restart()
	if _, next := revocation(r, 0, c); next.Number.Cmp(list.Number) <= 0 {
		t.Errorf("after a restart number %v follows %v", next.Number, list.Number)
	}
	_, next := revocation(r, 0, c)
	r.Turn(4 * 24 * time.Hour) // more than half its life
	if _, later := revocation(r, 0, c); later.Number.Cmp(next.Number) <= 0 || !later.NextUpdate.After(next.NextUpdate) {
		t.Error("a list in the second half of its life is not signed anew")
	}
	unknown := r.NewOutsideCA("x").Client(r, "gateway", nil)
	unknown.SerialNumber.SetInt64(4711)
	if got := askOCSP(r, unknown, issuer); got.Status != ocsp.Unknown {
		t.Errorf("OCSP says %d of what was never issued", got.Status)
	}
	if der, err := r.PKI.OCSP(ctx, []byte("hello")); err != nil || !bytes.Equal(der, ocsp.MalformedRequestErrorResponse) {
		t.Errorf("nonsense: %x, %v", der, err)
	}
}

func TestTwoNodesNeverGiveTwoListsOneNumber(t *testing.T) {
	r := registrytest.New(t)
	other := r.Another()
	_, c := r.Device("gateway")
	_, one := revocation(r, 0, c)
	_, two := revocation(other, 0, c)
	if one.Number.Cmp(two.Number) == 0 {
		t.Errorf("both are number %v", one.Number)
	}
}

func TestTheNextGenerationIssuesAndTheOldOneGoesOnTelling(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	_, old := r.Device("gateway-a")
	first := issuingCertificate(r, 0)
	n, err := r.PKI.RenewAuthority(ctx, r.Admin)
	if err != nil || n == 0 {
		t.Fatalf("%d, %v", n, err)
	}
	second := issuingCertificate(r, 0)
	if second.Equal(first) || !bytes.Equal(second.RawIssuer, first.RawIssuer) {
		t.Error("the next generation is the same, or below another root")
	}
	_, next := r.Device("gateway-b")
	registrytest.Must(t, next.CheckSignatureFrom(second))
	for _, c := range []*x509.Certificate{old, next} {
		_, err := r.LoginWith(c)
		registrytest.Must(t, err)
		_, _, err = r.PKI.Revoke(ctx, r.Admin, ca.Fingerprint(c), ca.Unspecified)
		registrytest.Must(t, err)
	}
	r.Turn(time.Minute)
	for _, tt := range []struct {
		name       string
		generation uint64
		c          *x509.Certificate
		listed     bool
	}{
		{"the old one in the old list", 1, old, true},
		{"the old one in the new list", 2, old, false},
		{"the new one in the old list", 1, next, false},
		{"the new one in the new list", 2, next, true},
		{"the new one in the current list", 0, next, true},
	} {
		if e, _ := revocation(r, tt.generation, tt.c); (e != nil) != tt.listed {
			t.Errorf("%s: %v", tt.name, e != nil)
		}
	}
	if got := askOCSP(r, old, first); got.Status != ocsp.Revoked {
		t.Errorf("OCSP says %d of the old one", got.Status)
	}
	if got := askOCSP(r, next, second); got.Status != ocsp.Revoked {
		t.Errorf("OCSP says %d of the new one", got.Status)
	}
	if got := askOCSP(r, old, second); got.Status != ocsp.Unknown {
		t.Errorf("OCSP says %d of the old one as if the new authority had issued it", got.Status)
	}
	_, err = r.PKI.CRL(ctx, 3)
	registrytest.WantCode(t, "the list of no generation", err, registry.NotFound)
}

func TestAnotherNodeHearsOfTheNextGeneration(t *testing.T) {
	r := registrytest.New(t)
	issuer, err := openIssuer(t, r.Store, registrytest.KeyRing(t), ca.Config{})
	registrytest.Must(t, err)
	_, err = r.PKI.RenewAuthority(t.Context(), r.Admin)
	registrytest.Must(t, err)
	if n := len(issuer.Certificates()); n != 1 {
		t.Fatalf("%d generations before the reload", n)
	}
	registrytest.Must(t, issuer.Reload(t.Context()))
	if got := issuer.Certificates(); len(got) != 2 || !got[0].Equal(issuingCertificate(r, 0)) {
		t.Errorf("%d generations after the reload", len(got))
	}
}

func TestTheAuthorityIsRenewedInTime(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	keep := func(want bool) {
		t.Helper()
		done, err := r.PKI.KeepAuthority(ctx)
		if err != nil || done != want {
			t.Errorf("renewed: %v, %v; want %v", done, err, want)
		}
	}
	const year = 365 * 24 * time.Hour
	keep(false)
	root := issuingCertificate(r, 0).RawIssuer
	r.Turn(4*year + 48*time.Hour) // a client's certificate would outlive it
	keep(true)
	keep(false)
	if got := issuingCertificate(r, 0); !bytes.Equal(got.RawIssuer, root) {
		t.Error("it is below another root")
	}
	r.Turn(4*year + 48*time.Hour) // now the root ends soon
	keep(true)
	keep(false)
	if got := issuingCertificate(r, 0); bytes.Equal(got.RawIssuer, root) {
		t.Error("it is below a root that ends soon")
	}
	_, c := r.Device("gateway")
	_, err := r.LoginWith(c)
	registrytest.Must(t, err)
}

func TestImportAuthority(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	_, before := r.Device("gateway-a")
	corporate, other := r.NewOutsideCA("Corporate CA"), r.NewOutsideCA("Other CA")
	for name, in := range map[string][2][]byte{
		"no certificate": {nil, corporate.KeyPEM(t)},
		"no key":         {corporate.PEM(), nil},
		"another's key":  {corporate.PEM(), other.KeyPEM(t)},
	} {
		_, err := r.PKI.ImportAuthority(ctx, r.Admin, in[0], in[1])
		registrytest.WantCode(t, name, err, registry.Invalid)
	}
	n, err := r.PKI.ImportAuthority(ctx, r.Admin, corporate.PEM(), corporate.KeyPEM(t))
	if err != nil || n == 0 {
		t.Fatalf("%d, %v", n, err)
	}
	_, after := r.Device("gateway-b")
	registrytest.Must(t, after.CheckSignatureFrom(corporate.Cert))
	for _, c := range []*x509.Certificate{before, after} {
		_, err := r.LoginWith(c)
		registrytest.Must(t, err)
	}
	r.Restart()
	if got := issuingCertificate(r, 0); !got.Equal(corporate.Cert) {
		t.Error("after a restart another one issues")
	}
	_, err = r.PKI.RenewAuthority(ctx, r.Admin)
	registrytest.WantCode(t, "renew what was imported", err, registry.Conflict)
	if done, err := r.PKI.KeepAuthority(ctx); err != nil || done {
		t.Errorf("an imported one was renewed: %v, %v", done, err)
	}
	// A name alone is nothing: a certificate of the imported CA that we did not issue.
	byName(r, "gateway-c")
	if _, err := r.LoginWith(corporate.Client(r, "gateway-c", nil)); err == nil {
		t.Error("a certificate of our own CA signs in by its name")
	}
}

func TestEachGenerationNamesItsOwnList(t *testing.T) {
	r := registrytest.New(t)
	issuer, err := openIssuer(t, r.Store, registrytest.KeyRing(t), ca.Config{CRLURL: "http://pki.example.com/crl"})
	registrytest.Must(t, err)
	key, err := ca.NewServerKey()
	registrytest.Must(t, err)
	server, err := issuer.Current().IssueServer(key, []string{"localhost"}, r.Now())
	registrytest.Must(t, err)
	if got := registrytest.Parse(t, server.PEM).CRLDistributionPoints; len(got) != 1 || got[0] != "http://pki.example.com/crl/1" {
		t.Errorf("the list is at %v", got)
	}
}
