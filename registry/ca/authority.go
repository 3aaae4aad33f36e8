// Package ca is a certificate authority: it signs the certificates with which devices
// sign in and those of our own TLS listeners, and says which of them are revoked (CRL,
// OCSP).
//
// The package stores nothing: storing certificates, sealing keys, recording serial
// numbers and serving CRL and OCSP are the caller's part. Time is handed in.
// Randomness is crypto/rand's: since Go 1.26 the standard library ignores any other
// source for keys and signatures.
//
// The certificates follow RFC 5280. A name in a request reaches the certificate only
// if the caller allows it.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"time"
)

const (
	rootYears    = 10
	issuingYears = 5

	// backdate is how long before now a certificate or CRL becomes valid: the
	// clocks of devices are wrong by minutes.
	backdate = 5 * time.Minute
)

// Authority issues certificates and signs CRLs and OCSP responses with one
// issuing certificate. It does not change and may be used by several goroutines.
type Authority struct {
	cfg   Config
	chain []*x509.Certificate // issuing certificate first, root last
	key   crypto.Signer       // of chain[0]

	roots, intermediates *x509.CertPool // chain, in the form that Verify takes
}

// Create makes a root (ECDSA P-256, ten years, path length 1) and an issuing
// certificate below it (ECDSA P-256, five years, path length 0).
//
// rootKeyPEM is the root's private key (PKCS#8). The Authority does not keep it; only
// [NewIssuing] needs it.
func Create(cfg Config, now time.Time) (a *Authority, rootKeyPEM []byte, err error) {
	cfg, err = cfg.complete()
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("ca: make root key: %w", err)
	}
	tmpl, err := caTemplate(cfg.Name+" Root CA", cfg.Name, &key.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	tmpl.AuthorityKeyId = tmpl.SubjectKeyId // its own, as it is self-signed
	tmpl.MaxPathLen = 1
	tmpl.NotBefore, tmpl.NotAfter = now.Add(-backdate), now.AddDate(rootYears, 0, 0)
	root, err := create(tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("ca: make root: %w", err)
	}
	if a, err = newIssuing(cfg, root, key, now); err != nil {
		return nil, nil, err
	}
	if rootKeyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	return a, rootKeyPEM, nil
}

// NewIssuing makes another issuing certificate, with a key of its own, below a root
// that [Create] made: before the old one expires, or when its key may be known to
// others. Devices that trust the root need no change. The old Authority goes on
// signing the CRL and OCSP responses about what it issued.
//
// It returns a [*CertificateError] if the root cannot sign, does not fit the
// key, or has expired.
func NewIssuing(cfg Config, rootPEM, rootKeyPEM []byte, now time.Time) (*Authority, error) {
	r, err := Import(cfg, rootPEM, rootKeyPEM, now)
	if err != nil {
		return nil, err
	}
	if n := r.chain[0].MaxPathLen; n == 0 {
		return nil, certificateError(1, r.chain[0], "may not have a CA below it (its path length is 0)")
	}
	return newIssuing(r.cfg, r.chain[0], r.key, now)
}

func newIssuing(cfg Config, root *x509.Certificate, rootKey crypto.Signer, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ca: make issuing key: %w", err)
	}
	tmpl, err := caTemplate(cfg.Name+" Issuing CA", cfg.Name, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	tmpl.KeyUsage |= x509.KeyUsageDigitalSignature // it signs OCSP responses, RFC 5280 section 4.2.1.3
	tmpl.MaxPathLenZero = true
	tmpl.NotBefore, tmpl.NotAfter = now.Add(-backdate), earlier(now.AddDate(issuingYears, 0, 0), root.NotAfter)
	issuing, err := create(tmpl, root, &key.PublicKey, rootKey)
	if err != nil {
		return nil, fmt.Errorf("ca: make issuing certificate: %w", err)
	}
	return newAuthority(cfg, []*x509.Certificate{issuing, root}, key), nil
}

func newAuthority(cfg Config, chain []*x509.Certificate, key crypto.Signer) *Authority {
	a := &Authority{cfg: cfg, chain: chain, key: key, roots: x509.NewCertPool(), intermediates: x509.NewCertPool()}
	last := len(chain) - 1
	a.roots.AddCert(chain[last])
	for _, c := range chain[:last] {
		a.intermediates.AddCert(c)
	}
	return a
}

// Certificates returns the chain, the issuing certificate first and the root last. A
// listener that trusts all of them accepts a device that presents its own certificate
// without the chain.
func (a *Authority) Certificates() []*x509.Certificate {
	return slices.Clone(a.chain)
}

// NotAfter returns when the authority stops issuing: the end of its issuing
// certificate, or of one above if that comes first. Nothing it issues lives longer.
func (a *Authority) NotAfter() time.Time {
	end := a.chain[0].NotAfter
	for _, c := range a.chain[1:] {
		end = earlier(end, c.NotAfter)
	}
	return end
}

// notBefore returns when the last certificate of the chain becomes valid.
func (a *Authority) notBefore() time.Time {
	start := a.chain[0].NotBefore
	for _, c := range a.chain[1:] {
		if c.NotBefore.After(start) {
			start = c.NotBefore
		}
	}
	return start
}

// ChainPEM returns the issuing certificate, then those above it, the root last.
func (a *Authority) ChainPEM() string { return encodeCertificates(a.chain) }

// RootPEM returns the root, which is what a device has to trust.
func (a *Authority) RootPEM() string { return encodeCertificates(a.chain[len(a.chain)-1:]) }

// PrivateKeyPEM returns the issuing key (PKCS#8), unencrypted: seal it.
func (a *Authority) PrivateKeyPEM() ([]byte, error) { return encodeKey(a.key) }

// Format implements [fmt.Formatter], so that no verb prints the key.
func (a *Authority) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "ca: %s", a.chain[0].Subject)
}

// caTemplate returns what root and issuing certificate have in common. The name ends
// in a piece of the key's identifier, because programs that look up an issuer by its
// name would confuse two authorities of one name.
func caTemplate(name, organization string, pub crypto.PublicKey) (*x509.Certificate, error) {
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{organization}, CommonName: fmt.Sprintf("%s %x", name, id[:4])},
		SubjectKeyId:          id,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil
}

// create signs tmpl, with a random serial number, as parent, whose key is key.
func create(tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := newSerial(rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
