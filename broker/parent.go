package broker

import (
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/message"
)

// A filter that ends with # matches the level before it, too ([MQTT-4.7.1-2]):
// a/+/# matches a/b. Mochi (v2.7.9) overlooks that when this level is +. So such
// a subscription has a second entry in mochi's tree, at a/+, which lies among the
// shared subscriptions: there it is in nobody's way, not even in that of the same
// client's subscription to a/+, and it costs other topics nothing.
//
// What the client is told of, counts and stores is its own subscription alone.
// The second entry comes and goes with that.

// parentGroup is the share name of the second entry of a subscription that is not
// shared. A client can't have it: a share name has no wildcards ([MQTT-4.8.2-2]).
const parentGroup = "+"

// parentEntry returns the second entry of a subscription, and whether it needs one.
// That of a shared one is in a group of its own, whose members are those that
// share the filter.
func parentEntry(filter string) (entry string, needed bool) {
	above, ok := strings.CutSuffix(filter, "/#")
	if !ok || above != "+" && !strings.HasSuffix(above, "/+") {
		return "", false
	}
	if !mqtt.IsSharedFilter(filter) {
		return mqtt.SharePrefix + "/" + parentGroup + "/" + above, true
	}
	share, behind, _ := strings.Cut(above, "/")
	name, inner, ok := strings.Cut(behind, "/")
	return share + "/" + parentGroup + name + "/" + inner, ok
}

// subscribeParent adds the second entry of a subscription of a client, if it needs
// one. The subscription may be taken from the client at the same time: who does
// that removes the second entry last.
func (b *Broker) subscribeParent(cl *mqtt.Client, sub packets.Subscription) {
	entry, needed := parentEntry(sub.Filter)
	if !needed {
		return
	}
	filter := sub.Filter
	sub.Filter = entry
	b.srv.Topics.Subscribe(cl.ID, sub)
	if _, has := cl.State.Subscriptions.Get(filter); !has {
		b.unsubscribeParent(cl, filter)
	}
}

// unsubscribeParent removes the second entry of a subscription that a client has
// no more.
func (b *Broker) unsubscribeParent(cl *mqtt.Client, filter string) {
	if entry, needed := parentEntry(filter); needed {
		b.srv.Topics.Unsubscribe(entry, cl.ID)
	}
}

// mergeParents makes the second entries that match a topic what they stand for:
// one subscription more of their clients, each of which gets the message once. The
// groups of shared ones are left as they are: mochi selects a member of each.
func mergeParents(subs *mqtt.Subscribers) {
	prefix := mqtt.SharePrefix + "/" + parentGroup + "/"
	for filter, entries := range subs.Shared {
		if !strings.HasPrefix(filter, prefix) {
			continue
		}
		for id, sub := range entries {
			all, ok := subs.Subscriptions[id]
			if !ok {
				all = sub
			}
			subs.Subscriptions[id] = all.Merge(sub)
		}
		delete(subs.Shared, filter)
	}
}

// parentsOfBroker returns what the broker itself retains, below $SYS, on the level
// before the # of a filter: mochi sends all but that.
func (b *Broker) parentsOfBroker(filter string) (all []*message.Message) {
	above, ok := strings.CutSuffix(filter, "/#")
	if !ok || !strings.HasPrefix(filter, mqtt.SysPrefix) {
		return nil
	}
	for _, pk := range b.srv.Topics.Messages(above) {
		all = append(all, retained(&pk))
	}
	return all
}
