package pki

import (
	"context"
	"errors"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// rootReserve is how long a root must still live for another generation below it.
const rootReserve = 2 * 365 * 24 * time.Hour

// ImportAuthority makes an existing issuing certificate the next generation: chain
// holds it and those above it up to the root, key its private key, both PEM. It
// needs all rights. It returns Invalid naming what is wrong, and Conflict when
// another generation was made meanwhile.
func (s *Service) ImportAuthority(ctx context.Context, caller registry.Caller, chain, key []byte) (uint64, error) {
	number := s.issuer.current().number + 1
	imported, err := ca.Import(s.issuer.config(number), chain, key, s.now())
	if bad, ok := errors.AsType[*ca.CertificateError](err); ok {
		return 0, registry.Errorf(registry.Invalid, FieldCertificate, "%s", bad.Error())
	}
	if err != nil {
		return 0, err
	}
	return s.addAuthority(ctx, caller, AuthorityImported, number, imported, nil)
}

// RenewAuthority makes the next generation: below the same root while that is valid
// for long enough, else below a new one, which devices must then be told to trust. It
// needs all rights. It returns Conflict for an imported authority, whose successor
// must be imported too, and when another generation was made meanwhile.
func (s *Service) RenewAuthority(ctx context.Context, caller registry.Caller) (uint64, error) {
	last := s.issuer.current()
	number := last.number + 1
	rootKey, err := s.issuer.openRootKey(last)
	if err != nil {
		return 0, err
	}
	if rootKey == nil {
		return 0, registry.Errorf(registry.Conflict, "", "the authority was imported: import its successor")
	}
	chain := last.authority.Certificates()
	var next *ca.Authority
	if chain[len(chain)-1].NotAfter.After(s.now().Add(rootReserve)) {
		next, err = ca.NewIssuing(s.issuer.config(number), []byte(last.authority.RootPEM()), rootKey, s.now())
	} else {
		next, rootKey, err = ca.Create(s.issuer.config(number), s.now())
	}
	if err != nil {
		return 0, err
	}
	return s.addAuthority(ctx, caller, AuthorityRenewed, number, next, rootKey)
}

// KeepAuthority renews the authority when it expires before the certificates that it
// issues would, and reports whether it did. It leaves an imported one as it is.
func (s *Service) KeepAuthority(ctx context.Context) (bool, error) {
	last := s.issuer.current()
	end := last.authority.NotAfter()
	reserve := min(s.cfg.Life, end.Sub(last.authority.Certificates()[0].NotBefore)/2)
	if end.After(s.now().Add(reserve)) || len(last.rootKey) == 0 {
		return false, nil
	}
	_, err := s.RenewAuthority(ctx, registry.System("authority"))
	if errors.Is(err, registry.Conflict) { // another node was faster
		return false, nil
	}
	return err == nil, err
}

func (s *Service) addAuthority(ctx context.Context, caller registry.Caller, action registry.Action, number uint64, next *ca.Authority, rootKey []byte) (uint64, error) {
	sealed, err := s.issuer.seal(number, next, rootKey)
	if err != nil {
		return 0, err
	}
	n, err := s.cfg.Editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		return addAuthority(ctx, e, action, next, sealed)
	})
	if err != nil {
		return 0, err
	}
	return n, s.issuer.Reload(ctx)
}

func addAuthority(ctx context.Context, e *registry.Edit, action registry.Action, made *ca.Authority, sealed registry.SealedAuthority) error {
	if err := e.RequireAllRights(); err != nil {
		return err
	}
	generation := generationName(sealed.Generation)
	issuing := made.Certificates()[0]
	var d registry.Differences
	d.Text(FieldFingerprint, "", ca.Fingerprint(issuing))
	d.Time(FieldNotAfter, time.Time{}, issuing.NotAfter)
	e.TouchKind(registry.AuthorityChange, generation)
	e.Audit(action, registry.Target{Kind: registry.TargetAuthority, ID: generation, Name: issuing.Subject.String()}, d.Created()...)
	return e.CreateAuthority(ctx, sealed)
}
