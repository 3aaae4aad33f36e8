package broker

import (
	"fmt"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/message"
)

// will is the message that a client leaves behind. Its topic is the one that the
// client named: prefix and rights are those of the time when it is sent.
//
// Mochi v2.7.9 judges no will, sends a delayed one without asking anybody, and
// loses most of its properties. So it is not given any: it asks OnWill when a
// will is due, gets an empty answer, and the will is sent from here.
type will struct {
	message message.Message
	delay   time.Duration
}

// newWill returns the will of a CONNECT, whose session outlives its connection
// for no longer than expiry.
func newWill(pk *packets.Packet, expiry time.Duration) *will {
	as := packets.Packet{
		FixedHeader: packets.FixedHeader{Qos: pk.Connect.WillQos, Retain: pk.Connect.WillRetain},
		TopicName:   pk.Connect.WillTopic, Payload: pk.Connect.WillPayload, Properties: pk.Connect.WillProperties,
	}
	m := message.FromPacket(&as)
	delay := time.Duration(pk.Connect.WillProperties.WillDelayInterval) * time.Second
	return &will{
		message: *m.Clone(), // and not parts of a packet that has a password
		// It waits for its delay or the end of the session, whichever comes first.
		delay: min(delay, expiry),
	}
}

// takeWill gives s the will of its CONNECT, unless its client may not publish it.
func (b *Broker) takeWill(s *session, pk *packets.Packet) error {
	if !pk.Connect.WillFlag {
		return nil
	}
	if isBridgeState(pk.Connect.WillTopic) {
		b.dropBridgeState(s)
		return nil
	}
	w := newWill(pk, s.expiry(b.cfg.MaxSessionExpiry))
	if _, ok := w.allowed(s); !ok {
		return fmt.Errorf("%w: the will's topic", packets.ErrNotAuthorized)
	}
	s.will = w
	// Mochi keeps only the flag: it tells us when the will is due.
	s.client.Properties.Will = mqtt.Will{Flag: 1}
	return nil
}

// allowed reports whether the client of s may publish the will now, and under
// which prefix. Topics that begin with $ are the broker's.
func (w *will) allowed(s *session) (prefix string, ok bool) {
	if strings.HasPrefix(w.message.Topic, "$") {
		return "", false
	}
	return s.mayPublish(w.message.Topic)
}

// sendWill sends the will of s, or has it wait for its delay.
func (b *Broker) sendWill(s *session) {
	w := s.will
	s.will = nil
	if w != nil && w.delay > 0 && !s.revoked.Load() {
		w = b.sessions.delay(s, w, b.cfg.Now().Add(w.delay))
	}
	b.publishWill(s, w)
}

// publishWill publishes w, unless it is nil or the client of s may not, or not any
// more.
func (b *Broker) publishWill(s *session, w *will) {
	if w == nil {
		return
	}
	prefix, ok := w.allowed(s)
	if !ok || s.noWill.Load() {
		b.count.willsDropped.Add(1)
		return
	}
	m := w.message
	m.Topic, m.Origin, m.User = prefix+m.Topic, s.id, s.user
	if err := b.publish(&m); err != nil {
		b.log.Warn("will not sent", "client", printable(s.id), "user", printable(s.login.Username()), "err", err)
	}
}
