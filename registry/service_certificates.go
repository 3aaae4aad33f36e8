package registry

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mqttwarden/registry/ca"
)

// CertificateConfig says how client certificates are issued.
type CertificateConfig struct {
	Issuer  *Issuer       // nil: none are issued
	Life    time.Duration // of a client's certificate, at least a minute; 0: ca.DefaultClientLife
	Overlap time.Duration // how long a renewed one goes on; 0: 24 h
	Names   ca.SANPolicy  // alternative names that it may hold; nil: ca.OwnNames
}

func (c CertificateConfig) complete() CertificateConfig {
	if c.Life <= 0 {
		c.Life = ca.DefaultClientLife
	}
	if c.Overlap <= 0 {
		c.Overlap = 24 * time.Hour
	}
	return c
}

// sign issues a certificate for a user. Nothing is recorded yet.
func (s *Service) sign(csr, username string) (cert *ca.Issued, generation uint64, err error) {
	req, err := s.parseCSR(csr, username)
	if err != nil {
		return nil, 0, err
	}
	issuer := s.cfg.Certificates.Issuer.current()
	cert, err = issuer.authority.Issue(req, s.cfg.Certificates.Life, s.now())
	if errors.Is(err, ca.ErrExpired) {
		return nil, 0, &Error{Code: Unavailable, Detail: "the issuing certificate has expired", Err: err}
	}
	return cert, issuer.number, err
}

// record keeps what was issued for u. The fingerprint is registered by the caller.
func (s *Service) record(ctx context.Context, tx Tx, by *authority, u *User, cert *ca.Issued, generation uint64, replaces string) error {
	by.audit(tx, "certificate.issue", string(u.ID), "%s: %s, serial %s", u.Username, cert.Fingerprint, cert.Serial)
	return tx.CreateIssued(ctx, s.issued(u, cert, generation, replaces))
}

func (s *Service) issued(u *User, cert *ca.Issued, generation uint64, replaces string) IssuedCertificate {
	return IssuedCertificate{
		Serial: cert.Serial, Fingerprint: cert.Fingerprint, Authority: generation, User: u.ID, Username: u.Username,
		Replaces: replaces, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Issued: s.stamp(), PEM: cert.PEM,
	}
}

// IssuedCertificates returns a page of the certificates that were issued here
// and how many match.
func (s *Service) IssuedCertificates(ctx context.Context, q IssuedQuery) ([]IssuedCertificate, int, error) {
	found, n, err := s.store.Issued(ctx, q)
	return found, n, unavailable(err)
}

// IssuedCertificate returns the one with this serial number or fingerprint, or
// NotFound.
func (s *Service) IssuedCertificate(ctx context.Context, certificate string) (IssuedCertificate, error) {
	return findIssued(ctx, s.store, certificate)
}

// ExpiringBefore returns how many certificates issued here are valid now and
// expire before t: those whose holders should have renewed.
func (s *Service) ExpiringBefore(ctx context.Context, t time.Time) (int, error) {
	standing := false
	_, n, err := s.store.Issued(ctx, IssuedQuery{Revoked: &standing, ExpiresAfter: s.now(), ExpiresBefore: t, Limit: 1})
	return n, unavailable(err)
}

// Revoke ends a certificate that was issued here, named by its serial number or
// fingerprint: sessions that were opened with it end, and CRL and OCSP tell. It
// returns NotFound, Conflict when it is revoked already, Invalid for the reason,
// and Forbidden when its user has a right that the caller has not.
func (s *Service) Revoke(ctx context.Context, caller Caller, certificate string, reason ca.Reason) (uint64, error) {
	if !slices.Contains(revocationReasons(), reason) {
		return 0, Errorf(Invalid, "reason", "must be one of 0, 1, 3, 4, 5, 9 (RFC 5280 section 5.3.1)")
	}
	return s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		c, err := findIssued(ctx, tx, certificate)
		if err != nil {
			return err
		}
		if !c.Revoked.IsZero() {
			return Errorf(Conflict, "", "the certificate is revoked already")
		}
		if err := tx.RevokeIssued(ctx, c.Fingerprint, s.stamp(), reason); err != nil {
			return err
		}
		_, err = s.amend(ctx, tx, by, c.User, func(u *User) error {
			u.Fingerprints = slices.DeleteFunc(u.Fingerprints, func(f Fingerprint) bool { return f.SHA256 == c.Fingerprint })
			return nil
		})
		if errors.Is(err, NotFound) { // its user is gone
			tx.Touch()
			err = nil
		}
		by.audit(tx, "certificate.revoke", string(c.User), "%s: %s, serial %s, reason %d", c.Username, c.Fingerprint, c.Serial, reason)
		return err
	})
}

func revocationReasons() []ca.Reason {
	return []ca.Reason{
		ca.Unspecified, ca.KeyCompromise, ca.AffiliationChanged, ca.Superseded, ca.CessationOfOperation, ca.PrivilegeWithdrawn,
	}
}

func findIssued(ctx context.Context, store IssuedReader, certificate string) (IssuedCertificate, error) {
	if fp, err := ParseFingerprint(certificate); err == nil {
		return store.IssuedByFingerprint(ctx, fp)
	}
	serial, err := ca.ParseSerial(strings.ReplaceAll(certificate, ":", ""))
	if err != nil {
		return IssuedCertificate{}, Errorf(NotFound, "", "no certificate has this serial number or fingerprint")
	}
	return store.IssuedBySerial(ctx, ca.FormatSerial(serial))
}

// mayRegister returns Conflict for a certificate of our own authority that is
// revoked or another user's: no fingerprint brings it back.
func mayRegister(ctx context.Context, tx Tx, id UserID, fp string) error {
	c, err := tx.IssuedByFingerprint(ctx, fp)
	switch {
	case errors.Is(err, NotFound):
		return nil
	case err != nil:
		return err
	case !c.Revoked.IsZero():
		return Errorf(Conflict, "fingerprint", "is that of a certificate that was revoked")
	case c.User != id:
		return Errorf(Conflict, "fingerprint", "is that of a certificate that was issued to another user")
	}
	return nil
}
