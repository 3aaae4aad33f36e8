package registry

import (
	"net/netip"
	"sync/atomic"

	"mqttwarden/registry/peer"
	"mqttwarden/registry/throttle"
)

// LoginRates bounds how often tokens are asked for in a second. Ten times as many may
// come at once. A rate of zero is its default.
type LoginRates struct {
	User    float64 // tokens of one user; 5
	Address float64 // log-ins and log-outs from one address (IPv6: its /64); 50
}

// keptApart is how many users, and how many addresses, have rates of their own.
const keptApart = 10_000

// logins keeps to the rates.
type logins struct {
	users     *throttle.Throttle[UserID]
	addresses *throttle.Throttle[netip.Prefix]
	refused   atomic.Uint64
}

func newLogins(rates LoginRates) *logins {
	limit := func(rate, otherwise float64) throttle.Limit {
		if rate <= 0 {
			rate = otherwise
		}
		return throttle.Limit{Rate: rate, Burst: int(10 * rate)}
	}
	return &logins{
		users:     throttle.New[UserID](limit(rates.User, 5), keptApart),
		addresses: throttle.New[netip.Prefix](limit(rates.Address, 50), keptApart),
	}
}

// CountLogin counts a log-in or log-out from an address. It returns TooOften when more
// come from there than may.
func (s *Service) CountLogin(remote netip.Addr) error {
	if s.logins.addresses.Allow(peer.Network(remote), s.now()) {
		return nil
	}
	s.logins.refused.Add(1)
	return Errorf(TooOften, "", "too many log-ins and log-outs from your address: try again in a moment")
}

// countToken counts a token that is made for a user.
func (s *Service) countToken(id UserID) error {
	if s.logins.users.Allow(id, s.now()) {
		return nil
	}
	s.logins.refused.Add(1)
	return Errorf(TooOften, "", "the user logs in too often: use the token that it has, or try again in a moment")
}

// RefusedLogins returns how many log-ins and log-outs came too often.
func (s *Service) RefusedLogins() uint64 { return s.logins.refused.Load() }
