package authhook

import (
	"crypto/x509"
	"net"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// Conn is what the hook expects of a client's connection. A client on any other
// is refused.
type Conn interface {
	net.Conn
	// PeerCertificates returns what the client has shown, none or a chain whose
	// first key it has proven to hold.
	PeerCertificates() []*x509.Certificate
	// Finally has f called once when the broker is through with the connection,
	// however it ended, in the goroutine that served it.
	Finally(f func())
}

// session is somebody signed in with a client ID. It is its client's connection,
// too; see the package.
type session struct {
	Conn
	client  *mqtt.Client
	id      string // the client ID
	user    registry.UserID
	subject *registry.Subject
	proof   registry.Proof
	clean   bool // it began without the state of a predecessor

	current atomic.Pointer[rights] // by which it was judged last
	over    atomic.Bool            // revoked: it may nothing, and nothing of it stays
	noWill  atomic.Bool            // disconnected since its proof ended, or can't be checked
	lapsed  atomic.Bool            // stored, and mochi has let it expire

	// Of the goroutine that reads from the client.
	judged     *rights // by which its latest publish was judged
	task       task    // what is left to do with that
	subscribed *rights // when its latest SUBSCRIBE came
	will       *will   // nil: none, or it was sent or dropped
	ended      bool    // mochi has dealt with the end, and with the will

	// Guarded by the mutex of sessions.
	stage    stage
	keeps    bool      // it outlives its connection, as its CONNECT said
	heir     *session  // the one that took its place
	held     *will     // waits for its delay to pass
	heldTill time.Time // until then
	stays    time.Time // a stored session is forgotten then

	settled chan struct{} // closed when its CONNECT has been dealt with
	done    chan struct{} // closed when the broker is through with its connection
}

// Unwrap returns the connection behind the session, for the broker.
func (s *session) Unwrap() net.Conn { return s.Conn }

// stage is where a session is in its life.
type stage uint8

const (
	connecting  stage = iota // its CONNECT is being dealt with
	established              // it owns its client ID; mochi has been told
	stored                   // its connection is over, its state is not
	gone
)

// task is what OnPublish has to do with the publish that OnACLCheck has judged.
type task uint8

const (
	nothing task = iota
	addPrefix
	swallow // it is denied, and the client has no way to be told
)

// newSession makes a session of a CONNECT whose sender has signed in.
func newSession(conn Conn, cl *mqtt.Client, pk *packets.Packet, login registry.Login) *session {
	s := &session{
		Conn:    conn,
		client:  cl,
		id:      cl.ID,
		user:    login.Subject.ID(),
		subject: login.Subject,
		proof:   login.Proof,
		clean:   pk.Connect.Clean,
		settled: make(chan struct{}),
		done:    make(chan struct{}),
	}
	s.current.Store(&rights{})
	return s
}

// sessionOf returns the session of a client, nil if the client has none.
func sessionOf(cl *mqtt.Client) *session {
	s, _ := cl.Net.Conn.(*session)
	return s
}

// rights are what a session is judged by: what its user is at some time, and
// what placeholders stand for in this session. They never change.
type rights struct {
	principal *registry.Principal
	policy    *acl.Policy // nil: nothing is allowed
	names     acl.Names
}

// rights returns what the session is judged by now. It allocates only when the
// user has changed since it was last asked.
func (s *session) rights() *rights {
	p := s.subject.Principal()
	if r := s.current.Load(); r.principal == p {
		return r
	}
	r := &rights{principal: p}
	if p != nil {
		r.policy = p.Policy
		r.names = p.Policy.Names(s.id, s.proof.CommonName)
	}
	s.current.Store(r)
	return r
}

// mayRead reports whether the session may subscribe to a filter, or be delivered
// a message with a topic.
func (s *session) mayRead(name string) bool {
	if s.over.Load() {
		return false
	}
	r := s.rights()
	return r.policy.MayRead(&r.names, name)
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

// persistent reports whether the session outlives its connection, as far as the
// client has said until now.
func (s *session) persistent() bool {
	if s.client.Properties.ProtocolVersion >= 5 {
		return s.client.Properties.Props.SessionExpiryInterval > 0
	}
	return !s.client.Properties.Clean
}

// expiry returns how long the session outlives its connection, at most longest.
// MQTT 3 names no time. Mochi v2.7.9 bounds what CONNECT says, not DISCONNECT.
func (s *session) expiry(longest time.Duration) time.Duration {
	if s.client.Properties.ProtocolVersion < 5 {
		return longest
	}
	return min(time.Duration(s.client.Properties.Props.SessionExpiryInterval)*time.Second, longest)
}
