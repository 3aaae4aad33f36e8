package broker

import "crypto/tls"

// TLS says how a listener speaks TLS, 1.2 or newer.
//
// A client certificate that chains to nothing we trust does not end the
// handshake: a user may have registered that very certificate. The handshake
// proves that the peer holds its key; the hook decides what that is worth, each
// time anew. That holds for a resumed session of TLS, too (RFC 8446 section 2.2):
// it brings the certificate of the one before.
type TLS struct {
	// Certificate returns the certificate of the broker. It is asked for each
	// connection, so what it returns may change while the broker runs.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
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
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: t.Certificate, GetConfigForClient: noteHello}
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
