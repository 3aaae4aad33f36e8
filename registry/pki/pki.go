package pki

import (
	"context"
	"crypto/x509"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// Config holds what the service works with.
type Config struct {
	Editor *registry.Editor
	Store  Store
	Keys   registry.Sealer
	CA     ca.Config
	// AnchorFiles are trust anchors from files of the configuration, beside those
	// that are uploaded; see Anchors.UseFiles.
	AnchorFiles []*x509.Certificate
	Life        time.Duration // of a client's certificate, at least a minute; 0: ca.DefaultClientLife
	Names       ca.SANPolicy  // alternative names that it may hold; nil: ca.OwnNames
	Now         func() time.Time
}

// Store is what is read outside of a unit of work.
type Store interface {
	registry.AuthorityReader
	registry.AnchorReader
	registry.IssuedReader
}

// Service is the trust anchors, and our own certificate authority with what it
// has issued.
type Service struct {
	cfg     Config
	issuer  *Issuer
	anchors *Anchors
	now     func() time.Time
	crls    crls
	uses    uses
}

// Open returns the service over a store. The certificate authority is made at the
// first call.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Life <= 0 {
		cfg.Life = ca.DefaultClientLife
	}
	issuer, err := openIssuer(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, issuer: issuer, now: cfg.Now,
		anchors: NewAnchors(AnchorsConfig{Store: cfg.Store, Files: cfg.AnchorFiles, Own: issuer.Certificates, Now: cfg.Now}),
		crls:    crls{last: make(map[uint64]*crl)},
		uses:    uses{noted: make(map[string]time.Time), kept: make(map[string]time.Time)},
	}
	return s, s.anchors.Reload(ctx)
}

// Issuer returns our own certificate authority.
func (s *Service) Issuer() *Issuer { return s.issuer }

// Trust returns what client certificates are trusted by.
func (s *Service) Trust() *Anchors { return s.anchors }

// The actions of this package in the audit log.
const (
	AuthorityCreated   registry.Action = "authority.create"
	AuthorityImported  registry.Action = "authority.import"
	AuthorityRenewed   registry.Action = "authority.renew"
	AnchorAdded        registry.Action = "anchor.add"
	AnchorDeleted      registry.Action = "anchor.delete"
	CertificateIssued  registry.Action = "certificate.issue"
	CertificateRevoked registry.Action = "certificate.revoke"
)

// The fields that errors and audit entries of this package name.
const (
	FieldCertificate registry.Field = "certificate"
	FieldCSR         registry.Field = "csr"
	FieldFingerprint                = registry.FieldFingerprint
	FieldNotAfter    registry.Field = "notAfter"
	FieldReason      registry.Field = "reason"
	FieldReplaces    registry.Field = "replaces"
	FieldSerial      registry.Field = "serial"
)
