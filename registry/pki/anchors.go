package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// maxAnchors bounds the uploaded trust anchors.
const maxAnchors = 256

// Anchors returns the uploaded trust anchors, in the order of their ids.
func (s *Service) Anchors(ctx context.Context) ([]registry.Anchor, error) {
	return s.cfg.Store.Anchors(ctx)
}

// Anchor returns an uploaded trust anchor, or NotFound.
func (s *Service) Anchor(ctx context.Context, id registry.AnchorID) (registry.Anchor, error) {
	return s.cfg.Store.Anchor(ctx, id)
}

// AddAnchors makes trust anchors of the CA certificates in pem, all or none. It needs
// all rights. It returns Invalid naming the certificate at fault, and Conflict for
// one that is there already or belongs to our own authority.
func (s *Service) AddAnchors(ctx context.Context, caller registry.Caller, pem []byte) ([]registry.Anchor, uint64, error) {
	all := func(_ context.Context, e *registry.Edit) error { return e.RequireAllRights() }
	if err := s.cfg.Editor.Judge(ctx, caller, all); err != nil {
		return nil, 0, err
	}
	parsed, err := ca.ParseTrustPEM(pem, s.now())
	if bad, ok := errors.AsType[*ca.CertificateError](err); ok {
		return nil, 0, registry.Errorf(registry.Invalid, FieldCertificate, "%s", bad.Error())
	}
	if err != nil {
		return nil, 0, err
	}
	added := make([]registry.Anchor, 0, len(parsed))
	for _, p := range parsed {
		if s.isOwn(p.Certificate) {
			return nil, 0, registry.Errorf(registry.Conflict, FieldCertificate, "%s is of this server's own authority: its clients are known by their fingerprints", p.Certificate.Subject)
		}
		added = append(added, s.anchor(p))
	}
	number, err := s.cfg.Editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		if err := e.RequireAllRights(); err != nil {
			return err
		}
		have, err := e.Anchors(ctx)
		if err != nil {
			return err
		}
		if len(have)+len(added) > maxAnchors {
			return registry.Errorf(registry.Conflict, FieldCertificate, "would be the %dth trusted CA: at most %d can be", len(have)+len(added), maxAnchors)
		}
		for _, a := range added {
			if slices.ContainsFunc(have, func(h registry.Anchor) bool { return h.ID == a.ID }) {
				return registry.Errorf(registry.Conflict, FieldCertificate, "%s is trusted already", a.Subject)
			}
			if err := e.CreateAnchor(ctx, a); err != nil {
				return err
			}
			e.TouchKind(registry.AnchorChange, string(a.ID))
			e.Audit(AnchorAdded, anchorTarget(&a))
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return added, number, nil
}

// DeleteAnchor ends the trust in a CA: sessions that rest on it end. It needs all
// rights. It returns NotFound.
func (s *Service) DeleteAnchor(ctx context.Context, caller registry.Caller, id registry.AnchorID) (uint64, error) {
	return s.cfg.Editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		if err := e.RequireAllRights(); err != nil {
			return err
		}
		a, err := e.Anchor(ctx, id)
		if err != nil {
			return err
		}
		e.TouchKind(registry.AnchorChange, string(id))
		e.Audit(AnchorDeleted, anchorTarget(&a))
		return e.DeleteAnchor(ctx, id)
	})
}

func anchorTarget(a *registry.Anchor) registry.Target {
	return registry.Target{Kind: registry.TargetAnchor, ID: string(a.ID), Name: a.Subject}
}

func (s *Service) anchor(p ca.TrustAnchor) registry.Anchor {
	c := p.Certificate
	return registry.Anchor{
		ID: registry.AnchorID(p.Fingerprint), Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: ca.FormatSerial(c.SerialNumber),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Added: registry.Stamp(s.now()), PEM: p.PEM,
	}
}

// isOwn reports whether c belongs to our own authority alone: it is in the chain of a
// generation that we made, or the issuing certificate of an imported one.
func (s *Service) isOwn(c *x509.Certificate) bool {
	return slices.ContainsFunc(s.issuer.newestFirst(), func(g generation) bool {
		chain := g.authority.Certificates()
		if len(g.rootKey) == 0 { // imported: the CAs above it sign for others too
			chain = chain[:1]
		}
		return slices.ContainsFunc(chain, c.Equal)
	})
}
