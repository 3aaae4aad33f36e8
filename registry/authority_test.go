package registry_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

func TestTheAuthorityIsMadeOnceAndSealed(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	issuers, ring := make([]*registry.Issuer, 4), keyRing(t, 1)
	var wg sync.WaitGroup
	for i := range issuers { // as many nodes start at once
		wg.Go(func() {
			var err error
			if issuers[i], err = registry.OpenIssuer(ctx, r.store, ring, ca.Config{}, r.now); err != nil {
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
	stored, err := r.store.Authorities(ctx)
	must(t, err)
	if len(stored) != 1 || bytes.Contains(stored[0].Key, []byte("PRIVATE KEY")) || bytes.Contains(stored[0].RootKey, []byte("PRIVATE KEY")) || len(stored[0].RootKey) == 0 {
		t.Errorf("stored: %d generations, the keys as they are", len(stored))
	}
	again, err := registry.OpenIssuer(ctx, r.store, keyRing(t, 1), ca.Config{}, r.now)
	if err != nil || again.Current().ChainPEM() != issuers[0].Current().ChainPEM() {
		t.Errorf("opened again it is another: %v", err)
	}
	if _, err := registry.OpenIssuer(ctx, r.store, keyRing(t, 2), ca.Config{}, r.now); err == nil {
		t.Error("another master key opens it")
	}
}

// revocation returns what the list of a generation says of a certificate.
func (r *rig) revocation(generation uint64, c *x509.Certificate) (*x509.RevocationListEntry, *x509.RevocationList) {
	r.t.Helper()
	der, err := r.service.CRL(r.t.Context(), generation)
	must(r.t, err)
	list, err := x509.ParseRevocationList(der)
	must(r.t, err)
	i := slices.IndexFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(c.SerialNumber) == 0 })
	if i < 0 {
		return nil, list
	}
	return &list.RevokedCertificateEntries[i], list
}

// issuingCertificate returns the issuing certificate of a generation.
func (r *rig) issuingCertificate(generation uint64) *x509.Certificate {
	r.t.Helper()
	chain, err := r.service.AuthorityPEM(generation)
	must(r.t, err)
	anchors, err := ca.ParseTrustPEM([]byte(chain), r.now())
	must(r.t, err)
	return anchors[0].Certificate
}

// askOCSP returns what the responder says of a certificate.
func (r *rig) askOCSP(c, issuer *x509.Certificate) *ocsp.Response {
	r.t.Helper()
	req, err := ocsp.CreateRequest(c, issuer, &ocsp.RequestOptions{Hash: crypto.SHA256})
	must(r.t, err)
	der, err := r.service.OCSP(r.t.Context(), req)
	must(r.t, err)
	got, err := ocsp.ParseResponseForCert(der, c, issuer)
	must(r.t, err)
	return got
}

func TestARevocationIsToldByCRLAndOCSP(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	_, c := r.device("gateway")
	issuer := r.issuingCertificate(0)
	if e, _ := r.revocation(0, c); e != nil {
		t.Error("listed before it was revoked")
	}
	if got := r.askOCSP(c, issuer); got.Status != ocsp.Good {
		t.Errorf("OCSP says %d before it was revoked", got.Status)
	}
	_, before := r.revocation(0, c)
	_, err := r.service.Revoke(ctx, r.admin, ca.Fingerprint(c), ca.KeyCompromise)
	must(t, err)
	if got := r.askOCSP(c, issuer); got.Status != ocsp.Revoked || got.RevocationReason != int(ca.KeyCompromise) {
		t.Errorf("OCSP says %d, reason %d", got.Status, got.RevocationReason)
	}
	r.turn(5 * time.Second)
	e, list := r.revocation(0, c)
	if e == nil || e.ReasonCode != int(ca.KeyCompromise) {
		t.Fatalf("the list says %+v", e)
	}
	if list.Number.Cmp(before.Number) <= 0 {
		t.Errorf("number %v follows %v", list.Number, before.Number)
	}
	must(t, list.CheckSignatureFrom(issuer))

	r.turn(time.Minute)
	if _, same := r.revocation(0, c); same.Number.Cmp(list.Number) != 0 {
		t.Error("a new list is signed though nothing happened")
	}
	r.restart()
	if _, next := r.revocation(0, c); next.Number.Cmp(list.Number) <= 0 {
		t.Errorf("after a restart number %v follows %v", next.Number, list.Number)
	}
	_, next := r.revocation(0, c)
	r.turn(4 * 24 * time.Hour) // more than half its life
	if _, later := r.revocation(0, c); later.Number.Cmp(next.Number) <= 0 || !later.NextUpdate.After(next.NextUpdate) {
		t.Error("a list in the second half of its life is not signed anew")
	}
	unknown := newOutsideCA(t, r, "x").client(t, r, "gateway", nil)
	unknown.SerialNumber.SetInt64(4711)
	if got := r.askOCSP(unknown, issuer); got.Status != ocsp.Unknown {
		t.Errorf("OCSP says %d of what was never issued", got.Status)
	}
	if der, err := r.service.OCSP(ctx, []byte("hello")); err != nil || !bytes.Equal(der, ocsp.MalformedRequestErrorResponse) {
		t.Errorf("nonsense: %x, %v", der, err)
	}
}

func TestTwoNodesNeverGiveTwoListsOneNumber(t *testing.T) {
	r := newRig(t, withCertificates)
	other := r.node()
	_, c := r.device("gateway")
	_, one := r.revocation(0, c)
	_, two := other.revocation(0, c)
	if one.Number.Cmp(two.Number) == 0 {
		t.Errorf("both are number %v", one.Number)
	}
}

func TestTheNextGenerationIssuesAndTheOldOneGoesOnTelling(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	_, old := r.device("gateway-a")
	first := r.issuingCertificate(0)
	n, err := r.service.RenewAuthority(ctx, r.admin)
	if err != nil || n == 0 {
		t.Fatalf("%d, %v", n, err)
	}
	second := r.issuingCertificate(0)
	if second.Equal(first) || !bytes.Equal(second.RawIssuer, first.RawIssuer) {
		t.Error("the next generation is the same, or below another root")
	}
	_, next := r.device("gateway-b")
	must(t, next.CheckSignatureFrom(second))
	for _, c := range []*x509.Certificate{old, next} {
		_, err := r.loginWith(c)
		must(t, err)
		_, err = r.service.Revoke(ctx, r.admin, ca.Fingerprint(c), ca.Unspecified)
		must(t, err)
	}
	r.turn(time.Minute)
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
		if e, _ := r.revocation(tt.generation, tt.c); (e != nil) != tt.listed {
			t.Errorf("%s: %v", tt.name, e != nil)
		}
	}
	if got := r.askOCSP(old, first); got.Status != ocsp.Revoked {
		t.Errorf("OCSP says %d of the old one", got.Status)
	}
	if got := r.askOCSP(next, second); got.Status != ocsp.Revoked {
		t.Errorf("OCSP says %d of the new one", got.Status)
	}
	if got := r.askOCSP(old, second); got.Status != ocsp.Unknown {
		t.Errorf("OCSP says %d of the old one as if the new authority had issued it", got.Status)
	}
	_, err = r.service.CRL(ctx, 3)
	wantCode(t, "the list of no generation", err, registry.NotFound)
}

func TestAnotherNodeHearsOfTheNextGeneration(t *testing.T) {
	r := newRig(t, withCertificates)
	issuer, err := registry.OpenIssuer(t.Context(), r.store, keyRing(t, 1), ca.Config{}, r.now)
	must(t, err)
	_, err = r.service.RenewAuthority(t.Context(), r.admin)
	must(t, err)
	if n := len(issuer.Certificates()); n != 1 {
		t.Fatalf("%d generations before the reload", n)
	}
	must(t, issuer.Reload(t.Context()))
	if got := issuer.Certificates(); len(got) != 2 || !got[0].Equal(r.issuingCertificate(0)) {
		t.Errorf("%d generations after the reload", len(got))
	}
}

func TestTheAuthorityIsRenewedInTime(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	keep := func(want bool) {
		t.Helper()
		done, err := r.service.KeepAuthority(ctx)
		if err != nil || done != want {
			t.Errorf("renewed: %v, %v; want %v", done, err, want)
		}
	}
	const year = 365 * 24 * time.Hour
	keep(false)
	root := r.issuingCertificate(0).RawIssuer
	r.turn(4*year + 48*time.Hour) // a client's certificate would outlive it
	keep(true)
	keep(false)
	if got := r.issuingCertificate(0); !bytes.Equal(got.RawIssuer, root) {
		t.Error("it is below another root")
	}
	r.turn(4*year + 48*time.Hour) // now the root ends soon
	keep(true)
	keep(false)
	if got := r.issuingCertificate(0); bytes.Equal(got.RawIssuer, root) {
		t.Error("it is below a root that ends soon")
	}
	_, c := r.device("gateway")
	_, err := r.loginWith(c)
	must(t, err)
}

func TestImportAuthority(t *testing.T) {
	r := newRig(t, withCertificates)
	ctx := t.Context()
	_, before := r.device("gateway-a")
	corporate, other := newOutsideCA(t, r, "Corporate CA"), newOutsideCA(t, r, "Other CA")
	for name, in := range map[string][2][]byte{
		"no certificate": {nil, corporate.keyPEM(t)},
		"no key":         {corporate.pem(), nil},
		"another's key":  {corporate.pem(), other.keyPEM(t)},
	} {
		_, err := r.service.ImportAuthority(ctx, r.admin, in[0], in[1])
		wantCode(t, name, err, registry.Invalid)
	}
	n, err := r.service.ImportAuthority(ctx, r.admin, corporate.pem(), corporate.keyPEM(t))
	if err != nil || n == 0 {
		t.Fatalf("%d, %v", n, err)
	}
	_, after := r.device("gateway-b")
	must(t, after.CheckSignatureFrom(corporate.cert))
	for _, c := range []*x509.Certificate{before, after} {
		_, err := r.loginWith(c)
		must(t, err)
	}
	r.restart()
	if got := r.issuingCertificate(0); !got.Equal(corporate.cert) {
		t.Error("after a restart another one issues")
	}
	_, err = r.service.RenewAuthority(ctx, r.admin)
	wantCode(t, "renew what was imported", err, registry.Conflict)
	if done, err := r.service.KeepAuthority(ctx); err != nil || done {
		t.Errorf("an imported one was renewed: %v, %v", done, err)
	}
	// A name alone is nothing: a certificate of the imported CA that we did not issue.
	r.byName("gateway-c")
	if _, err := r.loginWith(corporate.client(t, r, "gateway-c", nil)); err == nil {
		t.Error("a certificate of our own CA signs in by its name")
	}
}

func TestEachGenerationNamesItsOwnList(t *testing.T) {
	r := newRig(t)
	issuer, err := registry.OpenIssuer(t.Context(), r.store, keyRing(t, 1), ca.Config{CRLURL: "http://pki.example.com/crl"}, r.now)
	must(t, err)
	server, err := issuer.Current().IssueServer([]string{"localhost"}, r.now())
	must(t, err)
	if got := parse(t, server.PEM).CRLDistributionPoints; len(got) != 1 || got[0] != "http://pki.example.com/crl/1" {
		t.Errorf("the list is at %v", got)
	}
}

func TestWithoutAnAuthorityThereIsNothing(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	_, err := r.service.CRL(ctx, 0)
	wantCode(t, "CRL", err, registry.NotFound)
	_, err = r.service.OCSP(ctx, nil)
	wantCode(t, "OCSP", err, registry.NotFound)
	_, err = r.service.RenewAuthority(ctx, r.admin)
	wantCode(t, "renew", err, registry.NotFound)
	_, err = r.service.ImportAuthority(ctx, r.admin, nil, nil)
	wantCode(t, "import", err, registry.NotFound)
	if done, err := r.service.KeepAuthority(ctx); err != nil || done {
		t.Errorf("keep: %v, %v", done, err)
	}
}
