package frame

import "unicode/utf8"

// publish checks a PUBLISH (section 3.3). Its flags are checked with the header.
func (c *Checker) publish(r *reader, h Header) {
	// MQTT-3.3.2-1: the topic comes first and is UTF-8; MQTT-3.3.2-2: it has no
	// wildcards.
	topic := r.text("the topic")
	r.noWildcard(topic, "the topic", clause{"MQTT-3.3.2-2", "MQTT-3.3.2-2"})
	if h.QoS() > 0 {
		r.packetID(clause{"MQTT-2.2.1-3", "MQTT-2.3.1-1"})
	}
	var p properties
	if r.version == Level5 {
		p = r.properties(inPublish)
	}
	c.topicAlias(r, topic, &p)
	if p.payloadFormat == 1 && !utf8.Valid(r.b) {
		r.fail(codePayloadFormatInvalid, clause{v5: "section 3.3.2.3.2"}, "the payload is not the UTF-8 it claims to be")
	}
	c.alias = usedAlias{}
	if r.bad == nil && p.topicAlias > 0 {
		c.noteAlias(topic, &p, h.Remaining-len(r.b))
	}
	r.b = nil // the payload
}

// topicAlias checks that a PUBLISH names its topic, by itself or by an alias
// that has been given one (section 3.3.2.3.4).
func (c *Checker) topicAlias(r *reader, topic []byte, p *properties) {
	aliased := p.has(propTopicAlias)
	switch {
	case aliased && p.topicAlias == 0:
		r.fail(codeTopicAliasInvalid, clause{v5: "MQTT-3.3.2-8"}, "the Topic Alias is 0")
	case aliased && p.topicAlias > c.config.TopicAliasMaximum:
		r.fail(codeTopicAliasInvalid, clause{v5: "MQTT-3.3.2-9"}, "the Topic Alias exceeds the maximum")
	case len(topic) > 0:
	case aliased && c.topics[p.topicAlias] == "":
		r.fail(codeProtocolError, clause{v5: "section 3.3.2.3.4"}, "the Topic Alias stands for no topic yet")
	case !aliased && r.version == Level5:
		r.fail(codeProtocolError, clause{v5: "section 3.3.2.3.4"}, "there is neither topic nor Topic Alias")
	case !aliased:
		r.fail(codeMalformed, clause{v3: "MQTT-4.7.3-1"}, "the topic is empty")
	}
}
