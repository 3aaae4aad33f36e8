package authhook

import (
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// will is the message that a client leaves behind. It is kept as the client
// named it: prefix and rights are those of the time when it is sent.
//
// Mochi v2.7.9 judges no will, sends a delayed one without asking anybody, and
// loses most of its properties. So it is not given any: it asks OnWill when a
// will is due, gets an empty answer, and the will is sent from here.
type will struct {
	topic   string
	message packets.Packet // without its topic
	delay   time.Duration
}

// newWill returns the will of a CONNECT, whose session outlives its connection
// for no longer than expiry.
func newWill(pk *packets.Packet, expiry time.Duration) *will {
	from := &pk.Connect.WillProperties
	return &will{
		topic: pk.Connect.WillTopic,
		message: packets.Packet{
			FixedHeader: packets.FixedHeader{Qos: pk.Connect.WillQos, Retain: pk.Connect.WillRetain},
			Payload:     pk.Connect.WillPayload,
			Properties: packets.Properties{ // MQTT 5 section 3.1.3.2, without the delay
				PayloadFormat:         from.PayloadFormat,
				PayloadFormatFlag:     from.PayloadFormatFlag,
				MessageExpiryInterval: from.MessageExpiryInterval,
				ContentType:           from.ContentType,
				ResponseTopic:         from.ResponseTopic,
				CorrelationData:       from.CorrelationData,
				User:                  from.User,
			},
		},
		// It waits for its delay or the end of the session, whichever comes first.
		delay: min(time.Duration(from.WillDelayInterval)*time.Second, expiry),
	}
}

// allowed reports whether somebody with such rights may publish the will. Topics
// that begin with $ are the broker's.
func (w *will) allowed(r *rights) bool {
	return !strings.HasPrefix(w.topic, "$") && r.policy.MayPublish(&r.names, w.topic)
}

// OnWill implements mqtt.Hook: the connection of a client with a will has ended
// otherwise than by its own DISCONNECT. Mochi gets an empty will, which reaches
// nobody.
func (h *Hook) OnWill(cl *mqtt.Client, _ mqtt.Will) (mqtt.Will, error) {
	if s := sessionOf(cl); s != nil {
		h.sendWill(s)
	}
	return mqtt.Will{}, nil
}

// sendWill sends the will of s, or has it wait for its delay.
func (h *Hook) sendWill(s *session) {
	w := s.will
	s.will = nil
	if w != nil && w.delay > 0 && !s.over.Load() {
		w = h.sessions.holdBack(s, w, h.now().Add(w.delay))
	}
	h.publishWill(s, w)
}

// publishWill publishes w, unless it is nil or its session may not, or not any
// more.
func (h *Hook) publishWill(s *session, w *will) {
	if w == nil {
		return
	}
	r := s.rights()
	if s.over.Load() || s.noWill.Load() || !w.allowed(r) {
		h.counts.willsDropped.Add(1)
		return
	}
	pk := w.message
	pk.TopicName = r.policy.Prefix() + w.topic
	if err := h.host.Publish(s.id, pk); err != nil {
		h.log.Warn("will not sent", "client", printable(s.id), "user", printable(s.proof.Username), "err", err)
	}
}
