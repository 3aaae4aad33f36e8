package program

import (
	"slices"

	"mqttwarden/broker"
)

// brokerFigures are what the broker tells of itself.
type brokerFigures struct {
	broker.Stats
	inflight int
}

// brokerPart are the metrics of the broker.
func brokerPart(snapshot func() brokerFigures) part[brokerFigures] {
	return part[brokerFigures]{snapshot, slices.Concat(trafficSeries(), sessionSeries())}
}

// trafficSeries are the metrics of connections, packets and what is kept of them.
func trafficSeries() []series[brokerFigures] {
	return []series[brokerFigures]{
		gauge("mqttwarden_mqtt_connections", "Open MQTT connections, signed in or not.", func(s brokerFigures) float64 { return float64(s.Connections) }),
		gauge("mqttwarden_mqtt_half_open", "MQTT connections not signed in.", func(s brokerFigures) float64 { return float64(s.HalfOpen) }),
		gauge("mqttwarden_mqtt_clients", "MQTT clients signed in.", func(s brokerFigures) float64 { return float64(s.Clients) }),
		gauge("mqttwarden_mqtt_subscriptions", "Subscriptions.", func(s brokerFigures) float64 { return float64(s.Subscriptions) }),
		gauge("mqttwarden_mqtt_retained_messages", "Retained messages, those of the broker itself aside.", func(s brokerFigures) float64 { return float64(s.Retained) }),
		gauge("mqttwarden_mqtt_retained_bytes", "Bytes of retained messages: topics, payloads and properties.", func(s brokerFigures) float64 { return float64(s.RetainedBytes) }),
		gauge("mqttwarden_mqtt_inflight_messages", "QoS 1 and 2 messages under way or waiting.", func(s brokerFigures) float64 { return float64(s.inflight) }),
		gauge("mqttwarden_mqtt_waiting_bytes", "Bytes of the QoS 1 and 2 messages that wait for clients; queues of less than 4 KiB aside.", func(s brokerFigures) float64 { return float64(s.WaitingBytes) }),
		counter("mqttwarden_mqtt_connections_refused_total", "Connections refused because there were too many.", func(s brokerFigures) float64 { return float64(s.ConnectionsRefused) }),
		counter("mqttwarden_mqtt_half_open_refused_total", "Connections closed because too many had not signed in.", func(s brokerFigures) float64 { return float64(s.HalfOpenRefused) }),
		counter("mqttwarden_mqtt_address_half_open_refused_total", "The same, because too many of their address had not.", func(s brokerFigures) float64 { return float64(s.AddressHalfOpenRefused) }),
		counter("mqttwarden_mqtt_address_refused_total", "Clients refused because too many of their address were signed in.", func(s brokerFigures) float64 { return float64(s.AddressRefused) }),
		counter("mqttwarden_mqtt_proxy_headers_refused_total", "Connections refused because their PROXY header was missing, malformed or not from a trusted proxy.", func(s brokerFigures) float64 { return float64(s.ProxyHeadersRefused) }),
		counter("mqttwarden_mqtt_upgrades_refused_total", "WebSocket upgrades that failed, other HTTP requests among them.", func(s brokerFigures) float64 { return float64(s.UpgradesRefused) }),
		counter("mqttwarden_mqtt_handshakes_failed_total", "TLS handshakes that failed.", func(s brokerFigures) float64 { return float64(s.HandshakesFailed) }),
		counter("mqttwarden_mqtt_rates_exceeded_total", "Connections ended because their client published, or asked for answers, faster than it may.", func(s brokerFigures) float64 { return float64(s.RatesExceeded) }),
		counter("mqttwarden_mqtt_topics_reserved_total", "Publishes refused because their topic begins with $.", func(s brokerFigures) float64 { return float64(s.TopicsReserved) }),
		counter("mqttwarden_mqtt_retained_refused_total", "Messages refused, or wills not retained, because too many or too large ones are retained.", func(s brokerFigures) float64 { return float64(s.RetainedRefused) }),
		counter("mqttwarden_mqtt_topics_refused_total", "Publishes and wills refused because their topic is too long or too deep.", func(s brokerFigures) float64 { return float64(s.TopicsRefused) }),
		counter("mqttwarden_mqtt_filters_refused_total", "Filters refused because they are too long or too deep.", func(s brokerFigures) float64 { return float64(s.FiltersRefused) }),
		counter("mqttwarden_mqtt_subscriptions_refused_total", "Filters refused because their client had too many subscriptions.", func(s brokerFigures) float64 { return float64(s.SubscriptionsRefused) }),
		counter("mqttwarden_mqtt_patterns_refused_total", "Filters refused because those of their user had their wildcards in too many ways.", func(s brokerFigures) float64 { return float64(s.PatternsRefused) }),
		counter("mqttwarden_mqtt_waiting_refused_total", "Messages not queued because too many bytes waited for their client or its user.", func(s brokerFigures) float64 { return float64(s.WaitingRefused) }),
		counter("mqttwarden_mqtt_work_paced_total", "Times that a client had to wait because the packets of its user kept the broker busy.", func(s brokerFigures) float64 { return float64(s.WorkPaced) }),
		counter("mqttwarden_mqtt_connect_timeouts_total", "Connections ended because no CONNECT came in time.", func(s brokerFigures) float64 { return float64(s.ConnectTimeouts) }),
		counter("mqttwarden_mqtt_write_timeouts_total", "Connections ended because their client did not read in time.", func(s brokerFigures) float64 { return float64(s.WriteTimeouts) }),
		counter("mqttwarden_mqtt_panics_total", "Faults of ours that ended a connection.", func(s brokerFigures) float64 { return float64(s.Panics) }),
		counter("mqttwarden_mqtt_messages_received_total", "MQTT packets received.", func(s brokerFigures) float64 { return float64(s.MessagesReceived) }),
		counter("mqttwarden_mqtt_messages_sent_total", "MQTT packets sent.", func(s brokerFigures) float64 { return float64(s.MessagesSent) }),
		counter("mqttwarden_mqtt_messages_dropped_total", "Messages dropped because a client read too slowly.", func(s brokerFigures) float64 { return float64(s.MessagesDropped) }),
		counter("mqttwarden_mqtt_received_bytes_total", "Bytes received over MQTT.", func(s brokerFigures) float64 { return float64(s.BytesReceived) }),
		counter("mqttwarden_mqtt_sent_bytes_total", "Bytes sent over MQTT.", func(s brokerFigures) float64 { return float64(s.BytesSent) }),
		counter("mqttwarden_sessions_written_total", "Records of sessions and retained messages written to disk.", func(s brokerFigures) float64 { return float64(s.Sessions.Written) }),
		counter("mqttwarden_sessions_dropped_total", "Records that will not survive a restart, because too many waited to be written.", func(s brokerFigures) float64 { return float64(s.Sessions.Dropped) }),
		counter("mqttwarden_sessions_skipped_total", "Records that could not be used at the start.", func(s brokerFigures) float64 { return float64(s.Sessions.Skipped) }),
		gauge("mqttwarden_sessions_pending_bytes", "Bytes of records that wait to be written.", func(s brokerFigures) float64 { return float64(s.Sessions.Pending) }),
		counter("mqttwarden_sessions_flush_failures_total", "Attempts to write records that failed; they are repeated.", func(s brokerFigures) float64 { return float64(s.Sessions.Failures) }),
		gauge("mqttwarden_sessions_failing", "1 while records can't be written.", func(s brokerFigures) float64 { return oneIf(s.Sessions.Failing) }),
		gauge("mqttwarden_sessions_flush_seconds", "How long the last write to disk took.", func(s brokerFigures) float64 { return s.Sessions.LastFlush.Seconds() }),
		byCause("mqttwarden_mqtt_incidents_total", "Refusals, take-overs and ends of connections that clients brought about, by the cause that the log tells.",
			func(s brokerFigures) map[string]uint64 { return s.Incidents }),
		byCode("mqttwarden_mqtt_packets_refused_total", "Packets that were malformed, out of order or over a limit and ended a connection, by reason code of MQTT 5.",
			func(s brokerFigures) map[byte]uint64 { return s.PacketsRefused }),
	}
}

// sessionSeries are the metrics of sign-ins, and of what sessions may.
func sessionSeries() []series[brokerFigures] {
	return []series[brokerFigures]{
		gauge("mqttwarden_mqtt_sessions_stored", "Sessions without a connection.", func(s brokerFigures) float64 { return float64(s.SessionsStored) }),
		counter("mqttwarden_connects_accepted_total", "CONNECT packets accepted.", func(s brokerFigures) float64 { return float64(s.ConnectsAccepted) }),
		counter("mqttwarden_client_ids_refused_total", "CONNECT packets refused because their client ID is too long.", func(s brokerFigures) float64 { return float64(s.ClientIDsTooLong) }),
		counter("mqttwarden_user_connections_refused_total", "CONNECT packets refused because their user had too many connections.", func(s brokerFigures) float64 { return float64(s.UserConnectionsRefused) }),
		counter("mqttwarden_stored_sessions_refused_total", "CONNECT packets refused because their user had too many sessions that outlive their connection.", func(s brokerFigures) float64 { return float64(s.StoredSessionsRefused) }),
		counter("mqttwarden_keep_alives_set_total", "CONNECT packets whose keep alive the server set, because it was too long or none.", func(s brokerFigures) float64 { return float64(s.KeepAlivesSet) }),
		counter("mqttwarden_session_expiries_lowered_total", "CONNECT packets whose session expiry the server lowered.", func(s brokerFigures) float64 { return float64(s.ExpiriesLowered) }),
		counter("mqttwarden_publishes_denied_total", "Publishes refused by a policy.", func(s brokerFigures) float64 { return float64(s.PublishesDenied) }),
		counter("mqttwarden_subscribes_denied_total", "Filters refused by a policy.", func(s brokerFigures) float64 { return float64(s.SubscribesDenied) }),
		counter("mqttwarden_deliveries_denied_total", "Deliveries refused by a policy.", func(s brokerFigures) float64 { return float64(s.DeliveriesDenied) }),
		counter("mqttwarden_sessions_ended_total", "Sessions ended because their user or credential no longer held.", func(s brokerFigures) float64 { return float64(s.SessionsEnded) }),
		counter("mqttwarden_wills_dropped_total", "Wills not sent because they were no longer allowed.", func(s brokerFigures) float64 { return float64(s.WillsDropped) }),
		byCode("mqttwarden_connects_refused_total", "CONNECT packets refused, by reason code of MQTT 5.",
			func(s brokerFigures) map[byte]uint64 { return s.ConnectsRefused }),
	}
}
