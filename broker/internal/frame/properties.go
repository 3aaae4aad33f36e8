package frame

import "fmt"

// properties is what a section of properties held, as far as somebody asks.
type properties struct {
	seen              uint64 // bit n: property n was there
	sessionExpiry     uint32
	maximumPacketSize uint32
	willDelay         uint32
	receiveMaximum    uint16
	topicAlias        uint16
	afterAlias        int // bytes of the section behind the Topic Alias
	topicAliasMaximum uint16
	payloadFormat     byte
	problemInfo       byte
	authMethod        []byte
}

func (p *properties) has(id byte) bool { return p.seen&(1<<id) != 0 }

// properties reads a section of properties, its length first (section 2.2.2).
func (r *reader) properties(at place) (p properties) {
	n := int(r.varint("the property length"))
	if n == 0 {
		return p
	}
	if n > len(r.b) {
		r.cut("its properties")
		return p
	}
	section := reader{b: r.b[:n], version: r.version, controls: r.controls, users: r.users}
	for len(section.b) > 0 {
		section.property(at, &p)
	}
	r.b, r.users = r.b[n:], section.users
	if section.bad != nil {
		r.b, r.bad = nil, section.bad
	}
	return p
}

// property reads one property into p.
func (r *reader) property(at place, p *properties) {
	// An identifier is a Variable Byte Integer of which all values in use have
	// one byte: a second one makes it unknown.
	id := r.byte("a property")
	d := describe(id)
	if d.places&at == 0 {
		r.misplaced(id, at, d)
		return
	}
	if p.has(id) && id != propUser {
		// "It is a Protocol Error to include … more than once", for each of them.
		r.fail(codeProtocolError, clause{v5: d.section}, d.name+" is there twice")
		return
	}
	p.seen |= 1 << id
	p.keep(id, r.value(d))
	if id == propTopicAlias {
		p.afterAlias = len(r.b)
	}
}

// misplaced refuses a property that this packet cannot have. One that is cut off
// is cut off in the first place.
func (r *reader) misplaced(id byte, at place, d property) {
	if d.name == "" {
		r.fail(codeMalformed, clause{v5: "section 2.2.2.2"}, fmt.Sprintf("property 0x%02X is unknown", id))
		return
	}
	r.value(property{d.name, d.section, d.kind.plain(), d.places})
	switch {
	case id == propSubscriptionID && at == inPublish:
		r.fail(codeProtocolError, clause{v5: "MQTT-3.3.4-6"}, "a PUBLISH from a client has a Subscription Identifier")
	case id == propServerReference && at == inDisconnect:
		r.fail(codeProtocolError, clause{v5: "section 3.14.2.2.5"}, "a DISCONNECT from a client has a Server Reference")
	default:
		// Section 2.2.2.2 has Malformed Packet for it; see the package.
		r.fail(codeProtocolError, clause{v5: "section 2.2.2.2"}, d.name+" has no place in this packet")
	}
}

// value is what a property holds, in the field of its type.
type value struct {
	uint8  uint8
	uint16 uint16
	uint32 uint32 // a Variable Byte Integer, too
	bytes  []byte // text, too
}

// value reads the value of the property d and checks its range.
func (r *reader) value(d property) (v value) {
	zero := false
	switch d.kind {
	case kindByte:
		v.uint8 = r.byte(d.name)
	case kindBool:
		v.uint8 = r.byte(d.name)
		if v.uint8 > 1 {
			r.fail(codeProtocolError, clause{v5: d.section}, d.name+" is neither 0 nor 1")
		}
	case kindUint16:
		v.uint16 = r.uint16(d.name)
	case kindNonzero16:
		v.uint16 = r.uint16(d.name)
		zero = v.uint16 == 0
	case kindUint32:
		v.uint32 = r.uint32(d.name)
	case kindNonzero32:
		v.uint32 = r.uint32(d.name)
		zero = v.uint32 == 0
	case kindVar:
		v.uint32 = r.varint(d.name)
	case kindNonzeroVar:
		v.uint32 = r.varint(d.name)
		zero = v.uint32 == 0
	case kindText:
		v.bytes = r.text(d.name)
	case kindTopic:
		v.bytes = r.topicName(d.name, clause{v5: "MQTT-3.3.2-14"})
	case kindBinary:
		v.bytes = r.binary(d.name)
	case kindPair: // MQTT-1.5.7-1: both are text
		r.text(d.name)
		r.text(d.name)
		if r.users--; r.users < 0 {
			r.fail(codeQuotaExceeded, clause{v5: "section 4.13.2"}, "the packet has more user properties than this server takes")
		}
	}
	if zero {
		r.fail(codeProtocolError, clause{v5: d.section}, d.name+" is 0")
	}
	return v
}

// keep notes the values that somebody asks for.
func (p *properties) keep(id byte, v value) {
	switch id {
	case propPayloadFormat:
		p.payloadFormat = v.uint8
	case propSessionExpiry:
		p.sessionExpiry = v.uint32
	case propAuthMethod:
		p.authMethod = v.bytes
	case propRequestProblemInfo:
		p.problemInfo = v.uint8
	case propWillDelay:
		p.willDelay = v.uint32
	case propReceiveMaximum:
		p.receiveMaximum = v.uint16
	case propTopicAliasMaximum:
		p.topicAliasMaximum = v.uint16
	case propTopicAlias:
		p.topicAlias = v.uint16
	case propMaximumPacketSize:
		p.maximumPacketSize = v.uint32
	default: // checked, and of no further interest
	}
}
