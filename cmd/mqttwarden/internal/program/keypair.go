package program

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"mqttwarden/registry/durable"

	"mqttwarden/registry/ca"
)

// keyPair are the files of a certificate with its chain, and of its key.
type keyPair struct{ certFile, keyFile string }

// load reads a pair. Its errors name the file at fault.
func (p keyPair) load() (*tls.Certificate, error) {
	chain, err := os.ReadFile(p.certFile)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(p.keyFile)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, p.explain(err, chain, key)
	}
	return &cert, nil
}

// explain says why crypto/tls, whose errors name no file, refuses a pair.
func (p keyPair) explain(err error, chain, key []byte) error {
	certs, damage := certificatesIn(chain)
	switch {
	case damage != nil:
		return fmt.Errorf("%s: %w", p.certFile, damage)
	case len(certs) == 0:
		return fmt.Errorf("%s holds no certificate in PEM form", p.certFile)
	case bytes.Contains(key, []byte("ENCRYPTED")):
		return fmt.Errorf("%s: the key is encrypted: decrypt it first", p.keyFile)
	}
	for i, c := range certs[1:] {
		alone := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		if _, err := tls.X509KeyPair(alone, key); err == nil {
			return fmt.Errorf("%s: certificate %d (%s) is that of the key in %s: it must come first, then its issuer, and so on up", p.certFile, i+2, c.Subject, p.keyFile)
		}
	}
	return fmt.Errorf("%s is not the key of the certificate in %s (%s): %w", p.keyFile, p.certFile, certs[0].Subject, err)
}

// certificatesIn returns the certificates in a PEM text.
func certificatesIn(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// write puts a pair that our own CA issued in the place of the one that is there. A crash
// between the two leaves files that do not fit, and so are replaced.
func (p keyPair) write(made *ca.Server) error {
	if err := durable.Write(p.keyFile, made.PrivateKeyPEM(), 0o600); err != nil {
		return err
	}
	return durable.Write(p.certFile, []byte(made.FullPEM), 0o644)
}

// gap says what clients will miss in the chain that a certificate is shown with (RFC 8446
// section 4.4.2); it is empty if they miss nothing. Clients may have the known CAs.
func gap(chain []*x509.Certificate, known *x509.CertPool) string {
	for i, c := range chain[1:] {
		if chain[i].CheckSignatureFrom(c) != nil {
			return fmt.Sprintf("certificate %d (%s) did not sign the one before it (%s)", i+2, c.Subject, chain[i].Subject)
		}
	}
	leaf := chain[0]
	if len(chain) > 1 || bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		return ""
	}
	for _, roots := range []*x509.CertPool{known, nil} { // nil: the system's
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: leaf.NotBefore}); err == nil {
			return ""
		}
	}
	return fmt.Sprintf("the certificate of its issuer (%s) does not follow: clients that do not have that one refuse it", leaf.Issuer)
}
