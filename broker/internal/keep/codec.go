package keep

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"mqttwarden/broker/message"
)

// The versions of the values that are written. Older ones are read.
const (
	format        = 1
	sessionFormat = 3 // with the user of the will; 2 had none, and for 1 see session1.go
)

var (
	errFormat  = errors.New("keep: a version that is not known")
	errCorrupt = errors.New("keep: a record that is damaged")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal returns the value for a key: version, body, checksum.
func seal(key []byte, version byte, body func([]byte) []byte) []byte {
	v := body([]byte{version})
	return binary.BigEndian.AppendUint32(v, checksum(key, v))
}

// unseal returns the body of the value of a key, and its version, which is newest
// at most.
func unseal(key, value []byte, newest byte) (body []byte, version byte, err error) {
	const sum = 4
	if len(value) < 1+sum {
		return nil, 0, errCorrupt
	}
	v, want := value[:len(value)-sum], binary.BigEndian.Uint32(value[len(value)-sum:])
	if checksum(key, v) != want {
		return nil, 0, errCorrupt
	}
	if v[0] == 0 || v[0] > newest {
		return nil, 0, errFormat
	}
	return v[1:], v[0], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func (s *Session) encode(b []byte) []byte {
	b = appendText(b, s.User)
	b = appendText(b, s.Proof)
	b = append(b, s.Version)
	b = appendBool(b, s.Clean)
	b = binary.AppendUvarint(b, uint64(s.Expiry))
	b = appendTime(b, s.Until)
	b = appendBool(b, s.Will != nil)
	if s.Will != nil {
		b = appendTime(appendMessage(appendText(b, s.Will.Topic), s.Will), s.WillDue)
		b = appendText(b, s.Will.User)
	}
	return b
}

func (s *Session) decode(b []byte, version byte) error {
	d := decoder{b: b}
	s.User = d.text()
	s.Proof = d.bytes()
	s.Version = d.byte()
	s.Clean = d.bool()
	s.Expiry = uint32(d.uvarint(1<<32 - 1)) // #nosec G115 -- bounded
	s.Until = d.time()
	if version == 1 {
		s.Will, s.WillDue = willOfProof(s.Proof)
		return d.end()
	}
	if d.bool() {
		s.Will = &message.Message{Topic: d.text()}
		d.message(s.Will)
		s.WillDue = d.time()
		if version > 2 {
			s.Will.User = d.text()
		}
	}
	return d.end()
}

// read reads a session, whose ID is k.
func (s *Session) read(k, value []byte) error {
	body, version, err := unseal(k, value, sessionFormat)
	if err != nil {
		return err
	}
	return s.decode(body, version)
}

func (s *Subscription) encode(b []byte) []byte {
	b = append(b, s.QoS, s.RetainHandling)
	b = binary.AppendUvarint(b, uint64(max(0, s.Identifier))) // #nosec G115 -- not negative
	b = appendBool(b, s.NoLocal)
	return appendBool(b, s.RetainAsPublished)
}

func (s *Subscription) decode(b []byte) error {
	d := decoder{b: b}
	s.QoS = d.byte()
	s.RetainHandling = d.byte()
	s.Identifier = d.integer()
	s.NoLocal = d.bool()
	s.RetainAsPublished = d.bool()
	return d.end()
}

// encode leaves out the message of a delivery that is released.
func (d *Delivery) encode(b []byte) []byte {
	b = binary.AppendUvarint(b, d.Order)
	b = append(b, byte(d.Stage))
	if d.Stage == Released {
		return b
	}
	return appendUser(appendMessage(appendText(b, d.Topic), &d.Message), &d.Message)
}

func (d *Delivery) decode(b []byte) error {
	from := decoder{b: b}
	d.Order = from.uvarint(1<<64 - 1)
	d.Stage = Stage(from.byte())
	switch d.Stage {
	case Released:
		return from.end()
	case Queued, Sent:
		d.Topic = from.text()
		from.message(&d.Message)
		from.user(&d.Message)
		return from.end()
	default:
		return errCorrupt
	}
}

// decodeRetained reads what is retained under the topic that m has.
func decodeRetained(m *message.Message, b []byte) error {
	d := decoder{b: b}
	d.message(m)
	d.user(m)
	return d.end()
}

// appendRetained appends a retained message, whose topic is its key.
func appendRetained(b []byte, m *message.Message) []byte { return appendUser(appendMessage(b, m), m) }

// appendUser appends whose a message is, at the end of a record, where older ones
// have nothing.
func appendUser(b []byte, m *message.Message) []byte {
	if m.User == "" {
		return b
	}
	return appendText(b, m.User)
}

// user is the inverse of appendUser.
func (d *decoder) user(m *message.Message) {
	if len(d.b) == 0 {
		return
	}
	if m.User = d.text(); m.User == "" {
		d.fail()
	}
}

// appendMessage leaves out the topic, which is the key of a retained message.
func appendMessage(b []byte, m *message.Message) []byte {
	p := m.Properties
	if p == nil {
		p = new(message.Properties)
	}
	b = appendText(b, m.Payload)
	b = append(b, m.QoS)
	b = appendBool(b, m.Retain)
	b = append(b, m.Version)
	b = appendText(b, m.Origin)
	b = binary.AppendVarint(b, m.Created)
	b = binary.AppendVarint(b, m.Expires)
	b = appendText(b, p.ContentType)
	b = appendText(b, p.ResponseTopic)
	b = appendText(b, p.CorrelationData)
	b = appendBool(b, p.HasFormat)
	b = append(b, p.Format)
	b = binary.AppendUvarint(b, uint64(m.ExpiryInterval))
	b = binary.AppendUvarint(b, uint64(len(p.SubscriptionIDs)))
	for _, id := range p.SubscriptionIDs {
		b = binary.AppendUvarint(b, uint64(max(0, id))) // #nosec G115 -- not negative
	}
	b = binary.AppendUvarint(b, uint64(len(p.User)))
	for _, u := range p.User {
		b = appendText(appendText(b, u.Key), u.Value)
	}
	return b
}

// message is the inverse of appendMessage.
func (d *decoder) message(m *message.Message) {
	var p message.Properties
	m.Payload = d.bytes()
	m.QoS = d.byte()
	m.Retain = d.bool()
	m.Version = d.byte()
	m.Origin = d.text()
	m.Created = d.varint()
	m.Expires = d.varint()
	p.ContentType = d.text()
	p.ResponseTopic = d.text()
	p.CorrelationData = d.bytes()
	p.HasFormat = d.bool()
	p.Format = d.byte()
	m.ExpiryInterval = uint32(d.uvarint(1<<32 - 1)) // #nosec G115 -- bounded
	for range d.count(1) {
		p.SubscriptionIDs = append(p.SubscriptionIDs, d.integer())
	}
	for range d.count(2) {
		p.User = append(p.User, message.Property{Key: d.text(), Value: d.text()})
	}
	m.Properties = p.OrNil()
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendTime appends a time, zero as such.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixNano())
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// decoder reads a body from its front. What it returns after it met something
// wrong is zero; end tells.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() {
	d.b, d.bad = nil, true
}

// end reports whether all was right, and nothing is left.
func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errCorrupt
	}
	return nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

func (d *decoder) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > most {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// time reads what appendTime wrote.
func (d *decoder) time() time.Time {
	if ns := d.varint(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// integer reads a number that fits a subscription identifier, which has 28 bits.
func (d *decoder) integer() int { return int(d.uvarint(1<<28 - 1)) } // #nosec G115 -- bounded

// count reads how many elements follow that take at least size bytes each.
func (d *decoder) count(size int) int {
	return int(d.uvarint(uint64(len(d.b) / size))) // #nosec G115 -- bounded by what is there
}

func (d *decoder) bytes() []byte {
	n := d.uvarint(uint64(len(d.b)))
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	v := append([]byte(nil), d.b[:n]...)
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string { return string(d.bytes()) }
