// Package message is an application message (MQTT 5 section 3.3) apart from the
// packet that brought it: one that is retained, that waits for a client, or that
// is to be sent as a will.
package message

import (
	"bytes"
	"slices"
	"strings"
)

// Message is what was published. Whoever shares one must not change it.
type Message struct {
	Topic   string
	Payload []byte
	Origin  string // client ID of the publisher; empty: the broker itself
	User    string // whose it is, as the broker's hook calls its users, of one that is retained; empty: nobody knows

	QoS            byte
	Retain         bool
	Version        byte   // of the publisher's protocol
	ExpiryInterval uint32 // seconds, as the publisher said; 0: it does not expire
	Created        int64  // Unix seconds; 0: it was not published yet
	Expires        int64  // Unix seconds; 0: never

	Properties *Properties // nil: none of them
}

// Properties are what MQTT 5 has beside the payload (section 3.3.2.3).
type Properties struct {
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	HasFormat       bool // Format was given
	Format          byte // payload format indicator
	SubscriptionIDs []int
	User            []Property
}

// Property is a user property.
type Property struct{ Key, Value string }

// none reports whether p says nothing.
func (p *Properties) none() bool {
	return p.ContentType == "" && p.ResponseTopic == "" && len(p.CorrelationData) == 0 && !p.HasFormat && p.Format == 0 &&
		len(p.SubscriptionIDs) == 0 && len(p.User) == 0
}

// OrNil returns a copy of p, nil if p says nothing.
func (p *Properties) OrNil() *Properties {
	if p.none() {
		return nil
	}
	c := *p // here and not above, where it would be allocated in any case
	return &c
}

// Size returns the bytes of the topic, the payload and the properties, and what
// user properties take besides their text.
func (m *Message) Size() int {
	const pair = 32
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

// Clone returns a copy that shares nothing with m. A topic that is a part of a
// packet would otherwise keep all of that in memory.
func (m *Message) Clone() *Message {
	c := *m
	c.Topic, c.Payload, c.Origin = strings.Clone(m.Topic), bytes.Clone(m.Payload), strings.Clone(m.Origin)
	c.User = strings.Clone(m.User)
	if m.Properties != nil {
		c.Properties = m.Properties.clone()
	}
	return &c
}

func (p *Properties) clone() *Properties {
	c := *p
	c.ContentType, c.ResponseTopic = strings.Clone(p.ContentType), strings.Clone(p.ResponseTopic)
	c.CorrelationData = bytes.Clone(p.CorrelationData)
	c.SubscriptionIDs = slices.Clone(p.SubscriptionIDs)
	c.User = slices.Clone(p.User)
	for i, u := range c.User {
		c.User[i] = Property{strings.Clone(u.Key), strings.Clone(u.Value)}
	}
	return &c
}
