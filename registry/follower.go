package registry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Enforcer makes the live and stored sessions of a user obey what the user is
// now. It returns when they do.
type Enforcer interface {
	// Enforce is called after the subject's principal was swapped; after is nil
	// for a user that is gone. It may be called again with nothing new.
	Enforce(ctx context.Context, id UserID, before, after *Principal)
}

// RecordCache is told of every change, so that it never answers with what is
// older than the store. None of its methods waits for a network.
type RecordCache interface {
	// Changed says that whatever is older than change c is no answer any more
	// for the user whose change it is, if it is one's. It holds when Changed
	// returns.
	Changed(c Change)
	// Put keeps r, soon and at best, unless something newer stands there.
	Put(r Record)
	// Bury keeps the news, soon and at best, that user id is gone since change n.
	Bury(id UserID, n uint64)
}

// FollowedStore is what a follower reads.
type FollowedStore interface {
	ChangeLog
	RecordReader
}

// FollowerConfig says how changes are followed.
type FollowerConfig struct {
	Poll     time.Duration // look unasked this often; 0: two seconds
	MaxStale time.Duration // trust memory this long when nothing is heard; 0: five minutes
	Now      func() time.Time
	Log      *slog.Logger
}

// Follower carries changes from the store to memory and to live sessions, in
// the order of their numbers.
type Follower struct {
	cfg        FollowerConfig
	store      FollowedStore
	principals *Principals
	cache      RecordCache // may be nil
	enforcers  []Enforcer
	listeners  []listener

	wake     chan struct{}
	heard    atomic.Int64  // when the store last answered, in Unix nanoseconds
	enforced atomic.Uint64 // every change up to this number is enforced here

	mu    sync.Mutex
	moved chan struct{} // closed and replaced whenever enforced grows
}

// listener reads again what it keeps of a kind of change.
type listener struct {
	kind   ChangeKind
	reload func(context.Context) error
}

// NewFollower returns a follower; it hears nothing before Start.
func NewFollower(cfg FollowerConfig, store FollowedStore) *Follower {
	if cfg.Poll <= 0 {
		cfg.Poll = 2 * time.Second
	}
	if cfg.MaxStale <= 0 {
		cfg.MaxStale = 5 * time.Minute
	}
	return &Follower{
		cfg:   cfg,
		store: store,
		wake:  make(chan struct{}, 1),
		moved: make(chan struct{}),
	}
}

// Start takes the line of changes as it is now for enforced, since nothing is
// in memory yet, and says who hears of what follows. What OnChange was given is
// called once. Start must return before the first look-up in principals, and
// before Run.
func (f *Follower) Start(ctx context.Context, principals *Principals, cache RecordCache, enforcers ...Enforcer) error {
	n, err := f.store.LastChange(ctx)
	if err != nil {
		return err
	}
	f.principals, f.cache, f.enforcers = principals, cache, enforcers
	f.enforced.Store(n)
	f.heard.Store(f.cfg.Now().UnixNano())
	return f.reload(ctx, func(ChangeKind) bool { return true })
}

// OnChange has reload called for changes of a kind: it reads again what it keeps
// of that. Those that were added are called in that order, and again while one of
// them fails; only then is the change enforced. A reload may find nothing new.
// OnChange must be called before Start. Changes of users need none; see Start.
func (f *Follower) OnChange(kind ChangeKind, reload func(context.Context) error) {
	f.listeners = append(f.listeners, listener{kind, reload})
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	tick := time.NewTicker(f.cfg.Poll)
	defer tick.Stop()
	for {
		if err := f.catchUp(ctx); err != nil && ctx.Err() == nil {
			f.cfg.Log.Error("changes can't be read: rights may be old", "err", err, "enforced", f.Enforced())
		}
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-tick.C:
		}
	}
}

// Wake makes the follower look now. It does not wait.
func (f *Follower) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Fresh reports whether the store answered lately enough for memory to be
// trusted.
func (f *Follower) Fresh() bool {
	return f.cfg.Now().UnixNano()-f.heard.Load() <= int64(f.cfg.MaxStale)
}

// Enforced returns the number up to which every change is enforced here.
func (f *Follower) Enforced() uint64 { return f.enforced.Load() }

// WaitEnforced returns when change n is enforced here, or ctx's error.
func (f *Follower) WaitEnforced(ctx context.Context, n uint64) error {
	for {
		f.mu.Lock()
		moved := f.moved
		f.mu.Unlock()
		if f.Enforced() >= n {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// batch is how many changes are read at once.
const batch = 512

func (f *Follower) catchUp(ctx context.Context) error {
	for {
		asked := f.cfg.Now()
		changes, err := f.store.Changes(ctx, f.Enforced(), batch)
		if err != nil {
			return err
		}
		if err := f.followAll(ctx, changes); err != nil {
			return err
		}
		if len(changes) < batch {
			f.heard.Store(asked.UnixNano()) // not before: what was told must stand first
			return nil
		}
	}
}

// followAll brings everything up to date that the changes name. What is read for
// the first of a kind holds all of them: they are committed already.
func (f *Follower) followAll(ctx context.Context, changes []Change) error {
	reloaded := make(map[ChangeKind]bool)
	for _, c := range changes {
		if err := f.followOne(ctx, c, reloaded); err != nil {
			return err
		}
		f.advance(c.Number)
	}
	return nil
}

func (f *Follower) followOne(ctx context.Context, c Change, reloaded map[ChangeKind]bool) error {
	// The cache first: a look-up that begins after it gets nothing old there, and
	// one that began before is noted by principals.
	if f.cache != nil {
		f.cache.Changed(c)
	}
	if c.Kind == UserChange {
		return f.follow(ctx, c.User(), c.Number)
	}
	if reloaded[c.Kind] {
		return nil
	}
	reloaded[c.Kind] = true
	return f.reload(ctx, c.Kind.concerns)
}

// follow brings one user up to date: live sessions obey, then the cache learns
// what is new. The record is read now, so it may already hold later changes; their
// rows will find nothing to do.
func (f *Follower) follow(ctx context.Context, id UserID, n uint64) error {
	held := f.principals.changed(id, n)
	if !held && f.cache == nil {
		return nil
	}
	rec, err := f.store.RecordByID(ctx, id)
	gone := errors.Is(err, NotFound)
	if err != nil && !gone {
		return err
	}
	if held {
		f.enforce(ctx, id, rec, gone)
	}
	switch {
	case f.cache == nil:
	case gone:
		f.cache.Bury(id, n)
	default:
		f.cache.Put(rec)
	}
	return nil
}

// reload calls the listeners of the kinds that concerned says yes to.
func (f *Follower) reload(ctx context.Context, concerned func(ChangeKind) bool) error {
	for _, l := range f.listeners {
		if !concerned(l.kind) {
			continue
		}
		if err := l.reload(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (f *Follower) enforce(ctx context.Context, id UserID, rec Record, gone bool) {
	var pr *Principal
	if !gone {
		pr = rec.Principal()
	}
	before, after := f.principals.swap(id, pr)
	for _, e := range f.enforcers {
		e.Enforce(ctx, id, before, after)
	}
}

func (f *Follower) advance(n uint64) {
	f.enforced.Store(n)
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.moved)
	f.moved = make(chan struct{})
}
