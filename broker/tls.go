package broker

import (
	"crypto/tls"
	"crypto/x509"
)

// TLS says how a listener speaks TLS, 1.2 or newer. Both functions are asked for
// each connection, so what they return may change while the broker runs.
//
// A client certificate that chains to nothing we trust does not end the
// handshake: a user may have registered that very certificate. The handshake
// proves that the peer holds its key; the hook decides what that is worth.
type TLS struct {
	// Certificate returns the certificate of the broker.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ClientCAs returns the CAs that client certificates are trusted by. Nil,
	// or no pool: none is, as far as the broker can tell the hook.
	ClientCAs func() *x509.CertPool
	// ClientAuth says whether clients must show a certificate.
	ClientAuth ClientAuth
}

// ClientAuth says whether clients must show a certificate.
type ClientAuth int

// The choices. A certificate that is shown counts in the first two.
const (
	ClientCertRequested ClientAuth = iota // who has one shows it
	ClientCertRequired                    // the handshake fails without one
	ClientCertIgnored                     // none is asked for
)

// config returns the settings of the handshake. The CAs are not among them:
// listed, they would make clients withhold the certificates of all others.
func (t *TLS) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: t.Certificate}
	switch t.ClientAuth {
	case ClientCertRequired:
		c.ClientAuth = tls.RequireAnyClientCert
	case ClientCertIgnored:
		c.ClientAuth = tls.NoClientCert
	default:
		c.ClientAuth = tls.RequestClientCert
	}
	return c
}

// trusted reports whether the first of certs chains to one of the CAs now, and
// may be a client's (RFC 5280 section 4.2.1.12).
func trusted(certs []*x509.Certificate, ca func() *x509.CertPool) bool {
	if ca == nil {
		return false
	}
	roots := ca()
	if roots == nil {
		return false // Verify would take the system's
	}
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}
