package broker

import (
	"sync/atomic"

	"mqttwarden/broker/internal/keep"
)

// Stats are counts of the broker. All but the first six only grow.
type Stats struct {
	Connections   int   // open now, signed in or not
	HalfOpen      int   // open now, not signed in
	Clients       int64 // signed in now
	Subscriptions int64 // now
	Retained      int64 // messages, now, those of the broker itself aside
	RetainedBytes int64 // of them, now: topics, payloads and properties

	ConnectionsRefused     uint64          // above MaxConnections
	HalfOpenRefused        uint64          // above MaxHalfOpen
	AddressHalfOpenRefused uint64          // above MaxHalfOpenPerAddress
	AddressRefused         uint64          // above MaxConnectionsPerAddress
	ProxyHeadersRefused    uint64          // missing, malformed, or not from a trusted proxy
	HandshakesFailed       uint64          // of TLS
	UpgradesRefused        uint64          // that should have begun a WebSocket; other HTTP requests are among them
	PacketsRefused         map[byte]uint64 // that ended a connection, by reason code of MQTT 5
	RatesExceeded          uint64          // connections ended for publishing too fast
	TopicsReserved         uint64          // publishes to topics that begin with $
	RetainedRefused        uint64          // messages, because of MaxRetained or MaxRetainedBytes
	TopicsRefused          uint64          // publishes and wills to topics that are too long or too deep
	FiltersRefused         uint64          // that are too long or too deep
	SubscriptionsRefused   uint64          // above MaxSubscriptions
	ConnectTimeouts        uint64          // connections without a CONNECT within ConnectTimeout
	WriteTimeouts          uint64          // connections ended because a write took WriteTimeout
	Panics                 uint64          // that ended a connection
	MessagesReceived       int64
	MessagesSent           int64
	MessagesDropped        int64 // because a client read too slowly
	BytesReceived          int64
	BytesSent              int64

	Sessions keep.Stats // of what survives a restart
}

// Stats returns the counts as they are now.
func (b *Broker) Stats() Stats {
	b.mu.Lock()
	connections := len(b.conns)
	b.mu.Unlock()
	info := b.srv.Info
	retained := b.retained.Stats()
	refused := make(map[byte]uint64)
	for code := range b.violations {
		if n := b.violations[code].Load(); n > 0 {
			refused[byte(code)] = n // #nosec G115 -- an array of 256
		}
	}
	return Stats{
		Connections:            connections,
		HalfOpen:               b.admission.open(),
		Clients:                atomic.LoadInt64(&info.ClientsConnected),
		Subscriptions:          atomic.LoadInt64(&info.Subscriptions),
		Retained:               int64(retained.Messages),
		RetainedBytes:          retained.Bytes,
		RetainedRefused:        retained.Refused,
		ConnectionsRefused:     b.refused.Load(),
		HalfOpenRefused:        b.admission.refused.Load(),
		AddressHalfOpenRefused: b.admission.refusedHalfOpen.Load(),
		AddressRefused:         b.admission.refusedSeat.Load(),
		ProxyHeadersRefused:    b.misled.Load(),
		UpgradesRefused:        b.notUpgraded.Load(),
		HandshakesFailed:       b.failed.Load(),
		PacketsRefused:         refused,
		RatesExceeded:          b.rated.Load(),
		TopicsReserved:         b.reserved.Load(),
		TopicsRefused:          b.topics.Load(),
		FiltersRefused:         b.filters.Load(),
		SubscriptionsRefused:   b.subscriptions.Load(),
		ConnectTimeouts:        b.late.Load(),
		WriteTimeouts:          b.stalled.Load(),
		Panics:                 b.panics.Load(),
		MessagesReceived:       atomic.LoadInt64(&info.MessagesReceived),
		MessagesSent:           atomic.LoadInt64(&info.MessagesSent),
		MessagesDropped:        atomic.LoadInt64(&info.MessagesDropped) + atomic.LoadInt64(&info.InflightDropped),
		BytesReceived:          atomic.LoadInt64(&info.BytesReceived),
		BytesSent:              atomic.LoadInt64(&info.BytesSent),
		Sessions:               b.persist.store.Stats(),
	}
}

// Inflight returns how many messages of QoS 1 and 2 are under way to clients or
// wait for them, connected or not. It asks every client: the count that mochi
// keeps (v2.7.9) is off after each message that was dropped and each session that
// was resumed.
func (b *Broker) Inflight() int {
	n := 0
	for _, cl := range b.srv.Clients.GetAll() {
		n += cl.State.Inflight.Len()
	}
	return n
}
