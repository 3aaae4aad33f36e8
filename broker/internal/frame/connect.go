package frame

import (
	"math"
	"unicode/utf8"
)

// Bits of the connect flags (section 3.1.2.3).
const (
	flagReserved   byte = 1 << 0
	flagCleanStart byte = 1 << 1
	flagWill       byte = 1 << 2
	flagWillQoS    byte = 3 << 3
	flagWillRetain byte = 1 << 5
	flagPassword   byte = 1 << 6
	flagUsername   byte = 1 << 7
)

// Connect is what a CONNECT says. Its slices lie in the packet's body and are
// valid as long as that is. The password and the authentication data are left
// out on purpose: a Connect may be logged.
type Connect struct {
	Version    byte   // protocol level: 3, 4 or 5
	Bridge     bool   // the level was named with the bit of bridges
	CleanStart bool   // Clean Session below level 5
	KeepAlive  uint16 // seconds; 0 is off
	ClientID   []byte // empty when the server shall name the client

	HasUsername bool
	HasPassword bool
	Username    []byte

	HasWill bool
	Will    Will

	SessionExpiry     uint32 // seconds; 0 when absent, and below level 5
	ReceiveMaximum    uint16 // 65535 when absent, and below level 5
	MaximumPacketSize uint32 // bytes; 0: no limit
	TopicAliasMaximum uint16
	ProblemInfo       bool // false: no Reason String or User Property but in PUBLISH, CONNACK, DISCONNECT
	HasAuthMethod     bool
	AuthMethod        []byte

	flags         byte // as the standard of its level would have them
	flagsAt       int  // where they lie in the body
	willPayloadAt int  // where the length of the will's payload lies
	passwordAt    int  // where that of the password lies
	passwordSize  int
}

// Will is the will message of a CONNECT (section 3.1.2.5).
type Will struct {
	Topic   []byte
	Payload []byte
	QoS     byte
	Retain  bool
	Delay   uint32 // seconds; 0 below level 5
}

// ParseConnect reads the body of a CONNECT and checks it, with no limit but its
// length. It returns a *Violation for one that may not pass; Version is set
// even then if the packet got as far as to name one.
func ParseConnect(body []byte) (Connect, error) {
	r := reader{b: body, users: math.MaxInt}
	c := r.connect()
	if r.bad != nil {
		return Connect{Version: c.Version}, r.bad
	}
	return c, nil
}

// connect reads the body of a CONNECT, to its end.
func (r *reader) connect() (c Connect) {
	size := len(r.b)
	c.Version = r.level()
	c.Bridge = IsBridge(r.named)
	if c.Version == 0 {
		return c
	}
	c.flagsAt = size - len(r.b)
	c.flags = r.connectFlags()
	c.CleanStart = c.flags&flagCleanStart != 0
	c.KeepAlive = r.uint16("the keep alive")
	c.ReceiveMaximum, c.ProblemInfo = math.MaxUint16, true
	if c.Version == Level5 {
		r.connectProperties(&c)
	}
	r.clientID(&c)
	if c.flags&flagWill != 0 {
		r.will(&c, size)
	}
	r.credentials(&c, size)
	r.end()
	return c
}

// bridgeBit is set in the protocol level by a broker that connects to another as a
// client (Mosquitto and others, at levels 3 and 4). No standard has it; what it asks
// for is what a bridge needs: none of its own messages back, and the retain flag as
// it was published. MQTT 5 has subscription options for both.
const bridgeBit byte = 0x80

// IsBridge reports whether a protocol level that a CONNECT named has the bit that
// bridges set.
func IsBridge(level byte) bool { return level&bridgeBit != 0 }

// level reads the protocol name and level; it returns 0, having failed, for a
// protocol that is not spoken here.
func (r *reader) level() byte {
	name := r.text("the protocol name")
	level := r.byte("the protocol level")
	if r.bad != nil {
		return 0
	}
	if string(name) == "MQTT" || string(name) == "MQIsdp" {
		r.named = level
	}
	switch plain := level &^ bridgeBit; {
	case string(name) == "MQTT" && (plain == Level311 || level == Level5),
		string(name) == "MQIsdp" && plain == Level31: // MQTT 3.1 section 3.1
		r.version = plain
		return plain
	case string(name) != "MQTT" && string(name) != "MQIsdp":
		r.fail(codeUnsupportedVersion, clause{"MQTT-3.1.2-1", "MQTT-3.1.2-1"}, "the protocol name is not MQTT")
	default:
		r.fail(codeUnsupportedVersion, clause{"MQTT-3.1.2-2", "MQTT-3.1.2-2"}, "the protocol level is not one of MQTT 3.1, 3.1.1 and 5")
	}
	return 0
}

// connectFlags reads the connect flags and returns them without those that mean
// nothing, which level 3 lets a client set.
func (r *reader) connectFlags() byte {
	f := r.byte("the connect flags")
	if r.version == Level31 {
		// MQTT 3.1 section 3.1: bit 0 is unused, and the other two are
		// disregarded without a will.
		f &^= flagReserved
		if f&flagWill == 0 {
			f &^= flagWillQoS | flagWillRetain
		}
	}
	switch {
	case f&flagReserved != 0:
		r.fail(codeMalformed, clause{"MQTT-3.1.2-3", "MQTT-3.1.2-3"}, "the reserved connect flag is set")
	case f&flagWill == 0 && f&flagWillQoS != 0:
		r.fail(codeMalformed, clause{"MQTT-3.1.2-11", "MQTT-3.1.2-13"}, "the will QoS is set without a will")
	case f&flagWill == 0 && f&flagWillRetain != 0:
		r.fail(codeMalformed, clause{"MQTT-3.1.2-13", "MQTT-3.1.2-15"}, "the will retain flag is set without a will")
	case f&flagWillQoS == flagWillQoS:
		r.fail(codeMalformed, clause{"MQTT-3.1.2-12", "MQTT-3.1.2-14"}, "the will QoS is 3")
	case r.version != Level5 && f&flagPassword != 0 && f&flagUsername == 0:
		// MQTT 5 allows it (section 3.1.2.9).
		r.fail(codeMalformed, clause{v3: "MQTT-3.1.2-22"}, "there is a password without a user name")
	}
	return f
}

// connectProperties reads the properties of a CONNECT (section 3.1.2.11).
func (r *reader) connectProperties(c *Connect) {
	p := r.properties(inConnect)
	c.SessionExpiry = p.sessionExpiry
	if p.has(propReceiveMaximum) {
		c.ReceiveMaximum = p.receiveMaximum
	}
	c.MaximumPacketSize = p.maximumPacketSize
	c.TopicAliasMaximum = p.topicAliasMaximum
	c.ProblemInfo = !p.has(propRequestProblemInfo) || p.problemInfo == 1
	c.HasAuthMethod, c.AuthMethod = p.has(propAuthMethod), p.authMethod
	switch {
	case p.has(propAuthData) && !c.HasAuthMethod:
		r.fail(codeProtocolError, clause{v5: "section 3.1.2.11.10"}, "there is Authentication Data without an Authentication Method")
	case c.HasAuthMethod && len(c.AuthMethod) == 0:
		r.fail(codeBadAuthMethod, clause{v5: "MQTT-4.12.0-1"}, "the Authentication Method is empty")
	}
}

// clientID reads the client identifier. It is there, if empty, in every CONNECT
// ([MQTT-3.1.3-3]).
func (r *reader) clientID(c *Connect) {
	c.ClientID = r.text("the client identifier") // MQTT-3.1.3-4
	if r.badText && c.Version == Level5 {
		r.bad.Code = codeClientIDNotValid // MQTT-3.1.3-8; it says which text is meant
	}
	if len(c.ClientID) > 0 {
		return
	}
	switch c.Version {
	case Level31: // MQTT 3.1 section 3.1: 1 to 23 characters
		r.fail(codeClientIDNotValid, clause{v3: "MQTT 3.1 section 3.1"}, "the client identifier is empty")
	case Level311:
		if !c.CleanStart {
			r.fail(codeClientIDNotValid, clause{v3: "MQTT-3.1.3-8"}, "the client identifier is empty without Clean Session")
		}
	default: // MQTT-3.1.3-6: the server assigns one
	}
}

// will reads the will, of a body of the given size.
func (r *reader) will(c *Connect, size int) {
	c.HasWill = true
	c.Will.QoS = c.flags & flagWillQoS >> 3
	c.Will.Retain = c.flags&flagWillRetain != 0
	var p properties
	if c.Version == Level5 {
		p = r.properties(inWill) // section 3.1.3.2
		c.Will.Delay = p.willDelay
	}
	// MQTT-3.1.3-11: UTF-8. It becomes the topic of a PUBLISH, whose rules it
	// has to obey.
	c.Will.Topic = r.topicName("the will topic", clause{"MQTT-3.3.2-2", "MQTT-3.3.2-2"})
	c.willPayloadAt = size - len(r.b)
	c.Will.Payload = r.binary("the will payload")
	if p.payloadFormat == 1 && !utf8.Valid(c.Will.Payload) {
		r.fail(codePayloadFormatInvalid, clause{v5: "section 3.1.3.2.3"}, "the will payload is not the UTF-8 it claims to be")
	}
}

// credentials reads user name and password, of a body of the given size.
func (r *reader) credentials(c *Connect, size int) {
	c.HasUsername = r.flagged(c, flagUsername)
	if c.HasUsername {
		c.Username = r.text("the user name") // MQTT-3.1.3-12; 3.1.1: MQTT-3.1.3-11
	}
	c.HasPassword = r.flagged(c, flagPassword)
	if c.HasPassword {
		c.passwordAt = size - len(r.b)
		c.passwordSize = len(r.binary("the password")) // section 3.1.3.6
	}
}

// flagged reports whether the field of flag follows. MQTT 3.1 (section 3.1)
// lets a packet end where a flag has promised more; the flag is taken back then.
func (r *reader) flagged(c *Connect, flag byte) bool {
	if c.Version == Level31 && r.bad == nil && len(r.b) == 0 {
		c.flags &^= flag
	}
	return c.flags&flag != 0
}
