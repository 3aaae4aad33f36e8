package frame

import (
	"bytes"
	"strings"

	paho "github.com/eclipse/paho.golang/packets"
	mochi "github.com/mochi-mqtt/server/v2/packets"
	"pgregory.net/rapid"
)

// Generators of what the standard allows.
var (
	anyText = rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool { return r != 0 }), 0, 12, -1)
	word    = rapid.StringOfN(rapid.RuneFrom([]rune("ab é日$. ")), 0, 6, -1)
	bytesOf = rapid.SliceOfN(rapid.Byte(), 0, 12)
	anyID   = rapid.Uint16Min(1)

	topicName = rapid.Custom(func(t *rapid.T) string {
		topic := strings.Join(rapid.SliceOfN(word, 1, 4).Draw(t, "levels"), "/")
		if topic == "" {
			return "/"
		}
		return topic
	})
	topicFilter = rapid.Custom(func(t *rapid.T) string {
		level := rapid.OneOf(word, rapid.Just("+"))
		levels := rapid.SliceOfN(level, 1, 4).Draw(t, "levels")
		if rapid.Bool().Draw(t, "all below") {
			levels = append(levels, "#")
		}
		filter := strings.Join(levels, "/")
		if filter == "" {
			filter = "/"
		}
		if rapid.IntRange(0, 3).Draw(t, "shared") == 0 {
			return "$share/" + rapid.StringMatching("[a-z]{1,5}").Draw(t, "share name") + "/" + filter
		}
		return filter
	})
)

// wellFormed makes a packet that a client of the given level may send, by
// mochi's encoder or, at level 5, paho's. method is the authentication method
// that its CONNECT must have had.
func wellFormed(t *rapid.T, version byte) (encoded []byte, method string) {
	types := []byte{mochi.Connect, mochi.Publish, mochi.Puback, mochi.Pubrec, mochi.Pubrel, mochi.Pubcomp, mochi.Subscribe, mochi.Unsubscribe, mochi.Pingreq, mochi.Disconnect}
	if version == Level5 {
		types = append(types, mochi.Auth)
	}
	typ := rapid.SampledFrom(types).Draw(t, "type")
	var b bytes.Buffer
	if version == Level5 && rapid.Bool().Draw(t, "paho") {
		p := pahoPacket(t, Type(typ))
		if _, err := p.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if a, isAuth := p.(*paho.Auth); isAuth {
			method = a.Properties.AuthMethod
		}
		return b.Bytes(), method
	}
	p := mochiPacket(t, version, typ)
	if err := mochiEncode(&p, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), p.Properties.AuthenticationMethod
}

func mochiPacket(t *rapid.T, version, typ byte) mochi.Packet {
	p := mochi.Packet{ProtocolVersion: version, FixedHeader: mochi.FixedHeader{Type: typ}}
	var users []mochi.UserProperty
	for range rapid.IntRange(0, 3).Draw(t, "user properties") {
		users = append(users, mochi.UserProperty{Key: anyText.Draw(t, "key"), Val: anyText.Draw(t, "value")})
	}
	p.Properties.User = users
	switch typ {
	case mochi.Connect:
		mochiConnect(t, &p)
	case mochi.Publish:
		p.FixedHeader.Qos = rapid.ByteRange(0, 2).Draw(t, "QoS")
		p.FixedHeader.Dup = p.FixedHeader.Qos > 0 && rapid.Bool().Draw(t, "DUP")
		p.FixedHeader.Retain = rapid.Bool().Draw(t, "RETAIN")
		if p.FixedHeader.Qos > 0 {
			p.PacketID = anyID.Draw(t, "identifier")
		}
		p.TopicName = topicName.Draw(t, "topic")
		p.Payload = bytesOf.Draw(t, "payload")
		message := mochiMessage(t, &p.Payload)
		message.User = users
		message.TopicAlias = rapid.Uint16().Draw(t, "alias")
		message.TopicAliasFlag = message.TopicAlias > 0
		p.Properties = message
	case mochi.Subscribe, mochi.Unsubscribe:
		p.FixedHeader.Qos = 1
		p.PacketID = anyID.Draw(t, "identifier")
		if typ == mochi.Subscribe && rapid.Bool().Draw(t, "has a subscription identifier") {
			p.Properties.SubscriptionIdentifier = []int{rapid.IntRange(1, 268435455).Draw(t, "subscription identifier")}
		}
		for range rapid.IntRange(1, 4).Draw(t, "filters") {
			sub := mochi.Subscription{Filter: topicFilter.Draw(t, "filter"), Qos: rapid.ByteRange(0, 2).Draw(t, "QoS")}
			sub.RetainHandling = rapid.ByteRange(0, 2).Draw(t, "retain handling")
			sub.RetainAsPublished = rapid.Bool().Draw(t, "retain as published")
			sub.NoLocal = !strings.HasPrefix(sub.Filter, "$share/") && rapid.Bool().Draw(t, "no local")
			p.Filters = append(p.Filters, sub)
		}
	case mochi.Puback, mochi.Pubrec:
		p.PacketID = anyID.Draw(t, "identifier")
		p.ReasonCode = rapid.SampledFrom([]byte{0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}).Draw(t, "reason code")
		p.Properties.ReasonString = anyText.Draw(t, "reason")
	case mochi.Pubrel, mochi.Pubcomp:
		if typ == mochi.Pubrel {
			p.FixedHeader.Qos = 1
		}
		p.PacketID = anyID.Draw(t, "identifier")
		p.ReasonCode = rapid.SampledFrom([]byte{0x00, 0x92}).Draw(t, "reason code")
		p.Properties.ReasonString = anyText.Draw(t, "reason")
	case mochi.Disconnect:
		p.ReasonCode = rapid.SampledFrom(x("0004808182839093949596979899")).Draw(t, "reason code")
		p.Properties.ReasonString = anyText.Draw(t, "reason")
		p.Properties.SessionExpiryIntervalFlag = rapid.Bool().Draw(t, "has a session expiry")
		p.Properties.SessionExpiryInterval = rapid.Uint32().Draw(t, "session expiry")
	case mochi.Auth:
		p.ReasonCode = rapid.SampledFrom([]byte{0x18, 0x19}).Draw(t, "reason code")
		p.Properties.AuthenticationMethod = word.Draw(t, "method") + "m"
		p.Properties.AuthenticationData = bytesOf.Draw(t, "data")
	}
	return p
}

func mochiConnect(t *rapid.T, p *mochi.Packet) {
	c := &p.Connect
	c.ProtocolName = []byte("MQTT")
	if p.ProtocolVersion == Level31 {
		c.ProtocolName = []byte("MQIsdp")
	}
	c.Clean = rapid.Bool().Draw(t, "clean")
	c.Keepalive = rapid.Uint16().Draw(t, "keep alive")
	c.ClientIdentifier = anyText.Draw(t, "client identifier")
	if p.ProtocolVersion == Level31 || p.ProtocolVersion == Level311 && !c.Clean {
		c.ClientIdentifier += "x"
	}
	if c.WillFlag = rapid.Bool().Draw(t, "will"); c.WillFlag {
		c.WillQos = rapid.ByteRange(0, 2).Draw(t, "will QoS")
		c.WillRetain = rapid.Bool().Draw(t, "will retain")
		c.WillTopic = topicName.Draw(t, "will topic")
		c.WillPayload = bytesOf.Draw(t, "will payload")
		c.WillProperties = mochiMessage(t, &c.WillPayload)
		c.WillProperties.WillDelayInterval = rapid.Uint32().Draw(t, "will delay")
	}
	c.UsernameFlag = rapid.Bool().Draw(t, "has a user name")
	c.Username = []byte(anyText.Draw(t, "user name"))
	c.PasswordFlag = (c.UsernameFlag || p.ProtocolVersion == Level5) && rapid.Bool().Draw(t, "has a password")
	c.Password = bytesOf.Draw(t, "password")
	p.Properties.SessionExpiryIntervalFlag = rapid.Bool().Draw(t, "has a session expiry")
	p.Properties.SessionExpiryInterval = rapid.Uint32().Draw(t, "session expiry")
	p.Properties.ReceiveMaximum = rapid.Uint16().Draw(t, "receive maximum")
	p.Properties.MaximumPacketSize = rapid.Uint32().Draw(t, "maximum packet size")
	p.Properties.TopicAliasMaximum = rapid.Uint16().Draw(t, "topic alias maximum")
	p.Properties.RequestProblemInfoFlag = rapid.Bool().Draw(t, "has problem information")
	p.Properties.RequestProblemInfo = rapid.ByteRange(0, 1).Draw(t, "problem information")
	p.Properties.RequestResponseInfo = rapid.ByteRange(0, 1).Draw(t, "response information")
	if rapid.Bool().Draw(t, "enhanced authentication") {
		p.Properties.AuthenticationMethod = word.Draw(t, "method") + "m"
		p.Properties.AuthenticationData = bytesOf.Draw(t, "data")
	}
}

// mochiMessage makes the properties that PUBLISH and will share. A payload that
// is to be text becomes some.
func mochiMessage(t *rapid.T, payload *[]byte) mochi.Properties {
	p := mochi.Properties{
		PayloadFormatFlag:     rapid.Bool().Draw(t, "has a payload format"),
		PayloadFormat:         rapid.ByteRange(0, 1).Draw(t, "payload format"),
		MessageExpiryInterval: rapid.Uint32().Draw(t, "message expiry"),
		ContentType:           anyText.Draw(t, "content type"),
		CorrelationData:       bytesOf.Draw(t, "correlation data"),
	}
	if rapid.Bool().Draw(t, "has a response topic") {
		p.ResponseTopic = topicName.Draw(t, "response topic")
	}
	if p.PayloadFormatFlag && p.PayloadFormat == 1 {
		*payload = []byte(rapid.String().Draw(t, "text"))
	}
	return p
}

// pahoPacket makes an MQTT 5 packet as paho's client does.
func pahoPacket(t *rapid.T, typ Type) paho.Packet {
	properties := &paho.Properties{}
	for range rapid.IntRange(0, 3).Draw(t, "user properties") {
		properties.User = append(properties.User, paho.User{Key: anyText.Draw(t, "key"), Value: anyText.Draw(t, "value")})
	}
	packetID := anyID.Draw(t, "identifier")
	switch typ {
	case TypeConnect:
		c := &paho.Connect{
			ProtocolName: "MQTT", ProtocolVersion: 5, Properties: properties, KeepAlive: rapid.Uint16().Draw(t, "keep alive"),
			ClientID: anyText.Draw(t, "client identifier"), CleanStart: rapid.Bool().Draw(t, "clean start"),
			UsernameFlag: rapid.Bool().Draw(t, "has a user name"), Username: anyText.Draw(t, "user name"),
			PasswordFlag: rapid.Bool().Draw(t, "has a password"), Password: bytesOf.Draw(t, "password"),
		}
		properties.SessionExpiryInterval = rapid.Ptr(rapid.Uint32(), true).Draw(t, "session expiry")
		properties.ReceiveMaximum = rapid.Ptr(rapid.Uint16Min(1), true).Draw(t, "receive maximum")
		properties.RequestProblemInfo = rapid.Ptr(rapid.ByteRange(0, 1), true).Draw(t, "problem information")
		if c.WillFlag = rapid.Bool().Draw(t, "will"); c.WillFlag {
			c.WillTopic, c.WillMessage = topicName.Draw(t, "will topic"), bytesOf.Draw(t, "will payload")
			c.WillQOS, c.WillRetain = rapid.ByteRange(0, 2).Draw(t, "will QoS"), rapid.Bool().Draw(t, "will retain")
			c.WillProperties = &paho.Properties{WillDelayInterval: rapid.Ptr(rapid.Uint32(), true).Draw(t, "will delay")}
		}
		return c
	case TypePublish:
		p := &paho.Publish{Topic: topicName.Draw(t, "topic"), PacketID: packetID, Payload: bytesOf.Draw(t, "payload"), Properties: properties}
		p.QoS, p.Retain = rapid.ByteRange(0, 2).Draw(t, "QoS"), rapid.Bool().Draw(t, "RETAIN")
		p.Duplicate = p.QoS > 0 && rapid.Bool().Draw(t, "DUP")
		properties.MessageExpiry = rapid.Ptr(rapid.Uint32(), true).Draw(t, "message expiry")
		properties.CorrelationData = bytesOf.Draw(t, "correlation data")
		return p
	case TypePuback:
		return &paho.Puback{PacketID: packetID, ReasonCode: 0x87, Properties: properties}
	case TypePubrec:
		return &paho.Pubrec{PacketID: packetID, ReasonCode: 0x00, Properties: properties}
	case TypePubrel:
		return &paho.Pubrel{PacketID: packetID, ReasonCode: 0x92, Properties: properties}
	case TypePubcomp:
		return &paho.Pubcomp{PacketID: packetID, ReasonCode: 0x00, Properties: properties}
	case TypeSubscribe:
		p := &paho.Subscribe{PacketID: packetID, Properties: properties}
		for range rapid.IntRange(1, 3).Draw(t, "filters") {
			p.Subscriptions = append(p.Subscriptions, paho.SubOptions{Topic: topicFilter.Draw(t, "filter"), QoS: rapid.ByteRange(0, 2).Draw(t, "QoS"), RetainHandling: 2})
		}
		return p
	case TypeUnsubscribe:
		return &paho.Unsubscribe{PacketID: packetID, Topics: rapid.SliceOfN(topicFilter, 1, 3).Draw(t, "filters"), Properties: properties}
	case TypeDisconnect:
		properties.ReasonString = anyText.Draw(t, "reason")
		return &paho.Disconnect{ReasonCode: 0x04, Properties: properties}
	case TypeAuth:
		properties.AuthMethod, properties.AuthData = word.Draw(t, "method")+"m", bytesOf.Draw(t, "data")
		return &paho.Auth{ReasonCode: 0x19, Properties: properties}
	default:
		return &paho.Pingreq{}
	}
}
