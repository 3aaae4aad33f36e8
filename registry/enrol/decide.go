package enrol

import (
	"context"
	"errors"
	"strings"

	"mqttwarden/registry"
	"mqttwarden/registry/pki"
)

// Pending returns the registrations that wait for a decision, the oldest first:
// none while the window is closed. They hold no password hash.
func (s *Service) Pending(ctx context.Context) ([]registry.Registration, error) {
	w, err := s.store.Window(ctx)
	if err != nil {
		return nil, err
	}
	if !w.Open(s.now()) {
		return nil, nil
	}
	pending, err := s.store.Registrations(ctx, registry.RegistrationPending)
	if err != nil {
		return nil, err
	}
	for i := range pending {
		pending[i].PasswordHash = ""
	}
	return pending, nil
}

// Confirm makes a user of a pending registration, with the rights that c says. With
// a CSR, its certificate is signed before, and recorded and registered in the same
// transaction: the client gets it with its next request. It returns
//
//   - NotFound when nothing is pending for the name: nobody asked, it is decided
//     already (as for the second of two confirmations), or the window is closed
//   - Conflict when the id or the pairing code is that of another registration,
//     or when a user of that name was made meanwhile; the latter drops the
//     registration
//   - Invalid naming the field, the pairing code too where Settings.PairingCode demands
//     it, and Forbidden when the user would have a right
//     that the caller does not have
func (s *Service) Confirm(ctx context.Context, caller registry.Caller, c Confirmation) (registry.User, uint64, error) {
	if s.cfg.PairingCode && c.PairingCode == "" {
		return registry.User{}, 0, registry.Errorf(registry.Invalid, FieldPairingCode, "must be given: the six characters that the device shows")
	}
	r, err := s.undecided(ctx, s.store, c.Ref)
	if err != nil {
		return registry.User{}, 0, err
	}
	g := grant{Confirmation: c}
	if r.HasCSR() {
		err := s.editor.Judge(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
			r := r
			_, err := s.grant(ctx, e, &r, g)
			return err
		})
		if err != nil {
			return registry.User{}, 0, err
		}
		cert, err := s.cfg.Certificates.Sign(r.CSR, r.Username)
		if err != nil {
			return registry.User{}, 0, err
		}
		g.cert = &cert
	}
	g.ID = r.ID // this one, not another that took its place
	var u registry.User
	var taken bool
	number, err := s.editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		r, err := s.undecided(ctx, e, g.Ref)
		if err != nil {
			return err
		}
		if taken, err = e.NameTaken(ctx, r.Username); err != nil {
			return err
		}
		if taken {
			e.Audit(Dropped, target(&r), pairingCode(&r)...)
			return e.DeleteRegistration(ctx, r.ID)
		}
		u, err = s.grant(ctx, e, &r, g)
		return err
	})
	if err == nil && taken {
		err = registry.Errorf(registry.Conflict, registry.FieldUsername, "was taken meanwhile: the registration is dropped")
	}
	u.Version = number
	return u, number, err
}

// grant is a confirmation with the certificate that was signed for it, if any.
type grant struct {
	Confirmation

	cert *pki.Signed
}

// grant makes the user of a registration, which it marks as granted.
func (s *Service) grant(ctx context.Context, e *registry.Edit, r *registry.Registration, g grant) (registry.User, error) {
	spec := registry.UserSpec{
		Username: r.Username, Provider: registry.ProviderLocal, PublishPrefix: g.Prefix, Roles: g.Roles, Permissions: g.Permissions,
	}
	var password registry.PasswordHash
	if g.cert != nil {
		spec.Certificates = []registry.FingerprintSpec{{Fingerprint: g.cert.Fingerprint, Expires: g.cert.NotAfter}}
	} else {
		password = registry.PasswordHash{Encoded: r.PasswordHash, Set: e.Now()}
	}
	u, err := e.CreateUser(ctx, spec, password)
	if err != nil {
		return registry.User{}, err
	}
	r.Status, r.User, r.Granted = registry.RegistrationGranted, u.ID, e.Now()
	if g.cert != nil {
		r.Certificate, r.CACertificates = g.cert.PEM, g.cert.ChainPEM
		if _, err := s.cfg.Certificates.Record(ctx, e, &u, *g.cert, ""); err != nil {
			return registry.User{}, err
		}
	}
	e.Audit(Confirmed, target(r), pairingCode(r)...)
	return u, e.UpdateRegistration(ctx, *r)
}

// Deny refuses a pending registration: its client is told so until the window
// closes. It returns NotFound and Conflict as Confirm does.
func (s *Service) Deny(ctx context.Context, caller registry.Caller, ref Ref) error {
	_, err := s.editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		r, err := s.undecided(ctx, e, ref)
		if err != nil {
			return err
		}
		if err := s.keepDenied(ctx, e); err != nil {
			return err
		}
		r.Status = registry.RegistrationDenied
		e.Audit(Denied, target(&r), pairingCode(&r)...)
		return e.UpdateRegistration(ctx, r)
	})
	return err
}

// undecided returns the pending registration that ref names.
func (s *Service) undecided(ctx context.Context, store registry.RegistrationReader, ref Ref) (registry.Registration, error) {
	w, err := store.Window(ctx)
	if err != nil {
		return registry.Registration{}, err
	}
	r, err := store.Registration(ctx, ref.Username)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return registry.Registration{}, err
	}
	if err != nil || r.Username != ref.Username || r.Status != registry.RegistrationPending || !s.counts(&r, w, s.now()) {
		return registry.Registration{}, registry.Errorf(registry.NotFound, registry.FieldUsername, "nothing is pending for this name")
	}
	if ref.ID != "" && ref.ID != r.ID {
		return registry.Registration{}, registry.Errorf(registry.Conflict, registry.FieldID, "is that of another registration")
	}
	if ref.PairingCode != "" && !strings.EqualFold(ref.PairingCode, r.PairingCode) {
		return registry.Registration{}, registry.Errorf(registry.Conflict, FieldPairingCode, "is that of another registration")
	}
	return r, nil
}
