package enrol

import (
	"context"

	"mqttwarden/registry"
)

// succeeded reports whether a renewal of the certificate fp of a user has arrived: it
// has signed in, was renewed itself, or was revoked. Then fp is of use to nobody but to
// who has stolen its key.
func (s *Service) succeeded(ctx context.Context, store registry.IssuedReader, id registry.UserID, fp string) (bool, error) {
	renewals, _, err := store.Issued(ctx, registry.IssuedQuery{Replaces: fp})
	if err != nil || len(renewals) == 0 {
		return false, err
	}
	used, err := store.CertificateUses(ctx, id)
	if err != nil {
		return false, err
	}
	for _, c := range renewals {
		_, wasUsed := used[c.Fingerprint]
		if wasUsed || !c.Revoked.IsZero() || s.cfg.Certificates.UsedLately(c.Fingerprint) {
			return true, nil
		}
		if _, n, err := store.Issued(ctx, registry.IssuedQuery{Replaces: c.Fingerprint, Limit: 1}); err != nil || n > 0 {
			return n > 0, err
		}
	}
	return false, nil
}
