package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metric is one figure of a part, read when it is asked for.
type metric struct {
	name, help string
	counter    bool // else a gauge
	read       func() float64
}

// metrics returns the page of all metrics. No user, topic or address is ever a
// label: nobody outside decides how many series there are.
func (a *app) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, m := range append(a.brokerMetrics(), a.registryMetrics()...) {
		if m.counter {
			reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.name, Help: m.help}, m.read))
		} else {
			reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.name, Help: m.help}, m.read))
		}
	}
	reg.MustRegister(
		refusals{
			"mqttwarden_connects_refused_total", "CONNECT packets refused, by reason code of MQTT 5.",
			func() map[byte]uint64 { return a.broker.Stats().ConnectsRefused },
		},
		refusals{
			"mqttwarden_mqtt_packets_refused_total", "Packets that were malformed, out of order or over a limit and ended a connection, by reason code of MQTT 5.",
			func() map[byte]uint64 { return a.broker.Stats().PacketsRefused },
		},
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

func (a *app) brokerMetrics() []metric {
	b := a.broker
	return []metric{
		{"mqttwarden_mqtt_connections", "Open MQTT connections, signed in or not.", false, func() float64 { return float64(b.Stats().Connections) }},
		{"mqttwarden_mqtt_half_open", "MQTT connections not signed in.", false, func() float64 { return float64(b.Stats().HalfOpen) }},
		{"mqttwarden_mqtt_clients", "MQTT clients signed in.", false, func() float64 { return float64(b.Stats().Clients) }},
		{"mqttwarden_mqtt_sessions_stored", "Sessions without a connection.", false, func() float64 { return float64(b.Stats().SessionsStored) }},
		{"mqttwarden_mqtt_subscriptions", "Subscriptions.", false, func() float64 { return float64(b.Stats().Subscriptions) }},
		{"mqttwarden_mqtt_retained_messages", "Retained messages, those of the broker itself aside.", false, func() float64 { return float64(b.Stats().Retained) }},
		{"mqttwarden_mqtt_retained_bytes", "Bytes of retained messages: topics, payloads and properties.", false, func() float64 { return float64(b.Stats().RetainedBytes) }},
		{"mqttwarden_mqtt_inflight_messages", "QoS 1 and 2 messages under way or waiting.", false, func() float64 { return float64(b.Inflight()) }},
		{"mqttwarden_mqtt_connections_refused_total", "Connections refused because there were too many.", true, func() float64 { return float64(b.Stats().ConnectionsRefused) }},
		{"mqttwarden_mqtt_half_open_refused_total", "Connections refused because too many had not signed in.", true, func() float64 { return float64(b.Stats().HalfOpenRefused) }},
		{"mqttwarden_mqtt_address_half_open_refused_total", "The same, because too many of their address had not.", true, func() float64 { return float64(b.Stats().AddressHalfOpenRefused) }},
		{"mqttwarden_mqtt_address_refused_total", "Clients refused because too many of their address were signed in.", true, func() float64 { return float64(b.Stats().AddressRefused) }},
		{"mqttwarden_mqtt_proxy_headers_refused_total", "Connections refused because their PROXY header was missing, malformed or not from a trusted proxy.", true, func() float64 { return float64(b.Stats().ProxyHeadersRefused) }},
		{"mqttwarden_mqtt_upgrades_refused_total", "WebSocket upgrades that failed, other HTTP requests among them.", true, func() float64 { return float64(b.Stats().UpgradesRefused) }},
		{"mqttwarden_mqtt_handshakes_failed_total", "TLS handshakes that failed.", true, func() float64 { return float64(b.Stats().HandshakesFailed) }},
		{"mqttwarden_mqtt_rates_exceeded_total", "Connections ended because their client published faster than it may.", true, func() float64 { return float64(b.Stats().RatesExceeded) }},
		{"mqttwarden_mqtt_topics_reserved_total", "Publishes refused because their topic begins with $.", true, func() float64 { return float64(b.Stats().TopicsReserved) }},
		{"mqttwarden_mqtt_retained_refused_total", "Messages refused, or wills not retained, because too many or too large ones are retained.", true, func() float64 { return float64(b.Stats().RetainedRefused) }},
		{"mqttwarden_mqtt_topics_refused_total", "Publishes and wills refused because their topic is too long or too deep.", true, func() float64 { return float64(b.Stats().TopicsRefused) }},
		{"mqttwarden_mqtt_filters_refused_total", "Filters refused because they are too long or too deep.", true, func() float64 { return float64(b.Stats().FiltersRefused) }},
		{"mqttwarden_mqtt_subscriptions_refused_total", "Filters refused because their client had too many subscriptions.", true, func() float64 { return float64(b.Stats().SubscriptionsRefused) }},
		{"mqttwarden_mqtt_connect_timeouts_total", "Connections ended because no CONNECT came in time.", true, func() float64 { return float64(b.Stats().ConnectTimeouts) }},
		{"mqttwarden_mqtt_write_timeouts_total", "Connections ended because their client did not read in time.", true, func() float64 { return float64(b.Stats().WriteTimeouts) }},
		{"mqttwarden_mqtt_panics_total", "Faults of ours that ended a connection.", true, func() float64 { return float64(b.Stats().Panics) }},
		{"mqttwarden_mqtt_messages_received_total", "MQTT packets received.", true, func() float64 { return float64(b.Stats().MessagesReceived) }},
		{"mqttwarden_mqtt_messages_sent_total", "MQTT packets sent.", true, func() float64 { return float64(b.Stats().MessagesSent) }},
		{"mqttwarden_mqtt_messages_dropped_total", "Messages dropped because a client read too slowly.", true, func() float64 { return float64(b.Stats().MessagesDropped) }},
		{"mqttwarden_mqtt_received_bytes_total", "Bytes received over MQTT.", true, func() float64 { return float64(b.Stats().BytesReceived) }},
		{"mqttwarden_mqtt_sent_bytes_total", "Bytes sent over MQTT.", true, func() float64 { return float64(b.Stats().BytesSent) }},
		{"mqttwarden_sessions_written_total", "Records of sessions and retained messages written to disk.", true, func() float64 { return float64(b.Stats().Sessions.Written) }},
		{"mqttwarden_sessions_dropped_total", "Records that will not survive a restart, because too many waited to be written.", true, func() float64 { return float64(b.Stats().Sessions.Dropped) }},
		{"mqttwarden_sessions_skipped_total", "Records that could not be used at the start.", true, func() float64 { return float64(b.Stats().Sessions.Skipped) }},
		{"mqttwarden_sessions_pending_bytes", "Bytes of records that wait to be written.", false, func() float64 { return float64(b.Stats().Sessions.Pending) }},
		{"mqttwarden_sessions_flush_failures_total", "Attempts to write records that failed; they are repeated.", true, func() float64 { return float64(b.Stats().Sessions.Failures) }},
		{"mqttwarden_sessions_failing", "1 while records can't be written.", false, func() float64 {
			if b.Stats().Sessions.Failing {
				return 1
			}
			return 0
		}},
		{"mqttwarden_sessions_flush_seconds", "How long the last write to disk took.", false, func() float64 { return b.Stats().Sessions.LastFlush.Seconds() }},
		{"mqttwarden_connects_accepted_total", "CONNECT packets accepted.", true, func() float64 { return float64(b.Stats().ConnectsAccepted) }},
		{"mqttwarden_client_ids_refused_total", "CONNECT packets refused because their client ID is too long.", true, func() float64 { return float64(b.Stats().ClientIDsTooLong) }},
		{"mqttwarden_user_connections_refused_total", "CONNECT packets refused because their user had too many connections.", true, func() float64 { return float64(b.Stats().UserConnectionsRefused) }},
		{"mqttwarden_stored_sessions_refused_total", "CONNECT packets refused because their user had too many sessions that outlive their connection.", true, func() float64 { return float64(b.Stats().StoredSessionsRefused) }},
		{"mqttwarden_keep_alives_set_total", "CONNECT packets whose keep alive the server set, because it was too long or none.", true, func() float64 { return float64(b.Stats().KeepAlivesSet) }},
		{"mqttwarden_session_expiries_lowered_total", "CONNECT packets whose session expiry the server lowered.", true, func() float64 { return float64(b.Stats().ExpiriesLowered) }},
		{"mqttwarden_publishes_denied_total", "Publishes refused by a policy.", true, func() float64 { return float64(b.Stats().PublishesDenied) }},
		{"mqttwarden_subscribes_denied_total", "Filters refused by a policy.", true, func() float64 { return float64(b.Stats().SubscribesDenied) }},
		{"mqttwarden_deliveries_denied_total", "Deliveries refused by a policy.", true, func() float64 { return float64(b.Stats().DeliveriesDenied) }},
		{"mqttwarden_sessions_ended_total", "Sessions ended because their user or credential no longer held.", true, func() float64 { return float64(b.Stats().SessionsEnded) }},
		{"mqttwarden_wills_dropped_total", "Wills not sent because they were no longer allowed.", true, func() float64 { return float64(b.Stats().WillsDropped) }},
	}
}

func (a *app) registryMetrics() []metric {
	ms := []metric{
		{"mqttwarden_hash_workers", "Passwords that may be hashed at once.", false, func() float64 { return float64(a.opened.pool.Stats().Workers) }},
		{"mqttwarden_hash_running", "Passwords being hashed.", false, func() float64 { return float64(a.opened.pool.Stats().Running) }},
		{"mqttwarden_hash_waiting", "Sign-ins waiting for a hash.", false, func() float64 { return float64(a.opened.pool.Stats().Waiting) }},
		{"mqttwarden_hash_done_total", "Passwords hashed.", true, func() float64 { return float64(a.opened.pool.Stats().Done) }},
		{"mqttwarden_hash_refused_total", "Sign-ins refused because too many waited.", true, func() float64 { return float64(a.opened.pool.Stats().Refused) }},
		{"mqttwarden_principals", "Users held in memory.", false, func() float64 { _, _, n := a.principals.Stats(); return float64(n) }},
		{"mqttwarden_principals_hits_total", "Look-ups that memory answered.", true, func() float64 { n, _, _ := a.principals.Stats(); return float64(n) }},
		{"mqttwarden_principals_misses_total", "Look-ups that memory did not answer.", true, func() float64 { _, n, _ := a.principals.Stats(); return float64(n) }},
		{"mqttwarden_certificates_expiring", "Client certificates issued here that expire within 30 days and were not renewed.", false, a.expiring},
		{"mqttwarden_change_enforced", "Number of the last change that is enforced here.", false, func() float64 { return float64(a.follower.Enforced()) }},
	}
	if a.cache == nil {
		return ms
	}
	return append(ms,
		metric{"mqttwarden_cache_hits_total", "Look-ups that Redis answered.", true, func() float64 { return float64(a.cache.Stats().Hits) }},
		metric{"mqttwarden_cache_misses_total", "Look-ups that Redis did not answer or was not believed.", true, func() float64 {
			var n uint64
			for _, m := range a.cache.Stats().Misses {
				n += m
			}
			return float64(n)
		}},
		metric{"mqttwarden_cache_down", "1 while Redis does not answer.", false, func() float64 {
			if a.cache.Stats().Down {
				return 1
			}
			return 0
		}},
	)
}

// expiring counts the certificates whose holders should have renewed.
func (a *app) expiring() float64 {
	const soon = 30 * 24 * time.Hour
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n, err := a.opened.service.ExpiringBefore(ctx, time.Now().Add(soon))
	if err != nil {
		return math.NaN() // not known, and an alarm should see that
	}
	return float64(n)
}

// refusals collects what was refused, one series for each reason code met.
type refusals struct {
	name, help string
	read       func() map[byte]uint64
}

func (r refusals) desc() *prometheus.Desc {
	return prometheus.NewDesc(r.name, r.help, []string{"code"}, nil)
}

// Describe implements prometheus.Collector.
func (r refusals) Describe(ch chan<- *prometheus.Desc) { ch <- r.desc() }

// Collect implements prometheus.Collector.
func (r refusals) Collect(ch chan<- prometheus.Metric) {
	for code, n := range r.read() {
		ch <- prometheus.MustNewConstMetric(r.desc(), prometheus.CounterValue, float64(n), fmt.Sprintf("0x%02X", code))
	}
}
