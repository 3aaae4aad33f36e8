package broker

import (
	"context"
	"errors"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Hook signs clients in. A broker has exactly one, which [Start] is given: of
// several, mochi would take any yes for an answer. L is what the hook makes of a
// client.
//
// An error refuses the client. It is, or wraps, the reason code that MQTT 5 is
// told (section 3.2.2.2), a packets.Code; any other error is told as 0x80. The
// code 0x88, Server unavailable, says that the hook can't tell now: then nothing
// is taken from a session.
type Hook[L Login] interface {
	// Connect says who sent a CONNECT, which has a client ID and is well formed.
	// It is called in the goroutine of the connection, which is cl.Net.Conn and
	// has the method PeerCertificates() []*x509.Certificate: none, or a chain
	// whose first key the client has proven to hold.
	Connect(ctx context.Context, cl *mqtt.Client, pk packets.Packet) (L, error)
	// Recall is Connect for a session from before a restart, that of a user by
	// its ID, with what Login.Proof returned then. The proof is not believed:
	// Login.Check follows.
	Recall(ctx context.Context, clientID, user string, proof []byte) (L, error)
}

// Login is a client that has signed in. Its methods may be called at any time,
// for as long as there is anything of the session that it opened. None but Check
// may wait.
type Login interface {
	// User returns whose login it is, by an ID that never changes. Client IDs and
	// stored sessions belong to it, and limits count by it.
	User() string
	// Username returns the name of the user, for the log.
	Username() string
	// Token returns the token that the login rests on, by its ID, empty if there is
	// none; see Broker.RejudgeTokens.
	Token() string
	// Proof returns what Hook.Recall is to be given after a restart.
	Proof() []byte
	// MayPublish reports whether the client may publish to a topic now, or leave a
	// will there, and what goes in front of the topic then. It must not allocate
	// or lock, and must not keep the topic, which is a part of the packet.
	MayPublish(topic string) (prefix string, ok bool)
	// MayRead reports whether the client may subscribe to a filter now, or be
	// delivered a message with a topic. It must not allocate or lock.
	MayRead(name string) bool
	// Check returns why the client could not sign in like that now, nil if it
	// could. A stored session has no connection: it is no reason then that the
	// login has merely ended by itself, since its user may come back with another.
	Check(ctx context.Context, stored bool) error
	// Ends returns when the login ends by itself if the user stays as it is;
	// zero: never.
	Ends() time.Time
}

// Start installs the hook and serves. If sessions are kept over a restart, the
// hook is asked about all of them before anybody is served.
func Start[L Login](b *Broker, h Hook[L]) error { return b.start(anyLogin[L]{h}) }

// anyLogin is a hook whose logins are no more than that to the broker.
type anyLogin[L Login] struct{ hook Hook[L] }

// Connect implements Hook.
func (h anyLogin[L]) Connect(ctx context.Context, cl *mqtt.Client, pk packets.Packet) (Login, error) {
	login, err := h.hook.Connect(ctx, cl, pk)
	if err != nil {
		return nil, err
	}
	return login, nil
}

// Recall implements Hook.
func (h anyLogin[L]) Recall(ctx context.Context, clientID, user string, proof []byte) (Login, error) {
	login, err := h.hook.Recall(ctx, clientID, user, proof)
	if err != nil {
		return nil, err
	}
	return login, nil
}

// codeOf returns the reason code of an error that refuses a client.
func codeOf(err error) packets.Code {
	if code, ok := errors.AsType[packets.Code](err); ok {
		return code
	}
	return packets.ErrUnspecifiedError
}

// unknown reports whether an error of the hook says that it can't tell now.
func unknown(err error) bool {
	switch codeOf(err).Code {
	case packets.ErrUnspecifiedError.Code, packets.ErrServerUnavailable.Code, packets.ErrServerBusy.Code:
		return true
	default:
		return false
	}
}
