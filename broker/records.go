package broker

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/keep"
	"mqttwarden/broker/message"
)

// What is there of a session, as the store keeps it, and back.

// storedSession returns a session that ends at expires, zero while it is
// connected, with a will that is delayed until due, nil if there is none.
func storedSession(s *session, expires time.Time, delayed *will, due time.Time) keep.Session {
	k := keep.Session{
		ClientID: s.id, User: s.user, Proof: s.login.Proof(),
		Version: s.client.Properties.ProtocolVersion, Clean: s.client.Properties.Clean,
		Expiry: s.client.Properties.Props.SessionExpiryInterval, Until: expires,
	}
	if delayed != nil {
		k.Will, k.WillDue = &delayed.message, due
	}
	return k
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

// delivery returns what waits for a client.
func delivery(pk *packets.Packet, at place) *keep.Delivery {
	d := &keep.Delivery{PacketID: pk.PacketID, Order: at.order, Stage: keep.Queued}
	switch {
	case pk.FixedHeader.Type == packets.Pubrel:
		d.Stage = keep.Released
		return d
	case at.sent:
		d.Stage = keep.Sent
	}
	// Shared: mochi copies a message for each client, and changes none of it.
	d.Message = message.FromPacket(pk)
	return d
}

func deliveryFrom(d *keep.Delivery) packets.Packet {
	if d.Stage == keep.Released {
		return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: d.PacketID}
	}
	pk := d.Packet()
	pk.PacketID = d.PacketID
	return pk
}
