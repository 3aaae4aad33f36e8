package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/keep"
)

// What mochi has, as the store keeps it, and back.

func session(cl *mqtt.Client, user string, owner []byte, until time.Time) keep.Session {
	return keep.Session{
		ClientID: cl.ID, User: user, Owner: owner,
		Version: cl.Properties.ProtocolVersion, Clean: cl.Properties.Clean,
		Expiry: cl.Properties.Props.SessionExpiryInterval, Until: until,
	}
}

func subscription(s packets.Subscription) keep.Subscription {
	return keep.Subscription{
		Filter: s.Filter, QoS: s.Qos, RetainHandling: s.RetainHandling, Identifier: s.Identifier,
		NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished,
	}
}

func subscriptionFrom(s keep.Subscription) packets.Subscription {
	return packets.Subscription{
		Filter: s.Filter, Qos: s.QoS, RetainHandling: s.RetainHandling, Identifier: s.Identifier,
		NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished,
	}
}

// message returns a message that waits for a client.
func message(pk *packets.Packet, e entry) *keep.Message {
	m := &keep.Message{PacketID: pk.PacketID, Order: e.order, Stage: keep.Queued}
	switch {
	case pk.FixedHeader.Type == packets.Pubrel:
		m.Stage = keep.Released
		return m
	case e.sent:
		m.Stage = keep.Sent
	}
	fill(&m.Publication, pk)
	return m
}

func messageFrom(m *keep.Message) packets.Packet {
	if m.Stage == keep.Released {
		return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: m.PacketID}
	}
	pk := packetFrom(&m.Publication)
	pk.PacketID = m.PacketID
	return pk
}

func publication(pk *packets.Packet) *keep.Publication {
	p := new(keep.Publication)
	fill(p, pk)
	return p
}

// fill shares what mochi never changes: it copies a message for each client, and
// before it retains it.
func fill(p *keep.Publication, pk *packets.Packet) {
	from := &pk.Properties
	p.Topic, p.Payload, p.QoS, p.Retain = pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.FixedHeader.Retain
	p.Version, p.Origin, p.Created, p.Expires = pk.ProtocolVersion, pk.Origin, pk.Created, pk.Expiry
	p.ContentType, p.ResponseTopic, p.CorrelationData = from.ContentType, from.ResponseTopic, from.CorrelationData
	p.HasFormat, p.Format, p.ExpiryInterval = from.PayloadFormatFlag, from.PayloadFormat, from.MessageExpiryInterval
	p.SubscriptionIDs = from.SubscriptionIdentifier
	for _, u := range from.User {
		p.User = append(p.User, keep.Property{Key: u.Key, Value: u.Val})
	}
}

func packetFrom(p *keep.Publication) packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: p.QoS, Retain: p.Retain},
		TopicName:   p.Topic, Payload: p.Payload,
		ProtocolVersion: p.Version, Origin: p.Origin, Created: p.Created, Expiry: p.Expires,
		Properties: packets.Properties{
			ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, CorrelationData: p.CorrelationData,
			PayloadFormatFlag: p.HasFormat, PayloadFormat: p.Format, MessageExpiryInterval: p.ExpiryInterval,
			SubscriptionIdentifier: p.SubscriptionIDs,
		},
	}
	for _, u := range p.User {
		pk.Properties.User = append(pk.Properties.User, packets.UserProperty{Key: u.Key, Val: u.Value})
	}
	return pk
}
