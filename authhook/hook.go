package authhook

import (
	"context"
	"crypto/x509"
	"log/slog"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
)

// Host is what the hook needs of the broker. None of its methods may wait for a
// client for longer than a moment.
type Host interface {
	// Refuse answers a CONNECT with a code, which fits the client's version.
	Refuse(cl *mqtt.Client, code packets.Code) error
	// Kick ends a connection; MQTT 5 is told why.
	Kick(cl *mqtt.Client, code packets.Code)
	// Prune takes every subscription and waiting message from the client's
	// session whose filter or topic may says no to.
	Prune(cl *mqtt.Client, may func(name string) bool) (subscriptions, messages int)
	// Store has the session of a client whose connection is over survive a
	// restart. It ends at until, and owner is what Restore will be given.
	Store(cl *mqtt.Client, owner []byte, until time.Time)
	// Purge removes what is left of the session of a client that is not connected.
	Purge(cl *mqtt.Client)
	// Keep makes sure that the broker knows a connected client by its ID.
	Keep(cl *mqtt.Client)
	// Publish publishes as from a client that need not be connected, unjudged.
	Publish(clientID string, pk packets.Packet) error
}

// SignIn is the way from a credential to a principal.
type SignIn interface {
	In(ctx context.Context, a registry.Attempt) (registry.Login, error)
	// Recall is In for who signed in before a restart.
	Recall(ctx context.Context, id registry.UserID, proof registry.Proof) (registry.Login, error)
}

// Config says how the hook decides. The zero value of each limit is its default.
type Config struct {
	Host       Host
	SignIn     SignIn
	TokenAlive registry.TokenAlive
	// Certificate judges what a client has shown in the TLS handshake, such as
	// registry.Anchors does. Nil: it counts for nothing.
	Certificate func(chain []*x509.Certificate) *registry.Certificate
	Now         func() time.Time
	Log         *slog.Logger

	SignInTimeout     time.Duration // for everything that a CONNECT waits for; 5 s
	TakeoverPatience  time.Duration // how long a CONNECT waits for another with its client ID, before it cuts that; 1 s
	EnforceTimeout    time.Duration // how long Enforce waits for connections to end; 500 ms
	MaxClientID       int           // bytes; 256
	MaxStoredSessions int           // that outlive their connection, for each user; 10
	MaxConnections    int           // at a time, for each user; no limit
	MaxKeepAlive      time.Duration // for MQTT 5, in whole seconds, also in place of none; 1 h
	// CloseDenied closes the connection of an MQTT 3 client that publishes where
	// it may not, as VerneMQ does. Otherwise the message is acknowledged and
	// dropped ([MQTT-3.3.5-2] allows both); MQTT 5 is told in any case.
	CloseDenied bool
}

// Hook is the hook; see the package.
type Hook struct {
	mqtt.HookBase
	cfg      Config
	host     Host
	log      *slog.Logger
	now      func() time.Time
	sessions *sessions
	counts   counts
	maxStay  time.Duration // how long the broker lets a session outlive its connection
}

var _ registry.Enforcer = (*Hook)(nil)

// New returns the hook; install it before the broker serves. Run must run, too,
// for what ends with time.
func New(cfg Config) *Hook {
	or(&cfg.SignInTimeout, 5*time.Second)
	or(&cfg.TakeoverPatience, time.Second)
	or(&cfg.EnforceTimeout, 500*time.Millisecond)
	or(&cfg.MaxClientID, 256)
	or(&cfg.MaxStoredSessions, 10)
	or(&cfg.MaxKeepAlive, time.Hour)
	return &Hook{
		cfg:      cfg,
		host:     cfg.Host,
		log:      cfg.Log,
		now:      cfg.Now,
		sessions: newSessions(cfg.MaxStoredSessions, cfg.MaxConnections, cfg.TakeoverPatience),
	}
}

func or[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

// ID implements mqtt.Hook.
func (h *Hook) ID() string { return "auth" }

// SetOpts implements mqtt.Hook. The logger is not taken: ours was handed in.
func (h *Hook) SetOpts(_ *slog.Logger, o *mqtt.HookOptions) {
	h.maxStay = time.Duration(o.Capabilities.MaximumSessionExpiryInterval) * time.Second
}

// Provides implements mqtt.Hook. Mochi asks at every event. OnPublish costs a
// publish 0.2 µs, so it is provided only while some session has use for it.
func (h *Hook) Provides(event byte) bool {
	switch event {
	case mqtt.OnACLCheck,
		mqtt.OnConnect, mqtt.OnConnectAuthenticate,
		mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnDisconnect,
		mqtt.OnSubscribe, mqtt.OnSubscribed,
		mqtt.OnWill, mqtt.OnAuthPacket, mqtt.OnClientExpired:
		return true
	case mqtt.OnPublish:
		return h.sessions.tasks.Load() > 0
	default:
		return false
	}
}
