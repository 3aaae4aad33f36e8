package broker

import (
	"bytes"
	"math"
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
)

// hook is the only hook that mochi has: the one that decides about everything,
// which Start was given, with what the broker itself does at the same events
// around it. Two hooks would be asked in turn, and any yes would count.
type hook struct {
	mqtt.Hook
	b *Broker
}

// Provides implements mqtt.Hook.
func (h *hook) Provides(event byte) bool {
	switch event {
	case mqtt.OnConnect, mqtt.OnDisconnect, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished,
		mqtt.OnSelectSubscribers, mqtt.OnQosPublish, mqtt.OnQosDropped,
		mqtt.OnSubscribe, mqtt.OnSubscribed, mqtt.OnUnsubscribe, mqtt.OnUnsubscribed:
		return true
	case mqtt.OnPublish: // costs every publish 0.2 µs, so only when there is a use for it
		return h.b.retaining.Load() > 0 || h.Hook.Provides(event)
	default:
		return h.Hook.Provides(event)
	}
}

// OnConnect implements mqtt.Hook.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	g := guardOf(cl)
	if g == nil {
		return packets.ErrUnspecifiedError
	}
	g.client = cl
	if g.padded.WillPayload {
		pk.Connect.WillPayload, cl.Properties.Will.Payload = nil, nil
	}
	if g.padded.Password {
		pk.Connect.Password = nil
	}
	if g.padded.WillRetain {
		pk.Connect.WillRetain, cl.Properties.Will.Retain = true, true
	}
	// Both before a password is hashed.
	if will := pk.Connect.WillTopic; pk.Connect.WillFlag && h.b.cfg.nameTooLarge(len(will), strings.Count(will, "/")) {
		h.b.topics.Add(1)
		return h.refuse(cl, packets.ErrTopicNameInvalid)
	}
	if !g.seat() {
		return h.refuse(cl, packets.ErrQuotaExceeded)
	}
	if h.Hook.Provides(mqtt.OnConnect) {
		if err := h.Hook.OnConnect(cl, pk); err != nil {
			return err
		}
	}
	// The guard keeps to the Receive Maximum of both sides. Mochi counts some
	// messages against the wrong side, loses others, and deadlocks with its own
	// lock (Inflight.NextImmediate) over what the client takes.
	cl.Properties.Props.ReceiveMaximum = 0
	cl.State.Inflight.ResetSendQuota(0)
	cl.State.Inflight.ResetReceiveQuota(math.MaxInt32)
	// A message that waits would have lost its topic, which it is judged by.
	cl.Properties.Props.TopicAliasMaximum = 0
	// Mochi forgets what it has gathered to write when the last of it is too large.
	g.largest = int(cl.Properties.Props.MaximumPacketSize)
	cl.Properties.Props.MaximumPacketSize = 0
	// Mochi would leave the user properties out of messages, too ([MQTT-3.3.2-17]).
	// Its answers have none, and no reason strings, when they leave the guard.
	cl.Properties.Props.RequestProblemInfoFlag = false
	return nil
}

// refuse answers a CONNECT with the code for its version, and returns the one of
// MQTT 5 for OnConnect.
func (h *hook) refuse(cl *mqtt.Client, code packets.Code) error {
	answer := code
	if cl.Properties.ProtocolVersion < 5 {
		answer = packets.Code{Code: frame.ReturnCode(code.Code)}
	}
	_ = h.b.Refuse(cl, answer)
	return code
}

// OnSessionEstablish implements mqtt.Hook: mochi is about to take over what
// lives under the client ID.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, pk packets.Packet) {
	if h.Hook.Provides(mqtt.OnSessionEstablish) {
		h.Hook.OnSessionEstablish(cl, pk)
	}
	h.b.persist.establish(cl, h.takeOver(cl, pk))
}

// takeOver ends the connection of the client that has the client ID until now. It
// returns that client if mochi is about to pass its state on.
func (h *hook) takeOver(cl *mqtt.Client, pk packets.Packet) (old *mqtt.Client) {
	old, ok := h.b.srv.Clients.Get(cl.ID)
	if !ok || old == cl {
		return nil
	}
	h.b.Kick(old, packets.ErrSessionTakenOver) // [MQTT-3.1.4-3]; mochi's own would wait for it
	from := guardOf(old)
	if from == nil {
		return nil
	}
	from.awaitQuiet(h.b.cfg.LastWords)
	if pk.Connect.Clean || old.Properties.Clean && old.Properties.ProtocolVersion < 5 {
		return nil // mochi drops the state
	}
	h.b.dropReceipts(old)
	for _, waits := range old.State.Inflight.GetAll(false) {
		if waits.FixedHeader.Type == packets.Publish {
			h.b.dropTooLargeFor(cl, old, &waits)
		}
	}
	guardOf(cl).resume(from)
	return old
}

// dropReceipts removes from what waits for a client the receipts for its own
// messages. The guard remembers those; mochi would send them again.
func (b *Broker) dropReceipts(cl *mqtt.Client) {
	for _, pk := range cl.State.Inflight.GetAll(false) {
		switch pk.FixedHeader.Type {
		case packets.Publish, packets.Pubrel:
		default:
			if cl.State.Inflight.Delete(pk.PacketID) {
				atomic.AddInt64(&b.srv.Info.Inflight, -1)
			}
		}
	}
}

// OnSessionEstablished implements mqtt.Hook: CONNACK is out.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, pk packets.Packet) {
	cl.State.Inflight.ResetReceiveQuota(math.MaxInt32) // an inherited one has mochi's
	guardOf(cl).established()
	if h.Hook.Provides(mqtt.OnSessionEstablished) {
		h.Hook.OnSessionEstablished(cl, pk)
	}
}

// OnDisconnect implements mqtt.Hook. Mochi does not read any more, and may have
// been told so by another than the guard.
func (h *hook) OnDisconnect(cl *mqtt.Client, err error, expire bool) {
	if g := guardOf(cl); g != nil {
		g.over() // for who takes the session over, and keeps the hook waiting until then
	}
	if h.Hook.Provides(mqtt.OnDisconnect) {
		h.Hook.OnDisconnect(cl, err, expire)
	}
}

// OnSelectSubscribers implements mqtt.Hook. A filter that begins with a wildcard
// matches no topic that begins with $ ([MQTT-4.7.2-1]); mochi overlooks that for
// shared subscriptions.
func (h *hook) OnSelectSubscribers(subs *mqtt.Subscribers, pk packets.Packet) *mqtt.Subscribers {
	if strings.HasPrefix(pk.TopicName, "$") {
		for filter := range subs.Shared {
			if _, inner := unshare(filter); strings.HasPrefix(inner, "+") || strings.HasPrefix(inner, "#") {
				delete(subs.Shared, filter)
			}
		}
	}
	if h.Hook.Provides(mqtt.OnSelectSubscribers) {
		return h.Hook.OnSelectSubscribers(subs, pk)
	}
	return subs
}

// OnQosPublish implements mqtt.Hook: a message of QoS 1 or 2 waits for a client
// from now on, or is about to be sent again.
func (h *hook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, sent int64, resends int) {
	if g := guardOf(cl); g != nil && pk.FixedHeader.Type == packets.Publish && !pk.FixedHeader.Dup {
		g.lastID.Store(uint32(pk.PacketID))
		if h.b.dropTooLargeFor(cl, cl, &pk) {
			return
		}
		if !g.ledger.queued(cl, &pk) {
			g.ledger.strayed(&pk)
		}
	}
	if h.Hook.Provides(mqtt.OnQosPublish) {
		h.Hook.OnQosPublish(cl, pk, sent, resends)
	}
}

// dropTooLargeFor drops a message that waits in a session and is larger than its
// client takes, as if it had been acknowledged ([MQTT-3.1.2-25]), and reports
// whether it did. Otherwise it would wait for ever.
func (b *Broker) dropTooLargeFor(cl, session *mqtt.Client, pk *packets.Packet) bool {
	g := guardOf(cl)
	if g == nil || g.largest == 0 {
		return false
	}
	var size bytes.Buffer
	as := *pk
	as.ProtocolVersion = cl.Properties.ProtocolVersion
	if err := as.PublishEncode(&size); err == nil && size.Len() <= g.largest {
		return false
	}
	if session.State.Inflight.Delete(pk.PacketID) {
		atomic.AddInt64(&b.srv.Info.Inflight, -1)
	}
	ledgerOf(session).done(session, pk.PacketID)
	atomic.AddInt64(&b.srv.Info.MessagesDropped, 1)
	return true
}

// OnSubscribe implements mqtt.Hook.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if h.Hook.Provides(mqtt.OnSubscribe) {
		pk = h.Hook.OnSubscribe(cl, pk)
	}
	pk.Properties.User = nil // mochi would send them back
	if g := guardOf(cl); g != nil {
		g.noteRefused(&pk)
		g.noteWanted(&pk)
	}
	return pk
}

// OnSubscribed implements mqtt.Hook: SUBACK is about to be sent.
func (h *hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	if h.Hook.Provides(mqtt.OnSubscribed) {
		h.Hook.OnSubscribed(cl, pk, codes)
	}
	for i := range pk.Filters {
		if i < len(codes) && codes[i] <= packets.CodeGrantedQos2.Code {
			ledgerOf(cl).subscribed(cl, pk.Filters[i].Filter)
		}
	}
	if g := guardOf(cl); g != nil {
		g.tellOverQuota(codes)
		g.findWanted(codes)
	}
}

// OnUnsubscribe implements mqtt.Hook.
func (h *hook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if h.Hook.Provides(mqtt.OnUnsubscribe) {
		pk = h.Hook.OnUnsubscribe(cl, pk)
	}
	pk.Properties.User = nil // mochi would send them back
	return pk
}

// OnPublish implements mqtt.Hook: a message that a client may publish, or a will.
// Its topic has its prefix now, and is the one that it is retained under.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if h.Hook.Provides(mqtt.OnPublish) {
		var err error
		if pk, err = h.Hook.OnPublish(cl, pk); err != nil {
			return pk, err
		}
	}
	if !pk.FixedHeader.Retain || h.b.retain(&pk) {
		return pk, nil
	}
	err := h.b.refuseRetained(cl, &pk)
	return pk, err
}

// OnUnsubscribed implements mqtt.Hook.
func (h *hook) OnUnsubscribed(cl *mqtt.Client, pk packets.Packet) {
	if h.Hook.Provides(mqtt.OnUnsubscribed) {
		h.Hook.OnUnsubscribed(cl, pk)
	}
	for i := range pk.Filters {
		ledgerOf(cl).subscribed(cl, pk.Filters[i].Filter)
	}
}

// OnQosDropped implements mqtt.Hook: a message that waited for a client has
// expired, or gone with its session.
func (h *hook) OnQosDropped(cl *mqtt.Client, pk packets.Packet) {
	if h.Hook.Provides(mqtt.OnQosDropped) {
		h.Hook.OnQosDropped(cl, pk)
	}
	switch pk.FixedHeader.Type {
	case packets.Publish, packets.Pubrel:
		ledgerOf(cl).done(cl, pk.PacketID)
	default: // told of twice, or no message to the client
	}
}
