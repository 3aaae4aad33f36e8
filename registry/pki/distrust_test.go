package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry/pki"
)

// signer is a CA, or what a device shows.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// signed returns a certificate with what template says, by a CA or, if that is nil,
// by itself.
func signed(t *testing.T, by *signer, template x509.Certificate) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	if by == nil {
		by = &signer{&template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{cert, key}
}

// A certificate that does not sign in by its name says why.
func TestWhyACertificateIsNotTrusted(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	authority := func(name string, by *signer, until int) *signer {
		return signed(t, by, x509.Certificate{
			Subject: pkix.Name{CommonName: name}, NotBefore: year(2020), NotAfter: year(until),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		})
	}
	root, other := authority("Root", nil, 2040), authority("Other", nil, 2040)
	late := authority("Late", root, 2025)
	between := authority("Between", root, 2040)
	leaf := func(by *signer, change func(*x509.Certificate)) []*x509.Certificate {
		template := x509.Certificate{
			Subject: pkix.Name{CommonName: "dev"}, NotBefore: year(2024), NotAfter: year(2030),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		if change != nil {
			change(&template)
		}
		return []*x509.Certificate{signed(t, by, template).cert}
	}
	for _, tt := range []struct {
		name  string
		chain []*x509.Certificate
		want  string // empty: trusted
	}{
		{"a good one", leaf(root, nil), ""},
		{"expired", leaf(root, func(c *x509.Certificate) { c.NotAfter = year(2026) }), "expired at 2026-01-01T00:00:00Z"},
		{"not valid yet", leaf(root, func(c *x509.Certificate) { c.NotBefore = year(2027) }), "not valid before 2027-01-01T00:00:00Z"},
		{"for a server", leaf(root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "not for client authentication"},
		{"without a name", leaf(root, func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"o"}} }), "carries no name"},
		{"of an unknown CA", leaf(other, nil), `CA is not known, or an intermediate certificate is missing: issued by "CN=Other"`},
		{"without its intermediate", leaf(between, nil), `issued by "CN=Between"`},
		{"under an expired CA", append(leaf(late, nil), late.cert), `the CA "CN=Late" above it expired at 2025-01-01T00:00:00Z`},
		{"self-signed", leaf(nil, nil), "self-signed"},
		{"signed with SHA-1", leaf(root, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), "ECDSA-SHA1, which is too weak"},
		{"the CA itself", []*x509.Certificate{root.cert}, "a trusted CA itself"},
	} {
		anchors := pki.NewAnchors(pki.AnchorsConfig{Files: []*x509.Certificate{root.cert}, Now: func() time.Time { return now }})
		c := anchors.Certificate(tt.chain, pki.MapCommonName)
		if tt.want == "" {
			if !c.Trusted || c.Distrust != "" {
				t.Errorf("%s: trusted: %v, %q", tt.name, c.Trusted, c.Distrust)
			}
			continue
		}
		if !strings.Contains(c.Distrust, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, c.Distrust, tt.want)
		}
	}
}
