package keep

import "time"

// Session is what outlives the connection of a client.
type Session struct {
	ClientID string
	User     string    // whose it is, by id
	Owner    []byte    // what the owner of the store wants to know of that; not looked into
	Version  byte      // of the protocol
	Clean    bool      // the clean session or clean start flag of its CONNECT
	Expiry   uint32    // seconds that it outlives a connection, as the client said
	Until    time.Time // it ends then; zero while it is connected
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

// Stage is how far a message to a client has come.
type Stage byte

// The stages of a message.
const (
	Queued   Stage = iota + 1 // it was not sent yet
	Sent                      // it was sent, and not acknowledged
	Released                  // PUBREC has come: what it said is not needed any more
)

// Message is one of QoS 1 or 2 for a client.
type Message struct {
	PacketID uint16
	Order    uint64 // among the messages of the session
	Stage    Stage
	Publication
}

// Publication is what was published (MQTT 5 section 3.3).
type Publication struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Version byte   // of the publisher's protocol
	Origin  string // client ID of the publisher
	Created int64  // Unix seconds
	Expires int64  // Unix seconds; 0: never

	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	HasFormat       bool // Format was given
	Format          byte // payload format indicator
	ExpiryInterval  uint32
	SubscriptionIDs []int
	User            []Property
}

// Property is a user property.
type Property struct{ Key, Value string }

// Stored is a session with all that belongs to it.
type Stored struct {
	Session
	Subscriptions []Subscription
	Messages      []Message // by their order
	Received      []uint16  // packet IDs of QoS 2 messages from the client that it has not released
}

// The sizes say how much memory waits to be written, not how much exactly.
const overhead = 200

func (s *Session) size() int      { return overhead + len(s.ClientID) + len(s.User) + len(s.Owner) }
func (s *Subscription) size() int { return overhead + len(s.Filter) }

func (p *Publication) size() int {
	n := overhead + len(p.Topic) + len(p.Payload) + len(p.Origin) + len(p.ContentType) + len(p.ResponseTopic) +
		len(p.CorrelationData) + 8*len(p.SubscriptionIDs)
	for _, u := range p.User {
		n += 32 + len(u.Key) + len(u.Value)
	}
	return n
}
