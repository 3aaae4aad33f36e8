package apitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// NewKey makes a key as devices have them.
func NewKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// CSR returns a certificate request for a name as devices send it: the base64 of
// PEM.
func CSR(t testing.TB, key crypto.Signer, name string) string {
	t.Helper()
	return CSRLike(t, key, x509.CertificateRequest{Subject: pkix.Name{CommonName: name}})
}

// CSRLike returns a certificate request with all that tmpl has.
func CSRLike(t testing.TB, key crypto.Signer, tmpl x509.CertificateRequest) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &tmpl, key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(PEM("CERTIFICATE REQUEST", der))
}

// PEM returns one block.
func PEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// ParsePEM reads the certificates of a text, which has nothing else.
func ParsePEM(t testing.TB, text string) []*x509.Certificate {
	t.Helper()
	var all []*x509.Certificate
	for rest := []byte(text); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatalf("not PEM: %q", text)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// Pair joins the first certificate of a text with its key.
func Pair(t testing.TB, text string, key crypto.PrivateKey) tls.Certificate {
	t.Helper()
	c := ParsePEM(t, text)[0]
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

// CA is an authority that is not ours.
type CA struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes an authority; change, which may be nil, spoils it.
func NewCA(t testing.TB, name string, change func(*x509.Certificate)) CA {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), SubjectKeyId: []byte(name),
	}
	if change != nil {
		change(tmpl)
	}
	key := NewKey(t)
	return CA{certificate(t, tmpl, tmpl, &key.PublicKey, key), key}
}

// PEM returns its certificate.
func (c CA) PEM() string { return string(PEM("CERTIFICATE", c.Cert.Raw)) }

// Client issues a client certificate.
func (c CA) Client(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key := NewKey(t)
	cert := certificate(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
	}, c.Cert, &key.PublicKey, c.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func certificate(t testing.TB, tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
