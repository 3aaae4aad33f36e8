package message

import "github.com/mochi-mqtt/server/v2/packets"

// FromPacket returns what a PUBLISH of mochi says. The two share payload and
// properties.
func FromPacket(pk *packets.Packet) Message {
	from := &pk.Properties
	m := Message{
		Topic: pk.TopicName, Payload: pk.Payload, Origin: pk.Origin,
		QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain, Version: pk.ProtocolVersion,
		ExpiryInterval: from.MessageExpiryInterval, Created: pk.Created, Expires: pk.Expiry,
	}
	p := Properties{
		ContentType: from.ContentType, ResponseTopic: from.ResponseTopic, CorrelationData: from.CorrelationData,
		HasFormat: from.PayloadFormatFlag, Format: from.PayloadFormat, SubscriptionIDs: from.SubscriptionIdentifier,
	}
	for _, u := range from.User {
		p.User = append(p.User, Property{u.Key, u.Val})
	}
	m.Properties = p.OrNil()
	return m
}

// Packet returns the message as a PUBLISH of mochi, without a packet identifier.
// The two share payload and properties.
func (m *Message) Packet() packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.QoS, Retain: m.Retain},
		TopicName:   m.Topic, Payload: m.Payload, Origin: m.Origin,
		ProtocolVersion: m.Version, Created: m.Created, Expiry: m.Expires,
	}
	to := &pk.Properties
	to.MessageExpiryInterval = m.ExpiryInterval
	if p := m.Properties; p != nil {
		to.ContentType, to.ResponseTopic, to.CorrelationData = p.ContentType, p.ResponseTopic, p.CorrelationData
		to.PayloadFormatFlag, to.PayloadFormat, to.SubscriptionIdentifier = p.HasFormat, p.Format, p.SubscriptionIDs
		for _, u := range p.User {
			to.User = append(to.User, packets.UserProperty{Key: u.Key, Val: u.Value})
		}
	}
	return pk
}
