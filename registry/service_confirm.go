package registry

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"mqttwarden/registry/ca"
)

// Pending returns the registrations that wait for a decision, the oldest first:
// none while the window is closed. They hold no password hash.
func (s *Service) Pending(ctx context.Context) ([]Registration, error) {
	w, err := s.store.Window(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	if !w.Open(s.now()) {
		return nil, nil
	}
	pending, err := s.store.Registrations(ctx, RegistrationPending)
	if err != nil {
		return nil, unavailable(err)
	}
	for i := range pending {
		pending[i].PasswordHash = ""
	}
	return pending, nil
}

// Confirm makes a user of a pending registration, with the rights that stand in
// c. With a CSR its certificate is signed, recorded and registered, in the same
// transaction: the client finds it whenever it asks. It returns
//
//   - NotFound when nothing is pending for the name: never asked, decided
//     already (the second of two confirmations too), or the window is closed
//   - Conflict when the id or the pairing code is that of another registration,
//     or when a user of that name was made meanwhile; the latter drops the
//     registration
//   - Invalid naming the field, and Forbidden when the user would have a right
//     that the caller has not
func (s *Service) Confirm(ctx context.Context, caller Caller, c Confirmation) (User, uint64, error) {
	ref := RegistrationRef{Username: c.Username, ID: c.ID, PairingCode: c.PairingCode}
	r, err := s.undecided(ctx, s.store, ref)
	if err != nil {
		return User{}, 0, unavailable(err)
	}
	u, own, err := s.confirmed(r, c)
	if err != nil {
		return User{}, 0, err
	}
	var cert *ca.Issued
	var generation uint64
	if r.HasCSR() {
		if cert, generation, err = s.sign(r.CSR, r.Username); err != nil {
			return User{}, 0, err
		}
		u.Fingerprints = []Fingerprint{{SHA256: cert.Fingerprint, Created: u.Created, Expires: cert.NotAfter}}
	}
	ref.ID = r.ID // this one, not another that took its place
	var made User
	var taken bool
	number, err := s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		r, err := s.undecided(ctx, tx, ref)
		if err != nil {
			return err
		}
		if taken, err = tx.NameTaken(ctx, r.Username); err != nil {
			return err
		}
		if taken {
			by.audit(tx, "registration.drop", string(r.ID), "%s: a user of that name was made meanwhile", r.Username)
			return tx.DeleteRegistration(ctx, r.ID)
		}
		if made, err = s.insert(ctx, tx, by, u.Clone(), own); err != nil {
			return err
		}
		r.Status, r.User, r.Granted = RegistrationGranted, u.ID, s.stamp()
		if cert != nil {
			r.Certificate, r.CACertificates = cert.PEM, cert.ChainPEM
			if err := s.record(ctx, tx, by, &u, cert, generation, ""); err != nil {
				return err
			}
		}
		by.audit(tx, "registration.confirm", string(r.ID), "%s, pairing code %s", r.Username, r.PairingCode)
		return tx.UpdateRegistration(ctx, r)
	})
	switch {
	case err != nil:
		return User{}, 0, err
	case taken:
		return User{}, 0, Errorf(Conflict, "username", "was taken meanwhile: the registration is dropped")
	}
	made.Version = number
	return made, number, nil
}

// confirmed returns the user that a registration becomes.
func (s *Service) confirmed(r Registration, c Confirmation) (User, []Permission, error) {
	id, err := newID()
	if err != nil {
		return User{}, nil, err
	}
	u := User{
		ID: UserID(id), Username: r.Username, Provider: ProviderLocal, Active: true, PublishPrefix: c.Prefix,
		GrantTypes: impliedGrants(!r.HasCSR(), r.HasCSR()), PasswordHash: r.PasswordHash, Roles: distinct(c.Roles),
		Created: s.stamp(), Updated: s.stamp(),
	}
	if !r.HasCSR() {
		u.PasswordSet = s.stamp()
	}
	if err := u.Validate(); err != nil {
		return User{}, nil, err
	}
	own, err := permissions(c.Permissions)
	return u, own, err
}

// Deny refuses a pending registration: until the window closes its client hears
// so. It returns NotFound and Conflict as Confirm does.
func (s *Service) Deny(ctx context.Context, caller Caller, ref RegistrationRef) error {
	_, err := s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		r, err := s.undecided(ctx, tx, ref)
		if err != nil {
			return err
		}
		r.Status = RegistrationDenied
		by.audit(tx, "registration.deny", string(r.ID), "%s, pairing code %s", r.Username, r.PairingCode)
		return tx.UpdateRegistration(ctx, r)
	})
	return err
}

// undecided returns the pending registration that ref names.
func (s *Service) undecided(ctx context.Context, store RegistrationReader, ref RegistrationRef) (Registration, error) {
	w, err := store.Window(ctx)
	if err != nil {
		return Registration{}, err
	}
	r, err := store.Registration(ctx, ref.Username)
	if err != nil && !errors.Is(err, NotFound) {
		return Registration{}, err
	}
	if err != nil || r.Username != ref.Username || r.Status != RegistrationPending || !s.current(&r, w, s.now()) {
		return Registration{}, Errorf(NotFound, "username", "nothing is pending for this name")
	}
	if ref.ID != "" && ref.ID != r.ID {
		return Registration{}, Errorf(Conflict, "id", "is that of another registration")
	}
	if ref.PairingCode != "" && !strings.EqualFold(ref.PairingCode, r.PairingCode) {
		return Registration{}, Errorf(Conflict, "pairingCode", "is that of another registration")
	}
	return r, nil
}

// Knock takes the name and password of an MQTT client that is no user as a
// registration, if registrations are taken and both meet the rules. The client
// is refused in any case and hears nothing of it. While the window is closed
// this costs a look into memory.
func (s *Service) Knock(ctx context.Context, a Attempt) {
	if a.ClientID == "" || !a.HasPassword || looksLikeToken(a.Password) || !s.seen.open(ctx, s.store, s.now) {
		return
	}
	req := RegistrationRequest{
		Username: a.Username, Password: a.Password, Source: SourceMQTT, Remote: a.Remote,
		ClientID: cut(a.ClientID, maxRegistrationClientID),
	}
	req.Context = "MQTT client " + req.ClientID
	if a.Remote.IsValid() {
		req.Context += " from " + a.Remote.String()
	}
	if !s.throttle.allow(req.Remote, s.now()) || s.checkRegistration(&req) != nil {
		return
	}
	if _, err := s.register(ctx, req); err != nil {
		s.cfg.Log.Debug("no registration was made of a connect", "err", err)
	}
}

// cut returns at most limit bytes of text, whole characters only.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
