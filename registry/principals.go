package registry

import (
	"container/list"
	"context"
	"runtime"
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
	source RecordReader
	size   int
	fresh  func() bool // whether changes are being heard

	mu     sync.Mutex
	live   map[UserID]weak.Pointer[Subject] // all that anybody holds
	names  map[string]*list.Element         // of recent, by username
	recent *list.List                       // of *Subject, the latest first
	loads  map[*load]struct{}               // under way

	hits, misses atomic.Uint64
}

// load is one look-up under way. Changes that arrive meanwhile are noted, so
// that an answer from before the change is not kept.
type load struct{ changed map[UserID]uint64 }

// NewPrincipals returns a near cache of size subjects in front of source. fresh
// says whether changes are being heard: while it says no, nothing is answered
// from memory alone.
func NewPrincipals(source RecordReader, size int, fresh func() bool) *Principals {
	return &Principals{
		source: source,
		size:   max(size, 1),
		fresh:  fresh,
		live:   make(map[UserID]weak.Pointer[Subject]),
		names:  make(map[string]*list.Element),
		recent: list.New(),
		loads:  make(map[*load]struct{}),
	}
}

// ByName returns the subject of the user with this very name: NotFound if there
// is none, Unavailable if the store can't be asked and memory does not know.
func (p *Principals) ByName(ctx context.Context, username string) (*Subject, error) {
	if s := p.remembered(username); s != nil {
		p.hits.Add(1)
		return s, nil
	}
	p.misses.Add(1)
	return p.fetch(ctx, func(ctx context.Context) (Record, error) {
		return p.source.RecordByName(ctx, username)
	})
}

// ByFingerprint returns the subject of the user who registered the certificate.
func (p *Principals) ByFingerprint(ctx context.Context, sha256 string) (*Subject, error) {
	return p.fetch(ctx, func(ctx context.Context) (Record, error) {
		return p.source.RecordByFingerprint(ctx, sha256)
	})
}

// ByID returns the subject of the user id.
func (p *Principals) ByID(ctx context.Context, id UserID) (*Subject, error) {
	if s := p.held(id); s != nil && s.Principal() != nil {
		p.hits.Add(1)
		return s, nil
	}
	p.misses.Add(1)
	return p.fetch(ctx, func(ctx context.Context) (Record, error) {
		return p.source.RecordByID(ctx, id)
	})
}

// Stats returns how many look-ups memory answered, how many it did not, and how
// many users it holds.
func (p *Principals) Stats() (hits, misses uint64, held int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits.Load(), p.misses.Load(), len(p.live)
}

func (p *Principals) remembered(username string) *Subject {
	if !p.fresh() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.names[username]
	if e == nil {
		return nil
	}
	s := e.Value.(*Subject)
	if pr := s.Principal(); pr == nil || pr.User.Username != username {
		p.drop(e, username)
		return nil
	}
	p.recent.MoveToFront(e)
	return s
}

func (p *Principals) held(id UserID) *Subject {
	if !p.fresh() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live[id].Value()
}

// fetch reads a record and puts it in its subject, unless a change that came
// while it was read makes it old: then it reads again.
func (p *Principals) fetch(ctx context.Context, read func(context.Context) (Record, error)) (*Subject, error) {
	for {
		l := &load{changed: make(map[UserID]uint64)}
		p.mu.Lock()
		p.loads[l] = struct{}{}
		p.mu.Unlock()

		rec, err := read(ctx)
		var pr *Principal
		if err == nil {
			pr = rec.Principal()
		}

		p.mu.Lock()
		delete(p.loads, l)
		if err != nil {
			p.mu.Unlock()
			return nil, err
		}
		if rec.User.Version < l.changed[rec.User.ID] {
			p.mu.Unlock()
			continue
		}
		s := p.keep(pr)
		p.mu.Unlock()
		return s, nil
	}
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
	if old := s.Principal(); old == nil || old.User.Version <= pr.User.Version {
		s.current.Store(pr)
	}
	p.remember(s)
	return s
}

// remember holds on to s as the one asked for last. The caller holds mu.
func (p *Principals) remember(s *Subject) {
	name := s.Principal().User.Username
	if e := p.names[name]; e != nil {
		if e.Value.(*Subject) == s {
			p.recent.MoveToFront(e)
			return
		}
		p.drop(e, name) // the name went to another user
	}
	p.names[name] = p.recent.PushFront(s)
	for p.recent.Len() > p.size {
		oldest := p.recent.Back()
		p.drop(oldest, nameOf(oldest))
	}
}

// changed notes that user id is another since change n, so that no look-up under
// way keeps an older answer, and reports whether anybody holds its subject.
func (p *Principals) changed(id UserID, n uint64) (held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.loads {
		l.changed[id] = max(l.changed[id], n)
	}
	return p.live[id].Value() != nil
}

// swap puts pr, nil when the user is gone, in the subject of user id, unless a
// newer one stands there. It returns what stood there before and what stands
// there now, both nil when nobody holds the subject.
func (p *Principals) swap(id UserID, pr *Principal) (before, after *Principal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.live[id].Value()
	if s == nil {
		return nil, nil
	}
	before = s.Principal()
	if before != nil && pr != nil && pr.User.Version < before.User.Version {
		return before, before
	}
	if before != nil && (pr == nil || pr.User.Username != before.User.Username) {
		if e := p.names[before.User.Username]; e != nil && e.Value.(*Subject) == s {
			p.drop(e, before.User.Username)
		}
	}
	s.current.Store(pr)
	return before, pr
}

// forget removes the entry of a subject that nobody holds any more.
func (p *Principals) forget(id UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live[id].Value() == nil {
		delete(p.live, id)
	}
}

func (p *Principals) drop(e *list.Element, name string) {
	p.recent.Remove(e)
	if p.names[name] == e {
		delete(p.names, name)
	}
}

// nameOf finds the name under which a remembered subject stands: every change of
// a name drops its element first, so the current name is that one.
func nameOf(e *list.Element) string {
	if pr := e.Value.(*Subject).Principal(); pr != nil {
		return pr.User.Username
	}
	return ""
}
