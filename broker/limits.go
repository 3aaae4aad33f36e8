package broker

import (
	"bytes"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
)

// frame returns the limits of the guard.
func (c Config) frame() frame.Config {
	return frame.Config{
		MaxConnect: int(c.MaxConnectPacket),
		MaxPacket:  int(c.MaxPacketSize),
		MaxTopic:   c.MaxTopicLength,

		TopicAliasMaximum: c.TopicAliases,
		// They would stand in logs, and are of no use to anybody.
		RefuseControls: true,
	}
}

// codeMessageRate is Message rate too high (MQTT 5 section 3.14.2.1).
const codeMessageRate = 0x96

// bucket limits how many messages a client publishes: burst at once, and
// perSecond in the long run. It looks at the clock only when it is empty.
type bucket struct {
	perSecond, burst int // perSecond is 0: no limit

	left   int
	filled time.Time
}

// take takes one message out and reports whether there was one.
func (b *bucket) take() bool {
	if b.perSecond == 0 {
		return true
	}
	if b.left == 0 && !b.fill(time.Now()) {
		return false
	}
	b.left--
	return true
}

// fill puts in what has come since it was filled last.
func (b *bucket) fill(now time.Time) bool {
	if b.filled.IsZero() {
		b.left, b.filled = b.burst, now
		return true
	}
	came := now.Sub(b.filled)
	n := int(min(came, time.Hour)) / int(time.Second/time.Duration(b.perSecond))
	if n >= b.burst {
		b.left, b.filled = b.burst, now
		return true
	}
	b.left = n
	b.filled = b.filled.Add(time.Duration(n) * (time.Second / time.Duration(b.perSecond)))
	return n > 0
}

// topicCode returns the reason code for which nobody may publish to a topic, 0 if
// there is none. Topics that begin with $ are the broker's ([MQTT-4.7.2-1] has
// the server prevent clients from using them for other purposes); mochi would not
// answer for some of them.
func (b *Broker) topicCode(topic []byte) byte {
	switch {
	case len(topic) > 0 && topic[0] == '$':
		b.count.topicsReserved.Add(1)
		return packets.ErrNotAuthorized.Code
	case b.cfg.nameTooLarge(len(topic), bytes.Count(topic, []byte{'/'})):
		b.count.topicsRefused.Add(1)
		return packets.ErrTopicNameInvalid.Code
	default:
		return 0
	}
}
