package ca

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"
)

// Issued is a certificate that was issued, in the forms that are handed out and
// recorded.
type Issued struct {
	PEM         string    // the certificate
	FullPEM     string    // the certificate and those above it without the root, as a TLS peer presents them
	ChainPEM    string    // the issuing certificate, those above it, and the root
	Serial      string    // as [FormatSerial]
	Fingerprint string    // as [Fingerprint]
	NotBefore   time.Time // UTC, whole seconds
	NotAfter    time.Time // UTC, whole seconds; the certificate is valid up to and with it
}

// Issue signs a certificate with which the user of req signs in: for client
// authentication only, with the username as its subject and the alternative
// names that req was allowed. It is valid from five minutes before now for life
// after now, [DefaultClientLife] if zero, and never longer than the authority.
//
// It returns [ErrExpired], [ErrNotYetValid], or an error if the certificate would not verify, as
// when an imported authority is constrained to other names.
func (a *Authority) Issue(req *Request, life time.Duration, now time.Time) (*Issued, error) {
	if req == nil || req.username == "" {
		return nil, errors.New("ca: issue: the request did not pass ParseRequest")
	}
	if life == 0 {
		life = DefaultClientLife
	}
	if life < time.Minute {
		return nil, fmt.Errorf("ca: issue: life %v: must be at least 1m", life)
	}
	tmpl := &x509.Certificate{
		Subject:        pkix.Name{CommonName: req.username},
		DNSNames:       req.dns,
		EmailAddresses: req.emails,
		URIs:           req.uris,
		IPAddresses:    req.ips,
		NotBefore:      now.Add(-backdate),
		NotAfter:       now.Add(life),
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if a.cfg.OCSPURL != "" {
		tmpl.OCSPServer = []string{a.cfg.OCSPURL}
	}
	return a.sign(tmpl, req.key, now)
}

// sign completes tmpl to the profile of an end entity, signs it, and checks
// the result as a peer would.
func (a *Authority) sign(tmpl *x509.Certificate, pub crypto.PublicKey, now time.Time) (*Issued, error) {
	switch {
	case now.After(a.NotAfter()):
		return nil, ErrExpired
	case now.Before(a.notBefore()):
		return nil, ErrNotYetValid
	}
	tmpl.NotAfter = earlier(tmpl.NotAfter, a.NotAfter())
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.BasicConstraintsValid = true // and not IsCA: RFC 5280 section 4.2.1.9
	if a.cfg.CRLURL != "" {
		tmpl.CRLDistributionPoints = []string{a.cfg.CRLURL}
	}
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	tmpl.SubjectKeyId = id
	cert, err := create(tmpl, a.chain[0], pub, a.key)
	if err != nil {
		return nil, fmt.Errorf("ca: issue: %w", err)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: a.roots, Intermediates: a.intermediates, CurrentTime: now, KeyUsages: tmpl.ExtKeyUsage})
	if err != nil {
		return nil, fmt.Errorf("ca: issue: the certificate would not verify: %w", err)
	}
	pem := encodeCertificates([]*x509.Certificate{cert})
	return &Issued{
		PEM:         pem,
		FullPEM:     pem + encodeCertificates(a.chain[:len(a.chain)-1]),
		ChainPEM:    a.ChainPEM(),
		Serial:      FormatSerial(cert.SerialNumber),
		Fingerprint: Fingerprint(cert),
		NotBefore:   cert.NotBefore,
		NotAfter:    cert.NotAfter,
	}, nil
}
