package broker

import (
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/message"
)

// What the broker does to clients, which are mochi's. None of this waits for a
// client longer than FinalTimeout.

// kick ends the connection of a client: MQTT 5 hears code in a DISCONNECT, MQTT
// 3, which knows no DISCONNECT from a server, nothing. It returns within
// FinalTimeout, also when the client does not read.
//
// Mochi's DisconnectClient waits for such a client without limit, and while
// messages are queued it leaves the DISCONNECT in its buffer and closes.
func (b *Broker) kick(cl *mqtt.Client, code packets.Code) {
	if cl.Net.Conn == nil || cl.Closed() {
		cl.Stop(code)
		return
	}
	_ = cl.Net.Conn.SetWriteDeadline(time.Now().Add(b.cfg.FinalTimeout)) // also unblocks who writes now
	cl.Lock()
	defer cl.Unlock()
	if cl.Properties.ProtocolVersion >= 5 && !cl.Closed() {
		_, _ = cl.Net.Conn.Write(farewell(cl, code))
	}
	cl.Stop(code) // with the lock: nothing may follow a DISCONNECT [MQTT-3.14.4-1]
}

// farewell returns the DISCONNECT for a client of MQTT 5, with the reason that its
// session is to be told unless it takes no packet of that size. Request Problem
// Information does not concern a DISCONNECT (section 3.1.2.11.7).
func farewell(cl *mqtt.Client, code packets.Code) []byte {
	const most = 96 // bytes of a reason, so that all lengths fit in one
	short := []byte{packets.Disconnect << 4, 2, code.Code, 0}
	s := sessionOf(cl)
	if s == nil {
		return short
	}
	reason := s.reason.Load()
	if reason == nil || *reason == "" || len(*reason) > most {
		return short
	}
	n := byte(len(*reason))                                                      // #nosec G115 -- at most most
	long := []byte{packets.Disconnect << 4, n + 5, code.Code, n + 3, 0x1F, 0, n} // 0x1F: Reason String
	long = append(long, *reason...)
	if largest := s.guard.largest; largest > 0 && len(long) > largest {
		return short
	}
	return long
}

// prune takes from a session every subscription whose filter may says no to, and
// every message waiting for it whose topic it does.
func (b *Broker) prune(s *session, may func(name string) bool) {
	b.pruneSubscriptions(s, may)
	b.pruneMessages(s, may)
}

func (b *Broker) pruneSubscriptions(s *session, may func(filter string) bool) {
	subscriptions := s.client.State.Subscriptions
	for filter := range subscriptions.GetAll() {
		if may(filter) {
			continue
		}
		if b.srv.Topics.Unsubscribe(filter, s.id) {
			atomic.AddInt64(&b.srv.Info.Subscriptions, -1)
		}
		subscriptions.Delete(filter)
		b.unsubscribeParent(s.client, filter)
		s.queue.subscribed(s, filter)
	}
}

func (b *Broker) pruneMessages(s *session, may func(topic string) bool) {
	for _, pk := range s.client.State.Inflight.GetAll(false) {
		if pk.FixedHeader.Type == packets.Publish && !may(pk.TopicName) {
			b.dropWaiting(s, pk.PacketID)
		}
	}
}

// dropWaiting takes a message out that waits for a session, if it does so still.
func (b *Broker) dropWaiting(s *session, packetID uint16) {
	if s.client.State.Inflight.Delete(packetID) {
		atomic.AddInt64(&b.srv.Info.Inflight, -1)
		s.queue.done(s, packetID)
	}
}

// purge removes a session that has no connection: subscriptions, messages waiting
// for it, and its client unless another has taken its place. Mochi forgets the
// first two when a session expires (v2.7.9).
func (b *Broker) purge(s *session) {
	s.queue.end(s)
	b.srv.UnsubscribeClient(s.client)
	s.client.ClearInflights()
	if now, ok := b.srv.Clients.Get(s.id); ok && now == s.client {
		b.srv.Clients.Delete(s.id)
	}
}

// readmit puts a client back that mochi's expiry has removed by its ID in place of
// the predecessor that had expired.
func (b *Broker) readmit(s *session) {
	if _, ok := b.srv.Clients.Get(s.id); !ok {
		b.srv.Clients.Add(s.client)
	}
}

// publish publishes a message as from the client that m.Origin names, connected
// or not. It is not judged as a publish; its deliveries are. If it is to be
// retained and there is no room for that, it is only delivered.
func (b *Broker) publish(m *message.Message) error {
	from := b.srv.NewClient(nil, mqtt.LocalListener, m.Origin, true)
	from.Properties.ProtocolVersion = 5 // so that the expiry of a message counts
	from.Properties.Username = []byte(m.User)
	pk := m.Packet()
	pk.PacketID = uint16(m.QoS) // not sent anywhere, but checked
	if m.Retain {
		b.retaining.Add(1)
		defer b.retaining.Add(-1)
	}
	return b.srv.InjectPacket(from, pk)
}
