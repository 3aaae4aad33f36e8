package enrol

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/peer"
	"mqttwarden/registry/secret"
)

// lastSeenStep is how exact LastSeen is: not every repeated request may cost a write.
const lastSeenStep = 5 * time.Second

// Register takes a request to become a user and says how far it is; the table in the
// comment of the package tells which answer that is. It returns
//
//   - Invalid or WeakPassword, naming the field, even while the window is closed
//   - Conflict when a user has the name, in whatever case, or another client asked
//     for it
//   - Busy when too many are pending, come from one network, or are being hashed
func (s *Service) Register(ctx context.Context, req Request) (Answer, error) {
	if !s.throttle.Allow(peer.Network(req.Remote), s.now()) {
		return Answer{}, registry.Errorf(registry.Busy, "", "too many requests from this address: try again later")
	}
	if err := s.check(&req); err != nil {
		return Answer{}, err
	}
	return s.register(ctx, &req)
}

// errOvertaken says that the registration that was to answer a request was changed
// meanwhile.
var errOvertaken = errors.New("enrol: overtaken by another request")

// register answers a valid request. It starts again when another request was faster,
// which can happen twice: when the registration is made, and when it is collected.
func (s *Service) register(ctx context.Context, req *Request) (Answer, error) {
	ctx = secret.For(ctx, secret.Asker{Kind: secret.Registration, Network: peer.Network(req.Remote)})
	for range 3 {
		st, r, err := s.look(ctx, req)
		if err != nil {
			return Answer{}, err
		}
		a, err := s.proceed(ctx, st, &r, req)
		if !errors.Is(err, errOvertaken) {
			return a, err
		}
	}
	return Answer{}, registry.Errorf(registry.Busy, "", "too many requests for this username at once: try again")
}

// state is what a request finds under its username.
type state int

const (
	closed   state = iota // nothing for this client, and no requests are taken
	free                  // nothing, and nobody has the name
	occupied              // a user, or the registration of another client
	pending               // the client's own registration, and how far it is
	denied
	granted
)

// look returns what there is under the username of a request.
func (s *Service) look(ctx context.Context, req *Request) (state, registry.Registration, error) {
	var r registry.Registration
	w, err := s.store.Window(ctx)
	if err != nil {
		return closed, r, err
	}
	r, err = s.store.Registration(ctx, req.Username)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return closed, r, err
	}
	now := s.now()
	counts := err == nil && s.counts(&r, w, now)
	switch {
	case counts:
		st, err := s.standing(ctx, &r, req, w.Open(now))
		return st, r, err
	case !w.Open(now):
		return closed, r, nil
	}
	taken, err := s.store.NameTaken(ctx, req.Username)
	if taken {
		return occupied, registry.Registration{}, err // what is stored besides does not count any more
	}
	return free, r, err
}

// standing returns what a registration that counts is to the client that asks.
func (s *Service) standing(ctx context.Context, r *registry.Registration, req *Request, open bool) (state, error) {
	own, err := s.sameSecret(ctx, r, req)
	if err != nil {
		return closed, err
	}
	if !own {
		if r.Status == registry.RegistrationGranted {
			s.cfg.Guessed(ctx, registry.Attempt{Username: req.Username, Remote: req.Remote, ClientID: req.ClientID})
		}
		if !open {
			return closed, nil
		}
		return occupied, nil
	}
	switch r.Status {
	case registry.RegistrationGranted:
		return granted, nil
	case registry.RegistrationDenied:
		return denied, nil
	default:
		return pending, nil
	}
}

// proceed answers a request by the state that look found. It returns errOvertaken
// when that has changed since.
func (s *Service) proceed(ctx context.Context, st state, r *registry.Registration, req *Request) (Answer, error) {
	switch st {
	case free:
		return s.create(ctx, req)
	case occupied:
		return Answer{}, errOccupied(r)
	case pending:
		return answer(r), s.noteSeen(ctx, r)
	case denied:
		return answer(r), nil
	case granted:
		return answer(r), s.collect(ctx, r, req.Remote)
	default:
		return locked(req.Username), nil
	}
}

// counts reports whether a registration counts at now. One that does not is void,
// though it may still be stored.
func (s *Service) counts(r *registry.Registration, w registry.Window, now time.Time) bool {
	if r.Status != registry.RegistrationGranted {
		return w.Open(now)
	}
	return now.Before(r.Granted.Add(s.cfg.Collect)) &&
		(r.Collected.IsZero() || now.Before(r.Collected.Add(s.cfg.Grace)))
}

// sameSecret reports whether the request comes from the client that made the
// registration. The verifier remembers its answers, so a repeated request costs no
// hash.
func (s *Service) sameSecret(ctx context.Context, r *registry.Registration, req *Request) (bool, error) {
	if r.Username != req.Username || r.HasCSR() != (req.CSR != "") {
		return false, nil
	}
	if r.HasCSR() {
		return ca.SameKey(r.CSR, req.CSR), nil // its sender has proven to hold the key; see check
	}
	return s.cfg.Passwords.Verify(ctx, r.Username, r.PasswordHash, req.Password)
}

// noteSeen notes that a pending registration was asked about.
func (s *Service) noteSeen(ctx context.Context, r *registry.Registration) error {
	if s.now().Sub(r.LastSeen).Abs() < lastSeenStep {
		return nil
	}
	return s.do(ctx, r.Source, netip.Addr{}, func(ctx context.Context, e *registry.Edit) error {
		stored, err := e.Registration(ctx, r.Username)
		if err != nil || stored.ID != r.ID {
			return ignoreNotFound(err)
		}
		stored.LastSeen = e.Now()
		return e.UpdateRegistration(ctx, stored)
	})
}

// collect notes that a granted registration was collected. It returns errOvertaken
// if it is gone meanwhile.
func (s *Service) collect(ctx context.Context, r *registry.Registration, remote netip.Addr) error {
	if !r.Collected.IsZero() {
		return nil
	}
	return s.do(ctx, r.Source, remote, func(ctx context.Context, e *registry.Edit) error {
		stored, err := e.Registration(ctx, r.Username)
		if errors.Is(err, registry.NotFound) || err == nil && stored.ID != r.ID {
			return errOvertaken
		}
		if err != nil || !stored.Collected.IsZero() {
			return err
		}
		e.AuditAs(registry.Actor{}, Collected, target(&stored), pairingCode(&stored)...)
		if !stored.HasCSR() || s.cfg.Grace < 0 {
			return e.DeleteRegistration(ctx, stored.ID)
		}
		stored.Collected = e.Now()
		return e.UpdateRegistration(ctx, stored)
	})
}

// create makes a registration. The password is hashed before the transaction, so that
// no lock is held meanwhile. It returns errOvertaken if another registration was made
// first.
func (s *Service) create(ctx context.Context, req *Request) (Answer, error) {
	if err := s.checkRoom(ctx, s.store, req.Remote); err != nil { // before the hash, and again in the transaction
		return Answer{}, err
	}
	r, err := s.registration(ctx, req)
	if err != nil {
		return Answer{}, err
	}
	var a Answer
	err = s.do(ctx, r.Source, r.Remote, func(ctx context.Context, e *registry.Edit) error {
		a = answer(&r)
		w, err := e.Window(ctx)
		if err != nil {
			return err
		}
		if !w.Open(s.now()) {
			a = locked(req.Username)
			return nil
		}
		if err := s.clearName(ctx, e, &r, w); err != nil {
			return err
		}
		e.AuditAs(registry.Actor{}, Requested, target(&r), pairingCode(&r)...)
		return e.CreateRegistration(ctx, r)
	})
	return a, err
}

// clearName removes a registration for the name that does not count any more, and
// returns why no other can be made for it now.
func (s *Service) clearName(ctx context.Context, e *registry.Edit, r *registry.Registration, w registry.Window) error {
	stored, err := e.Registration(ctx, r.Username)
	switch {
	case errors.Is(err, registry.NotFound):
	case err != nil:
		return err
	case s.counts(&stored, w, s.now()):
		return errOvertaken
	default:
		if err := e.DeleteRegistration(ctx, stored.ID); err != nil {
			return err
		}
	}
	taken, err := e.NameTaken(ctx, r.Username)
	if err == nil && taken {
		err = errNameTaken()
	}
	if err != nil {
		return err
	}
	return s.checkRoom(ctx, e, r.Remote)
}

// registration returns the registration that is stored for a request.
func (s *Service) registration(ctx context.Context, req *Request) (registry.Registration, error) {
	id, err := registry.NewID()
	if err != nil {
		return registry.Registration{}, err
	}
	var password registry.PasswordHash
	if req.Password != "" {
		if password, err = s.cfg.Passwords.Hash(ctx, registry.FieldPassword, req.Password); err != nil {
			return registry.Registration{}, err
		}
	}
	source := req.Source
	if source == "" {
		source = registry.SourceHTTP
	}
	now := registry.Stamp(s.now())
	return registry.Registration{
		ID: registry.RegistrationID(id), Username: req.Username, PairingCode: newPairingCode(), PasswordHash: password.Encoded,
		CSR: req.CSR, Context: req.Context, Roles: req.Roles, Permissions: req.Permissions, Source: source, Remote: req.Remote,
		ClientID: req.ClientID, FirstSeen: now, LastSeen: now, Status: registry.RegistrationPending,
	}, nil
}

// do runs a unit of work for a client that has no account.
func (s *Service) do(ctx context.Context, source registry.RegistrationSource, remote netip.Addr, f func(context.Context, *registry.Edit) error) error {
	client := registry.System(string(source))
	client.Remote = remote
	_, err := s.editor.Do(ctx, client, f)
	return err
}

// errOccupied says what keeps a name from a client: a user, whose registration may be
// there still, or the registration of another client.
func errOccupied(r *registry.Registration) error {
	switch r.Status {
	case registry.RegistrationPending:
		return registry.Errorf(registry.Conflict, registry.FieldUsername,
			"another request for this name waits to be decided: ask again with the same password or key, or have that one denied")
	case registry.RegistrationDenied:
		return registry.Errorf(registry.Conflict, registry.FieldUsername,
			"another request for this name was denied: the name is free again when the registrations are closed")
	default:
		return errNameTaken()
	}
}

func errNameTaken() error {
	return registry.Errorf(registry.Conflict, registry.FieldUsername, "is taken")
}

func ignoreNotFound(err error) error {
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}
