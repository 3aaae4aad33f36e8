package authhook

import "time"

// suspect notes that mochi deletes whatever client it has under an ID.
func (r *sessions) suspect(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects[id] = struct{}{}
}

// chores are what the clock asks for.
type chores struct {
	wills   []heldWill
	expired []*session // connected, and their proof has ended
	ended   []*session // stored, and to be forgotten
	suspect []*session // connected, and mochi may have forgotten them
}

type heldWill struct {
	of   *session
	will *will
}

// chores returns what is to be done at the time now, and takes the wills out.
func (r *sessions) chores(now time.Time) chores {
	r.mu.Lock()
	defer r.mu.Unlock()
	var d chores
	for s := range r.watched {
		switch s.stage {
		case stored:
			if s.lapsed.Load() || !now.Before(s.stays) {
				d.ended = append(d.ended, s)
			} else if s.held != nil && !now.Before(s.heldTill) {
				d.wills = append(d.wills, heldWill{s, s.held})
				s.held = nil
			}
		case connecting, established:
			// A registration that was given an end since the sign-in counts.
			if ends := s.proof.Ends(s.subject.Principal()); !ends.IsZero() && !now.Before(ends) {
				d.expired = append(d.expired, s)
			}
		default:
		}
	}
	for id := range r.suspects {
		sl := r.slots[id]
		if sl != nil && sl.busy != nil {
			continue // next time
		}
		delete(r.suspects, id)
		if sl != nil && sl.owner != nil && sl.owner.stage == established {
			d.suspect = append(d.suspect, sl.owner)
		}
	}
	return d
}
