package registry

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Enforcer makes the live and stored sessions of users obey what they are now. It
// returns when they do.
type Enforcer interface {
	// Enforce is called after the principals of these users were swapped. It may
	// be called again with nothing new.
	Enforce(ctx context.Context, users []Swapped)
	// EndTokens is called after tokens have ended: of the sessions of their users, it
	// is for those that rest on them. It may be called again with the same.
	EndTokens(ctx context.Context, ended []EndedTokens)
}

// RecordCache is told of every change, so that it never answers with what is
// older than the store. None of its methods waits for a network.
type RecordCache interface {
	// From says that every change past p will be told.
	From(p Position)
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
	PrincipalStore
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
	bus        Bus         // may be nil
	peers      peers
	enforcers  []Enforcer
	listeners  []listener

	wake     chan struct{}
	heard    atomic.Int64  // when the store last answered, in Unix nanoseconds
	enforced atomic.Uint64 // every change up to this number is enforced here

	mu    sync.Mutex
	moved chan struct{} // closed and replaced whenever enforced grows
}

// Reload reads again what is kept of a kind of change. The ids are those of the changes;
// nil: everything may have changed.
type Reload func(ctx context.Context, ids []string) error

// listener reads again what it keeps of a kind of change.
type listener struct {
	kind   ChangeKind
	reload Reload
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
	end, err := f.store.Position(ctx)
	if err != nil {
		return err
	}
	f.principals, f.cache, f.enforcers = principals, cache, enforcers
	if cache != nil {
		cache.From(end)
	}
	f.enforced.Store(end.Number)
	f.tell(Progress{Enforced: end})
	f.heard.Store(f.cfg.Now().UnixNano())
	for _, l := range f.listeners {
		if err := l.reload(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// OnChange has reload called for changes of a kind: it reads again what it keeps
// of that. Those that were added are called in that order, and again while one of
// them fails; only then is the change enforced. A reload may find nothing new.
// OnChange must be called before Start. Changes of users need none; see Start.
func (f *Follower) OnChange(kind ChangeKind, reload Reload) {
	f.listeners = append(f.listeners, listener{kind, reload})
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	if f.bus != nil {
		var listening sync.WaitGroup
		listening.Go(func() { f.bus.Listen(ctx, f.hear) })
		defer listening.Wait()
	}
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

// catchUp follows the line to its end, a batch at a time.
func (f *Follower) catchUp(ctx context.Context) error {
	for more := true; more; {
		asked := f.cfg.Now()
		b, err := f.follow(ctx)
		if err != nil {
			return err
		}
		if b.end.Number > 0 {
			f.advance(b.end.Number)
			f.tell(Progress{Enforced: b.end})
		}
		f.heard.Store(asked.UnixNano()) // not before: what was told must stand first
		more = b.more
	}
	return nil
}

// follow brings up to date what has changed next, as much as one batch takes, and
// returns that. First nothing old may be answered any more; then all principals are
// swapped, each once; then their sessions obey; then those hear of it who listen.
func (f *Follower) follow(ctx context.Context) (b batch, err error) {
	if err := f.extend(ctx, &b, f.Enforced()); err != nil || b.end.Number == 0 {
		return b, err
	}
	roles, err := f.readRoles(ctx, &b)
	if err != nil {
		return b, err
	}
	swapped, err := f.swapUsers(ctx, &b)
	if err != nil {
		return b, err
	}
	swapped = append(swapped, f.principals.swapRoles(roles, b.users)...)
	for _, e := range f.enforcers {
		e.Enforce(ctx, swapped)
		if len(b.tokens) > 0 {
			e.EndTokens(ctx, b.tokens)
		}
	}
	for kind, ids := range b.others {
		if err := f.reload(ctx, kind, ids); err != nil {
			return b, err
		}
	}
	return b, nil
}

// batch is what has changed since when, each once.
type batch struct {
	end    Position
	users  map[UserID]uint64
	roles  map[RoleID]uint64
	tokens []EndedTokens
	others map[ChangeKind][]string // their ids
	more   bool                    // the line may go on
}

// add takes changes into b.
func (b *batch) add(changes []Change) {
	if b.users == nil {
		b.users, b.roles, b.others = make(map[UserID]uint64), make(map[RoleID]uint64), make(map[ChangeKind][]string)
	}
	for _, c := range changes {
		switch c.Kind {
		case UserChange:
			b.users[c.User()] = c.Number
		case RoleChange:
			b.roles[c.Role()] = c.Number
		case TokenChange:
			if t, ok := c.Tokens(); ok {
				b.tokens = append(b.tokens, t)
			}
		default:
		}
		if c.Kind != UserChange && c.Kind != TokenChange {
			b.others[c.Kind] = append(b.others[c.Kind], c.ID)
		}
		b.end = c.Position()
	}
}

// What is read at once, and what makes a batch: those that came early shall not wait
// for all that came after them.
const (
	page  = 512 // changes
	pages = 4
)

// extend adds to b what is next in the line past a number, and has nothing older be an
// answer any more.
func (f *Follower) extend(ctx context.Context, b *batch, after uint64) error {
	b.more = true
	for range pages {
		changes, err := f.store.Changes(ctx, after, page)
		if err != nil {
			return err
		}
		b.add(changes)
		for _, c := range changes {
			// The cache first: a look-up that begins after it gets nothing old
			// there, and one that began before is noted by principals.
			if f.cache != nil {
				f.cache.Changed(c)
			}
		}
		if len(changes) < page {
			b.more = false
			break
		}
		after = changes[len(changes)-1].Number
	}
	f.principals.changed(b.users, b.roles)
	return nil
}

// readRoles reads the roles of b that anybody holds, as they stand together at one
// time. What has changed since b was read is taken into it, for a later version of
// one role must not meet an earlier one of another.
func (f *Follower) readRoles(ctx context.Context, b *batch) (map[RoleID]*heldRole, error) {
	for {
		read, err := f.principals.cfg.Roles.reread(ctx, f.store, b.roles)
		if err != nil {
			return nil, err
		}
		latest := b.end.Number
		for _, r := range read {
			latest = max(latest, r.version)
		}
		if latest == b.end.Number {
			return read, nil
		}
		if err := f.extend(ctx, b, b.end.Number); err != nil {
			return nil, err
		}
	}
}

// swapUsers brings the users of b up to date. Their records are read now, so they
// may already hold later changes; their rows will find nothing to do.
func (f *Follower) swapUsers(ctx context.Context, b *batch) ([]Swapped, error) {
	var all []Swapped
	for id, n := range b.users {
		held := f.principals.holds(id)
		if !held && f.cache == nil {
			continue
		}
		rec, pr, err := f.principals.current(ctx, id)
		if ignoreNotFound(err) != nil {
			return nil, err
		}
		if s, ok := f.principals.swap(id, pr); ok {
			all = append(all, s)
		}
		switch {
		case f.cache == nil:
		case pr == nil:
			f.cache.Bury(id, n)
		default:
			f.cache.Put(rec)
		}
	}
	return all, nil
}

// reload has those hear of changes of a kind who listen for it, or everybody if this
// program does not know it.
func (f *Follower) reload(ctx context.Context, kind ChangeKind, ids []string) error {
	for _, l := range f.listeners {
		if !kind.concerns(l.kind) {
			continue
		}
		told := ids
		if l.kind != kind {
			told = nil
		}
		if err := l.reload(ctx, told); err != nil {
			return err
		}
	}
	return nil
}

func (f *Follower) advance(n uint64) {
	f.enforced.Store(n)
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.moved)
	f.moved = make(chan struct{})
}
