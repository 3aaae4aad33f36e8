package authhook

import (
	"errors"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"
)

// counts are the counters behind Stats.
type counts struct {
	accepted         atomic.Uint64
	refused          [256]atomic.Uint64
	deniedPublishes  atomic.Uint64
	deniedSubscribes atomic.Uint64
	deniedReads      atomic.Uint64 // filters and deliveries
	ended            atomic.Uint64
	willsDropped     atomic.Uint64

	clientIDs   atomic.Uint64
	connections atomic.Uint64
	stored      atomic.Uint64
	keepAlives  atomic.Uint64
	expiries    atomic.Uint64
}

// limited counts a CONNECT that was refused, if that was for a limit.
func (c *counts) limited(err error) {
	switch {
	case errors.Is(err, packets.ErrClientIdentifierTooLong):
		c.clientIDs.Add(1)
	case errors.Is(err, errConnected):
		c.connections.Add(1)
	case errors.Is(err, errStored):
		c.stored.Add(1)
	}
}

// Stats are counts of what the hook decided. All but the first two only grow.
type Stats struct {
	Connected        int             // sessions, now
	Stored           int             // sessions without a connection, now
	Accepted         uint64          // CONNECTs
	Refused          map[byte]uint64 // CONNECTs, by reason code of MQTT 5
	DeniedPublishes  uint64
	DeniedSubscribes uint64 // filters
	DeniedDeliveries uint64
	Ended            uint64 // sessions, because their user or proof did not hold any more
	WillsDropped     uint64 // because they were not allowed when they were due

	ClientIDsTooLong      uint64 // CONNECTs above MaxClientID
	ConnectionsRefused    uint64 // CONNECTs above MaxConnections
	StoredSessionsRefused uint64 // CONNECTs above MaxStoredSessions
	KeepAlivesSet         uint64 // CONNECTs above MaxKeepAlive, or without one
	ExpiriesLowered       uint64 // CONNECTs whose session would stay longer than it may
}

// Stats returns the counts as they are now.
func (h *Hook) Stats() Stats {
	connected, stored := h.sessions.counts()
	st := Stats{
		Connected:        connected,
		Stored:           stored,
		Accepted:         h.counts.accepted.Load(),
		Refused:          make(map[byte]uint64),
		DeniedPublishes:  h.counts.deniedPublishes.Load(),
		DeniedSubscribes: h.counts.deniedSubscribes.Load(),
		Ended:            h.counts.ended.Load(),
		WillsDropped:     h.counts.willsDropped.Load(),

		ClientIDsTooLong:      h.counts.clientIDs.Load(),
		ConnectionsRefused:    h.counts.connections.Load(),
		StoredSessionsRefused: h.counts.stored.Load(),
		KeepAlivesSet:         h.counts.keepAlives.Load(),
		ExpiriesLowered:       h.counts.expiries.Load(),
	}
	// The filters are among the reads, counted later.
	if reads := h.counts.deniedReads.Load(); reads > st.DeniedSubscribes {
		st.DeniedDeliveries = reads - st.DeniedSubscribes
	}
	for code := range h.counts.refused {
		if n := h.counts.refused[code].Load(); n > 0 {
			st.Refused[byte(code)] = n // #nosec G115 -- an array of 256
		}
	}
	return st
}
