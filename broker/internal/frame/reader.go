package frame

import "encoding/binary"

// reader walks over the body of a packet. The first thing it finds wrong is kept
// in bad; from then on it reads zeroes, so who reads looks at bad once, at the
// end.
type reader struct {
	b        []byte // what is left
	version  byte   // 0 until CONNECT has named it
	named    byte   // what CONNECT has named, if it is spoken here or not
	controls bool   // refuse control characters
	users    int    // user properties that may still come
	bad      *Violation
	badText  bool // what is wrong is the characters of a text
}

// fail notes a violation, unless there is one already.
func (r *reader) fail(code byte, c clause, text string) {
	if r.bad == nil {
		r.bad = violation(r.version, code, c, text)
	}
	r.b = nil
}

// cut notes that the packet ended in the middle of something.
func (r *reader) cut(what string) {
	r.fail(codeMalformed, clause{"MQTT-4.13.1-1", "MQTT-4.8.0-1"}, "the packet ends within "+what)
}

// end notes bytes that belong to nothing.
func (r *reader) end() {
	if len(r.b) > 0 {
		r.fail(codeMalformed, clause{"MQTT-4.13.1-1", "MQTT-4.8.0-1"}, "the packet has bytes left over")
	}
}

func (r *reader) byte(what string) byte {
	if len(r.b) < 1 {
		r.cut(what)
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// uint16 reads a Two Byte Integer (section 1.5.2).
func (r *reader) uint16(what string) uint16 {
	if len(r.b) < 2 {
		r.cut(what)
		return 0
	}
	v := binary.BigEndian.Uint16(r.b)
	r.b = r.b[2:]
	return v
}

// uint32 reads a Four Byte Integer (section 1.5.3).
func (r *reader) uint32(what string) uint32 {
	if len(r.b) < 4 {
		r.cut(what)
		return 0
	}
	v := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

// varint reads a Variable Byte Integer (section 1.5.5): four bytes at most, and
// none more than needed.
func (r *reader) varint(what string) uint32 {
	var v uint32
	for i := range 4 {
		c := r.byte(what)
		v |= uint32(c&0x7F) << (7 * i)
		if c&0x80 == 0 {
			if c == 0 && i > 0 {
				r.fail(codeMalformed, clause{v5: "MQTT-1.5.5-1"}, what+" is encoded in more bytes than it needs")
			}
			return v
		}
	}
	r.fail(codeMalformed, clause{v5: "section 1.5.5"}, what+" takes more than four bytes")
	return 0
}

// binary reads Binary Data (section 1.5.6).
func (r *reader) binary(what string) []byte {
	n := int(r.uint16(what))
	if n > len(r.b) {
		r.cut(what)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// packetID reads a packet identifier, which is never zero.
func (r *reader) packetID(c clause) {
	if r.uint16("the packet identifier") == 0 {
		r.fail(codeProtocolError, c, "the packet identifier is 0")
	}
}
