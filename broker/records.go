package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/keep"
	"mqttwarden/broker/message"
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

// delivery returns what waits for a client.
func delivery(pk *packets.Packet, e entry) *keep.Delivery {
	d := &keep.Delivery{PacketID: pk.PacketID, Order: e.order, Stage: keep.Queued}
	switch {
	case pk.FixedHeader.Type == packets.Pubrel:
		d.Stage = keep.Released
		return d
	case e.sent:
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
