package registry

import "slices"

// Swapped is a user whose principal is another now.
type Swapped struct {
	ID            UserID
	Before, After *Principal // After is nil when the user is gone
}

// swap puts pr, nil when the user is gone, in the subject of user id, unless a
// newer one stands there. It reports false when nobody holds the subject.
func (p *Principals) swap(id UserID, pr *Principal) (Swapped, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.live[id].Value()
	if s == nil {
		return Swapped{}, false
	}
	before := s.Principal()
	if before != nil && pr != nil && pr.older(before) {
		return Swapped{id, before, before}, true
	}
	if before != nil {
		p.recent.replace(s, before.User.Username, pr)
	}
	s.current.Store(pr)
	return Swapped{id, before, pr}, true
}

// swapRoles puts other versions of roles in the principals of all subjects that
// somebody holds, except for users that were swapped already: it may be with the
// role that they lost. It returns whose changed by that.
func (p *Principals) swapRoles(changed map[RoleID]*heldRole, except map[UserID]uint64) []Swapped {
	if len(changed) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var swapped []Swapped
	sweep := sweep{p.cfg.Roles, changed, make(map[*holding]*holding)}
	for id, w := range p.live {
		s := w.Value()
		if _, done := except[id]; done || s == nil || s.Principal() == nil {
			continue
		}
		before := s.Principal()
		if held := sweep.instead(before.held); held != before.held {
			after := before.with(held)
			s.current.Store(after)
			if swapped == nil { // most of a fleet hold the same
				swapped = make([]Swapped, 0, len(p.live))
			}
			swapped = append(swapped, Swapped{id, before, after})
		}
	}
	p.recent.changed(changed)
	return swapped
}

// sweep finds what users hold now that some roles have changed. It looks at each
// holding once, however many have it.
type sweep struct {
	roles   *HeldRoles
	changed map[RoleID]*heldRole
	found   map[*holding]*holding
}

// instead returns what is to be held instead of a holding: itself, if nothing of it
// has changed.
func (s *sweep) instead(of *holding) *holding {
	if now, ok := s.found[of]; ok {
		return now
	}
	roles := slices.Clone(of.roles)
	for i, r := range roles {
		if now := s.changed[r.id]; now != nil {
			roles[i] = now
		}
	}
	now := of
	if !slices.Equal(roles, of.roles) {
		now = s.roles.together(roles)
	}
	s.found[of] = now
	return now
}
