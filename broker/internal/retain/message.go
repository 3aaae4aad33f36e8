package retain

// Message is a retained message. It never changes: whoever has it may share it.
// Its strings must not be parts of something larger, which would live as long.
type Message struct {
	Topic   string
	Origin  string // client ID of its publisher
	Payload []byte
	QoS     byte
	Version byte  // of its publisher's protocol
	Created int64 // Unix seconds
	Expires int64 // Unix seconds; 0: never
	*Properties
}

// Properties are what MQTT 5 has beside the payload (section 3.3.2.3).
type Properties struct {
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	HasFormat       bool // Format was given
	Format          byte // payload format indicator
	User            []Property
}

// Property is a user property.
type Property struct{ Key, Value string }

// Size returns the bytes of the topic, the payload and the properties.
func (m *Message) Size() int {
	const pair = 32 // what a user property takes besides its text
	n := len(m.Topic) + len(m.Payload)
	if p := m.Properties; p != nil {
		n += len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
		for _, u := range p.User {
			n += pair + len(u.Key) + len(u.Value)
		}
	}
	return n
}

// Expired reports whether the message has expired at a time in Unix seconds
// ([MQTT-3.3.2-5]).
func (m *Message) Expired(now int64) bool { return m.Expires != 0 && m.Expires <= now }
