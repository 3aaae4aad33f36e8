package main

import (
	"context"
	"time"
)

// chore is something to be done again and again.
type chore struct {
	name  string
	every time.Duration
	do    func(context.Context) error
}

// chores are what keeps the store and the certificates in order.
func (a *app) chores() []chore {
	s := a.opened.service
	counted := func(f func(context.Context) (int, error)) func(context.Context) error {
		return func(ctx context.Context) error { _, err := f(ctx); return err }
	}
	cs := []chore{
		{"forget expired tokens", time.Hour, counted(s.SweepTokens)},
		{"forget registrations that ended", time.Minute, counted(s.SweepRegistrations)},
		{"note when certificates were used", 10 * time.Minute, counted(s.RecordUses)},
		{"forget uses of certificates that are gone", 24 * time.Hour, counted(s.SweepUses)},
		{"keep the certificate authority", 24 * time.Hour, func(ctx context.Context) error { _, err := s.KeepAuthority(ctx); return err }},
	}
	if a.certificate != nil {
		cs = append(cs, chore{"renew the certificate of the listeners", time.Hour, a.certificate.renew})
	}
	return cs
}

// tidy does each chore at once and then in its time, until ctx ends.
func (a *app) tidy(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	due := make(map[string]time.Time)
	for {
		for _, c := range a.chores() {
			now := time.Now()
			if now.Before(due[c.name]) {
				continue
			}
			due[c.name] = now.Add(c.every)
			if err := c.do(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("a chore failed", "chore", c.name, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
