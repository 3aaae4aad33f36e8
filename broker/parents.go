package broker

import (
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A filter that ends with # also matches the level in front of it ([MQTT-4.7.1-2]).
// Mochi (v2.7.9) knows that of messages, and not of retained ones: a subscription
// to sports/# gets what is retained under sports from here.

// parent is a subscription whose parent level mochi overlooks.
type parent struct {
	packets.Subscription
	at int // in its SUBSCRIBE
}

// noteParents notes which subscriptions of a SUBSCRIBE will have to be seen to.
func (g *guard) noteParents(pk *packets.Packet) {
	for i, sub := range pk.Filters {
		_, existed := g.client.State.Subscriptions.Get(sub.Filter)
		switch {
		case !strings.HasSuffix(sub.Filter, "/#"), mqtt.IsSharedFilter(sub.Filter):
		case sub.RetainHandling == 2, sub.RetainHandling == 1 && existed: // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
		default:
			g.parents = append(g.parents, parent{sub, i})
		}
	}
	if len(g.parents) > 0 {
		g.b.parents.Add(1)
	}
}

// dropRefused forgets the subscriptions that were not granted.
func (g *guard) dropRefused(codes []byte) {
	granted := g.parents[:0]
	for _, p := range g.parents {
		if codes[p.at] < packets.ErrUnspecifiedError.Code {
			granted = append(granted, p)
		}
	}
	g.parents = granted
}

// sendParents sends what is retained under the parents of the subscriptions that
// were noted. SUBACK is out.
func (h *hook) sendParents(g *guard) {
	parents := g.parents
	g.parents = nil
	h.b.parents.Add(-1)
	for _, p := range parents {
		for _, pk := range h.b.srv.Topics.Messages(strings.TrimSuffix(p.Filter, "/#")) {
			own := p.NoLocal && pk.Origin == g.client.ID // [MQTT-3.8.3-3]
			if !own && h.OnACLCheck(g.client, pk.TopicName, false) {
				h.sendRetained(g.client, p.Subscription, pk)
			}
		}
	}
}

// sendRetained sends a retained message as mochi does.
func (h *hook) sendRetained(cl *mqtt.Client, sub packets.Subscription, pk packets.Packet) {
	out := pk.Copy(false)
	out.FixedHeader.Qos = min(out.FixedHeader.Qos, sub.Qos) // [MQTT-3.8.4-8]
	if sub.Identifier > 0 {
		out.Properties.SubscriptionIdentifier = []int{sub.Identifier} // [MQTT-3.3.4-3]
	}
	if out.FixedHeader.Qos > 0 {
		if cl.State.Inflight.Len() >= int(h.b.cfg.MaxInflight) {
			atomic.AddInt64(&h.b.srv.Info.InflightDropped, 1)
			return
		}
		id, err := cl.NextPacketID()
		if err != nil {
			atomic.AddInt64(&h.b.srv.Info.InflightDropped, 1)
			return
		}
		out.PacketID = uint16(id) // #nosec G115 -- at most 65535
		if cl.State.Inflight.Set(out) {
			atomic.AddInt64(&h.b.srv.Info.Inflight, 1)
			h.OnQosPublish(cl, out, out.Created, 0)
		}
	}
	_ = cl.WritePacket(out) // one that is gone is noticed by the next Read
}
