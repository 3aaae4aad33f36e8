package enrol

import (
	"context"
	"time"

	"mqttwarden/registry"
)

// WindowStatus tells whether registrations are taken.
func (s *Service) WindowStatus(ctx context.Context) (registry.WindowStatus, error) {
	w, err := s.store.Window(ctx)
	return w.Status(s.now()), err
}

// OpenWindow opens the window for d from now on. One that is open starts again with
// the new duration, and what is pending stays. The number tells when that is in force
// everywhere. It returns Invalid for a duration beyond the limits.
func (s *Service) OpenWindow(ctx context.Context, caller registry.Caller, d time.Duration) (registry.WindowStatus, uint64, error) {
	if d < registry.MinWindow || d > registry.MaxWindow {
		return registry.WindowStatus{}, 0, registry.Errorf(registry.Invalid, FieldDuration, "must be %d to %d milliseconds",
			registry.MinWindow.Milliseconds(), registry.MaxWindow.Milliseconds())
	}
	var opened registry.Window
	number, err := s.editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		before, err := e.Window(ctx)
		if err != nil {
			return err
		}
		now := e.Now()
		if !before.Open(now) { // it closed by itself: what was pending then is void
			if err := dropUndecided(ctx, e); err != nil {
				return err
			}
		}
		opened = registry.Window{Opened: now, Until: now.Add(d)}
		return putWindow(ctx, e, WindowOpened, before, opened)
	})
	if err != nil {
		return registry.WindowStatus{}, 0, err
	}
	return opened.Status(s.now()), number, s.ReloadWindow(ctx)
}

// LockWindow closes the window. What is pending or denied is deleted; what was
// granted can still be collected. The number tells when it is closed everywhere.
func (s *Service) LockWindow(ctx context.Context, caller registry.Caller) (uint64, error) {
	number, err := s.editor.Do(ctx, caller, func(ctx context.Context, e *registry.Edit) error {
		if err := dropUndecided(ctx, e); err != nil {
			return err
		}
		before, err := e.Window(ctx)
		if err != nil {
			return err
		}
		return putWindow(ctx, e, WindowLocked, before, registry.Window{})
	})
	if err != nil {
		return 0, err
	}
	return number, s.ReloadWindow(ctx)
}

func putWindow(ctx context.Context, e *registry.Edit, action registry.Action, before, after registry.Window) error {
	var d registry.Differences
	d.Time(FieldOpenUntil, before.Until, after.Until)
	e.TouchKind(registry.WindowChange, "")
	e.Audit(action, registry.Target{Kind: registry.TargetWindow}, d...)
	return e.PutWindow(ctx, after)
}

func dropUndecided(ctx context.Context, e *registry.Edit) error {
	_, err := e.DeleteRegistrations(ctx, registry.RegistrationPending, registry.RegistrationDenied)
	return err
}

// ReloadWindow reads the window from the store. A registry.Follower calls it when
// another node has opened or locked it.
func (s *Service) ReloadWindow(ctx context.Context) error {
	s.loading.Lock() // or else an older answer could replace a newer one
	defer s.loading.Unlock()
	w, err := s.store.Window(ctx)
	if err == nil {
		s.window.Store(&w)
	}
	return err
}

// windowOpen reports whether requests are taken, as far as this node has heard.
func (s *Service) windowOpen() bool { return s.window.Load().Open(s.now()) }

// Sweep removes the registrations that do not count any more and returns how many.
// Nothing depends on when it runs.
func (s *Service) Sweep(ctx context.Context) (n int, err error) {
	_, err = s.editor.Do(ctx, registry.System("upkeep"), func(ctx context.Context, e *registry.Edit) error {
		w, err := e.Window(ctx)
		if err != nil {
			return err
		}
		now := s.now()
		n, err = e.DeleteGranted(ctx, now.Add(-s.cfg.Collect), now.Add(-max(s.cfg.Grace, 0)))
		if err != nil || w.Open(now) {
			return err
		}
		void, err := e.DeleteRegistrations(ctx, registry.RegistrationPending, registry.RegistrationDenied)
		n += void
		return err
	})
	return n, err
}
