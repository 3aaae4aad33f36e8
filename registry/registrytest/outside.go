package registrytest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// OutsideCA is an authority that is not ours.
type OutsideCA struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// NewOutsideCA returns an authority of that name.
func (r *Rig) NewOutsideCA(name string) OutsideCA {
	r.T.Helper()
	key := NewKey(r.T)
	c := OutsideCA{Key: key}
	c.Cert = Sign(r.T, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: r.Now().Add(-time.Hour), NotAfter: r.Now().Add(24 * time.Hour), SubjectKeyId: []byte(name),
	}, nil, &key.PublicKey, key)
	return c
}

// PEM returns its certificate.
func (c OutsideCA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Cert.Raw})
}

// KeyPEM returns its private key.
func (c OutsideCA) KeyPEM(tb testing.TB) []byte {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	Must(tb, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Client issues a client certificate; change may alter it before.
func (c OutsideCA) Client(r *Rig, name string, change func(*x509.Certificate)) *x509.Certificate {
	r.T.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore:   r.Now().Add(-time.Hour), NotAfter: r.Now().Add(12 * time.Hour),
	}
	if change != nil {
		change(tmpl)
	}
	return Sign(r.T, tmpl, c.Cert, &NewKey(r.T).PublicKey, c.Key)
}

// Sign makes a certificate; one without a parent is its own.
func Sign(tb testing.TB, tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	if parent == nil {
		parent = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	Must(tb, err)
	c, err := x509.ParseCertificate(der)
	Must(tb, err)
	return c
}
