package frame

// Property identifiers (section 2.2.2.2, table 2-4).
const (
	propPayloadFormat           byte = 0x01
	propMessageExpiry           byte = 0x02
	propContentType             byte = 0x03
	propResponseTopic           byte = 0x08
	propCorrelationData         byte = 0x09
	propSubscriptionID          byte = 0x0B
	propSessionExpiry           byte = 0x11
	propAssignedClientID        byte = 0x12
	propServerKeepAlive         byte = 0x13
	propAuthMethod              byte = 0x15
	propAuthData                byte = 0x16
	propRequestProblemInfo      byte = 0x17
	propWillDelay               byte = 0x18
	propRequestResponse         byte = 0x19
	propResponseInfo            byte = 0x1A
	propServerReference         byte = 0x1C
	propReasonString            byte = 0x1F
	propReceiveMaximum          byte = 0x21
	propTopicAliasMaximum       byte = 0x22
	propTopicAlias              byte = 0x23
	propMaximumQoS              byte = 0x24
	propRetainAvailable         byte = 0x25
	propUser                    byte = 0x26
	propMaximumPacketSize       byte = 0x27
	propWildcardAvailable       byte = 0x28
	propSubscriptionIDAvailable byte = 0x29
	propSharedAvailable         byte = 0x2A
)

// place is where properties stand; a set of places is an or of them.
type place uint8

const (
	inConnect place = 1 << iota
	inWill
	inPublish
	inAck // PUBACK, PUBREC, PUBREL, PUBCOMP
	inSubscribe
	inUnsubscribe
	inDisconnect
	inAuth

	anywhere = inConnect | inWill | inPublish | inAck | inSubscribe | inUnsubscribe | inDisconnect | inAuth
)

// kind is the data type of a property, with the range of its value where the
// standard limits it.
type kind uint8

const (
	kindByte       kind = iota // a byte
	kindBool                   // a byte, 0 or 1
	kindUint16                 // Two Byte Integer
	kindNonzero16              // Two Byte Integer, not 0
	kindUint32                 // Four Byte Integer
	kindNonzero32              // Four Byte Integer, not 0
	kindVar                    // Variable Byte Integer
	kindNonzeroVar             // Variable Byte Integer, not 0
	kindText                   // UTF-8 Encoded String
	kindTopic                  // the same, a topic name
	kindBinary                 // Binary Data
	kindPair                   // UTF-8 String Pair
)

// property describes a property: its name, the section that limits its value
// and forbids to repeat it, where it may stand when a
// client sends it.
type property struct {
	name    string
	section string
	kind    kind
	places  place
}

// describe returns what is known of property id; places is empty for one that a
// client never sends.
func describe(id byte) property {
	switch id {
	case propPayloadFormat:
		return property{"the Payload Format Indicator", "section 3.3.2.3.2", kindBool, inPublish | inWill}
	case propMessageExpiry:
		return property{"the Message Expiry Interval", "section 3.3.2.3.3", kindUint32, inPublish | inWill}
	case propContentType:
		return property{"the Content Type", "section 3.3.2.3.9", kindText, inPublish | inWill}
	case propResponseTopic:
		return property{"the Response Topic", "section 3.3.2.3.5", kindTopic, inPublish | inWill}
	case propCorrelationData:
		return property{"the Correlation Data", "section 3.3.2.3.6", kindBinary, inPublish | inWill}
	case propSubscriptionID:
		return property{"the Subscription Identifier", "section 3.8.2.1.2", kindNonzeroVar, inSubscribe}
	case propSessionExpiry:
		return property{"the Session Expiry Interval", "section 3.1.2.11.2", kindUint32, inConnect | inDisconnect}
	case propAuthMethod:
		return property{"the Authentication Method", "section 3.1.2.11.9", kindText, inConnect | inAuth}
	case propAuthData:
		return property{"the Authentication Data", "section 3.1.2.11.10", kindBinary, inConnect | inAuth}
	case propRequestProblemInfo:
		return property{"Request Problem Information", "section 3.1.2.11.7", kindBool, inConnect}
	case propWillDelay:
		return property{"the Will Delay Interval", "section 3.1.3.2.2", kindUint32, inWill}
	case propRequestResponse:
		return property{"Request Response Information", "section 3.1.2.11.6", kindBool, inConnect}
	case propReasonString:
		return property{"the Reason String", "section 3.4.2.2.2", kindText, inAck | inDisconnect | inAuth}
	case propReceiveMaximum:
		return property{"the Receive Maximum", "section 3.1.2.11.3", kindNonzero16, inConnect}
	case propTopicAliasMaximum:
		return property{"the Topic Alias Maximum", "section 3.1.2.11.5", kindUint16, inConnect}
	case propTopicAlias:
		return property{"the Topic Alias", "section 3.3.2.3.4", kindUint16, inPublish}
	case propUser:
		return property{"a User Property", "MQTT-1.5.7-1", kindPair, anywhere}
	case propMaximumPacketSize:
		return property{"the Maximum Packet Size", "section 3.1.2.11.4", kindNonzero32, inConnect}
	// What only servers send has no place.
	case propAssignedClientID:
		return property{"the Assigned Client Identifier", "section 3.2.2.3.7", kindText, 0}
	case propServerKeepAlive:
		return property{"the Server Keep Alive", "section 3.2.2.3.14", kindUint16, 0}
	case propResponseInfo:
		return property{"the Response Information", "section 3.2.2.3.15", kindText, 0}
	case propServerReference:
		return property{"the Server Reference", "section 3.2.2.3.16", kindText, 0}
	case propMaximumQoS:
		return property{"the Maximum QoS", "section 3.2.2.3.4", kindBool, 0}
	case propRetainAvailable:
		return property{"Retain Available", "section 3.2.2.3.5", kindBool, 0}
	case propWildcardAvailable:
		return property{"Wildcard Subscription Available", "section 3.2.2.3.11", kindBool, 0}
	case propSubscriptionIDAvailable:
		return property{"Subscription Identifiers Available", "section 3.2.2.3.12", kindBool, 0}
	case propSharedAvailable:
		return property{"Shared Subscription Available", "section 3.2.2.3.13", kindBool, 0}
	default:
		return property{} // unknown
	}
}

// plain returns the kind without a limit on its value.
func (k kind) plain() kind {
	switch k {
	case kindBool:
		return kindByte
	case kindNonzero16:
		return kindUint16
	case kindNonzero32:
		return kindUint32
	case kindNonzeroVar:
		return kindVar
	case kindTopic:
		return kindText
	default:
		return k
	}
}
