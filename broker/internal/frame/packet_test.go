package frame

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The verdicts of the tables: accepted, or the reason code of the refusal.
const (
	ok         byte = 0
	malformed       = codeMalformed
	protocol        = codeProtocolError
	badVersion      = codeUnsupportedVersion
	badID           = codeClientIDNotValid
	badMethod       = codeBadAuthMethod
	badAlias        = codeTopicAliasInvalid
	tooLarge        = codePacketTooLarge
	quota           = codeQuotaExceeded
	badPayload      = codePayloadFormatInvalid
)

// row is one packet and what is to be said of it. For a packet that is accepted
// the clause is what allows it, for the reader only.
type row struct {
	name    string
	version byte
	packet  []byte
	want    byte
	clause  string
}

// check runs rows on a connection that is signed in at the version of the row.
func check(t *testing.T, rows []row) {
	t.Helper()
	checkAfter(t, rows, func(t *testing.T, version byte) *Checker { return signedIn(t, Config{}, version) })
}

// checkConnect runs rows on a connection that has said nothing yet.
func checkConnect(t *testing.T, rows []row) {
	t.Helper()
	checkAfter(t, rows, func(*testing.T, byte) *Checker { return NewChecker(Config{}) })
}

func checkAfter(t *testing.T, rows []row, open func(*testing.T, byte) *Checker) {
	t.Helper()
	names := map[string]bool{}
	for _, tt := range rows {
		name := fmt.Sprintf("v%d %s", tt.version, tt.name)
		if names[name] {
			t.Errorf("two rows are called %q", name)
		}
		names[name] = true
		t.Run(name, func(t *testing.T) {
			got := verdict(t, open(t, tt.version), tt.packet)
			switch {
			case got == nil && tt.want != ok:
				t.Errorf("% X\ngot  accepted\nwant 0x%02X %s", tt.packet, tt.want, tt.clause)
			case got != nil && (got.Code != tt.want || got.Clause != tt.clause):
				t.Errorf("% X\ngot  %v\nwant 0x%02X %s", tt.packet, got, tt.want, tt.clause)
			}
		})
	}
}

// verdict passes one whole packet through header and body check, as the
// connection does, and returns the violation or nil.
func verdict(t rapid.TB, c *Checker, packet []byte) *Violation {
	t.Helper()
	h, n, err := ParseHeader(packet)
	if errors.Is(err, ErrIncomplete) {
		t.Fatalf("% X is not a whole header", packet)
	}
	if err == nil {
		err = c.CheckHeader(h)
	}
	if err == nil {
		if len(packet) != n+h.Remaining {
			t.Fatalf("% X says that %d bytes follow its header, and %d do", packet, h.Remaining, len(packet)-n)
		}
		err = c.Check(h, packet[n:])
	}
	if err == nil {
		return nil
	}
	v, isViolation := errors.AsType[*Violation](err)
	if !isViolation {
		t.Fatalf("got %T, want *Violation", err)
	}
	if v.Clause == "" || v.Text == "" {
		t.Errorf("%+v lacks its clause or text", v)
	}
	return v
}

// signedIn returns a Checker whose client has connected and been accepted.
func signedIn(t rapid.TB, config Config, version byte) *Checker {
	t.Helper()
	connect := connect5(0x02, props(prop32(0x11, 60)), s("id")) // so that DISCONNECT may change it
	switch version {
	case Level31:
		connect = connect31(0x02, s("id"))
	case Level311:
		connect = connect311(0x02, s("id"))
	}
	return after(t, config, connect)
}

// after returns a Checker whose client has been accepted after connect.
func after(t rapid.TB, config Config, connect []byte) *Checker {
	t.Helper()
	c := NewChecker(config)
	if v := verdict(t, c, connect); v != nil {
		t.Fatal(v)
	}
	c.Accept()
	return c
}

// packet puts a fixed header in front of parts.
func packet(first byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat([]byte{first}, vbi(len(body)), body)
}

// s is a UTF-8 Encoded String, or Binary Data.
func s(text string) []byte {
	return slices.Concat(u16(uint16(len(text))), []byte(text))
}

// raw is text without a length; x is bytes in hexadecimal.
func raw(text string) []byte { return []byte(text) }

func x(digits string) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return b
}

func u16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
func vbi(n int) []byte    { return binary.AppendUvarint(nil, uint64(n)) }
func id(n uint16) []byte  { return u16(n) }

// props is a section of properties, with its length.
func props(parts ...[]byte) []byte {
	all := slices.Concat(parts...)
	return slices.Concat(vbi(len(all)), all)
}

// One property each, by the type of its value.
func prop8(id, v byte) []byte           { return []byte{id, v} }
func prop16(id byte, v uint16) []byte   { return slices.Concat([]byte{id}, u16(v)) }
func prop32(id byte, v uint32) []byte   { return binary.BigEndian.AppendUint32([]byte{id}, v) }
func propText(id byte, v string) []byte { return slices.Concat([]byte{id}, s(v)) }
func userProp(k, v string) []byte       { return slices.Concat([]byte{0x26}, s(k), s(v)) }

// connect31, connect311 and connect5 are CONNECT packets with a keep alive of
// 60 s, up to their payload.
func connect31(flags byte, payload ...[]byte) []byte {
	return packet(0x10, s("MQIsdp"), []byte{3, flags}, u16(60), slices.Concat(payload...))
}

func connect311(flags byte, payload ...[]byte) []byte {
	return packet(0x10, s("MQTT"), []byte{4, flags}, u16(60), slices.Concat(payload...))
}

func connect5(flags byte, properties []byte, payload ...[]byte) []byte {
	return packet(0x10, s("MQTT"), []byte{5, flags}, u16(60), properties, slices.Concat(payload...))
}

var none = props() // no properties
