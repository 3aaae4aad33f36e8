package enrol

import (
	"context"
	"net/netip"

	"mqttwarden/registry"
	"mqttwarden/registry/peer"
)

// checkRoom returns Busy when no further registration may wait that comes from an
// address: when as many wait as may in all, or as may of one network. The last tenth of
// the places is for networks of which none waits yet.
func (s *Service) checkRoom(ctx context.Context, store registry.RegistrationReader, from netip.Addr) error {
	waiting, err := store.PendingRemotes(ctx)
	if err != nil {
		return err
	}
	network, same := peer.Network(from), 0
	for _, other := range waiting {
		if peer.Network(other) == network {
			same++
		}
	}
	switch n := len(waiting); {
	case n >= s.cfg.Max:
		return s.full("%d registrations wait to be decided: try again later", n)
	case same >= s.cfg.MaxPerAddress:
		return s.full("%d registrations from this address wait to be decided: try again later", same)
	case same > 0 && n >= s.cfg.Max-s.cfg.Max/10:
		return s.full("%d registrations wait to be decided, and others from this address are among them: try again later", n)
	}
	return nil
}

func (s *Service) full(format string, n int) error {
	s.refused.Add(1)
	return registry.Errorf(registry.Busy, "", format, n)
}

// Refused returns how many registrations were not taken because too many waited.
func (s *Service) Refused() uint64 { return s.refused.Load() }

// keepDenied forgets the oldest of the denied registrations when there are as many as may
// wait: a denied one takes the place of none that waits.
func (s *Service) keepDenied(ctx context.Context, e *registry.Edit) error {
	n, err := e.CountRegistrations(ctx, registry.RegistrationDenied)
	if err != nil || n < s.cfg.Max {
		return err
	}
	denied, err := e.Registrations(ctx, registry.RegistrationDenied)
	if err != nil {
		return err
	}
	return e.DeleteRegistration(ctx, denied[0].ID)
}
