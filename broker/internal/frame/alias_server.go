package frame

import "encoding/binary"

// Aliaser gives aliases to the topics of what one connection's client is sent
// (section 3.3.2.3.4), as many as the client takes. It sees every PUBLISH, in the
// order in which they are written.
//
// A topic gets an alias when it comes first, while there are any. From then on, a
// topic without one takes that of another which has not come since the turn was
// last at it: what comes often keeps its alias among many topics that come once.
type Aliaser struct {
	most    int
	aliases map[string]uint16 // by topic
	given   []givenAlias      // by alias, from 1 on
	turn    int               // whose alias is looked at next
	buf     []byte            // of what Shorten returned last
}

// givenAlias is the topic that an alias stands for.
type givenAlias struct {
	topic string
	idle  bool // it has not come since the turn was at it
}

// NewAliaser returns an Aliaser that gives most aliases at a time.
func NewAliaser(most uint16) *Aliaser { return &Aliaser{most: int(most)} }

// keptBuffer is up to which size a buffer is kept for the next message.
const keptBuffer = 4 << 10

// Shorten returns a PUBLISH of MQTT 5, whose header has n bytes, with an alias in
// place of its topic if it has one, or with both if it is given one. Most come back
// as they are: when there is no alias left, when it would save nothing, and when the
// packet with both is larger than largest bytes, unless that is 0. So does one that
// is sent again: it is complete in itself. What is returned is good until the next
// call.
func (a *Aliaser) Shorten(h Header, packet []byte, n, largest int) []byte {
	const (
		worth = aliasSize + 2 // with an alias, both lengths may need one more byte
		grows = aliasSize + 2
	)
	topic := Topic(h, packet[n:])
	if len(topic) < worth || h.Dup() {
		return packet
	}
	alias, known := a.aliases[string(topic)]
	switch {
	case known:
		a.given[alias-1].idle = false
		topic = nil
	case largest > 0 && len(packet)+grows > largest:
		return packet
	default:
		if alias = a.give(topic); alias == 0 {
			return packet
		}
	}
	return a.with(alias, topic, h, packet[n:])
}

// give returns an alias that stands for topic from now on, 0 if there is none.
func (a *Aliaser) give(topic []byte) uint16 {
	if len(a.given) < a.most {
		a.given = append(a.given, givenAlias{})
		return a.set(len(a.given), topic)
	}
	a.turn = a.turn%a.most + 1
	at := &a.given[a.turn-1]
	if !at.idle {
		at.idle = true
		return 0
	}
	delete(a.aliases, at.topic)
	return a.set(a.turn, topic)
}

func (a *Aliaser) set(alias int, topic []byte) uint16 {
	if a.aliases == nil {
		a.aliases = make(map[string]uint16)
	}
	name := string(topic)
	a.given[alias-1] = givenAlias{topic: name}
	a.aliases[name] = uint16(alias) // #nosec G115 -- at most most
	return uint16(alias)            // #nosec G115
}

// with returns a PUBLISH with an alias, and with that topic.
func (a *Aliaser) with(alias uint16, topic []byte, h Header, body []byte) []byte {
	behind := 2 + len(Topic(h, body))
	properties := behind
	if h.QoS() > 0 {
		properties += 2
	}
	size, n := binary.Uvarint(body[properties:])
	size += aliasSize
	rest := body[properties+n:]
	h.Remaining = 2 + len(topic) + properties - behind + varintSize(size) + aliasSize + len(rest)
	b := h.Append(a.buf[:0])
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(topic))), topic...) // #nosec G115 -- it came in a packet
	b = append(b, body[behind:properties]...)
	b = append(binary.AppendUvarint(b, size), propTopicAlias)
	b = append(binary.BigEndian.AppendUint16(b, alias), rest...)
	if a.buf = b; cap(b) > keptBuffer {
		a.buf = nil
	}
	return b
}
