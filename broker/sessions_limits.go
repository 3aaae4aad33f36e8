package broker

import (
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What a user has too many of when a CONNECT is refused.
var (
	errStored    = fmt.Errorf("%w: stored sessions of the user", packets.ErrQuotaExceeded)
	errConnected = fmt.Errorf("%w: connections of the user", packets.ErrQuotaExceeded)
)

// room reports why there is none for s, which is about to get hold of its client
// ID. To take over a connection adds none. The caller holds mu.
func (r *sessions) room(s *session, id *clientID) error {
	takesOver := id.owner != nil && id.owner.stage == connected
	switch {
	case s.persistent && r.persistentBeside(s) >= r.maxStored:
		return errStored
	case r.maxConnected > 0 && !takesOver && r.connectionsOf(s.user) >= r.maxConnected:
		return errConnected
	default:
		return nil
	}
}

// connectionsOf returns how many connections a user has, without those that have
// been taken over and are on their way out. It counts them only when there are
// enough sessions for a limit. The caller holds mu.
func (r *sessions) connectionsOf(user string) int {
	all := r.users[user]
	if len(all) < r.maxConnected {
		return len(all)
	}
	n := 0
	for s := range all {
		if s.stage != stored && s.successor == nil {
			n++
		}
	}
	return n
}

// persistentBeside returns how many sessions other than those under the ID of s
// outlive their connections, of the same user. The caller holds mu.
func (r *sessions) persistentBeside(s *session) int {
	n := 0
	for other := range r.users[s.user] {
		if other.id != s.id && other.persistent {
			n++
		}
	}
	return n
}
