package enrol

import (
	"context"

	"mqttwarden/registry"
	"mqttwarden/registry/pki"
)

// Issue issues a certificate to a user that exists, beside those that it has, and lets
// it sign in with one. It returns NotFound for the user, Invalid for the request,
// Conflict when the user has too many certificates, and Forbidden when the user has a
// right that the caller has not. Callers without all rights do not issue for
// themselves: that is Renew, which asks for more than a token.
func (s *Service) Issue(ctx context.Context, caller registry.Caller, id registry.UserID, csr string) (Issuance, uint64, error) {
	u, err := s.store.User(ctx, id)
	if err != nil {
		return Issuance{}, 0, err
	}
	may := func(ctx context.Context, e *registry.Edit) error {
		if caller.ID == id && e.RequireAllRights() != nil {
			return registry.Errorf(registry.Forbidden, "", "issue for yourself by /client-registry/renew")
		}
		_, err := e.RequireMayChange(ctx, id)
		return err
	}
	if err := s.editor.Judge(ctx, caller, may); err != nil { // before a signature is made
		return Issuance{}, 0, err
	}
	return s.issue(ctx, caller, &u, csr, func(ctx context.Context, e *registry.Edit, now *registry.User) error {
		if granted, _ := now.Granted(registry.MethodCertificate); !granted {
			now.GrantTypes = append(now.GrantTypes, registry.GrantType{Method: registry.MethodCertificate})
		}
		return may(ctx, e)
	})
}

// first issues the first certificate of a user who signed in with its password in this
// very request: a token can be somebody else's. Whether the user may sign in with a
// certificate at all, its grant types say. Who has had one renews it, or asks an
// operator: a stolen password must not be worth a certificate then.
func (s *Service) first(ctx context.Context, caller registry.Caller, login registry.Login, csr string) (Issuance, uint64, error) {
	if login.Proof.PasswordSet.IsZero() || login.Proof.Token != "" {
		return Issuance{}, 0, errNotRenewable("sign in with the certificate that is to be renewed or, for a first one, with the password itself")
	}
	u, err := s.store.User(ctx, caller.ID)
	if err != nil {
		return Issuance{}, 0, err
	}
	may := func(_ context.Context, _ *registry.Edit, now *registry.User) error {
		granted, _ := now.Granted(registry.MethodCertificate)
		switch {
		case !now.PasswordSet.Equal(login.Proof.PasswordSet):
			return errNotRenewable("the password was changed meanwhile")
		case !granted:
			return errNotRenewable("the user's grant types do not have certificate: an operator must add that")
		case now.Pinned || len(now.Fingerprints) > 0:
			return errNotRenewable("the user has or had one: sign in with that, or have an operator issue another")
		}
		return nil
	}
	if err := may(ctx, nil, &u); err != nil {
		return Issuance{}, 0, err
	}
	return s.issue(ctx, caller, &u, csr, may)
}

// issue signs a request for a user, and records and registers the certificate if may
// allows it in the same transaction; may can change the user as well.
func (s *Service) issue(ctx context.Context, caller registry.Caller, u *registry.User, csr string,
	may func(context.Context, *registry.Edit, *registry.User) error,
) (Issuance, uint64, error) {
	cert, err := s.cfg.Certificates.Sign(csr, u.Username)
	if err != nil {
		return Issuance{}, 0, err
	}
	made := Issuance{CACertificates: cert.ChainPEM}
	number, err := s.editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) (err error) {
		if made.IssuedCertificate, err = s.cfg.Certificates.Record(ctx, e, u, cert, ""); err != nil {
			return err
		}
		_, err = e.AmendUser(ctx, u.ID, registry.FingerprintAdded, func(now *registry.User) error {
			if err := may(ctx, e, now); err != nil {
				return err
			}
			return register(ctx, e, now, u.Username, cert)
		})
		return err
	})
	return made, number, err
}

// register adds a certificate that was signed for a name to those of a user, in the
// place of what has expired when there are too many.
func register(ctx context.Context, e *registry.Edit, u *registry.User, name string, cert pki.Signed) error {
	if u.Username != name {
		return registry.Errorf(registry.Conflict, "", "the user was renamed meanwhile")
	}
	if len(u.Fingerprints) >= registry.MaxFingerprints {
		if err := dropExpired(ctx, e, u); err != nil {
			return err
		}
	}
	if n := len(u.Fingerprints); n >= registry.MaxFingerprints {
		return registry.Errorf(registry.Conflict, "", "the user has %d certificates: remove one first", n)
	}
	u.Fingerprints = append(u.Fingerprints, registry.Fingerprint{SHA256: cert.Fingerprint, Created: e.Now(), Expires: cert.NotAfter})
	return nil
}
