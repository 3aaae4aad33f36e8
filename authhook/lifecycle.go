package authhook

import (
	"context"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// OnSessionEstablish implements mqtt.Hook: mochi is about to take over what
// lives under the client ID. The hold on it, since OnConnect, keeps all others
// from it until OnSessionEstablished.
func (h *Hook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	s := sessionOf(cl)
	if s == nil {
		return
	}
	old, connected, due := h.sessions.inherit(s)
	if old == nil {
		return
	}
	switch {
	case connected:
		h.host.Kick(old.client, packets.ErrSessionTakenOver) // [MQTT-3.1.4-3]; mochi's own would wait for it
	case old.lapsed.Load():
		h.host.Purge(old.client) // mochi has let go of it, but not of its subscriptions
	}
	if !s.clean {
		// Mochi resends whatever waits without asking; the policy is pruned by
		// at every change, but this session may have another certificate.
		h.host.Prune(old.client, s.mayRead)
	}
	h.publishWill(old, due)
}

// OnSessionEstablished implements mqtt.Hook: CONNACK is out.
func (h *Hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if s := sessionOf(cl); s != nil {
		h.counts.accepted.Add(1)
		close(s.settled)
		h.sessions.release(s)
	}
}

// OnDisconnect implements mqtt.Hook: mochi is about to remove what is left of
// the client, or to keep it, and does so by its ID. It waits until nobody else
// is at that.
func (h *Hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	if s := sessionOf(cl); s != nil {
		s.ended = true
		_ = h.sessions.hold(context.Background(), s)
	}
}

// leave is called when mochi is through with the connection of s: as it should
// be, or after a panic, or since its CONNECT failed on the way. In the last two
// cases nothing of what OnDisconnect stands for has happened.
func (h *Hook) leave(s *session) {
	_ = h.sessions.hold(context.Background(), s)
	s.client.Stop(packets.ErrUnspecifiedError)
	h.leaveTask(s, nothing)
	if !s.ended && h.sessions.stageOf(s) == established {
		h.sendWill(s)
	}
	expiry := s.expiry(h.maxStay)
	keep := s.persistent() && expiry > 0 && !s.over.Load()
	owner, due := h.sessions.leave(s, keep, h.now().Add(expiry))
	switch owner {
	case s: // and its state stays
		h.store(s)
	case nil:
		h.host.Purge(s.client)
	default:
		// A SUBSCRIBE that was being dealt with when the heir came would stay
		// for ever, under an ID that knows nothing of it.
		h.host.Prune(s.client, func(filter string) bool {
			_, has := owner.client.State.Subscriptions.Get(filter)
			return has
		})
	}
	if !s.isSettled() {
		close(s.settled)
	}
	h.sessions.release(s)
	close(s.done)
	h.publishWill(s, due)
}

// OnClientExpired implements mqtt.Hook. Mochi is about to delete whatever client
// has the ID, and forgets its subscriptions, which the next client with that ID
// would get. Sweep puts both right.
func (h *Hook) OnClientExpired(cl *mqtt.Client) {
	if s := sessionOf(cl); s != nil {
		s.lapsed.Store(true)
		h.sessions.suspect(s.id)
	}
}
