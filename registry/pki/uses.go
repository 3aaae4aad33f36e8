package pki

import (
	"context"
	"sync"
	"time"

	"mqttwarden/registry"
)

const (
	useStep = time.Hour // how exact it is kept when a certificate was last used
	maxUses = 1 << 16   // certificates that are remembered between two records
)

// uses remembers which registered certificates signed in until that is stored. It is
// bounded: what exceeds it is not remembered.
type uses struct {
	mu    sync.Mutex
	noted map[string]time.Time // not yet stored
	kept  map[string]time.Time // stored within the last useStep
}

// CertificateUsed notes that a registered certificate signed its user in. It does not
// wait for the store: RecordUses writes it there.
func (s *Service) CertificateUsed(sha256 string) {
	now := registry.Stamp(s.now())
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	if kept, ok := s.uses.kept[sha256]; ok && now.Sub(kept).Abs() < useStep {
		return
	}
	if _, ok := s.uses.noted[sha256]; ok || len(s.uses.noted) < maxUses {
		s.uses.noted[sha256] = now
	}
}

// UsedLately reports whether a registered certificate signed its user in at this node
// and that is not stored yet, or was within the last hour; see CertificateUses for the
// rest.
func (s *Service) UsedLately(sha256 string) bool {
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	_, noted := s.uses.noted[sha256]
	_, kept := s.uses.kept[sha256]
	return noted || kept
}

// RecordUses stores when certificates were last used and returns how many there were;
// each costs a write at most once an hour. It takes no number in the line of changes:
// no decision depends on it.
func (s *Service) RecordUses(ctx context.Context) (int, error) {
	noted := s.uses.take()
	if len(noted) == 0 {
		return 0, nil
	}
	_, err := s.cfg.Editor.Do(ctx, registry.System("upkeep"), func(ctx context.Context, e *registry.Edit) error {
		return e.PutCertificateUses(ctx, noted)
	})
	if err != nil {
		return 0, err // the next uses are noted again
	}
	s.uses.keep(noted, s.now())
	return len(noted), nil
}

func (u *uses) take() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	noted := u.noted
	u.noted = make(map[string]time.Time)
	return noted
}

func (u *uses) keep(stored map[string]time.Time, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for sha256, at := range u.kept {
		if now.Sub(at).Abs() >= useStep {
			delete(u.kept, sha256)
		}
	}
	for sha256, at := range stored {
		if len(u.kept) < maxUses {
			u.kept[sha256] = at
		}
	}
}

// CertificateUses returns when the registered certificates of a user last signed
// it in, by fingerprint, exact to an hour; those that never did are not there.
func (s *Service) CertificateUses(ctx context.Context, id registry.UserID) (map[string]time.Time, error) {
	return s.cfg.Store.CertificateUses(ctx, id)
}

// SweepUses deletes the last uses of certificates that nobody has registered any more
// and returns how many.
func (s *Service) SweepUses(ctx context.Context) (n int, err error) {
	_, err = s.cfg.Editor.Do(ctx, registry.System("upkeep"), func(ctx context.Context, e *registry.Edit) (err error) {
		n, err = e.ForgetCertificateUses(ctx)
		return err
	})
	return n, err
}
