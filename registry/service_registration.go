package registry

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/netip"
	"time"
)

const (
	retryLocked  = 10 * time.Second // what clients are told to wait
	retryPending = 5 * time.Second

	// lastSeenStep is how exact LastSeen is: a poll must not cost a write each.
	lastSeenStep = 5 * time.Second
)

// Register takes a request to become a user and says how far it is. The client
// sends the same request again until the answer is no longer pending. It returns
//
//   - Invalid or WeakPassword, naming the field, whatever the window is
//   - the status locked while none are taken, without telling who exists
//   - Conflict when a user of that name exists, in whatever case, or when the
//     pending or granted registration of that name has another secret
//   - Busy when too many are pending, come from one network, or are being hashed
//
// A granted one is answered, window open or not, until it is collected or ten
// minutes have passed; see RegistrationConfig.Grace for a lost answer.
func (s *Service) Register(ctx context.Context, req RegistrationRequest) (RegistrationAnswer, error) {
	if !s.throttle.allow(req.Remote, s.now()) {
		return RegistrationAnswer{}, Errorf(Busy, "", "too many requests from this address: try again later")
	}
	if err := s.checkRegistration(&req); err != nil {
		return RegistrationAnswer{}, err
	}
	return s.register(ctx, req)
}

// register does the work for a valid request. Twice it may find that somebody
// was faster.
func (s *Service) register(ctx context.Context, req RegistrationRequest) (RegistrationAnswer, error) {
	for range 3 {
		answer, known, err := s.followUp(ctx, req)
		if err != nil || known {
			return answer, err
		}
		answer, taken, err := s.takeIn(ctx, req)
		if err != nil || taken {
			return answer, err
		}
	}
	return RegistrationAnswer{}, Errorf(Busy, "", "too many requests for this username at once: try again")
}

// followUp answers a request that needs no new registration; known is false if
// it does.
func (s *Service) followUp(ctx context.Context, req RegistrationRequest) (answer RegistrationAnswer, known bool, err error) {
	w, err := s.store.Window(ctx)
	if err != nil {
		return RegistrationAnswer{}, false, unavailable(err)
	}
	r, err := s.store.Registration(ctx, req.Username)
	if err != nil && !errors.Is(err, NotFound) {
		return RegistrationAnswer{}, false, unavailable(err)
	}
	now := s.now()
	found := err == nil && s.current(&r, w, now)
	locked := RegistrationAnswer{Status: RegistrationLocked, Username: req.Username, RetryAfter: retryLocked}
	if !w.Open(now) && !found { // a granted one is found in any case
		return locked, true, nil
	}
	if !found {
		taken, err := s.store.NameTaken(ctx, req.Username)
		if err == nil && taken {
			err = errNameTaken()
		}
		return RegistrationAnswer{}, false, unavailable(err)
	}
	same, err := s.sameSecret(ctx, &r, &req)
	switch {
	case err != nil:
		return RegistrationAnswer{}, false, err
	case same && r.Status == RegistrationGranted:
		return s.collect(ctx, r, req.Remote)
	case same && r.Status == RegistrationDenied:
		return r.answer(), true, nil
	case same:
		return r.answer(), true, s.see(ctx, r, now)
	case r.Status == RegistrationGranted:
		s.cfg.Registration.Guessed(ctx, Attempt{Username: req.Username, Remote: req.Remote, ClientID: req.ClientID})
		if !w.Open(now) {
			return locked, true, nil
		}
	}
	return RegistrationAnswer{}, false, errNameTaken()
}

// current reports whether the registration still counts at now: one that does
// not is void, whether or not it was removed already.
func (s *Service) current(r *Registration, w Window, now time.Time) bool {
	if r.Status != RegistrationGranted {
		return w.Open(now)
	}
	return now.Before(r.Granted.Add(s.cfg.Registration.Collect)) &&
		(r.Collected.IsZero() || now.Before(r.Collected.Add(s.cfg.Registration.Grace)))
}

// sameSecret reports whether the request comes from the one who made the
// registration. The verifier remembers both answers, so a poll costs no hash.
func (s *Service) sameSecret(ctx context.Context, r *Registration, req *RegistrationRequest) (bool, error) {
	if r.Username != req.Username || r.HasCSR() != (req.CSR != "") {
		return false, nil
	}
	if r.HasCSR() {
		have, got := sha256.Sum256([]byte(r.CSR)), sha256.Sum256([]byte(req.CSR))
		return subtle.ConstantTimeCompare(have[:], got[:]) == 1, nil
	}
	ok, err := s.cfg.Checker.Check(ctx, r.Username, r.PasswordHash, req.Password)
	return ok, busy(err)
}

// see notes that a pending registration was asked about.
func (s *Service) see(ctx context.Context, r Registration, now time.Time) error {
	if now.Sub(r.LastSeen).Abs() < lastSeenStep {
		return nil
	}
	_, err := s.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		stands, err := tx.Registration(ctx, r.Username)
		if err != nil || stands.ID != r.ID {
			return ignoreNotFound(err)
		}
		stands.LastSeen = s.stamp()
		return tx.UpdateRegistration(ctx, stands)
	})
	return typed(err)
}

// collect answers a granted registration and notes that it was. done is false if
// it is gone meanwhile.
func (s *Service) collect(ctx context.Context, r Registration, remote netip.Addr) (answer RegistrationAnswer, done bool, err error) {
	if !r.Collected.IsZero() {
		return r.answer(), true, nil
	}
	_, err = s.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		done = false
		stands, err := tx.Registration(ctx, r.Username)
		if err != nil || stands.ID != r.ID {
			return ignoreNotFound(err)
		}
		done = true
		if !stands.Collected.IsZero() {
			return nil
		}
		stranger(tx, &stands, remote, "registration.collect")
		if !stands.HasCSR() || s.cfg.Registration.Grace < 0 {
			return tx.DeleteRegistration(ctx, stands.ID)
		}
		stands.Collected = s.stamp()
		return tx.UpdateRegistration(ctx, stands)
	})
	if err != nil {
		return RegistrationAnswer{}, false, typed(err)
	}
	return r.answer(), done, nil
}

// takeIn makes a new registration; done is false if there is one meanwhile. The
// password is hashed here, so that no lock is held for it.
func (s *Service) takeIn(ctx context.Context, req RegistrationRequest) (answer RegistrationAnswer, done bool, err error) {
	if err := s.room(ctx, s.store); err != nil { // before the hash, and again when it counts
		return RegistrationAnswer{}, false, err
	}
	r, err := s.newRegistration(ctx, req)
	if err != nil {
		return RegistrationAnswer{}, false, err
	}
	_, err = s.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		answer, done = RegistrationAnswer{Status: RegistrationLocked, Username: req.Username, RetryAfter: retryLocked}, true
		w, err := tx.Window(ctx)
		now := s.now()
		if err != nil || !w.Open(now) {
			return err
		}
		stands, err := tx.Registration(ctx, r.Username)
		switch {
		case errors.Is(err, NotFound):
		case err != nil:
			return err
		case s.current(&stands, w, now):
			done = false
			return nil
		default:
			if err := tx.DeleteRegistration(ctx, stands.ID); err != nil {
				return err
			}
		}
		taken, err := tx.NameTaken(ctx, r.Username)
		if err != nil {
			return err
		}
		if taken {
			return errNameTaken()
		}
		if err := s.room(ctx, tx); err != nil {
			return err
		}
		if err := tx.CreateRegistration(ctx, r); err != nil {
			return err
		}
		stranger(tx, &r, r.Remote, "registration.request")
		answer = r.answer()
		return nil
	})
	if err != nil {
		return RegistrationAnswer{}, false, typed(err)
	}
	return answer, done, nil
}

// room returns Busy when no more registrations are kept.
func (s *Service) room(ctx context.Context, store RegistrationReader) error {
	n, err := store.CountRegistrations(ctx, RegistrationPending, RegistrationDenied)
	if err == nil && n >= s.cfg.Registration.Max {
		err = Errorf(Busy, "", "%d registrations wait to be decided: try again later", n)
	}
	return err
}

func (s *Service) newRegistration(ctx context.Context, req RegistrationRequest) (Registration, error) {
	id, err := newID()
	if err != nil {
		return Registration{}, err
	}
	code, err := newPairingCode()
	if err != nil {
		return Registration{}, err
	}
	var hashed User // only its password fields count
	if req.Password != "" {
		if err := s.setPassword(ctx, &hashed, "password", req.Password); err != nil {
			return Registration{}, err
		}
	}
	if req.Source == "" {
		req.Source = SourceHTTP
	}
	return Registration{
		ID: RegistrationID(id), Username: req.Username, PairingCode: code, PasswordHash: hashed.PasswordHash, CSR: req.CSR,
		Context: req.Context, Roles: req.Roles, Permissions: req.Permissions, Source: req.Source, Remote: req.Remote,
		ClientID: req.ClientID, FirstSeen: s.stamp(), LastSeen: s.stamp(), Status: RegistrationPending,
	}, nil
}

func (r *Registration) answer() RegistrationAnswer {
	a := RegistrationAnswer{Status: r.Status, Username: r.Username, ID: r.ID, PairingCode: r.PairingCode}
	switch r.Status {
	case RegistrationPending:
		a.RetryAfter = retryPending
	case RegistrationGranted:
		a.Certificate, a.CACertificates = r.Certificate, r.CACertificates
	default:
	}
	return a
}

// stranger writes what somebody did who has no account.
func stranger(tx Tx, r *Registration, remote netip.Addr, action string) {
	tx.Audit(AuditEntry{
		Door: string(r.Source), Remote: remote, Action: action, Target: string(r.ID),
		Detail: r.Username + ", pairing code " + r.PairingCode,
	})
}

func errNameTaken() error { return Errorf(Conflict, "username", "is taken") }
