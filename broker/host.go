package broker

import (
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// What the hook needs to act on clients. The clients are mochi's; none of this
// waits for a client longer than its last words take.

// Refuse answers a CONNECT with code, which the caller has chosen for the
// version of the client. The hook then returns an error from OnConnect, which
// alone would close the connection without an answer.
func (b *Broker) Refuse(cl *mqtt.Client, code packets.Code) error {
	_ = cl.Net.Conn.SetWriteDeadline(time.Now().Add(b.cfg.LastWords))
	return b.srv.SendConnack(cl, code, false, nil)
}

// Kick ends the connection of a client: MQTT 5 hears code in a DISCONNECT, MQTT
// 3, which knows no DISCONNECT from a server, nothing. It returns within
// LastWords, also when the client does not read.
//
// Mochi's DisconnectClient waits for such a client without limit, and while
// messages are queued it leaves the DISCONNECT in its buffer and closes.
func (b *Broker) Kick(cl *mqtt.Client, code packets.Code) {
	if cl.Net.Conn == nil || cl.Closed() {
		cl.Stop(code)
		return
	}
	_ = cl.Net.Conn.SetWriteDeadline(time.Now().Add(b.cfg.LastWords)) // also unblocks who writes now
	cl.Lock()
	defer cl.Unlock()
	if cl.Properties.ProtocolVersion >= 5 && !cl.Closed() {
		_, _ = cl.Net.Conn.Write([]byte{packets.Disconnect << 4, 2, code.Code, 0})
	}
	cl.Stop(code) // with the lock: nothing may follow a DISCONNECT [MQTT-3.14.4-1]
}

// Prune takes from the session of a client every subscription and every message
// waiting for it whose filter or topic may says no to.
func (b *Broker) Prune(cl *mqtt.Client, may func(name string) bool) (subscriptions, messages int) {
	for filter := range cl.State.Subscriptions.GetAll() {
		if may(filter) {
			continue
		}
		if b.srv.Topics.Unsubscribe(filter, cl.ID) {
			atomic.AddInt64(&b.srv.Info.Subscriptions, -1)
		}
		cl.State.Subscriptions.Delete(filter)
		ledgerOf(cl).subscribed(cl, filter)
		subscriptions++
	}
	for _, pk := range cl.State.Inflight.GetAll(false) {
		if pk.FixedHeader.Type != packets.Publish || may(pk.TopicName) {
			continue
		}
		if cl.State.Inflight.Delete(pk.PacketID) {
			atomic.AddInt64(&b.srv.Info.Inflight, -1)
			ledgerOf(cl).done(cl, pk.PacketID)
			messages++
		}
	}
	return subscriptions, messages
}

// Store has the session of a client whose connection is over survive a restart,
// if sessions do. It ends at until; owner is what the hook wants to know of it
// then (see Owners).
func (b *Broker) Store(cl *mqtt.Client, owner []byte, until time.Time) {
	ledgerOf(cl).stored(cl, owner, until)
}

// Purge removes the session of a client that is not connected: subscriptions,
// messages waiting for it, and the client itself unless another has taken its
// place. Mochi forgets the first two when a session expires (v2.7.9).
func (b *Broker) Purge(cl *mqtt.Client) {
	b.persist.end(cl)
	b.srv.UnsubscribeClient(cl)
	cl.ClearInflights()
	if now, ok := b.srv.Clients.Get(cl.ID); ok && now == cl {
		b.srv.Clients.Delete(cl.ID)
	}
}

// Keep puts a client back that mochi's expiry has removed by its ID in place of
// the predecessor that had expired.
func (b *Broker) Keep(cl *mqtt.Client) {
	if _, ok := b.srv.Clients.Get(cl.ID); !ok {
		b.srv.Clients.Add(cl)
	}
}

// Publish publishes a message as from the client with an ID, connected or not.
// It is not judged again as a publish; its deliveries are. If it is to be retained
// and there is no room for that, it is only delivered.
func (b *Broker) Publish(clientID string, pk packets.Packet) error {
	from := b.srv.NewClient(nil, mqtt.LocalListener, clientID, true)
	from.Properties.ProtocolVersion = 5 // so that the expiry of a message counts
	pk.FixedHeader.Type = packets.Publish
	pk.PacketID = uint16(pk.FixedHeader.Qos) // not sent anywhere, but checked
	if pk.FixedHeader.Retain {
		b.retaining.Add(1)
		defer b.retaining.Add(-1)
	}
	return b.srv.InjectPacket(from, pk)
}
