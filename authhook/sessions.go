package authhook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
)

// sessions are all sessions, by client ID and by user: connecting, connected and
// stored.
type sessions struct {
	maxStored    int           // persistent sessions of one user
	maxConnected int           // sessions of one user with a connection; 0: no limit
	patience     time.Duration // with a CONNECT that holds the ID another one wants

	tasks atomic.Int64 // sessions whose task is not nothing

	mu       sync.Mutex
	slots    map[string]*slot
	users    map[registry.UserID]map[*session]struct{}
	watched  map[*session]struct{} // those that something ends with time
	suspects map[string]struct{}   // client IDs that mochi may have forgotten
	live     int
	stored   int
}

// slot is what is known of a client ID.
type slot struct {
	owner *session      // whose state lives under the ID; nil: nobody's
	busy  *session      // who may change that state now; nil: whoever comes
	free  chan struct{} // closed when busy becomes nil; nil while nobody waits for that
}

func newSessions(maxStored, maxConnected int, patience time.Duration) *sessions {
	return &sessions{
		maxStored:    maxStored,
		maxConnected: maxConnected,
		patience:     patience,
		slots:        make(map[string]*slot),
		users:        make(map[registry.UserID]map[*session]struct{}),
		watched:      make(map[*session]struct{}),
		suspects:     make(map[string]struct{}),
	}
}

// join makes s known as a session of its user, which hears of changes from then
// on, and gives it hold of its client ID. It waits for others of the same user
// to be through with the ID. An ID that is another user's is refused, and so is
// one session too many.
func (r *sessions) join(ctx context.Context, s *session) error {
	var patience <-chan time.Time // made when it is needed, which is rare
	for {
		r.mu.Lock()
		sl := r.slot(s.id)
		if sl.owner != nil && sl.owner.user != s.user || sl.busy != nil && sl.busy.user != s.user {
			r.mu.Unlock()
			return fmt.Errorf("%w: another user's", packets.ErrClientIdentifierNotValid)
		}
		if sl.busy == nil {
			defer r.mu.Unlock()
			s.keeps = s.persistent()
			if err := r.room(s, sl); err != nil {
				r.tidy(s.id)
				return err
			}
			sl.busy = s
			r.add(s)
			return nil
		}
		holder, free := sl.busy, sl.wait()
		r.mu.Unlock()
		if patience == nil {
			patience = time.After(r.patience)
		}
		select {
		case <-free:
		case <-patience:
			_ = holder.Close() // the latest wins, as in any takeover [MQTT-3.1.4-3]
		case <-ctx.Done():
			return fmt.Errorf("%w: client ID is busy", packets.ErrServerUnavailable)
		}
	}
}

// hold gives s hold of its client ID as soon as nobody else has it.
func (r *sessions) hold(ctx context.Context, s *session) error {
	for {
		r.mu.Lock()
		sl := r.slot(s.id)
		if sl.busy == nil || sl.busy == s {
			sl.busy = s
			r.mu.Unlock()
			return nil
		}
		free := sl.wait()
		r.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release ends the hold of s on its client ID, if it has it.
func (r *sessions) release(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sl := r.slots[s.id]
	if sl == nil || sl.busy != s {
		return
	}
	sl.busy = nil
	if sl.free != nil {
		close(sl.free)
		sl.free = nil
	}
	r.tidy(s.id)
}

// inherit makes s, which has hold of its client ID, the owner of the ID in place
// of whom it returns, nil if there was none. A will that the predecessor holds
// back is returned when it is to be sent: its session ends here, unless s goes
// on with it [MQTT-3.1.3-9].
func (r *sessions) inherit(s *session) (old *session, connected bool, due *will) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sl := r.slot(s.id)
	old = sl.owner
	sl.owner = s
	s.stage = established
	r.live++
	if old == nil {
		return nil, false, nil
	}
	old.heir = s
	if s.clean {
		due = old.held
	}
	old.held = nil
	connected = old.stage == established
	if !connected {
		r.remove(old)
	}
	return old, connected, due
}

// leave takes note that the connection of s, which has hold of its client ID, is
// over, and keeps its state until stays if it is to be kept and its own. It
// returns whose the ID is then; nobody's, if it was that of s. A will that was to
// wait longer than the session is returned, too.
func (r *sessions) leave(s *session, keep bool, stays time.Time) (owner *session, due *will) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sl := r.slot(s.id)
	if s.stage == established {
		r.live--
	}
	if sl.owner == s && keep {
		s.stage, s.stays = stored, stays
		r.stored++
		r.watched[s] = struct{}{}
		return s, nil
	}
	if sl.owner == s {
		sl.owner = nil
	}
	due, s.held = s.held, nil
	r.drop(s)
	return sl.owner, due
}

// restore makes s, from before a restart, the owner of its client ID, stored until
// stays. Nobody else has the ID at the start.
func (r *sessions) restore(s *session, stays time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slot(s.id).owner = s
	r.add(s)
	s.keeps, s.stage, s.stays = true, stored, stays
	r.stored++
	r.watched[s] = struct{}{}
}

// waiting returns until when a stored session stays, and the will that it holds
// back until heldTill, if it does. It reports false for a session that is not
// stored.
func (r *sessions) waiting(s *session) (stays time.Time, held *will, heldTill time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.stays, s.held, s.heldTill, s.stage == stored
}

// forget takes a stored session, which has hold of its client ID, out. It
// reports false if s is stored no more.
func (r *sessions) forget(s *session) (due *will, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.stage != stored {
		return nil, false
	}
	due, s.held = s.held, nil
	r.slots[s.id].owner = nil
	r.remove(s)
	return due, true
}

// holdBack lets a will wait, unless its session has an heir: then it is returned
// if the heir began anew, and dropped if it goes on.
func (r *sessions) holdBack(s *session, w *will, till time.Time) (due *will) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case s.heir == nil:
		s.held, s.heldTill = w, till
		return nil
	case s.heir.clean:
		return w
	default:
		return nil
	}
}

// of returns the sessions of a user.
func (r *sessions) of(id registry.UserID) []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.users[id]))
}

// subjects returns the subject of every user with a session.
func (r *sessions) subjects() map[registry.UserID]*registry.Subject {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[registry.UserID]*registry.Subject, len(r.users))
	for id, of := range r.users {
		for s := range of {
			all[id] = s.subject
			break
		}
	}
	return all
}

// stageOf returns where s is in its life.
func (r *sessions) stageOf(s *session) stage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.stage
}

// counts returns how many sessions are connected and how many are stored.
func (r *sessions) counts() (live, stored int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live, r.stored
}

// The rest is called with mu held.

func (r *sessions) slot(id string) *slot {
	sl := r.slots[id]
	if sl == nil {
		sl = new(slot)
		r.slots[id] = sl
	}
	return sl
}

// wait returns what is closed when nobody is busy with the slot any more.
func (sl *slot) wait() <-chan struct{} {
	if sl.free == nil {
		sl.free = make(chan struct{})
	}
	return sl.free
}

// tidy removes the slot of a client ID that nobody uses.
func (r *sessions) tidy(id string) {
	if sl := r.slots[id]; sl.owner == nil && sl.busy == nil {
		delete(r.slots, id)
	}
}

// What a user has too many of when a CONNECT is refused.
var (
	errStored    = fmt.Errorf("%w: stored sessions of the user", packets.ErrQuotaExceeded)
	errConnected = fmt.Errorf("%w: connections of the user", packets.ErrQuotaExceeded)
)

// room reports why there is none for s, which is about to get hold of sl. To take
// over a connection adds none.
func (r *sessions) room(s *session, sl *slot) error {
	takesOver := sl.owner != nil && sl.owner.stage == established
	switch {
	case s.keeps && r.persistent(s) >= r.maxStored:
		return errStored
	case r.maxConnected > 0 && !takesOver && r.connected(s.user) >= r.maxConnected:
		return errConnected
	default:
		return nil
	}
}

// connected returns how many connections a user has, without those that have been
// taken over and are on their way out. It counts them only when there are enough
// sessions for a limit.
func (r *sessions) connected(user registry.UserID) int {
	all := r.users[user]
	if len(all) < r.maxConnected {
		return len(all)
	}
	n := 0
	for s := range all {
		if s.stage != stored && s.heir == nil {
			n++
		}
	}
	return n
}

// persistent returns how many sessions other than those under the ID of s
// outlive their connections, of the same user.
func (r *sessions) persistent(s *session) int {
	n := 0
	for other := range r.users[s.user] {
		if other.id != s.id && other.keeps {
			n++
		}
	}
	return n
}

func (r *sessions) add(s *session) {
	all := r.users[s.user]
	if all == nil {
		all = make(map[*session]struct{})
		r.users[s.user] = all
	}
	all[s] = struct{}{}
	if !s.proof.Expires.IsZero() {
		r.watched[s] = struct{}{}
	}
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
	delete(r.watched, s)
	delete(r.users[s.user], s)
	if len(r.users[s.user]) == 0 {
		delete(r.users, s.user)
	}
}
