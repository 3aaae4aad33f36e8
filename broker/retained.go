package broker

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/message"
)

// Retained messages are kept here and not by mochi, which keeps those of the
// broker itself, below $SYS; see package retain.

// RetainedMessage is a message that is kept for those who subscribe later.
type RetainedMessage struct {
	Topic       string
	Payload     []byte // must not be changed
	QoS         byte
	Created     time.Time
	Expires     time.Time // zero: it does not
	ClientID    string    // of its publisher; empty: the broker itself
	ContentType string
}

// Retained returns the retained messages that a filter matches and may says yes
// to, by topic, from offset on and at most limit, and how many there are in all. The
// topics of the broker itself begin with $, so that a filter has to name their
// first level.
func (b *Broker) Retained(filter string, may func(topic string) bool, offset, limit int) ([]RetainedMessage, int) {
	all := b.match(filter, may)
	slices.SortFunc(all, func(a, b *message.Message) int { return strings.Compare(a.Topic, b.Topic) })
	total := len(all)
	page := make([]RetainedMessage, 0, max(0, min(limit, total-offset)))
	for _, m := range all[min(offset, total):min(offset+limit, total)] {
		page = append(page, show(m))
	}
	return page, total
}

// ClearRetained removes what is retained under a topic, and reports whether there
// was anything. Subscribers hear nothing of it. What the broker itself retains
// stays.
func (b *Broker) ClearRetained(topic string) bool {
	if !b.retained.Delete(topic) {
		return false
	}
	b.retainedChanged(topic)
	return true
}

// ClearAllRetained removes what is retained under every topic that a filter
// matches and may says yes to, and returns how many messages that were.
func (b *Broker) ClearAllRetained(filter string, may func(topic string) bool) int {
	n := 0
	for _, m := range b.match(filter, may) {
		if b.ClearRetained(m.Topic) {
			n++
		}
	}
	return n
}

// match returns the messages that a filter matches and may says yes to.
func (b *Broker) match(filter string, may func(topic string) bool) []*message.Message {
	all := b.retained.Match(filter, time.Now().Unix())
	if strings.HasPrefix(filter, mqtt.SysPrefix) {
		for _, pk := range b.srv.Topics.Messages(filter) {
			all = append(all, retained(&pk))
		}
		all = append(all, b.parentsOfBroker(filter)...)
	}
	return slices.DeleteFunc(all, func(m *message.Message) bool { return !may(m.Topic) })
}

func show(m *message.Message) RetainedMessage {
	s := RetainedMessage{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Created: time.Unix(m.Created, 0), ClientID: m.Origin}
	if m.Properties != nil {
		s.ContentType = m.Properties.ContentType
	}
	if m.Expires != 0 {
		s.Expires = time.Unix(m.Expires, 0)
	}
	return s
}

// retain has a message retained under its topic or, if it is empty, what was
// retained there before removed ([MQTT-3.3.1-6]). It reports false if there is no
// room for it, or none that its user may have.
func (b *Broker) retain(user string, pk *packets.Packet) bool {
	if len(pk.Payload) == 0 {
		b.ClearRetained(pk.TopicName)
		return true
	}
	m := retained(pk)
	m.User = user
	if !b.retained.Put(m) {
		return false
	}
	b.retainedChanged(pk.TopicName)
	return true
}

// retainedChanged is called when a topic has another retained message, or none
// any more.
func (b *Broker) retainedChanged(topic string) {
	b.persist.retained(topic)
	atomic.StoreInt64(&b.srv.Info.Retained, int64(b.retained.Stats().Messages)) // for $SYS
}

// expireRetained removes the retained messages that have expired at the time now.
func (b *Broker) expireRetained(now time.Time) {
	for _, topic := range b.retained.Expire(now.Unix()) {
		b.retainedChanged(topic)
	}
}

// refuseRetained says what OnPublish has to return for a message that is to be
// retained, and for which there is no room: mochi takes most errors for a yes
// (v2.7.9). The message is refused as a whole. MQTT 5 is told at QoS 1 and 2, by
// an answer that is ours, for mochi's would be a PUBACK at QoS 2 as well.
func (b *Broker) refuseRetained(cl *mqtt.Client, pk *packets.Packet) error {
	b.reportRetained(cl)
	switch {
	case cl.Net.Inline: // a will: it is delivered all the same
		pk.FixedHeader.Retain = false
		return nil
	case cl.Properties.ProtocolVersion < 5, pk.FixedHeader.Qos == 0:
		return packets.CodeSuccessIgnore
	}
	ack := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Puback},
		PacketID:    pk.PacketID, ReasonCode: packets.ErrQuotaExceeded.Code,
	}
	if pk.FixedHeader.Qos == 2 {
		ack.FixedHeader.Type = packets.Pubrec
	}
	_ = cl.WritePacket(ack) // one that is gone is noticed by the next Read
	return packets.ErrRejectPacket
}

// retained returns a message as it is kept. What mochi decodes are parts of the
// packet; they are copied, or a few bytes of a topic would keep all of it.
func retained(pk *packets.Packet) *message.Message {
	m := message.FromPacket(pk)
	return m.Clone()
}
