package broker

import (
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// noteRefused takes out of a SUBSCRIBE what is over a limit: filters that are too
// long or too deep, and those that the client has no room for. Mochi refuses a
// filter that is empty and goes on with the others.
//
// All that is not subscribed to yet counts, also what the hook is about to
// refuse: who asks for more than there is room for gets the first of it at most.
func (g *guard) noteRefused(pk *packets.Packet) {
	g.current.overQuota = g.current.overQuota[:0]
	for i := range pk.Filters {
		if g.b.filterTooLarge(pk.Filters[i].Filter) {
			g.b.count.filtersRefused.Add(1)
			pk.Filters[i].Filter = "" // to mochi 0x8F, Topic Filter invalid
		}
		// Mochi makes it a part of the packet, which would live as long.
		pk.Filters[i].Filter = strings.Clone(pk.Filters[i].Filter)
	}
	has := g.client.State.Subscriptions
	room := g.b.cfg.MaxSubscriptions - has.Len()
	if len(pk.Filters) <= room {
		return
	}
	asked := make(map[string]struct{})
	for i, sub := range pk.Filters {
		if _, replaces := has.Get(sub.Filter); replaces || sub.Filter == "" {
			continue
		}
		if _, again := asked[sub.Filter]; again {
			continue
		}
		if len(asked) >= room {
			g.b.count.subscriptionsRefused.Add(1)
			g.current.overQuota = append(g.current.overQuota, i)
			pk.Filters[i].Filter = ""
			continue
		}
		asked[sub.Filter] = struct{}{}
	}
}

// tellOverQuota puts Quota exceeded (MQTT 5 section 3.9.3) into the codes of a
// SUBACK that is about to be sent. MQTT 3 knows but one code for a refusal.
func (g *guard) tellOverQuota(codes []byte) {
	if n := len(g.current.overQuota); n > 0 {
		g.reportFilters(n)
	}
	for _, at := range g.current.overQuota {
		if g.client.Properties.ProtocolVersion >= 5 {
			codes[at] = packets.ErrQuotaExceeded.Code
		}
	}
	g.current.overQuota = g.current.overQuota[:0]
}

// filterTooLarge reports whether a filter is too long or too deep. Of a shared
// one, that is the filter behind the share name, which may be as long.
func (b *Broker) filterTooLarge(filter string) bool {
	if mqtt.IsSharedFilter(filter) {
		name, inner := unshare(filter)
		if len(name) > b.cfg.MaxTopicLength {
			return true
		}
		filter = inner
	}
	return b.cfg.nameTooLarge(len(filter), strings.Count(filter, "/"))
}

// unshare returns the share name of a shared subscription and the filter behind
// it (MQTT 5 section 4.8.2).
func unshare(filter string) (name, inner string) {
	_, shared, _ := strings.Cut(filter, "/")
	name, inner, _ = strings.Cut(shared, "/")
	return name, inner
}

// nameTooLarge reports whether a topic or filter of so many bytes, and so many
// slashes among them, is too long or too deep.
func (c *Config) nameTooLarge(length, slashes int) bool {
	return length > c.MaxTopicLength || slashes >= c.MaxTopicLevels
}
