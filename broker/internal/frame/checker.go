package frame

import (
	"cmp"
	"math"
)

// Config limits what a client may send. A zero field takes its default.
type Config struct {
	// MaxConnect is the size in bytes, header included, of the largest packet
	// from a client that is not signed in. Default 4096.
	MaxConnect int
	// MaxPacket is the same for a client that is. Default 262144.
	MaxPacket int
	// MaxFilters is the number of topic filters in one SUBSCRIBE or UNSUBSCRIBE.
	// Default 1024.
	MaxFilters int
	// MaxUserProperties is the number of user properties in one packet, those of
	// a will included. Default 256.
	MaxUserProperties int
	// TopicAliasMaximum is what CONNACK announces. Default 0: no aliases.
	TopicAliasMaximum uint16
	// MaxTopic is the size in bytes of the longest topic that is taken. Of a longer
	// one, an alias stands for one byte more than that. Default 65535.
	MaxTopic int
	// RefuseControls refuses text with control characters and non-characters,
	// which MQTT leaves to the receiver (section 1.5.4).
	RefuseControls bool
}

// Checker judges the packets of one connection, in the order in which the
// client sent them. It is for one goroutine at a time.
//
// After a violation the connection has to be closed; what the Checker says
// later means nothing.
type Checker struct {
	config        Config
	version       byte
	named         byte // the level that CONNECT named, spoken here or not
	connected     bool // a CONNECT has passed
	accepted      bool // the server has answered it with success
	disconnected  bool // a DISCONNECT has passed
	enhanced      bool // it had an Authentication Method
	authMethod    string
	sessionExpiry uint32
	topics        map[uint16]string // by the aliases that stand for them
	alias         usedAlias         // of the last PUBLISH
}

// NewChecker returns the Checker of a new connection.
func NewChecker(c Config) *Checker {
	c.MaxConnect = cmp.Or(c.MaxConnect, 4<<10)
	c.MaxPacket = cmp.Or(c.MaxPacket, 256<<10)
	c.MaxFilters = cmp.Or(c.MaxFilters, 1024)
	c.MaxTopic = cmp.Or(c.MaxTopic, math.MaxUint16)
	c.MaxUserProperties = cmp.Or(c.MaxUserProperties, 256)
	return &Checker{config: c}
}

// Version returns the protocol level that CONNECT named: 3, 4 or 5, also when
// the CONNECT was then refused for something else. It is 0 before, and when the
// level is none of these.
func (c *Checker) Version() byte { return c.version }

// Named returns the protocol level that CONNECT named, whatever it is; 0 before.
func (c *Checker) Named() byte { return c.named }

// Connected reports whether a CONNECT has passed.
func (c *Checker) Connected() bool { return c.connected }

// Accepted reports whether the server has accepted it.
func (c *Checker) Accepted() bool { return c.accepted }

// Accept says that the server has sent a CONNACK with a reason code below 0x80.
// From then on packets may be as large as Config.MaxPacket, and a client that
// authenticates by AUTH may send others too.
func (c *Checker) Accept() { c.accepted = c.connected }

// CheckHeader reports whether a packet with header h may come now, before its
// body is read. It returns nil or a *Violation. Check does the same and more.
func (c *Checker) CheckHeader(h Header) error {
	if v := c.header(h); v != nil {
		return v
	}
	return nil
}

// Check reports whether a packet is well formed and in order. It returns nil or
// a *Violation. It does not keep body, and a packet that passes costs no
// allocation, CONNECT with an Authentication Method and the first use of a
// topic alias excepted.
func (c *Checker) Check(h Header, body []byte) error {
	v := c.header(h)
	if v == nil {
		v = c.body(h, body)
	}
	if v != nil {
		return v
	}
	return nil
}

// header checks the fixed header, the order of packets, and the sizes that
// follow from both.
func (c *Checker) header(h Header) *Violation {
	if v := c.order(h.Type); v != nil {
		return v
	}
	if v := c.flags(h); v != nil {
		return v
	}
	if c.version == Level5 && h.overlong() {
		return c.overlong()
	}
	limit := c.config.MaxConnect
	if c.accepted {
		limit = c.config.MaxPacket
	}
	if h.length() > limit {
		return c.violation(codePacketTooLarge, clause{"MQTT-3.2.2-15", "MQTT-4.8.0-1"}, "the packet is too large")
	}
	if want, fixed := c.fixedLength(h.Type); fixed && h.Remaining != want {
		return c.violation(codeMalformed, clause{"MQTT-4.13.1-1", "MQTT-4.8.0-1"}, "the length is not that of a "+h.Type.String())
	}
	return nil
}

// order checks that the client may send a packet of this type now.
func (c *Checker) order(t Type) *Violation {
	switch t {
	case TypeConnect:
		if c.connected {
			return c.violation(codeProtocolError, clause{"MQTT-3.1.0-2", "MQTT-3.1.0-2"}, "a second CONNECT")
		}
		return nil
	case TypeConnack, TypeSuback, TypeUnsuback, TypePingresp: // section 2.1.2, table 2-1
		return c.violation(codeProtocolError, clause{"section 2.1.2", "section 2.2.1"}, t.String()+" is for servers to send")
	case TypePublish, TypePuback, TypePubrec, TypePubrel, TypePubcomp,
		TypeSubscribe, TypeUnsubscribe, TypePingreq, TypeDisconnect:
	case TypeAuth:
		if c.connected && c.version != Level5 { // 3.1.1 section 2.2.1: type 15 is reserved
			return c.violation(codeProtocolError, clause{v3: "section 2.2.1"}, "the packet type is reserved")
		}
	default: // section 2.1.2: type 0 is reserved
		return c.violation(codeProtocolError, clause{"section 2.1.2", "section 2.2.1"}, "the packet type is reserved")
	}
	switch {
	case c.disconnected:
		return c.violation(codeProtocolError, clause{"MQTT-3.14.4-1", "MQTT-3.14.4-2"}, t.String()+" after DISCONNECT")
	case !c.connected:
		return c.violation(codeProtocolError, clause{"MQTT-3.1.0-1", "MQTT-3.1.0-1"}, "the first packet is not CONNECT")
	case t == TypeAuth && !c.enhanced:
		return c.violation(codeProtocolError, clause{v5: "MQTT-4.12.0-7"}, "AUTH after a CONNECT without an Authentication Method")
	case c.enhanced && !c.accepted && t != TypeAuth && t != TypeDisconnect:
		return c.violation(codeProtocolError, clause{v5: "MQTT-3.1.2-30"}, t.String()+" before authentication is complete")
	}
	return nil
}

// flags checks the flag bits of the fixed header (section 2.1.3).
func (c *Checker) flags(h Header) *Violation {
	switch {
	case h.Type == TypePublish && h.QoS() == 3:
		return c.violation(codeMalformed, clause{"MQTT-3.3.1-4", "MQTT-3.3.1-4"}, "the QoS is 3")
	case h.Type == TypePublish && h.QoS() == 0 && h.Dup():
		return c.violation(codeMalformed, clause{"MQTT-3.3.1-2", "MQTT-3.3.1-2"}, "DUP is set with QoS 0")
	case h.Type == TypePublish || h.Flags == h.Type.flags():
		return nil
	case h.Type == TypeConnect: // only its body tells whether that matters
		return nil
	case c.version == Level31 && (h.Type.flags() == 0 || h.QoS() == 1):
		return nil // MQTT 3.1 section 2.1: unused, or DUP
	default:
		return c.reservedFlags(h.Type)
	}
}

// fixedLength returns the Remaining Length of the packets that have only one.
func (c *Checker) fixedLength(t Type) (n int, fixed bool) {
	switch t {
	case TypePingreq: // section 3.12.1
		return 0, true
	case TypeDisconnect: // 3.1.1 section 3.14.1
		return 0, c.version != Level5
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp: // 3.1.1 sections 3.4.1 to 3.7.1
		return 2, c.version != Level5
	default:
		return 0, false
	}
}

// body checks what follows the header.
func (c *Checker) body(h Header, body []byte) *Violation {
	if len(body) != h.Remaining {
		return c.violation(codeMalformed, clause{"section 2.1.4", "section 2.2.3"}, "the body has not the length that the header says")
	}
	r := reader{b: body, version: c.version, controls: c.config.RefuseControls, users: c.config.MaxUserProperties}
	switch h.Type {
	case TypeConnect:
		c.connect(&r, h)
	case TypePublish:
		c.publish(&r, h)
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp:
		c.ack(&r, h.Type)
	case TypeSubscribe:
		c.subscribe(&r)
	case TypeUnsubscribe:
		c.unsubscribe(&r)
	case TypeDisconnect:
		c.disconnect(&r)
	case TypeAuth:
		c.auth(&r)
	default: // PINGREQ, whose length is zero
	}
	return r.bad
}

// connect checks a CONNECT and keeps what the packets after it are judged by.
func (c *Checker) connect(r *reader, h Header) {
	view := r.connect()
	c.version, c.named = view.Version, r.named
	switch {
	case r.bad != nil:
		return
	case h.Flags != 0 && c.version != Level31:
		r.bad = c.reservedFlags(TypeConnect)
		return
	case c.version == Level5 && h.overlong():
		r.bad = c.overlong()
		return
	}
	c.connected = true
	c.sessionExpiry = view.SessionExpiry
	c.enhanced, c.authMethod = view.HasAuthMethod, string(view.AuthMethod)
}

func (c *Checker) overlong() *Violation {
	return c.violation(codeMalformed, clause{v5: "MQTT-1.5.5-1"}, "the remaining length is encoded in more bytes than it needs")
}

func (c *Checker) reservedFlags(t Type) *Violation {
	cited := clause{"MQTT-2.1.3-1", "MQTT-2.2.2-2"}
	switch t {
	case TypePubrel:
		cited = clause{"MQTT-3.6.1-1", "MQTT-3.6.1-1"}
	case TypeSubscribe:
		cited = clause{"MQTT-3.8.1-1", "MQTT-3.8.1-1"}
	case TypeUnsubscribe:
		cited = clause{"MQTT-3.10.1-1", "MQTT-3.10.1-1"}
	case TypeDisconnect:
		cited = clause{"MQTT-3.14.1-1", "MQTT-3.14.1-1"}
	case TypeAuth:
		cited.v5 = "MQTT-3.15.1-1"
	default:
	}
	return c.violation(codeMalformed, cited, "the flags of "+t.String()+" are not as reserved")
}

func (c *Checker) violation(code byte, cited clause, text string) *Violation {
	return violation(c.version, code, cited, text)
}
