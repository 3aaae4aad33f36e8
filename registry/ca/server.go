package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const maxHosts = 100

// Server is a certificate for the product's own TLS listeners, with its key.
type Server struct {
	Issued

	keyPEM []byte
}

// PrivateKeyPEM returns the key (PKCS#8), unencrypted.
func (s *Server) PrivateKeyPEM() []byte { return slices.Clone(s.keyPEM) }

// Format implements [fmt.Formatter], so that no verb prints the key.
func (s *Server) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "ca: server certificate %s", s.Serial)
}

// NewServerKey makes a key for [Authority.IssueServer]: ECDSA P-256, which every TLS
// client of the last ten years knows.
func NewServerKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ca: make server key: %w", err)
	}
	return key, nil
}

// NewRSAServerKey is NewServerKey for TLS 1.2 clients that know RSA alone, as small
// devices do: 2048 bits. It takes a while, on a small machine many seconds.
func NewRSAServerKey() (crypto.Signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, minRSA)
	if err != nil {
		return nil, fmt.Errorf("ca: make RSA server key: %w", err)
	}
	return key, nil
}

// IssueServer makes a certificate for key for server authentication under hosts: DNS names, of which the first label may be "*",
// and IP addresses. The certificate lives for Config.ServerLife, counted from
// five minutes before now, and never longer than the authority.
//
// It names the CRL and no OCSP responder: nodes issue these certificates for
// themselves without recording the serial number, so OCSP would answer "unknown", and
// clients would refuse them.
//
// A bad host is a [*RequestError]; see [Authority.Issue] for other errors.
func (a *Authority) IssueServer(key crypto.Signer, hosts []string, now time.Time) (*Server, error) {
	if len(hosts) == 0 || len(hosts) > maxHosts {
		return nil, requestError("hosts", "%d names: must be 1 to %d", len(hosts), maxHosts)
	}
	start := now.Add(-backdate)
	tmpl := &x509.Certificate{
		NotBefore:   start,
		NotAfter:    start.Add(a.cfg.ServerLife - time.Second), // the last second counts: RFC 5280 section 4.1.2.5
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil && ip.Zone() == "" {
			addr := net.IP(ip.AsSlice())
			if !slices.ContainsFunc(tmpl.IPAddresses, addr.Equal) {
				tmpl.IPAddresses = append(tmpl.IPAddresses, addr)
			}
			continue
		}
		name := strings.ToLower(h)
		if !validHost(strings.TrimPrefix(name, "*.")) {
			return nil, requestError("hosts", "%s is neither a DNS name nor an IP address", quote(h))
		}
		if !slices.Contains(tmpl.DNSNames, name) {
			tmpl.DNSNames = append(tmpl.DNSNames, name)
		}
	}
	// Without room for a common name the subject stays empty, and the alternative
	// names become critical (RFC 5280 section 4.2.1.6).
	if len(hosts[0]) <= maxCommonName {
		tmpl.Subject = pkix.Name{CommonName: strings.ToLower(hosts[0])}
	}
	issued, err := a.sign(tmpl, key.Public(), now)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return &Server{Issued: *issued, keyPEM: keyPEM}, nil
}
