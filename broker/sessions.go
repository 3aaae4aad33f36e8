package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// sessions is the register of all sessions, by client ID and by user. Mochi's own
// map of clients is asked for nothing: it misses some (those that lost a race of
// CONNECTs) and keeps others for ever (those whose socket died in between).
//
// Whatever changes what lives under a client ID (a CONNECT that takes it over,
// the end of a connection, the expiry of a stored session) holds that ID
// meanwhile. Mochi's own steps interleave otherwise, and leave connections that
// no map knows.
type sessions struct {
	maxStored    int           // persistent sessions of one user
	maxConnected int           // sessions of one user with a connection; 0: no limit
	maxPatterns  int           // of the filters of one user
	maxWork      time.Duration // for one user in a second; 0: no limit
	patience     time.Duration // with a CONNECT that holds the ID another one wants

	mu        sync.Mutex
	ids       map[string]*clientID
	users     map[string]map[*session]struct{}
	patterns  map[string]patterns   // of each user
	meters    map[string]*meter     // of each user
	timed     map[*session]struct{} // those that something ends with time
	uncertain map[string]struct{}   // client IDs that mochi may have forgotten
	connected int
	stored    int
}

// clientID is what is known of a client ID.
type clientID struct {
	owner  *session      // whose state lives under the ID; nil: nobody's
	holder *session      // who may change that state now; nil: whoever comes
	free   chan struct{} // closed when holder becomes nil; nil while nobody waits for that
}

func newSessions(cfg Config) *sessions {
	return &sessions{
		maxStored:    cfg.MaxStoredSessions,
		maxConnected: cfg.MaxUserConnections,
		maxPatterns:  cfg.MaxPatterns,
		maxWork:      cfg.MaxWork,
		patience:     cfg.TakeoverTimeout,
		ids:          make(map[string]*clientID),
		users:        make(map[string]map[*session]struct{}),
		patterns:     make(map[string]patterns),
		meters:       make(map[string]*meter),
		timed:        make(map[*session]struct{}),
		uncertain:    make(map[string]struct{}),
	}
}

// claim makes s known as a session of its user, which hears of changes from then
// on, and gives it hold of its client ID. It waits for others of the same user
// to be through with the ID. An ID that is another user's is refused, and so is
// one session too many.
func (r *sessions) claim(ctx context.Context, s *session) error {
	var patience <-chan time.Time // made when it is needed, which is rare
	for {
		holder, free, err := r.tryClaim(s)
		if err != nil || free == nil {
			return err
		}
		if patience == nil {
			patience = time.After(r.patience)
		}
		select {
		case <-free:
		case <-patience:
			_ = holder.guard.Close() // the latest wins, as in any takeover [MQTT-3.1.4-3]
		case <-ctx.Done():
			return fmt.Errorf("%w: client ID is busy", packets.ErrServerUnavailable)
		}
	}
}

// tryClaim is claim, unless another session of the user holds the ID: then it
// returns that, and what is closed when it does so no more.
func (r *sessions) tryClaim(s *session) (holder *session, free <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.id(s.id)
	for _, other := range []*session{id.owner, id.holder} {
		if other != nil && other.user != s.user {
			return nil, nil, fmt.Errorf("%w: user %s has a session with it", packets.ErrClientIdentifierNotValid,
				printable(other.login.Username()))
		}
	}
	if id.holder != nil {
		return id.holder, id.freed(), nil
	}
	s.persistent = outlives(s.client)
	if err := r.room(s, id); err != nil {
		r.tidy(s.id)
		return nil, nil, err
	}
	id.holder = s
	r.add(s)
	return nil, nil, nil
}

// hold gives s hold of its client ID as soon as nobody else has it.
func (r *sessions) hold(ctx context.Context, s *session) error {
	for {
		free := r.tryHold(s)
		if free == nil {
			return nil
		}
		select {
		case <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *sessions) tryHold(s *session) (free <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.id(s.id)
	if id.holder != nil && id.holder != s {
		return id.freed()
	}
	id.holder = s
	return nil
}

// release ends the hold of s on its client ID, if it has it.
func (r *sessions) release(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.ids[s.id]
	if id == nil || id.holder != s {
		return
	}
	id.holder = nil
	if id.free != nil {
		close(id.free)
		id.free = nil
	}
	r.tidy(s.id)
}

// predecessor is the session whose place another one has taken.
type predecessor struct {
	*session
	connected bool  // it has a connection still
	will      *will // to be sent now: its delay ends with its session
}

// succeed makes s, which has hold of its client ID, the owner of the ID in place
// of whom it returns, nil if there was none. A will that the predecessor delays
// is to be sent: its session ends here, unless s goes on with it [MQTT-3.1.3-9].
func (r *sessions) succeed(s *session) *predecessor {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.id(s.id)
	old := id.owner
	id.owner = s
	s.stage = connected
	r.connected++
	if old == nil {
		return nil
	}
	p := &predecessor{session: old, connected: old.stage == connected}
	old.successor = s
	if s.clean {
		p.will = old.delayedWill
	} else {
		r.inheritPatterns(s, old)
	}
	old.delayedWill = nil
	if !p.connected {
		r.remove(old)
	}
	return p
}

// leave takes note that the connection of s, which has hold of its client ID, is
// over now, and keeps its state for as long as expiry if it is to be kept and its own. It
// returns whose the ID is then; nobody's, if it was that of s. A will that was to
// wait longer than the session is returned, too.
func (r *sessions) leave(s *session, keep bool, now time.Time, expiry time.Duration) (owner *session, due *will) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.id(s.id)
	if s.stage == connected {
		r.connected--
	}
	if id.owner == s && keep {
		s.left = now
		r.markStored(s, now.Add(expiry))
		return s, nil
	}
	if id.owner == s {
		id.owner = nil
	}
	due, s.delayedWill = s.delayedWill, nil
	r.drop(s)
	return id.owner, due
}

// restore makes s, from before a restart, the owner of its client ID, stored until
// expires. Nobody else has the ID at the start.
func (r *sessions) restore(s *session, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id(s.id).owner = s
	r.add(s)
	s.persistent = true
	r.recountPatterns(s)
	r.markStored(s, expires)
}

// forget takes a stored session, which has hold of its client ID, out. It
// reports false if s is stored no more.
func (r *sessions) forget(s *session) (due *will, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.stage != stored {
		return nil, false
	}
	due, s.delayedWill = s.delayedWill, nil
	r.ids[s.id].owner = nil
	r.remove(s)
	return due, true
}

// delay lets a will wait, unless the session has a successor: then it is returned
// if that began anew, and dropped if it goes on.
func (r *sessions) delay(s *session, w *will, due time.Time) (now *will) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case s.successor == nil:
		s.delayedWill, s.willDue = w, due
		return nil
	case s.successor.clean:
		return w
	default:
		return nil
	}
}

// waiting returns until when a stored session stays, and the will that it delays
// until due, if it does. It reports false for a session that is not stored.
func (r *sessions) waiting(s *session) (expires time.Time, delayed *will, due time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.expires, s.delayedWill, s.willDue, s.stage == stored
}

// ofUser returns the sessions of a user.
func (r *sessions) ofUser(user string) []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.users[user]))
}

// under returns the sessions with a client ID: the one whose state lives under it, and
// the one that is about to.
func (r *sessions) under(clientID string) (all []*session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.ids[clientID]
	if id == nil {
		return nil
	}
	if id.owner != nil {
		all = append(all, id.owner)
	}
	if id.holder != nil && id.holder != id.owner {
		all = append(all, id.holder)
	}
	return all
}

// allUsers returns the users with a session.
func (r *sessions) allUsers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.users))
}

// stageOf returns where s is in its life.
func (r *sessions) stageOf(s *session) stage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.stage
}

// count returns how many sessions are connected and how many are stored.
func (r *sessions) count() (connected, stored int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.connected, r.stored
}

// The rest is called with mu held.

func (r *sessions) id(name string) *clientID {
	id := r.ids[name]
	if id == nil {
		id = new(clientID)
		r.ids[name] = id
	}
	return id
}

// freed returns what is closed when nobody holds the ID any more.
func (id *clientID) freed() <-chan struct{} {
	if id.free == nil {
		id.free = make(chan struct{})
	}
	return id.free
}

// tidy removes a client ID that nobody uses.
func (r *sessions) tidy(name string) {
	if id := r.ids[name]; id.owner == nil && id.holder == nil {
		delete(r.ids, name)
	}
}

func (r *sessions) add(s *session) {
	all := r.users[s.user]
	if all == nil {
		all = make(map[*session]struct{})
		r.users[s.user] = all
	}
	all[s] = struct{}{}
	s.meter = r.meter(s.user)
	if !s.login.Ends().IsZero() {
		r.timed[s] = struct{}{}
	}
}

// markStored makes s a stored session.
func (r *sessions) markStored(s *session, expires time.Time) {
	s.stage, s.expires = stored, expires
	r.stored++
	r.timed[s] = struct{}{}
}

// remove takes out a stored session.
func (r *sessions) remove(s *session) {
	if s.stage == stored {
		r.stored--
	}
	r.drop(s)
}

func (r *sessions) drop(s *session) {
	s.stage = gone
	r.dropPatterns(s)
	delete(r.timed, s)
	delete(r.users[s.user], s)
	if len(r.users[s.user]) == 0 {
		delete(r.users, s.user)
	}
}
