package broker

import (
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// session is a client that has signed in, from its CONNECT until nothing is left
// of it: while its connection is there, and while it is stored. There is one for
// each client of mochi, so one that goes on with what another left is another
// session, with the queue of the one before it.
type session struct {
	id     string // client ID
	user   string // whose it is, as the hook calls it
	login  Login
	guard  *guard
	client *mqtt.Client
	clean  bool      // it began without the state of a predecessor
	queue  *queue    // set before mochi knows the client by its ID
	meter  *meter    // of its user; nil: work is not limited. Set before it is known to others
	since  time.Time // of its CONNECT; zero: it is from before a restart

	revoked     atomic.Bool            // it may nothing, and nothing of it stays
	subscribing atomic.Bool            // its client's filters are being judged
	noWill      atomic.Bool            // its login has ended, or can't be checked
	expired     atomic.Bool            // it is stored, and mochi has let it expire
	dropped     atomic.Bool            // an operator wants nothing of it to stay
	reason      atomic.Pointer[string] // that its client is to be told when it is ended; nil: none
	rejudged    atomic.Uint64          // how often it was

	// Of the goroutine that reads from the client.
	will       *will  // nil: none, or it was sent or dropped
	ended      bool   // mochi has dealt with the end of the connection, and with the will
	subscribed uint64 // rejudged, when its latest SUBSCRIBE came

	// Of who has hold of the client ID.
	turns      int       // in which it was taken over lately, this one included
	turnsSince time.Time // when those began

	// Guarded by the mutex of sessions.
	stage       stage
	patterns    map[pattern]struct{} // of its filters, and of some that it had
	persistent  bool                 // it outlives its connection, as its CONNECT said
	successor   *session             // the one that took its place
	delayedWill *will                // waits for its delay to pass
	willDue     time.Time            // until then
	expires     time.Time            // when it is stored: it is forgotten then
	left        time.Time            // when its connection ended, if it is stored and that is known

	settled chan struct{} // closed when its CONNECT has been dealt with
	done    chan struct{} // closed when the broker is through with its connection
}

// stage is where a session is in its life.
type stage uint8

const (
	connecting stage = iota // its CONNECT is being dealt with
	connected               // it owns its client ID; mochi has been told
	stored                  // its connection is over, its state is not
	gone
)

func newSession(g *guard, login Login, clean bool) *session {
	return &session{
		id: g.client.ID, user: login.User(), login: login, guard: g, client: g.client, clean: clean,
		settled: make(chan struct{}), done: make(chan struct{}),
	}
}

// sessionOf returns the session of a client, nil if it has none.
func sessionOf(cl *mqtt.Client) *session {
	if g := guardOf(cl); g != nil {
		return g.session
	}
	return nil
}

// mayRead reports whether the client may subscribe to a filter, or be delivered a
// message with a topic.
func (s *session) mayRead(name string) bool { return !s.revoked.Load() && s.login.MayRead(name) }

// mayPublish reports whether the client may publish to a topic, and what goes in
// front of that.
func (s *session) mayPublish(topic string) (prefix string, ok bool) {
	if s.revoked.Load() {
		return "", false
	}
	return s.login.MayPublish(topic)
}

// isSettled reports whether the CONNECT of s has been dealt with.
func (s *session) isSettled() bool {
	select {
	case <-s.settled:
		return true
	default:
		return false
	}
}

// outlives reports whether the session of a client outlives its connection, as
// far as the client has said until now.
func outlives(cl *mqtt.Client) bool {
	if cl.Properties.ProtocolVersion >= 5 {
		return cl.Properties.Props.SessionExpiryInterval > 0
	}
	return !cl.Properties.Clean
}

// expiry returns how long the session outlives its connection, at most longest.
// MQTT 3 names no time. Mochi v2.7.9 bounds what CONNECT says, not DISCONNECT.
func (s *session) expiry(longest time.Duration) time.Duration {
	if s.client.Properties.ProtocolVersion < 5 {
		return longest
	}
	return min(time.Duration(s.client.Properties.Props.SessionExpiryInterval)*time.Second, longest)
}
