package keep

import (
	"time"

	"mqttwarden/broker/message"
)

// Session is what outlives the connection of a client.
type Session struct {
	ClientID string
	User     string    // whose it is, by id
	Proof    []byte    // what the user signed in with; not looked into
	Version  byte      // of the protocol
	Clean    bool      // the clean session or clean start flag of its CONNECT
	Expiry   uint32    // seconds that it outlives a connection, as the client said
	Until    time.Time // it ends then; zero while it is connected

	Will    *message.Message // nil: none is delayed
	WillDue time.Time        // when it is to be sent; zero without one
}

// Subscription is one that was granted.
type Subscription struct {
	Filter            string // as the client wrote it
	QoS               byte
	RetainHandling    byte
	Identifier        int // 0: none
	NoLocal           bool
	RetainAsPublished bool
}

// Stage is how far a delivery has come.
type Stage byte

// The stages of a delivery.
const (
	Queued   Stage = iota + 1 // it was not sent yet
	Sent                      // it was sent, and not acknowledged
	Released                  // PUBREC has come: what it said is not needed any more
)

// Delivery is a message of QoS 1 or 2 on its way to a client.
type Delivery struct {
	PacketID uint16
	Order    uint64 // among the deliveries of the session
	Stage    Stage
	message.Message
}

// Stored is a session with all that belongs to it.
type Stored struct {
	Session
	Subscriptions []Subscription
	Deliveries    []Delivery // by their order
	Received      []uint16   // packet IDs of QoS 2 messages from the client that it has not released
}

// The sizes say how much memory waits to be written, not how much exactly.
const overhead = 200

func (s *Session) size() int {
	n := overhead + len(s.ClientID) + len(s.User) + len(s.Proof)
	if s.Will != nil {
		n += size(s.Will)
	}
	return n
}

func (s *Subscription) size() int { return overhead + len(s.Filter) }

func size(m *message.Message) int {
	n := overhead + len(m.Origin) + m.Size()
	if m.Properties != nil {
		n += 8 * len(m.Properties.SubscriptionIDs)
	}
	return n
}
