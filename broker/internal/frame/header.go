package frame

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// Protocol levels, as CONNECT carries them (section 3.1.2.2).
const (
	Level31  byte = 3
	Level311 byte = 4
	Level5   byte = 5
)

// Type is the type of a control packet (section 2.1.2).
type Type byte

// The control packets. Zero is reserved; AUTH exists from level 5 on.
const (
	TypeConnect Type = iota + 1
	TypeConnack
	TypePublish
	TypePuback
	TypePubrec
	TypePubrel
	TypePubcomp
	TypeSubscribe
	TypeSuback
	TypeUnsubscribe
	TypeUnsuback
	TypePingreq
	TypePingresp
	TypeDisconnect
	TypeAuth
)

// String returns the name that the standard gives the type.
func (t Type) String() string {
	names := [...]string{
		"reserved", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
		"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
	}
	if int(t) < len(names) {
		return names[t]
	}
	return "type " + strconv.Itoa(int(t))
}

// flags returns the flag bits that the standard fixes for the type (section
// 2.1.3, table 2-2). PUBLISH has none that are fixed.
func (t Type) flags() byte {
	switch t {
	case TypePubrel, TypeSubscribe, TypeUnsubscribe:
		return 0b0010
	default:
		return 0
	}
}

// Header is a fixed header (section 2.1.1), in either direction.
type Header struct {
	Type      Type
	Flags     byte // the low four bits of the first byte
	Remaining int  // bytes that follow the header
	Size      int  // bytes the header took on the wire, 2 to 5; 0 when made by hand
}

// MaxRemaining is the largest Remaining Length that there is (section 1.5.5).
const MaxRemaining = 1<<28 - 1

// ErrIncomplete says that a header goes on past the bytes at hand.
var ErrIncomplete = errors.New("frame: incomplete header")

// ParseHeader reads the fixed header at the start of b and returns it with the
// number of bytes it took. It returns ErrIncomplete when b holds a part of it,
// and a *Violation when it can be none: packet type 0, a Remaining Length that
// does not end. Whether the packet may come is for Checker.CheckHeader to say.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, ErrIncomplete
	}
	h.Type, h.Flags = Type(b[0]>>4), b[0]&0x0F
	if h.Type == 0 {
		return Header{}, 0, violation(0, codeProtocolError, clause{"section 2.1.2", "section 2.2.1"}, "the packet type is reserved")
	}
	// A variable byte integer has four bytes at most (section 1.5.5; 3.1.1:
	// section 2.2.3).
	for i := 1; i <= 4; i++ {
		if i == len(b) {
			return Header{}, 0, ErrIncomplete
		}
		h.Remaining |= int(b[i]&0x7F) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			h.Size = i + 1
			return h, h.Size, nil
		}
	}
	return Header{}, 0, violation(0, codeMalformed, clause{"section 1.5.5", "section 2.2.3"},
		"the remaining length takes more than four bytes")
}

// Append appends the header to b in its shortest form.
func (h Header) Append(b []byte) []byte {
	b = append(b, byte(h.Type)<<4|h.Flags&0x0F)
	return binary.AppendUvarint(b, uint64(max(h.Remaining, 0))) // the same encoding
}

// QoS returns the quality of service of a PUBLISH.
func (h Header) QoS() byte { return h.Flags >> 1 & 0b11 }

// Dup reports whether a PUBLISH is marked as sent again.
func (h Header) Dup() bool { return h.Flags&0b1000 != 0 }

// Retain reports whether a PUBLISH is to be retained.
func (h Header) Retain() bool { return h.Flags&0b0001 != 0 }

// overlong reports whether Remaining was sent in more bytes than it needs.
func (h Header) overlong() bool {
	return h.Size > 2 && h.Remaining < 1<<(7*(h.Size-2))
}

// length is the size of the whole packet in bytes (section 2.1.4).
func (h Header) length() int { return max(h.Size, 2) + h.Remaining }
