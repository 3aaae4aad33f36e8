package registry

import (
	"context"
	"errors"
	"time"

	"mqttwarden/registry/ca"
)

// rootReserve is how long a root must still live for another generation below it.
const rootReserve = 2 * 365 * 24 * time.Hour

// ImportAuthority has an existing issuing certificate issue from now on: chain
// holds it and those above it up to the root, key its private key, both PEM. It
// needs all rights. It returns Invalid naming what is wrong, and Conflict when
// another generation was made meanwhile.
func (s *Service) ImportAuthority(ctx context.Context, caller Caller, chain, key []byte) (uint64, error) {
	issuer, err := s.issuer()
	if err != nil {
		return 0, err
	}
	number := issuer.current().number + 1
	imported, err := ca.Import(issuer.config(number), chain, key, s.now())
	if bad, ok := errors.AsType[*ca.CertificateError](err); ok {
		return 0, Errorf(Invalid, "certificate", "%s", bad.Error())
	}
	if err != nil {
		return 0, err
	}
	return s.addAuthority(ctx, caller, number, imported, nil, "authority.import")
}

// RenewAuthority makes the next generation: below the same root while that lives
// long enough, else below a new one, which devices must then come to know. It
// needs all rights. It returns Conflict for an imported authority, whose
// successor must be imported too, and when another generation was made
// meanwhile.
func (s *Service) RenewAuthority(ctx context.Context, caller Caller) (uint64, error) {
	issuer, err := s.issuer()
	if err != nil {
		return 0, err
	}
	last := issuer.current()
	number := last.number + 1
	rootKey, err := issuer.openRootKey(last)
	if err != nil {
		return 0, err
	}
	if rootKey == nil {
		return 0, Errorf(Conflict, "", "the authority was imported: import its successor")
	}
	chain := last.authority.Certificates()
	var next *ca.Authority
	if chain[len(chain)-1].NotAfter.After(s.now().Add(rootReserve)) {
		next, err = ca.NewIssuing(issuer.config(number), []byte(last.authority.RootPEM()), rootKey, s.now())
	} else {
		next, rootKey, err = ca.Create(issuer.config(number), s.now())
	}
	if err != nil {
		return 0, err
	}
	return s.addAuthority(ctx, caller, number, next, rootKey, "authority.renew")
}

// KeepAuthority renews the authority when it no longer lives as long as the
// certificates that it issues, and reports whether it did. An imported one it
// leaves as it is.
func (s *Service) KeepAuthority(ctx context.Context) (bool, error) {
	issuer, err := s.issuer()
	if err != nil {
		return false, nil //nolint:nilerr // nothing is issued, so nothing is to be kept
	}
	last := issuer.current()
	end := last.authority.NotAfter()
	reserve := min(s.cfg.Certificates.Life, end.Sub(last.authority.Certificates()[0].NotBefore)/2)
	if end.After(s.now().Add(reserve)) || len(last.rootKey) == 0 {
		return false, nil
	}
	_, err = s.RenewAuthority(ctx, System("authority"))
	if errors.Is(err, Conflict) { // another node was faster
		return false, nil
	}
	return err == nil, err
}

func (s *Service) addAuthority(ctx context.Context, caller Caller, number uint64, next *ca.Authority, rootKey []byte, action string) (uint64, error) {
	issuer := s.cfg.Certificates.Issuer
	sealed, err := issuer.seal(number, next, rootKey)
	if err != nil {
		return 0, err
	}
	n, err := s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		if err := by.allRights(); err != nil {
			return err
		}
		tx.Touch()
		by.audit(tx, action, generationName(number), "%v", next)
		return tx.CreateAuthority(ctx, sealed)
	})
	if err != nil {
		return 0, err
	}
	return n, issuer.Reload(ctx)
}

func (s *Service) issuer() (*Issuer, error) {
	if s.cfg.Certificates.Issuer == nil {
		return nil, Errorf(NotFound, "", "there is no certificate authority here")
	}
	return s.cfg.Certificates.Issuer, nil
}
