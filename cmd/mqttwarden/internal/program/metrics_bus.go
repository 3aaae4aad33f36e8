package program

import "mqttwarden/registry/rediscache"

// busFigures tell of the bus between nodes.
type busFigures struct {
	rediscache.BusStats
	peers int
}

func (a *app) busFigures() busFigures {
	return busFigures{a.register.Cache.Bus().Stats(), len(a.register.Follower.Peers())}
}

// busPart are the metrics of the bus between nodes.
func busPart(snapshot func() busFigures) part[busFigures] {
	return part[busFigures]{snapshot, []series[busFigures]{
		gauge("mqttwarden_bus_connected", "1 while other nodes are heard over Redis; otherwise their changes are looked for every two seconds.", func(s busFigures) float64 { return oneIf(s.Connected) }),
		gauge("mqttwarden_bus_peers", "Other nodes that were heard within 30 seconds.", func(s busFigures) float64 { return float64(s.peers) }),
		gauge("mqttwarden_bus_heard_timestamp_seconds", "When another node was heard last, 0 if none was.", func(s busFigures) float64 {
			if s.Heard.IsZero() {
				return 0
			}
			return float64(s.Heard.UnixMilli()) / 1000
		}),
		counter("mqttwarden_bus_sent_total", "Messages to other nodes.", func(s busFigures) float64 { return float64(s.Sent) }),
		counter("mqttwarden_bus_unsent_total", "Messages to other nodes that Redis did not take.", func(s busFigures) float64 { return float64(s.Unsent) }),
		counter("mqttwarden_bus_received_total", "Messages from other nodes.", func(s busFigures) float64 { return float64(s.Received) }),
		counter("mqttwarden_bus_dropped_total", "Messages that no node sent, or that came once more.", func(s busFigures) float64 {
			var n uint64
			for _, refused := range s.Refused {
				n += refused
			}
			return float64(n)
		}),
		counter("mqttwarden_bus_losses_total", "Losses of the connection over which nodes are heard, and tries to make it that failed.", func(s busFigures) float64 { return float64(s.Losses) }),
	}}
}
