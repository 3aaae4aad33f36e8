package authhook

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// OnACLCheck implements mqtt.Hook. It runs once for each publish, for each
// filter subscribed to, and for each delivery to each subscriber, so it must not
// allocate, lock or wait; see BenchmarkOnACLCheck. A client without a session
// may nothing.
func (h *Hook) OnACLCheck(cl *mqtt.Client, name string, write bool) bool {
	s := sessionOf(cl)
	if s == nil {
		return false
	}
	if write {
		return h.mayPublish(s, name)
	}
	if s.mayRead(name) {
		return true
	}
	h.counts.deniedReads.Add(1)
	return false
}

// mayPublish judges a publish and notes what OnPublish, which mochi calls next
// in the same goroutine, has left to do.
//
// To a no mochi answers MQTT 5 with 0x87, and drops QoS 0. At QoS 1 and 2 it
// would send MQTT 3 a DISCONNECT, which that version does not have; so MQTT 3
// gets a yes here, and OnPublish drops the message behind its acknowledgement.
func (h *Hook) mayPublish(s *session, topic string) bool {
	r := s.rights()
	s.judged = r
	if !s.over.Load() && r.policy.MayPublish(&r.names, topic) {
		if r.policy.Prefix() == "" {
			h.leaveTask(s, nothing)
		} else {
			h.leaveTask(s, addPrefix)
		}
		return true
	}
	h.counts.deniedPublishes.Add(1)
	if s.client.Properties.ProtocolVersion >= 5 {
		return false
	}
	if h.cfg.CloseDenied {
		_ = s.Close() // mochi notices when it answers or reads, and sends the will
		return false
	}
	h.leaveTask(s, swallow)
	return true
}

// leaveTask sets the task of s, and keeps count of the sessions that have one:
// without any, mochi is told that there is no OnPublish.
func (h *Hook) leaveTask(s *session, t task) {
	if s.task == t {
		return
	}
	if s.task == nothing {
		h.sessions.tasks.Add(1)
	} else if t == nothing {
		h.sessions.tasks.Add(-1)
	}
	s.task = t
}

// OnPublish implements mqtt.Hook. It rewrites the topic with the very prefix
// that was judged, though the user may have another by now. It never refuses:
// mochi takes most errors from here for a yes. CodeSuccessIgnore is none of
// those: the message is acknowledged, and neither delivered nor retained.
func (h *Hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	s := sessionOf(cl)
	if s == nil {
		return pk, nil // the broker's own, or a will: judged already
	}
	switch s.task {
	case addPrefix:
		pk.TopicName = s.judged.policy.Prefix() + pk.TopicName
	case swallow:
		return pk, packets.CodeSuccessIgnore
	default:
	}
	return pk, nil
}
