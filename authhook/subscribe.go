package authhook

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// OnSubscribe implements mqtt.Hook. The filters are judged one by one in
// OnACLCheck; this only notes by what.
func (h *Hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if s := sessionOf(cl); s != nil {
		s.subscribed = s.rights()
	}
	return pk
}

// OnSubscribed implements mqtt.Hook. When the user has changed while a SUBSCRIBE
// was being dealt with, what Enforce found may have been less than there is now.
func (h *Hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, reasonCodes []byte) {
	for i, code := range reasonCodes {
		switch code {
		case packets.ErrUnspecifiedError.Code: // MQTT 3 hears nothing else
			if !mqtt.IsValidFilter(pk.Filters[i].Filter, false) {
				continue // nobody was asked
			}
		case packets.ErrNotAuthorized.Code:
		default:
			continue
		}
		h.counts.deniedSubscribes.Add(1)
	}
	if s := sessionOf(cl); s != nil && s.subscribed != s.rights() {
		h.host.Prune(cl, s.mayRead)
	}
}
