package broker

import (
	"net"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/message"
)

// Observe has mochi tell a hook of events, too.
func (b *Broker) Observe(h mqtt.Hook) error { return b.srv.AddHook(h, nil) }

// Client returns mochi's client of the session that owns a client ID, nil if there
// is none.
func (b *Broker) Client(id string) *mqtt.Client {
	if s := b.session(id); s != nil {
		return s.client
	}
	return nil
}

func (b *Broker) session(id string) *session {
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	if c := b.sessions.ids[id]; c != nil {
		return c.owner
	}
	return nil
}

// Kick ends the connection of a client.
func (b *Broker) Kick(cl *mqtt.Client, code packets.Code) { b.kick(cl, code) }

// Prune takes what may says no to from the session of a client.
func (b *Broker) Prune(cl *mqtt.Client, may func(name string) bool) { b.prune(sessionOf(cl), may) }

// Purge removes what is left of the session of a client that is not connected.
func (b *Broker) Purge(cl *mqtt.Client) { b.purge(sessionOf(cl)) }

// Publish publishes as from the client that the message names, unjudged.
func (b *Broker) Publish(m *message.Message) error { return b.publish(m) }

// Subscribers returns how many subscriptions get messages on a topic, and how many
// shared ones do.
func (b *Broker) Subscribers(topic string) (own, shared int) {
	all := b.srv.Topics.Subscribers(topic)
	return len(all.Subscriptions), len(all.Shared)
}

// Held returns how many entries the register of sessions has, in all of its
// tables.
func (b *Broker) Held() int {
	r := b.sessions
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ids) + len(r.users) + len(r.timed) + len(r.uncertain) + r.connected + r.stored
}

// MochiClients returns how many clients mochi has.
func (b *Broker) MochiClients() int { return b.srv.Clients.Len() }

// ExpireInMochi does what mochi's own expiry does with a client.
func (b *Broker) ExpireInMochi(cl *mqtt.Client) {
	(&mochiHook{b: b}).OnClientExpired(cl)
	b.srv.Clients.Delete(cl.ID)
}

// DisconnectByMochi has mochi itself end a connection.
func (b *Broker) DisconnectByMochi(cl *mqtt.Client, code packets.Code) {
	_ = b.srv.DisconnectClient(cl, code)
}

// Pipe returns a client's end of a connection to a listener with such settings,
// which comes from an address. Unlike a socket, it may be waited for in a bubble
// of synctest.
func (b *Broker) Pipe(l Listener, from net.Addr) net.Conn {
	ours, theirs := net.Pipe()
	b.handle(newListener(nil, l), pipe{ours, from})
	return theirs
}

type pipe struct {
	net.Conn
	from net.Addr
}

func (p pipe) RemoteAddr() net.Addr { return p.from }

// Waits does what the broker does when mochi has put a message with those that wait
// for a client.
func (b *Broker) Waits(cl *mqtt.Client, pk packets.Packet) { b.waits(sessionOf(cl), &pk) }
