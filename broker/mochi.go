package broker

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// mochiHook is the one hook that mochi has (v2.7.9): what the broker does, and has
// judged, at each event.
type mochiHook struct {
	mqtt.HookBase
	b *Broker
}

// ID implements mqtt.Hook.
func (h *mochiHook) ID() string { return "broker" }

// SetOpts implements mqtt.Hook. The logger is not taken: the broker has its own.
func (h *mochiHook) SetOpts(*slog.Logger, *mqtt.HookOptions) {}

// Provides implements mqtt.Hook. Mochi asks at every event. OnPublish costs a
// publish 0.2 µs, so it is provided only while there is something to retain.
func (h *mochiHook) Provides(event byte) bool {
	switch event {
	case mqtt.OnACLCheck,
		mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnAuthPacket,
		mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnDisconnect,
		mqtt.OnWill, mqtt.OnClientExpired,
		mqtt.OnSelectSubscribers, mqtt.OnQosPublish, mqtt.OnQosDropped,
		mqtt.OnSubscribe, mqtt.OnSubscribed, mqtt.OnUnsubscribe, mqtt.OnUnsubscribed:
		return true
	case mqtt.OnPublish:
		return h.b.retaining.Load() > 0
	default:
		return false
	}
}

// OnConnect implements mqtt.Hook: it lets a client in and makes its session, or
// answers the CONNECT itself and returns why, which alone would close the
// connection without a word.
func (h *mochiHook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	g := guardOf(cl)
	if g == nil {
		return packets.ErrUnspecifiedError
	}
	g.client = cl
	g.takePaddingOut(&pk)
	if err := h.b.connect(g, &pk); err != nil {
		return h.b.refuse(cl, &pk, err)
	}
	return nil
}

// OnConnectAuthenticate implements mqtt.Hook. OnConnect has done the work; this
// confirms that it did.
func (h *mochiHook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	g := guardOf(cl)
	return g != nil && g.admitted
}

// OnAuthPacket implements mqtt.Hook. No CONNECT that names an authentication
// method is accepted, and without one no AUTH may be sent [MQTT-4.12.0-6].
func (h *mochiHook) OnAuthPacket(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	return pk, packets.ErrProtocolViolation
}

// OnACLCheck implements mqtt.Hook. It runs once for each publish, for each filter
// subscribed to, and for each delivery to each subscriber, so it must not
// allocate, lock or wait. A client without a session may nothing. Publishes were
// judged by the guard.
func (h *mochiHook) OnACLCheck(cl *mqtt.Client, name string, write bool) bool {
	if !write {
		h.b.reads.Add(1)
	}
	s := sessionOf(cl)
	switch {
	case s == nil:
		return false
	case write:
		return true
	case s.mayRead(name):
		return !s.overfull()
	default:
		h.b.count.readsDenied.Add(1)
		return false
	}
}

// OnSessionEstablish implements mqtt.Hook: mochi is about to take over what
// lives under the client ID. The hold on it, since OnConnect, keeps all others
// from it until OnSessionEstablished.
func (h *mochiHook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	if s := sessionOf(cl); s != nil {
		h.b.establish(s)
	}
}

// OnSessionEstablished implements mqtt.Hook: CONNACK is out.
func (h *mochiHook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	cl.State.Inflight.ResetReceiveQuota(math.MaxInt32) // an inherited one has mochi's
	s := sessionOf(cl)
	if s == nil {
		return
	}
	s.guard.established()
	h.b.count.connectsAccepted.Add(1)
	close(s.settled)
	h.b.sessions.release(s)
}

// OnDisconnect implements mqtt.Hook. Mochi does not read any more, and may have
// been told so by another than the guard. It is about to remove what is left of
// the client, or to keep it, and does so by its ID: that waits until nobody else
// is at it.
func (h *mochiHook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	g := guardOf(cl)
	if g == nil {
		return
	}
	g.finish() // for who takes the session over, and keeps this waiting until then
	if s := g.session; s != nil {
		s.ended = true
		_ = h.b.sessions.hold(context.Background(), s)
	}
}

// OnWill implements mqtt.Hook: the connection of a client with a will has ended
// otherwise than by its own DISCONNECT. Mochi gets an empty will, which reaches
// nobody.
func (h *mochiHook) OnWill(cl *mqtt.Client, _ mqtt.Will) (mqtt.Will, error) {
	if s := sessionOf(cl); s != nil {
		h.b.sendWill(s)
	}
	return mqtt.Will{}, nil
}

// OnClientExpired implements mqtt.Hook. Mochi is about to delete whatever client
// has the ID, and forgets its subscriptions, which the next client with that ID
// would get. Sweep puts both right.
func (h *mochiHook) OnClientExpired(cl *mqtt.Client) {
	if s := sessionOf(cl); s != nil {
		s.expired.Store(true)
		h.b.sessions.doubt(s.id)
	}
}

// OnSelectSubscribers implements mqtt.Hook. A filter that begins with a wildcard
// matches no topic that begins with $ ([MQTT-4.7.2-1]); mochi overlooks that for
// shared subscriptions. It asks nobody when there is none, and so not for topics
// that no second entry matches either.
func (h *mochiHook) OnSelectSubscribers(subs *mqtt.Subscribers, pk packets.Packet) *mqtt.Subscribers {
	if strings.HasPrefix(pk.TopicName, "$") {
		for filter := range subs.Shared {
			if _, inner := unshare(filter); strings.HasPrefix(inner, "+") || strings.HasPrefix(inner, "#") {
				delete(subs.Shared, filter)
			}
		}
	}
	mergeParents(subs)
	return subs
}

// OnQosPublish implements mqtt.Hook: a message of QoS 1 or 2 waits for a client
// from now on, or is about to be sent again.
func (h *mochiHook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if s := sessionOf(cl); s != nil && pk.FixedHeader.Type == packets.Publish && !pk.FixedHeader.Dup {
		h.b.waits(s, &pk)
	}
}

// waits notes a message of QoS 1 or 2 that waits for the client of s from now on.
func (b *Broker) waits(s *session, pk *packets.Packet) {
	s.guard.lastID.Store(uint32(pk.PacketID))
	if b.dropTooLarge(s, s, pk) {
		return
	}
	if !s.queue.add(s, pk) {
		s.queue.addDisplaced(pk)
	}
}

// dropTooLarge drops a message that waits for of and is larger than the client of
// s takes, as if it had been acknowledged ([MQTT-3.1.2-25]), and reports whether
// it did. Otherwise it would wait for ever.
func (b *Broker) dropTooLarge(s, of *session, pk *packets.Packet) bool {
	if s.guard.largest == 0 {
		return false
	}
	var size bytes.Buffer
	as := *pk
	as.ProtocolVersion = s.client.Properties.ProtocolVersion
	if err := as.PublishEncode(&size); err == nil && size.Len() <= s.guard.largest {
		return false
	}
	b.dropWaiting(of, pk.PacketID)
	atomic.AddInt64(&b.srv.Info.MessagesDropped, 1)
	return true
}

// OnQosDropped implements mqtt.Hook: a message that waited for a client has
// expired, or gone with its session.
func (h *mochiHook) OnQosDropped(cl *mqtt.Client, pk packets.Packet) {
	s := sessionOf(cl)
	if s == nil {
		return
	}
	switch pk.FixedHeader.Type {
	case packets.Publish, packets.Pubrel:
		s.queue.done(s, pk.PacketID)
	default: // told of twice, or no message to the client
	}
}

// OnSubscribe implements mqtt.Hook. The filters are judged one by one in
// OnACLCheck, which those do not come to that are over a limit.
func (h *mochiHook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	pk.Properties.User = nil // mochi would send them back
	if s := sessionOf(cl); s != nil {
		s.subscribed = s.rejudged.Load()
		s.subscribing.Store(true)
		s.guard.subscribeAsBridge(&pk)
		s.guard.noteRefused(&pk)
		s.guard.notePatterns(&pk)
		s.guard.noteWanted(&pk)
	}
	return pk
}

// OnSubscribed implements mqtt.Hook: SUBACK is about to be sent. When the user has
// changed while the SUBSCRIBE was being dealt with, what Rejudge found may have
// been less than there is now.
func (h *mochiHook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	s := sessionOf(cl)
	if s == nil {
		return
	}
	s.subscribing.Store(false)
	h.b.countDenied(&pk, codes)
	for i := range pk.Filters {
		if codes[i] <= packets.CodeGrantedQos2.Code {
			h.b.subscribeParent(cl, pk.Filters[i])
		}
	}
	if s.subscribed != s.rejudged.Load() {
		h.b.prune(s, s.mayRead)
	}
	for i := range pk.Filters {
		if codes[i] <= packets.CodeGrantedQos2.Code {
			s.queue.subscribed(s, pk.Filters[i].Filter)
		}
	}
	s.guard.tellOverQuota(codes)
	s.guard.findWanted(codes)
}

// countDenied counts the filters that the client may not read.
func (b *Broker) countDenied(pk *packets.Packet, codes []byte) {
	for i, code := range codes {
		switch code {
		case packets.ErrUnspecifiedError.Code: // MQTT 3 hears nothing else
			if !mqtt.IsValidFilter(pk.Filters[i].Filter, false) {
				continue // nobody was asked
			}
		case packets.ErrNotAuthorized.Code:
		default:
			continue
		}
		b.count.subscribesDenied.Add(1)
	}
}

// OnUnsubscribe implements mqtt.Hook.
func (h *mochiHook) OnUnsubscribe(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	pk.Properties.User = nil // mochi would send them back
	return pk
}

// OnUnsubscribed implements mqtt.Hook.
func (h *mochiHook) OnUnsubscribed(cl *mqtt.Client, pk packets.Packet) {
	for i := range pk.Filters {
		h.b.unsubscribeParent(cl, pk.Filters[i].Filter)
	}
	s := sessionOf(cl)
	if s == nil {
		return
	}
	for i := range pk.Filters {
		s.queue.subscribed(s, pk.Filters[i].Filter)
	}
}

// OnPublish implements mqtt.Hook: a message that a client may publish, or a will.
// Its topic has its prefix, and is the one that it is retained under.
func (h *mochiHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if !pk.FixedHeader.Retain || h.b.retain(publisher(cl), &pk) {
		return pk, nil
	}
	err := h.b.refuseRetained(cl, &pk)
	return pk, err
}

// publisher returns the user of a client that publishes: of the one that publish
// makes for a will, its name is what publish has put there.
func publisher(cl *mqtt.Client) string {
	if s := sessionOf(cl); s != nil {
		return s.user
	}
	return string(cl.Properties.Username)
}
