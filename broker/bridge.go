package broker

import (
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A bridge is another broker that connects here as a client, to pass messages on
// in one direction or in both.

// subscribeAsBridge gives the filters of a SUBSCRIBE of a bridge the options of
// MQTT 5 (section 3.8.3.1) that a bridge of MQTT 3 asks for with its protocol level:
// No Local, or its own messages would come back and go round for ever, and Retain
// As Published.
func (g *guard) subscribeAsBridge(pk *packets.Packet) {
	if !g.bridge {
		return
	}
	for i := range pk.Filters {
		f := &pk.Filters[i]
		f.NoLocal = !mqtt.IsSharedFilter(f.Filter) // [MQTT-3.8.3-4]
		f.RetainAsPublished, f.FwdRetainedFlag = true, true
	}
}

// isBridgeState reports whether a topic is the one on which a bridge of Mosquitto,
// unless it is set otherwise, tells whether it is connected. It is also the topic of
// its will. Both are for its own broker's users as well; here, topics that begin with
// $ are the broker's own.
func isBridgeState(topic string) bool {
	name, ok := strings.CutPrefix(topic, mqtt.SysPrefix+"/broker/connection/")
	return ok && strings.HasSuffix(name, "/state")
}

// dropBridgeState lets a bridge in whose will is its state, without the will: it
// would not be sent, and refused the bridge would try again for ever.
func (b *Broker) dropBridgeState(s *session) {
	s.client.Properties.Will = mqtt.Will{}
	b.count.willsDropped.Add(1)
	b.log.Info("will of a bridge not taken: it is below $SYS", "client", printable(s.id), "user", printable(s.login.Username()))
}
