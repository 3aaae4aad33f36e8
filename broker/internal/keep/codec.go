package keep

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// format is the version of the values that are written.
const format = 1

var (
	errFormat  = errors.New("keep: a version that is not known")
	errCorrupt = errors.New("keep: a record that is damaged")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal returns the value for a key: version, body, checksum.
func seal(key []byte, body func([]byte) []byte) []byte {
	v := body([]byte{format})
	return binary.BigEndian.AppendUint32(v, checksum(key, v))
}

// unseal returns the body of the value of a key.
func unseal(key, value []byte) ([]byte, error) {
	const sum = 4
	if len(value) < 1+sum {
		return nil, errCorrupt
	}
	v, want := value[:len(value)-sum], binary.BigEndian.Uint32(value[len(value)-sum:])
	if checksum(key, v) != want {
		return nil, errCorrupt
	}
	if v[0] != format {
		return nil, errFormat
	}
	return v[1:], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func (s *Session) encode(b []byte) []byte {
	b = appendText(b, s.User)
	b = appendText(b, s.Owner)
	b = append(b, s.Version)
	b = appendBool(b, s.Clean)
	b = binary.AppendUvarint(b, uint64(s.Expiry))
	var until int64
	if !s.Until.IsZero() {
		until = s.Until.UnixNano()
	}
	return binary.AppendVarint(b, until)
}

func (s *Session) decode(b []byte) error {
	d := decoder{b: b}
	s.User = d.text()
	s.Owner = d.bytes()
	s.Version = d.byte()
	s.Clean = d.bool()
	s.Expiry = uint32(d.uvarint(1<<32 - 1)) // #nosec G115 -- bounded
	if until := d.varint(); until != 0 {
		s.Until = time.Unix(0, until)
	}
	return d.end()
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

// encode leaves out what a message that is released has said.
func (m *Message) encode(b []byte) []byte {
	b = binary.AppendUvarint(b, m.Order)
	b = append(b, byte(m.Stage))
	if m.Stage == Released {
		return b
	}
	return m.Publication.encode(appendText(b, m.Topic))
}

func (m *Message) decode(b []byte) error {
	d := decoder{b: b}
	m.Order = d.uvarint(1<<64 - 1)
	m.Stage = Stage(d.byte())
	switch m.Stage {
	case Released:
		return d.end()
	case Queued, Sent:
		m.Topic = d.text()
		m.decodeFrom(&d)
		return d.end()
	default:
		return errCorrupt
	}
}

// encode leaves out the topic, which is the key of a retained message.
func (p *Publication) encode(b []byte) []byte {
	b = appendText(b, p.Payload)
	b = append(b, p.QoS)
	b = appendBool(b, p.Retain)
	b = append(b, p.Version)
	b = appendText(b, p.Origin)
	b = binary.AppendVarint(b, p.Created)
	b = binary.AppendVarint(b, p.Expires)
	b = appendText(b, p.ContentType)
	b = appendText(b, p.ResponseTopic)
	b = appendText(b, p.CorrelationData)
	b = appendBool(b, p.HasFormat)
	b = append(b, p.Format)
	b = binary.AppendUvarint(b, uint64(p.ExpiryInterval))
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

func (p *Publication) decode(b []byte) error {
	d := decoder{b: b}
	p.decodeFrom(&d)
	return d.end()
}

func (p *Publication) decodeFrom(d *decoder) {
	p.Payload = d.bytes()
	p.QoS = d.byte()
	p.Retain = d.bool()
	p.Version = d.byte()
	p.Origin = d.text()
	p.Created = d.varint()
	p.Expires = d.varint()
	p.ContentType = d.text()
	p.ResponseTopic = d.text()
	p.CorrelationData = d.bytes()
	p.HasFormat = d.bool()
	p.Format = d.byte()
	p.ExpiryInterval = uint32(d.uvarint(1<<32 - 1)) // #nosec G115 -- bounded
	for range d.count(1) {
		p.SubscriptionIDs = append(p.SubscriptionIDs, d.integer())
	}
	for range d.count(2) {
		p.User = append(p.User, Property{d.text(), d.text()})
	}
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
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
