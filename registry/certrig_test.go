package registry_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/secret"
)

// withCertificates gives a rig an authority of its own, and trust anchors.
func withCertificates(r *rig, cfg *registry.ServiceConfig) {
	r.t.Helper()
	issuer, err := registry.OpenIssuer(r.t.Context(), cfg.Store, keyRing(r.t, 1), ca.Config{}, r.now)
	must(r.t, err)
	cfg.Certificates.Issuer = issuer
	r.anchors = registry.NewAnchors(registry.AnchorsConfig{Store: cfg.Store, Own: issuer.Certificates, Now: r.now})
	must(r.t, r.anchors.Reload(r.t.Context()))
}

// keyRing returns the ring of the master key with that number.
func keyRing(t *testing.T, number byte) *secret.KeyRing {
	t.Helper()
	key := make([]byte, 32)
	key[0] = number
	ring, err := secret.NewKeyRing(key)
	must(t, err)
	return ring
}

// newCSR returns a certificate request for a name, with a key of its own.
func newCSR(t *testing.T, name string) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, newKey(t))
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// device makes a user with a certificate of ours, through a registration, and
// returns it with the certificate.
func (r *rig) device(name string) (registry.User, *x509.Certificate) {
	r.t.Helper()
	r.openWindow(time.Minute)
	req := request(name)
	req.Password, req.CSR = "", newCSR(r.t, name)
	r.register(req, registry.RegistrationPending)
	u := r.confirm(name)
	return u, parse(r.t, r.register(req, registry.RegistrationGranted).Certificate)
}

// shown is what the TLS layer makes of a certificate.
func (r *rig) shown(chain ...*x509.Certificate) *registry.Certificate {
	return r.anchors.Certificate(chain, registry.MapCommonName)
}

// loginWith signs in with a certificate alone.
func (r *rig) loginWith(chain ...*x509.Certificate) (registry.Login, error) {
	return r.signIn.In(r.t.Context(), registry.Attempt{Certificate: r.shown(chain...)})
}

// holds reports whether a login could be made again as its user is now.
func (r *rig) holds(l registry.Login) bool {
	r.t.Helper()
	rec, err := r.store.RecordByID(r.t.Context(), l.Subject.ID())
	if err != nil {
		wantCode(r.t, "read the user", err, registry.NotFound)
		return l.Proof.Holds(nil, r.now())
	}
	return l.Proof.Holds(rec.Principal(), r.now())
}

func parse(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) != 0 {
		t.Fatalf("not one PEM block: %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return c
}

// outsideCA is an authority that is not ours.
type outsideCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newOutsideCA(t *testing.T, r *rig, name string) outsideCA {
	t.Helper()
	key := newKey(t)
	c := outsideCA{key: key}
	c.cert = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: r.now().Add(-time.Hour), NotAfter: r.now().Add(24 * time.Hour), SubjectKeyId: []byte(name),
	}, nil, &key.PublicKey, key)
	return c
}

func (c outsideCA) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
}

func (c outsideCA) keyPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// client issues a client certificate; change may alter it before.
func (c outsideCA) client(t *testing.T, r *rig, name string, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore:   r.now().Add(-time.Hour), NotAfter: r.now().Add(12 * time.Hour),
	}
	if change != nil {
		change(tmpl)
	}
	return sign(t, tmpl, c.cert, &newKey(t).PublicKey, c.key)
}

func sign(t *testing.T, tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}
