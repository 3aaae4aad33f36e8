package broker

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/retain"
	"mqttwarden/broker/message"
)

// What is retained is sent to who subscribes: by the goroutine that reads from the
// client, a page at a time, each message when the client's socket takes it. Until
// all of it is sent nothing more is read from the client.

// replayPage is how many retained messages are found ahead of what is sent.
const replayPage = 64

// wanted is a subscription that gets what is retained.
type wanted struct {
	packets.Subscription
	at      int // in its SUBSCRIBE
	pages   *retain.Pages
	parents []*message.Message // of the broker itself, on the level before "+/#"
}

// noteWanted notes which subscriptions of a SUBSCRIBE get what is retained. A filter
// that it has several times gets that once, as the last of them asks for.
func (g *guard) noteWanted(pk *packets.Packet) {
	var places map[string]int // in wanted
	if len(pk.Filters) > 1 {
		places = make(map[string]int, len(pk.Filters))
	}
	for i, sub := range pk.Filters {
		_, existed := g.client.State.Subscriptions.Get(sub.Filter)
		switch {
		case sub.Filter == "", mqtt.IsSharedFilter(sub.Filter): // section 4.8.2
			continue
		case sub.RetainHandling == 2, sub.RetainHandling == 1 && existed: // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
			continue
		}
		w := wanted{Subscription: sub, at: i}
		if at, again := places[sub.Filter]; again {
			g.current.wanted[at] = w
			continue
		}
		if places != nil {
			places[sub.Filter] = len(g.current.wanted)
		}
		g.current.wanted = append(g.current.wanted, w)
	}
}

// findWanted takes note of what is retained for the subscriptions that were granted.
// Mochi has them already, and SUBACK is not out yet: what is published from now on
// comes to the client as such, and only so.
func (g *guard) findWanted(codes []byte) {
	g.current.wanted = slices.DeleteFunc(g.current.wanted, func(w wanted) bool {
		return codes[w.at] >= packets.ErrUnspecifiedError.Code
	})
	for i := range g.current.wanted {
		w := &g.current.wanted[i]
		w.pages = g.b.retained.Pages(w.Filter)
		w.parents = g.b.parentsOfBroker(w.Filter)
	}
}

// sendWanted sends what is retained for the subscriptions. SUBACK is out, and mochi
// deals with nothing of the client. It is charged to the user, and waits when that
// has used up its share; the time that the client's socket takes is not charged.
func (g *guard) sendWanted() {
	all := g.current.wanted
	g.current.wanted = nil
	if g.endWork() != nil {
		return
	}
	for _, w := range all {
		for more := true; more; {
			var page []*message.Message
			if page, more = w.pages.Next(replayPage, time.Now().Unix()); !g.sendPage(&w.Subscription, page) {
				return
			}
		}
		if len(w.parents) > 0 && !g.sendPage(&w.Subscription, w.parents) {
			return
		}
	}
	g.beginWork()
}

// sendPage sends a page of retained messages, and reports whether to go on. What
// took the place of a message meanwhile was delivered as it came, and is not
// overtaken from here.
func (g *guard) sendPage(sub *packets.Subscription, page []*message.Message) bool {
	for _, m := range page {
		switch {
		case g.client.Closed():
			return false
		case sub.NoLocal && m.Origin == g.client.ID: // [MQTT-3.8.3-3]
		case !g.session.mayRead(m.Topic):
			g.b.count.readsDenied.Add(1)
		case g.b.retained.Get(m.Topic) != m && !strings.HasPrefix(m.Topic, mqtt.SysPrefix):
		default:
			g.sendRetained(sub, m)
		}
	}
	m := g.session.meter
	if m == nil {
		return true
	}
	now := time.Now()
	m.charge(time.Duration(1+len(page))*replayCost, now)
	return g.pace(m, now) == nil
}

// sendRetained sends a retained message as mochi does.
func (g *guard) sendRetained(sub *packets.Subscription, m *message.Message) {
	b, cl := g.b, g.client
	out := m.Packet()
	out.FixedHeader.Retain = true                           // [MQTT-3.3.1-8]
	out.FixedHeader.Qos = min(out.FixedHeader.Qos, sub.Qos) // [MQTT-3.8.4-8]
	if sub.Identifier > 0 {
		out.Properties.SubscriptionIdentifier = []int{sub.Identifier} // [MQTT-3.3.4-3]
	}
	if out.FixedHeader.Qos > 0 {
		if cl.State.Inflight.Len() >= int(b.cfg.MaxInflight) || g.session.overfull() {
			atomic.AddInt64(&b.srv.Info.InflightDropped, 1)
			return
		}
		id, err := cl.NextPacketID()
		if err != nil {
			atomic.AddInt64(&b.srv.Info.InflightDropped, 1)
			return
		}
		out.PacketID = uint16(id) // #nosec G115 -- at most 65535
		if cl.State.Inflight.Set(out) {
			atomic.AddInt64(&b.srv.Info.Inflight, 1)
			b.waits(g.session, &out)
		}
	}
	_ = cl.WritePacket(out) // one that is gone is noticed by the next Read
}
