package registry

import (
	"context"
	"sync/atomic"
	"time"
)

// RegistrationConfig says how registrations are taken. The zero value of each
// field is its default.
type RegistrationConfig struct {
	Max     int           // pending and denied ones at once; 1000
	Collect time.Duration // how long a granted one waits for its client; 10 min
	// Grace is how long a client that asked with a CSR may collect again, should
	// the first answer be lost; 30 s, and not at all if negative. Who asked with
	// a password signs in with it instead.
	Grace time.Duration
	Rate  float64 // requests a second from one network; 5
	Burst int     // requests that it may make at once; 100
	// Guessed is told of a request for a granted registration that brings
	// another secret: it counts as a wrong password. May be nil.
	Guessed func(ctx context.Context, a Attempt)
}

func (c RegistrationConfig) complete() RegistrationConfig {
	if c.Max <= 0 {
		c.Max = defaultMaxRegistrations
	}
	if c.Collect <= 0 {
		c.Collect = 10 * time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if c.Rate <= 0 {
		c.Rate = 5
	}
	if c.Burst <= 0 {
		c.Burst = 100
	}
	if c.Guessed == nil {
		c.Guessed = func(context.Context, Attempt) {}
	}
	return c
}

// WindowStatus tells whether registrations are taken.
func (s *Service) WindowStatus(ctx context.Context) (WindowStatus, error) {
	w, err := s.store.Window(ctx)
	return w.status(s.now()), unavailable(err)
}

// OpenWindow has registrations taken for d from now on. An open window starts
// again with the new duration, and what is pending stays. It returns Invalid for
// a duration beyond the limits.
func (s *Service) OpenWindow(ctx context.Context, caller Caller, d time.Duration) (WindowStatus, error) {
	if d < MinWindow || d > MaxWindow {
		return WindowStatus{}, Errorf(Invalid, "duration", "must be %d to %d milliseconds", MinWindow.Milliseconds(), MaxWindow.Milliseconds())
	}
	var opened Window
	_, err := s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		before, err := tx.Window(ctx)
		if err != nil {
			return err
		}
		now := s.stamp()
		if !before.Open(now) { // it closed by itself: what was pending then is void
			if err := dropUndecided(ctx, tx); err != nil {
				return err
			}
		}
		opened = Window{Opened: now, Until: now.Add(d)}
		by.audit(tx, "registration.open", "", "for %v", d)
		return tx.PutWindow(ctx, opened)
	})
	if err != nil {
		return WindowStatus{}, err
	}
	s.seen.put(opened, s.now())
	return opened.status(s.now()), nil
}

// LockWindow ends the window. What is pending or denied is forgotten; what was
// granted can still be collected.
func (s *Service) LockWindow(ctx context.Context, caller Caller) error {
	_, err := s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		if err := dropUndecided(ctx, tx); err != nil {
			return err
		}
		by.audit(tx, "registration.lock", "", "")
		return tx.PutWindow(ctx, Window{})
	})
	if err == nil {
		s.seen.put(Window{}, s.now())
	}
	return err
}

func dropUndecided(ctx context.Context, tx Tx) error {
	_, err := tx.DeleteRegistrations(ctx, RegistrationPending, RegistrationDenied)
	return err
}

// SweepRegistrations removes the registrations that ended by themselves and
// returns how many. Nothing depends on when it runs.
func (s *Service) SweepRegistrations(ctx context.Context) (int, error) {
	var n int
	_, err := s.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		w, err := tx.Window(ctx)
		if err != nil {
			return err
		}
		now := s.now()
		n, err = tx.DeleteGranted(ctx, now.Add(-s.cfg.Registration.Collect), now.Add(-max(s.cfg.Registration.Grace, 0)))
		if err != nil || w.Open(now) {
			return err
		}
		void, err := tx.DeleteRegistrations(ctx, RegistrationPending, RegistrationDenied)
		n += void
		return err
	})
	return n, err
}

// windowTTL is how long this node may overlook what another one does with the
// window.
const windowTTL = time.Second

// seenWindow is the window as it was last seen here, for those who must not ask
// the store each time.
type seenWindow struct {
	last   atomic.Pointer[windowAt]
	asking atomic.Bool
}

type windowAt struct {
	window Window
	at     time.Time
}

func (c *seenWindow) put(w Window, now time.Time) { c.last.Store(&windowAt{window: w, at: now}) }

// open reports whether the window is open. While one caller looks again the
// others take what is known.
func (c *seenWindow) open(ctx context.Context, store RegistrationReader, now func() time.Time) bool {
	last := c.last.Load()
	stale := last == nil || now().Sub(last.at).Abs() >= windowTTL
	if stale && c.asking.CompareAndSwap(false, true) {
		defer c.asking.Store(false)
		w, err := store.Window(ctx)
		if err != nil {
			return false
		}
		fresh := &windowAt{window: w, at: now()}
		if c.last.CompareAndSwap(last, fresh) { // else it was opened or locked here meanwhile
			last = fresh
		} else {
			last = c.last.Load()
		}
	}
	return last != nil && last.window.Open(now())
}
