package broker

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry/acl"
)

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
// to, by topic, from offset on and at most limit, and how many there are in all. The topics of the
// broker itself begin with $, so that a filter has to name their first level.
func (b *Broker) Retained(filter string, may func(topic string) bool, offset, limit int) ([]RetainedMessage, int) {
	topics := b.matching(filter, may)
	slices.Sort(topics)
	total := len(topics)
	page := make([]RetainedMessage, 0, max(0, min(limit, total-offset)))
	for _, topic := range topics[min(offset, total):] {
		if len(page) == limit {
			break
		}
		if pk, ok := b.srv.Topics.Retained.Get(topic); ok {
			page = append(page, retainedMessage(&pk))
		}
	}
	return page, total
}

// ClearRetained removes what is retained under a topic, and reports whether there
// was anything. Subscribers hear nothing of it. What the broker itself retains
// stays.
func (b *Broker) ClearRetained(topic string) bool { return b.forgetRetained(topic) }

// ClearAllRetained removes what is retained under every topic that a filter
// matches and may says yes to, and returns how many messages that were.
func (b *Broker) ClearAllRetained(filter string, may func(topic string) bool) int {
	n := 0
	for _, topic := range b.matching(filter, may) {
		if b.forgetRetained(topic) {
			n++
		}
	}
	return n
}

// forgetRetained removes what is retained under a topic. Every removal passes
// here that is not a client's or the end of a message's time.
func (b *Broker) forgetRetained(topic string) bool {
	if !b.quota.remove(topic) {
		return false
	}
	b.countRetained()
	b.persist.retainedGone(topic)
	return true
}

// countRetained has mochi count its retained messages again.
func (b *Broker) countRetained() {
	atomic.StoreInt64(&b.srv.Info.Retained, int64(b.srv.Topics.Retained.Len()))
}

// matching returns the topics that hold a message, that a filter matches and that
// may says yes to.
func (b *Broker) matching(filter string, may func(topic string) bool) []string {
	topics := b.sysTopics
	if !strings.HasPrefix(filter, "$") {
		topics = b.quota.names()
	}
	var matching []string
	for _, topic := range topics {
		if acl.Matches(filter, topic) && may(topic) {
			matching = append(matching, topic)
		}
	}
	return matching
}

// loadRetained counts what mochi has retained before it serves anybody.
func (b *Broker) loadRetained() {
	for topic := range b.srv.Topics.Retained.GetAll() {
		if strings.HasPrefix(topic, "$") {
			b.sysTopics = append(b.sysTopics, topic)
		} else {
			b.quota.stored(topic)
		}
	}
}

func retainedMessage(pk *packets.Packet) RetainedMessage {
	m := RetainedMessage{
		Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos,
		Created: time.Unix(pk.Created, 0), ClientID: pk.Origin, ContentType: pk.Properties.ContentType,
	}
	if pk.ProtocolVersion >= 5 && pk.Expiry > 0 { // only then does mochi let it expire
		m.Expires = time.Unix(pk.Expiry, 0)
	}
	return m
}

// admitRetained makes room for a message that is to be retained. If there is
// none, it says what OnPublish has to return: mochi takes most errors for a yes
// (v2.7.9). The message is refused as a whole. MQTT 5 is told at QoS 1 and 2, by
// an answer that is ours, for mochi's would be a PUBACK at QoS 2 as well.
func (b *Broker) admitRetained(cl *mqtt.Client, pk *packets.Packet) error {
	detach(pk)
	if b.quota.reserve(pk.TopicName, retainedSize(pk)) {
		return nil
	}
	if b.fullRetained.now() {
		b.log.Warn("messages are not retained: a limit is reached",
			"most", b.cfg.MaxRetained, "most_bytes", b.cfg.MaxRetainedBytes)
	}
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
