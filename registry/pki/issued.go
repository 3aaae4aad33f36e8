package pki

import (
	"context"
	"errors"
	"strings"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// Signed is a certificate that was signed and is not recorded yet.
type Signed struct {
	ca.Issued

	Authority uint64 // the generation that issued it
}

// Check reads a certificate request for a user, as Sign does, or returns Invalid.
func (s *Service) Check(csr, username string) error {
	_, err := s.request(csr, username)
	return err
}

// Sign issues a certificate for a user. Nothing is recorded yet: see Record. It
// returns Invalid for the request, and Unavailable when the issuing certificate
// has expired or is not valid yet.
func (s *Service) Sign(csr, username string) (Signed, error) {
	req, err := s.request(csr, username)
	if err != nil {
		return Signed{}, err
	}
	g := s.issuer.current()
	cert, err := g.authority.Issue(req, s.cfg.Life, s.now())
	switch {
	case errors.Is(err, ca.ErrExpired):
		return Signed{}, &registry.Error{Code: registry.Unavailable, Detail: "the issuing certificate has expired", Err: err}
	case errors.Is(err, ca.ErrNotYetValid):
		return Signed{}, &registry.Error{Code: registry.Unavailable, Detail: "the issuing certificate is not valid yet", Err: err}
	}
	if err != nil {
		return Signed{}, err
	}
	return Signed{*cert, g.number}, nil
}

// request reads a certificate request for a user, or returns Invalid.
func (s *Service) request(csr, username string) (*ca.Request, error) {
	req, err := ca.ParseRequest(csr, username, s.cfg.Names)
	if refused, ok := errors.AsType[*ca.RequestError](err); ok {
		return nil, registry.Errorf(registry.Invalid, FieldCSR, "%s: %s", refused.Field, refused.Detail)
	}
	return req, err
}

// Record keeps what was issued for u, in place of the certificate with the
// fingerprint replaces, if it is not empty. The caller registers its fingerprint.
func (s *Service) Record(ctx context.Context, e *registry.Edit, u *registry.User, cert Signed, replaces string) (registry.IssuedCertificate, error) {
	c := registry.IssuedCertificate{
		Serial: cert.Serial, Fingerprint: cert.Fingerprint, Authority: cert.Authority, User: u.ID, Username: u.Username,
		Replaces: replaces, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Issued: e.Now(), PEM: cert.PEM,
	}
	var d registry.Differences
	d.Text(FieldSerial, "", c.Serial)
	d.Text(FieldReplaces, "", replaces)
	d.Time(FieldNotAfter, time.Time{}, c.NotAfter)
	e.Audit(CertificateIssued, certificateTarget(&c), d.Created()...)
	return c, e.CreateIssued(ctx, c)
}

// certificateTarget names a certificate by its fingerprint and its user.
func certificateTarget(c *registry.IssuedCertificate) registry.Target {
	return registry.Target{Kind: registry.TargetCertificate, ID: c.Fingerprint, Name: c.Username}
}

// IssuedCertificates returns a page of the certificates that were issued here
// and how many match.
func (s *Service) IssuedCertificates(ctx context.Context, q registry.IssuedQuery) ([]registry.IssuedCertificate, int, error) {
	return s.cfg.Store.Issued(ctx, q)
}

// ExpiringBefore returns how many certificates issued here are valid now and expire
// before t.
func (s *Service) ExpiringBefore(ctx context.Context, t time.Time) (int, error) {
	standing := false
	_, n, err := s.cfg.Store.Issued(ctx, registry.IssuedQuery{Revoked: &standing, ExpiresAfter: s.now(), ExpiresBefore: t, Limit: 1})
	return n, err
}

func revocationReasons() []ca.Reason {
	return []ca.Reason{
		ca.Unspecified, ca.KeyCompromise, ca.AffiliationChanged, ca.Superseded, ca.CessationOfOperation, ca.PrivilegeWithdrawn,
	}
}

func findIssued(ctx context.Context, store registry.IssuedReader, certificate string) (registry.IssuedCertificate, error) {
	if fp, err := registry.ParseFingerprint(certificate); err == nil {
		return store.IssuedByFingerprint(ctx, fp)
	}
	serial, err := ca.ParseSerial(strings.ReplaceAll(certificate, ":", ""))
	if err != nil {
		return registry.IssuedCertificate{}, registry.Errorf(registry.NotFound, "", "no certificate has this serial number or fingerprint")
	}
	return store.IssuedBySerial(ctx, ca.FormatSerial(serial))
}
