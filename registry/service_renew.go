package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"mqttwarden/registry/ca"
)

// Renew issues a new certificate to whoever signed in with one of ours that
// still stands. Both are good for a while (CertificateConfig.Overlap), so that a
// lost answer loses no device: it asks again with the old one. A replacement
// that was never used ends with the overlap too.
//
// caller is the user itself. Renew returns Forbidden unless login rests on such
// a certificate, Invalid for the request, and Conflict when the user has too
// many certificates.
func (s *Service) Renew(ctx context.Context, caller Caller, login Login, csr string) (Issuance, uint64, error) {
	fp := login.Proof.Certificate
	if fp == "" || login.Subject == nil || login.Subject.ID() != caller.ID {
		return Issuance{}, 0, errNotRenewable("sign in with the certificate that is to be renewed")
	}
	u, err := s.store.User(ctx, caller.ID)
	if err != nil {
		return Issuance{}, 0, unavailable(err)
	}
	if err := s.renewable(ctx, s.store, u, fp); err != nil {
		return Issuance{}, 0, unavailable(err)
	}
	name := u.Username
	cert, generation, err := s.sign(csr, name)
	if err != nil {
		return Issuance{}, 0, err
	}
	number, err := s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		u, err := s.amend(ctx, tx, by, caller.ID, func(u *User) error {
			if u.Username != name {
				return Errorf(Conflict, "", "the user was renamed meanwhile")
			}
			if err := s.renewable(ctx, tx, *u, fp); err != nil {
				return err
			}
			return s.replaceFingerprint(ctx, tx, u, fp, cert)
		})
		if err != nil {
			return err
		}
		return s.record(ctx, tx, by, &u, cert, generation, fp)
	})
	if err != nil {
		return Issuance{}, 0, err
	}
	return Issuance{IssuedCertificate: s.issued(&u, cert, generation, fp), CACertificates: cert.ChainPEM}, number, nil
}

// renewable returns Forbidden unless fp is a certificate that we issued to u and
// that signs it in.
func (s *Service) renewable(ctx context.Context, store IssuedReader, u User, fp string) error {
	c, err := store.IssuedByFingerprint(ctx, fp)
	switch now := s.now(); {
	case errors.Is(err, NotFound):
		return errNotRenewable("the certificate was not issued here")
	case err != nil:
		return err
	case c.User != u.ID, !c.Revoked.IsZero(), now.After(c.NotAfter), !u.fingerprintValid(fp, now):
		return errNotRenewable("the certificate does not sign you in any more")
	}
	return nil
}

func errNotRenewable(detail string) error { return Errorf(Forbidden, "certificate", "%s", detail) }

// replaceFingerprint registers the new certificate and ends the old one, and
// earlier replacements of it that nobody used, after the overlap.
func (s *Service) replaceFingerprint(ctx context.Context, tx Tx, u *User, old string, cert *ca.Issued) error {
	now := s.stamp()
	used, err := tx.CertificateUses(ctx, u.ID)
	if err != nil {
		return err
	}
	for i := range u.Fingerprints {
		f := &u.Fingerprints[i]
		c, err := tx.IssuedByFingerprint(ctx, f.SHA256)
		if errors.Is(err, NotFound) {
			continue // another authority's: not for us to end
		}
		if err != nil {
			return err
		}
		_, wasUsed := used[f.SHA256]
		if f.SHA256 == old || c.Replaces == old && !wasUsed {
			f.Expires = earliest(f.Expires, c.NotAfter, now.Add(s.cfg.Certificates.Overlap))
		}
	}
	if len(u.Fingerprints) >= MaxFingerprints {
		if err := dropExpired(ctx, tx, u, now); err != nil {
			return err
		}
	}
	if n := len(u.Fingerprints); n >= MaxFingerprints {
		return Errorf(Conflict, "", "the user has %d certificates: remove one first", n)
	}
	u.Fingerprints = append(u.Fingerprints, Fingerprint{SHA256: cert.Fingerprint, Created: now, Expires: cert.NotAfter})
	return nil
}

// dropExpired removes the fingerprints that sign nobody in any more.
func dropExpired(ctx context.Context, tx Tx, u *User, now time.Time) error {
	var kept []Fingerprint
	for _, f := range u.Fingerprints {
		if u.fingerprintValid(f.SHA256, now) {
			kept = append(kept, f)
			continue
		}
		if err := tx.RevokeIssued(ctx, f.SHA256, now, ca.Superseded); ignoreNotFound(err) != nil {
			return err
		}
	}
	u.Fingerprints = slices.Clip(kept)
	return nil
}

// earliest returns the first of the times that is not zero and before the others.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
