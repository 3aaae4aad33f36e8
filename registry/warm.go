package registry

import (
	"context"
	"errors"
)

// warmPage is how many users are read at once when the near cache is filled.
const warmPage = 256

// RecordSource lists the records of all users.
type RecordSource interface {
	// RecordsAfter returns up to limit records in the order of their IDs, of users
	// whose ID comes after the one that is given.
	RecordsAfter(ctx context.Context, after UserID, limit int) ([]Record, error)
}

// Warm reads users into the near cache until there is no room or nobody left, so that
// those who come back all at once, after the node was started, need not each be
// read from the store. It returns how many it read.
func (p *Principals) Warm(ctx context.Context, source RecordSource) (read int, err error) {
	var last UserID
	for !p.full() {
		l := p.begin()
		records, err := source.RecordsAfter(ctx, last, warmPage)
		if err != nil {
			p.end(l)
			return read, err
		}
		if len(records) == 0 {
			p.end(l)
			return read, nil
		}
		last = records[len(records)-1].User.ID
		n, err := p.take(ctx, l, records)
		read += n
		if err != nil {
			return read, err
		}
	}
	return read, nil
}

// full reports whether hardly anybody more can be remembered.
func (p *Principals) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.recent.limit <= 0 || p.recent.bytes > p.recent.limit-p.recent.limit/16
}

// take ends the look-up l with what it found. A user who has changed meanwhile is
// left to be read when it comes.
func (p *Principals) take(ctx context.Context, l *load, records []Record) (taken int, err error) {
	found := make([]*Principal, 0, len(records))
	for i := range records {
		held, err := p.cfg.Roles.of(ctx, p.cfg.Store, &records[i])
		switch {
		case errors.Is(err, errMixed):
		case err != nil:
			p.end(l)
			return 0, err
		default:
			found = append(found, newPrincipal(records[i].User, held))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.loads, l)
	for _, pr := range found {
		if !l.outdates(pr) && p.live[pr.User.ID].Value() == nil {
			p.keep(pr)
			taken++
		}
	}
	return taken, nil
}
