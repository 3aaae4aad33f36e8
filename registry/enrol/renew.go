package enrol

import (
	"context"
	"errors"
	"slices"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/pki"
)

// Renew issues a new certificate to a user who signed in with one of our own
// authority that is still valid. Both are valid for a while (Settings.Overlap), so
// that a device whose answer is lost can ask again with the old one. A replacement
// that was never used ends with the overlap too. Once a replacement has signed in, the
// old one renews nothing any more.
//
// A user who never had a certificate, and whose grant types have one, gets the first
// for its password; see first.
//
// caller is the user itself. Renew returns Forbidden unless login rests on either,
// Invalid for the request, and Conflict when the user has too
// many certificates.
func (s *Service) Renew(ctx context.Context, caller registry.Caller, login registry.Login, csr string) (Issuance, uint64, error) {
	fp := login.Proof.Certificate
	if login.Subject == nil || login.Subject.ID() != caller.ID {
		return Issuance{}, 0, errNotRenewable("sign in with the certificate that is to be renewed")
	}
	if fp == "" {
		return s.first(ctx, caller, login, csr)
	}
	u, err := s.store.User(ctx, caller.ID)
	if err != nil {
		return Issuance{}, 0, err
	}
	if err := s.renewable(ctx, s.store, &u, fp); err != nil {
		return Issuance{}, 0, err
	}
	cert, err := s.cfg.Certificates.Sign(csr, u.Username)
	if err != nil {
		return Issuance{}, 0, err
	}
	made := Issuance{CACertificates: cert.ChainPEM}
	number, err := s.editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		made.IssuedCertificate, err = s.renew(ctx, e, &u, fp, cert)
		return err
	})
	return made, number, err
}

// renew registers and records the new certificate of a user in place of the one with
// fingerprint fp.
func (s *Service) renew(ctx context.Context, e *registry.Edit, u *registry.User, fp string, cert pki.Signed) (registry.IssuedCertificate, error) {
	made, err := s.cfg.Certificates.Record(ctx, e, u, cert, fp)
	if err != nil {
		return registry.IssuedCertificate{}, err
	}
	_, err = e.AmendUser(ctx, u.ID, registry.FingerprintAdded, func(now *registry.User) error {
		if err := s.renewable(ctx, e, now, fp); err != nil {
			return err
		}
		if err := s.endWithOverlap(ctx, e, now, fp); err != nil {
			return err
		}
		return register(ctx, e, now, u.Username, cert)
	})
	return made, err
}

// renewable returns Forbidden unless fp is a certificate that we issued to u and
// that signs it in.
func (s *Service) renewable(ctx context.Context, store registry.IssuedReader, u *registry.User, fp string) error {
	c, err := store.IssuedByFingerprint(ctx, fp)
	switch now := s.now(); {
	case errors.Is(err, registry.NotFound):
		return errNotRenewable("the certificate was not issued here")
	case err != nil:
		return err
	case c.User != u.ID, !c.Revoked.IsZero(), now.After(c.NotAfter), !u.FingerprintValid(fp, now):
		return errNotRenewable("the certificate does not sign you in any more")
	}
	succeeded, err := s.succeeded(ctx, store, u.ID, fp)
	if err == nil && succeeded {
		err = errNotRenewable("the certificate was renewed, and the new one is in use: sign in with that")
	}
	return err
}

func errNotRenewable(detail string) error {
	return registry.Errorf(registry.Forbidden, FieldCertificate, "%s", detail)
}

// endWithOverlap ends a certificate that is renewed, and earlier replacements of it
// that nobody used, after the overlap.
func (s *Service) endWithOverlap(ctx context.Context, e *registry.Edit, u *registry.User, old string) error {
	now := e.Now()
	used, err := e.CertificateUses(ctx, u.ID)
	if err != nil {
		return err
	}
	for i := range u.Fingerprints {
		f := &u.Fingerprints[i]
		c, err := e.IssuedByFingerprint(ctx, f.SHA256)
		if errors.Is(err, registry.NotFound) {
			continue // of another authority
		}
		if err != nil {
			return err
		}
		_, wasUsed := used[f.SHA256]
		if f.SHA256 == old || c.Replaces == old && !wasUsed {
			f.Expires = registry.Earliest(f.Expires, c.NotAfter, now.Add(s.cfg.Overlap))
		}
	}
	return nil
}

// dropExpired removes the fingerprints that sign nobody in any more.
func dropExpired(ctx context.Context, e *registry.Edit, u *registry.User) error {
	var kept []registry.Fingerprint
	for _, f := range u.Fingerprints {
		if u.FingerprintValid(f.SHA256, e.Now()) {
			kept = append(kept, f)
			continue
		}
		if err := e.RevokeIssued(ctx, f.SHA256, e.Now(), ca.Superseded); ignoreNotFound(err) != nil {
			return err
		}
	}
	u.Fingerprints = slices.Clip(kept)
	return nil
}

// Issuance is a new certificate with the chain that its holder needs.
type Issuance struct {
	registry.IssuedCertificate

	CACertificates string // PEM, issuer first, root last
}
