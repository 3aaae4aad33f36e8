package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"mqttwarden/registry/ca"
)

// Anchors returns the uploaded trust anchors, in the order of their ids.
func (s *Service) Anchors(ctx context.Context) ([]Anchor, error) {
	anchors, err := s.store.Anchors(ctx)
	return anchors, unavailable(err)
}

// Anchor returns an uploaded trust anchor, or NotFound.
func (s *Service) Anchor(ctx context.Context, id AnchorID) (Anchor, error) {
	a, err := s.store.Anchor(ctx, id)
	return a, unavailable(err)
}

// AddAnchors has every CA certificate in pem trusted for clients, all or none. It
// needs all rights. It returns Invalid naming the certificate at fault, and
// Conflict for one that is there already or is our own authority's.
func (s *Service) AddAnchors(ctx context.Context, caller Caller, pem []byte) ([]Anchor, uint64, error) {
	parsed, err := ca.ParseTrustPEM(pem, s.now())
	if bad, ok := errors.AsType[*ca.CertificateError](err); ok {
		return nil, 0, Errorf(Invalid, "certificate", "%s", bad.Error())
	}
	if err != nil {
		return nil, 0, err
	}
	added := make([]Anchor, 0, len(parsed))
	for _, p := range parsed {
		if s.isOwn(p.Certificate) {
			return nil, 0, Errorf(Conflict, "certificate", "%s is of this server's own authority: its clients are known by their fingerprints", p.Certificate.Subject)
		}
		added = append(added, s.anchor(p))
	}
	number, err := s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		if err := by.allRights(); err != nil {
			return err
		}
		have, err := tx.Anchors(ctx)
		if err != nil {
			return err
		}
		if len(have)+len(added) > maxAnchors {
			return Errorf(Conflict, "certificate", "would be the %dth trusted CA: at most %d can be", len(have)+len(added), maxAnchors)
		}
		for _, a := range added {
			if slices.ContainsFunc(have, func(h Anchor) bool { return h.ID == a.ID }) {
				return Errorf(Conflict, "certificate", "%s is trusted already", a.Subject)
			}
			if err := tx.CreateAnchor(ctx, a); err != nil {
				return err
			}
			by.audit(tx, "anchor.add", string(a.ID), "%s", a.Subject)
		}
		tx.Touch()
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return added, number, nil
}

// DeleteAnchor ends the trust in a CA: sessions that rest on it end. It needs all
// rights. It returns NotFound.
func (s *Service) DeleteAnchor(ctx context.Context, caller Caller, id AnchorID) (uint64, error) {
	return s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		if err := by.allRights(); err != nil {
			return err
		}
		a, err := tx.Anchor(ctx, id)
		if err != nil {
			return err
		}
		tx.Touch()
		by.audit(tx, "anchor.delete", string(id), "%s", a.Subject)
		return tx.DeleteAnchor(ctx, id)
	})
}

func (s *Service) anchor(p ca.TrustAnchor) Anchor {
	c := p.Certificate
	return Anchor{
		ID: AnchorID(p.Fingerprint), Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: ca.FormatSerial(c.SerialNumber),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Added: s.stamp(), PEM: p.PEM,
	}
}

// isOwn reports whether c stands in the chain of our own authority, below a root
// that only it uses.
func (s *Service) isOwn(c *x509.Certificate) bool {
	if s.cfg.Certificates.Issuer == nil {
		return false
	}
	return slices.ContainsFunc(s.cfg.Certificates.Issuer.newestFirst(), func(g generation) bool {
		chain := g.authority.Certificates()
		if len(g.rootKey) == 0 { // imported: what stands above it signs for others too
			chain = chain[:1]
		}
		return slices.ContainsFunc(chain, c.Equal)
	})
}
