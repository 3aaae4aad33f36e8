package program

import (
	"context"
	"log/slog"
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
	r := a.register
	counted := func(f func(context.Context) (int, error)) func(context.Context) error {
		return func(ctx context.Context) error { _, err := f(ctx); return err }
	}
	cs := []chore{
		{"forget expired tokens", time.Hour, counted(r.Service.SweepTokens)},
		{"forget registrations that ended", time.Minute, counted(r.Enrolment.Sweep)},
		{"note when certificates were used", 10 * time.Minute, counted(r.PKI.RecordUses)},
		{"forget uses of certificates that are gone", 24 * time.Hour, counted(r.PKI.SweepUses)},
		{"bring the main file of the store up to date", a.pace.Store, r.Store.Checkpoint},
		{"keep the certificate authority", time.Hour, func(ctx context.Context) error { _, err := r.PKI.KeepAuthority(ctx); return err }},
	}
	if len(a.reloads.parts) > 0 {
		cs = append(cs, chore{"read changed files of TLS again", a.pace.Files, func(ctx context.Context) error { a.reloads.look(ctx); return nil }})
	}
	if a.certificate != nil && a.certificate.own != nil {
		cs = append(cs, chore{"renew the certificate of the listeners", time.Hour, a.certificate.renew})
	}
	return append(cs, chore{"tell of certificates that time has ended", time.Hour, a.tellValidity})
}

// tidy does each chore at once and then in its time, until ctx ends.
func (a *app) tidy(ctx context.Context) {
	tick := time.NewTicker(min(time.Second, a.pace.Files, a.pace.Store))
	defer tick.Stop()
	j := &janitor{chores: a.chores(), now: time.Now, log: a.log, due: make(map[string]time.Time)}
	for {
		j.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// janitor knows when each chore is due.
type janitor struct {
	chores []chore
	now    func() time.Time
	log    *slog.Logger
	due    map[string]time.Time
}

// round does what is due.
func (j *janitor) round(ctx context.Context) {
	for _, c := range j.chores {
		now := j.now()
		if now.Before(j.due[c.name]) {
			continue
		}
		j.due[c.name] = now.Add(c.every)
		if err := c.do(ctx); err != nil && ctx.Err() == nil {
			j.log.Error("a chore failed", "chore", c.name, "err", err)
		}
	}
}
