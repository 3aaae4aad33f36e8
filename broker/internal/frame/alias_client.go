package frame

import "encoding/binary"

// aliasSize is what a Topic Alias takes among the properties: its identifier and
// two bytes.
const aliasSize = 3

// usedAlias is the Topic Alias of a PUBLISH.
type usedAlias struct {
	alias uint16 // 0: there is none
	at    int    // where the property lies in the body
}

// noteAlias has the alias of a PUBLISH stand for its topic from now on, unless that
// is empty. The properties end where the payload begins.
func (c *Checker) noteAlias(topic []byte, p *properties, payloadAt int) {
	c.alias = usedAlias{alias: p.topicAlias, at: payloadAt - p.afterAlias - aliasSize}
	if len(topic) == 0 {
		return
	}
	topic = topic[:min(len(topic), c.config.MaxTopic+1)]
	if c.topics == nil {
		c.topics = make(map[uint16]string)
	}
	if c.topics[p.topicAlias] != string(topic) {
		c.topics[p.topicAlias] = string(topic)
	}
}

// Aliased reports whether the last PUBLISH that has passed Check has a Topic Alias.
func (c *Checker) Aliased() bool { return c.alias.alias != 0 }

// AppendWhole appends the last PUBLISH that has passed Check, if it is Aliased, as
// it is without aliases: with its topic, and with all other properties. It returns
// the header of that, too.
func (c *Checker) AppendWhole(b []byte, h Header, body []byte) (Header, []byte) {
	topic := c.topics[c.alias.alias]
	behind := 2 + len(Topic(h, body)) // the topic
	properties := behind
	if h.QoS() > 0 {
		properties += 2
	}
	size, n := binary.Uvarint(body[properties:])
	size -= aliasSize
	rest := len(body) - properties - n - aliasSize
	h.Remaining = 2 + len(topic) + properties - behind + varintSize(size) + rest
	start := len(b)
	b = h.Append(b)
	h.Size = len(b) - start
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(topic))), topic...) // #nosec G115 -- it came in a packet
	b = append(b, body[behind:properties]...)
	b = binary.AppendUvarint(b, size)
	b = append(b, body[properties+n:c.alias.at]...)
	return h, append(b, body[c.alias.at+aliasSize:]...)
}

// varintSize is how many bytes a Variable Byte Integer takes.
func varintSize(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
