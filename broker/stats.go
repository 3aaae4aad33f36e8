package broker

import (
	"sync/atomic"

	"mqttwarden/broker/internal/keep"
)

// counters are the counters behind Stats, where each is told of.
type counters struct {
	connectionsRefused   atomic.Uint64
	proxyHeadersRefused  atomic.Uint64
	handshakesFailed     atomic.Uint64
	upgradesRefused      atomic.Uint64
	packetsRefused       [256]atomic.Uint64
	ratesExceeded        atomic.Uint64
	topicsReserved       atomic.Uint64
	topicsRefused        atomic.Uint64
	filtersRefused       atomic.Uint64
	subscriptionsRefused atomic.Uint64
	patternsRefused      atomic.Uint64
	waitingRefused       atomic.Uint64
	workPaced            atomic.Uint64
	connectTimeouts      atomic.Uint64
	writeTimeouts        atomic.Uint64
	panics               atomic.Uint64

	connectsAccepted       atomic.Uint64
	connectsRefused        [256]atomic.Uint64
	clientIDsTooLong       atomic.Uint64
	userConnectionsRefused atomic.Uint64
	storedSessionsRefused  atomic.Uint64
	keepAlivesSet          atomic.Uint64
	expiriesLowered        atomic.Uint64
	sessionsEnded          atomic.Uint64
	willsDropped           atomic.Uint64
	publishesDenied        atomic.Uint64
	subscribesDenied       atomic.Uint64
	readsDenied            atomic.Uint64 // filters and deliveries
}

// Stats are counts of the broker. All but the first nine only grow.
type Stats struct {
	Connections       int   // open now, signed in or not
	HalfOpen          int   // open now, not signed in
	Clients           int64 // signed in now
	SessionsConnected int   // now
	SessionsStored    int   // without a connection, now
	Subscriptions     int64 // now
	Retained          int64 // messages, now, those of the broker itself aside
	RetainedBytes     int64 // of them, now: topics, payloads and properties
	WaitingBytes      int64 // of the messages that wait for clients, now; small queues aside

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
	PatternsRefused        uint64          // filters above MaxPatterns
	WaitingRefused         uint64          // messages above MaxSessionBytes or MaxWaitingBytes
	WorkPaced              uint64          // times that a client waited because of MaxWork
	ConnectTimeouts        uint64          // connections without a CONNECT within ConnectTimeout
	WriteTimeouts          uint64          // connections ended because a write took WriteTimeout
	Panics                 uint64          // that ended a connection

	ConnectsAccepted       uint64
	ConnectsRefused        map[byte]uint64 // by the hook or for a limit, by reason code of MQTT 5
	ClientIDsTooLong       uint64          // CONNECTs above MaxClientID
	UserConnectionsRefused uint64          // CONNECTs above MaxUserConnections
	StoredSessionsRefused  uint64          // CONNECTs above MaxStoredSessions
	KeepAlivesSet          uint64          // CONNECTs above MaxKeepAlive, or without one
	ExpiriesLowered        uint64          // CONNECTs above MaxSessionExpiry
	SessionsEnded          uint64          // because their user or login did not hold any more
	WillsDropped           uint64          // because they were not allowed when they were due
	PublishesDenied        uint64          // by the hook
	SubscribesDenied       uint64          // filters, by the hook
	DeliveriesDenied       uint64          // by the hook

	MessagesReceived int64
	MessagesSent     int64
	MessagesDropped  int64 // because a client read too slowly
	BytesReceived    int64
	BytesSent        int64

	Incidents map[string]uint64 // what clients have brought about and the log tells of, by cause

	Sessions keep.Stats // of what survives a restart
}

// Stats returns the counts as they are now.
func (b *Broker) Stats() Stats {
	b.mu.Lock()
	connections := len(b.conns)
	b.mu.Unlock()
	connected, stored := b.sessions.count()
	info, retained, c := b.srv.Info, b.retained.Stats(), &b.count
	return Stats{
		Connections:       connections,
		HalfOpen:          b.admission.halfOpenNow(),
		Clients:           atomic.LoadInt64(&info.ClientsConnected),
		SessionsConnected: connected,
		SessionsStored:    stored,
		Subscriptions:     atomic.LoadInt64(&info.Subscriptions),
		Retained:          int64(retained.Messages),
		RetainedBytes:     retained.Bytes,
		WaitingBytes:      b.waiting.total.Load(),

		ConnectionsRefused:     c.connectionsRefused.Load(),
		HalfOpenRefused:        b.admission.refused.Load(),
		AddressHalfOpenRefused: b.admission.refusedHalfOpen.Load(),
		AddressRefused:         b.admission.refusedSignIn.Load(),
		ProxyHeadersRefused:    c.proxyHeadersRefused.Load(),
		HandshakesFailed:       c.handshakesFailed.Load(),
		UpgradesRefused:        c.upgradesRefused.Load(),
		PacketsRefused:         byCode(&c.packetsRefused),
		RatesExceeded:          c.ratesExceeded.Load(),
		TopicsReserved:         c.topicsReserved.Load(),
		RetainedRefused:        retained.Refused,
		TopicsRefused:          c.topicsRefused.Load(),
		FiltersRefused:         c.filtersRefused.Load(),
		SubscriptionsRefused:   c.subscriptionsRefused.Load(),
		PatternsRefused:        c.patternsRefused.Load(),
		WaitingRefused:         c.waitingRefused.Load(),
		WorkPaced:              c.workPaced.Load(),
		ConnectTimeouts:        c.connectTimeouts.Load(),
		WriteTimeouts:          c.writeTimeouts.Load(),
		Panics:                 c.panics.Load(),

		ConnectsAccepted:       c.connectsAccepted.Load(),
		ConnectsRefused:        byCode(&c.connectsRefused),
		ClientIDsTooLong:       c.clientIDsTooLong.Load(),
		UserConnectionsRefused: c.userConnectionsRefused.Load(),
		StoredSessionsRefused:  c.storedSessionsRefused.Load(),
		KeepAlivesSet:          c.keepAlivesSet.Load(),
		ExpiriesLowered:        c.expiriesLowered.Load(),
		SessionsEnded:          c.sessionsEnded.Load(),
		WillsDropped:           c.willsDropped.Load(),
		PublishesDenied:        c.publishesDenied.Load(),
		SubscribesDenied:       c.subscribesDenied.Load(),
		DeliveriesDenied:       c.deliveriesDenied(),

		MessagesReceived: atomic.LoadInt64(&info.MessagesReceived),
		MessagesSent:     atomic.LoadInt64(&info.MessagesSent),
		MessagesDropped:  atomic.LoadInt64(&info.MessagesDropped) + atomic.LoadInt64(&info.InflightDropped),
		BytesReceived:    atomic.LoadInt64(&info.BytesReceived),
		BytesSent:        atomic.LoadInt64(&info.BytesSent),

		Incidents: b.reports.Counts(),
		Sessions:  b.persist.store.Stats(),
	}
}

// byCode returns the counts for reason codes that are not zero.
func byCode(counts *[256]atomic.Uint64) map[byte]uint64 {
	all := make(map[byte]uint64)
	for code := range counts {
		if n := counts[code].Load(); n > 0 {
			all[byte(code)] = n // #nosec G115 -- an array of 256
		}
	}
	return all
}

// deliveriesDenied returns how many of the reads that were denied were no filters.
// Those are among the reads, and counted later.
func (c *counters) deliveriesDenied() uint64 {
	filters := c.subscribesDenied.Load()
	if reads := c.readsDenied.Load(); reads > filters {
		return reads - filters
	}
	return 0
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
