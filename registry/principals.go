package registry

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// Subject is the place where a user's current principal stands. A session keeps
// its subject and asks it at every decision, so that a change acts on it with
// one swap of a pointer.
type Subject struct {
	id      UserID
	current atomic.Pointer[Principal]
}

// ID returns whose subject it is.
func (s *Subject) ID() UserID { return s.id }

// Principal returns the user as it is now, or nil when the user is gone. It
// neither allocates, locks nor waits.
func (s *Subject) Principal() *Principal { return s.current.Load() }

// Principals is the near cache: it hands out subjects, remembers those lately
// asked for, and knows every one that some session still holds.
type Principals struct {
	cfg PrincipalsConfig

	mu     sync.Mutex
	live   map[UserID]weak.Pointer[Subject] // all that anybody holds
	recent *recent
	absent absent
	loads  map[*load]struct{} // under way

	hits, misses atomic.Uint64
}

// load is one look-up under way. Changes that arrive meanwhile are noted, so
// that an answer from before the change is not kept.
type load struct {
	users map[UserID]uint64
	roles map[RoleID]uint64
	old   bool // some user changed
}

// PrincipalStore is where principals are read from.
type PrincipalStore interface {
	RecordReader
	RoleSource
}

// PrincipalsConfig says where principals come from and how many are remembered.
type PrincipalsConfig struct {
	Store PrincipalStore
	Cache RecordReader // asked before the store; nil: there is none
	Roles *HeldRoles
	Size  int // bytes of those that are remembered though nobody holds them, about
	// Fresh says whether changes are being heard. While it says no, nothing is
	// answered from memory alone.
	Fresh func() bool
}

// NewPrincipals returns a near cache that knows nobody yet.
func NewPrincipals(cfg PrincipalsConfig) *Principals {
	return &Principals{
		cfg:    cfg,
		live:   make(map[UserID]weak.Pointer[Subject]),
		recent: newRecent(cfg.Size),
		absent: make(absent),
		loads:  make(map[*load]struct{}),
	}
}

// ByName returns the subject of the user with this very name: NotFound if there
// is none, Unavailable if the store can't be asked and memory does not know.
func (p *Principals) ByName(ctx context.Context, username string) (*Subject, error) {
	switch s, none := p.remembered(username); {
	case s != nil:
		p.hits.Add(1)
		return s, nil
	case none:
		p.hits.Add(1)
		return nil, Errorf(NotFound, "", "no such user")
	}
	p.misses.Add(1)
	return p.fetch(ctx, username, func(from RecordReader) (Record, error) { return from.RecordByName(ctx, username) })
}

// ByFingerprint returns the subject of the user who registered the certificate.
func (p *Principals) ByFingerprint(ctx context.Context, sha256 string) (*Subject, error) {
	return p.fetch(ctx, "", func(from RecordReader) (Record, error) { return from.RecordByFingerprint(ctx, sha256) })
}

// ByID returns the subject of the user id.
func (p *Principals) ByID(ctx context.Context, id UserID) (*Subject, error) {
	if s := p.held(id); s != nil && s.Principal() != nil {
		p.hits.Add(1)
		return s, nil
	}
	p.misses.Add(1)
	return p.fetch(ctx, "", func(from RecordReader) (Record, error) { return from.RecordByID(ctx, id) })
}

// Name returns the name of user id for people to read, or the id if that can't be told.
func (p *Principals) Name(ctx context.Context, id UserID) string {
	s, err := p.ByID(ctx, id)
	if name := nameIn(s); err == nil && name != "" {
		return name
	}
	return string(id)
}

// PrincipalStats are figures of the near cache.
type PrincipalStats struct {
	Hits, Misses uint64 // look-ups that memory answered, and that it did not
	Users, Roles int    // that are held
	Bytes        int    // of those that are remembered, about
}

// Stats returns the figures of now.
func (p *Principals) Stats() PrincipalStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PrincipalStats{
		Hits: p.hits.Load(), Misses: p.misses.Load(), Users: len(p.live), Roles: p.cfg.Roles.len(), Bytes: p.recent.bytes,
	}
}

// remembered returns the subject that is remembered under a name, and whether it is
// remembered that there is none.
func (p *Principals) remembered(username string) (s *Subject, none bool) {
	if !p.cfg.Fresh() {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, none = p.absent[username]
	return p.recent.get(username), none
}

func (p *Principals) held(id UserID) *Subject {
	if !p.cfg.Fresh() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live[id].Value()
}

// fetch reads a principal and puts it in its subject, unless a change that came
// while it was read makes it old: then it reads again. username is what is asked for,
// empty if it is no name.
func (p *Principals) fetch(ctx context.Context, username string, ask func(RecordReader) (Record, error)) (*Subject, error) {
	from := p.cfg.Cache
	for {
		l := p.begin()
		pr, err := p.read(ctx, from, ask)
		switch {
		case errors.Is(err, errMixed) && ctx.Err() == nil:
			p.end(l)
			from = nil // what the cache has is no answer
		case err != nil:
			return nil, p.missing(l, username, err)
		default:
			if s := p.accept(l, pr); s != nil {
				return s, nil
			}
		}
	}
}

// read reads a principal from a cache or, if that is nil, from the store.
func (p *Principals) read(ctx context.Context, from RecordReader, ask func(RecordReader) (Record, error)) (*Principal, error) {
	if from == nil {
		from = p.cfg.Store
	}
	rec, err := ask(from)
	if err != nil {
		return nil, err
	}
	held, err := p.cfg.Roles.of(ctx, p.cfg.Store, &rec)
	if err != nil {
		return nil, err
	}
	return newPrincipal(rec.User, held), nil
}

// current reads a user from the store, with its principal: nil, and NotFound, when
// it is gone.
func (p *Principals) current(ctx context.Context, id UserID) (Record, *Principal, error) {
	for {
		rec, err := p.cfg.Store.RecordByID(ctx, id)
		if err != nil {
			return Record{}, nil, err
		}
		held, err := p.cfg.Roles.of(ctx, p.cfg.Store, &rec)
		if errors.Is(err, errMixed) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return Record{}, nil, err
		}
		return rec, newPrincipal(rec.User, held), nil
	}
}

// begin notes that a look-up is under way.
func (p *Principals) begin() *load {
	l := &load{}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loads[l] = struct{}{}
	return l
}

func (p *Principals) end(l *load) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.loads, l)
}

// accept ends a look-up and keeps what it found. It returns nil if that is old
// already.
func (p *Principals) accept(l *load, pr *Principal) *Subject {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.loads, l)
	if l.outdates(pr) {
		return nil
	}
	return p.keep(pr)
}

// outdates reports whether a change that came during the look-up is not in pr.
func (l *load) outdates(pr *Principal) bool {
	if pr.User.Version < l.users[pr.User.ID] {
		return true
	}
	return slices.ContainsFunc(pr.held.roles, func(h *heldRole) bool { return h.version < l.roles[h.id] })
}

// keep puts pr in the subject of its user unless a newer one stands there, and
// remembers it. The caller holds mu.
func (p *Principals) keep(pr *Principal) *Subject {
	id := pr.User.ID
	s := p.live[id].Value()
	if s == nil {
		s = &Subject{id: id}
		p.live[id] = weak.Make(s)
		runtime.AddCleanup(s, p.forget, id)
	}
	old := s.Principal()
	if old != nil && pr.older(old) {
		pr = old
	}
	if old != nil && old.User.Username != pr.User.Username {
		p.recent.remove(s, old.User.Username)
	}
	s.current.Store(pr)
	p.recent.put(s, pr)
	delete(p.absent, pr.User.Username)
	return s
}

// changed notes what is another since when, so that no look-up under way keeps an
// older answer.
func (p *Principals) changed(users map[UserID]uint64, roles map[RoleID]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(users) > 0 {
		p.forgetAbsent()
	}
	for l := range p.loads {
		l.users, l.roles = later(l.users, users), later(l.roles, roles)
	}
}

// later adds to m the numbers that are higher than those in it.
func later[K comparable](m, more map[K]uint64) map[K]uint64 {
	if m == nil {
		m = make(map[K]uint64, len(more))
	}
	for k, n := range more {
		m[k] = max(m[k], n)
	}
	return m
}

// holds reports whether anybody holds the subject of user id.
func (p *Principals) holds(id UserID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live[id].Value() != nil
}

// forget removes the entry of a subject that nobody holds any more.
func (p *Principals) forget(id UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live[id].Value() == nil {
		delete(p.live, id)
	}
}
