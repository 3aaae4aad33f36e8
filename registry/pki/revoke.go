package pki

import (
	"context"
	"errors"
	"slices"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// Revoke revokes a certificate that was issued here, named by its serial number or
// fingerprint: it signs nobody in any more, sessions that rest on it end, and CRL and
// OCSP tell. Whoever has stolen a key may have renewed its certificate, so for the
// reason ca.KeyCompromise all that was renewed from it is revoked too, even if it
// itself was before. Revoke returns what it revoked. It returns NotFound, Conflict
// when nothing was left to revoke, Invalid for the reason, and Forbidden when the user
// has a right that the caller does not have.
func (s *Service) Revoke(
	ctx context.Context, caller registry.Caller, certificate string, reason ca.Reason,
) (revoked []registry.IssuedCertificate, number uint64, err error) {
	if !slices.Contains(revocationReasons(), reason) {
		return nil, 0, registry.Errorf(registry.Invalid, FieldReason, "must be one of 0, 1, 3, 4, 5, 9 (RFC 5280 section 5.3.1)")
	}
	number, err = s.cfg.Editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		revoked, err = toRevoke(ctx, e, certificate, reason)
		if err != nil {
			return err
		}
		for i := range revoked {
			if err := revoke(ctx, e, &revoked[i], reason); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return revoked, number, nil
}

// toRevoke returns the certificates that are to be revoked with the one that is named.
func toRevoke(ctx context.Context, store registry.IssuedReader, certificate string, reason ca.Reason) ([]registry.IssuedCertificate, error) {
	c, err := findIssued(ctx, store, certificate)
	if err != nil {
		return nil, err
	}
	all := []registry.IssuedCertificate{c}
	if reason == ca.KeyCompromise {
		if all, err = withRenewals(ctx, store, all); err != nil {
			return nil, err
		}
	}
	all = slices.DeleteFunc(all, func(c registry.IssuedCertificate) bool { return !c.Revoked.IsZero() })
	if len(all) == 0 {
		return nil, registry.Errorf(registry.Conflict, "", "the certificate is revoked already")
	}
	return all, nil
}

// withRenewals adds to certificates those that were renewed from them, from those, and
// so on.
func withRenewals(ctx context.Context, store registry.IssuedReader, all []registry.IssuedCertificate) ([]registry.IssuedCertificate, error) {
	for i := 0; i < len(all); i++ {
		renewals, _, err := store.Issued(ctx, registry.IssuedQuery{Replaces: all[i].Fingerprint})
		if err != nil {
			return nil, err
		}
		all = append(all, renewals...) // each renews one, so none comes twice
	}
	return all, nil
}

// revoke revokes a certificate and takes it from its user.
func revoke(ctx context.Context, e *registry.Edit, c *registry.IssuedCertificate, reason ca.Reason) error {
	if err := e.RevokeIssued(ctx, c.Fingerprint, e.Now(), reason); err != nil {
		return err
	}
	var d registry.Differences
	d.Text(FieldReason, "", reason.String())
	e.Audit(CertificateRevoked, certificateTarget(c), d.Created()...)
	_, err := e.AmendUser(ctx, c.User, registry.FingerprintEnded, func(u *registry.User) error {
		u.DropFingerprint(c.Fingerprint)
		return nil
	})
	if errors.Is(err, registry.NotFound) { // its user is gone
		e.TouchKind(registry.CertificateChange, c.Fingerprint)
		return nil
	}
	return err
}
