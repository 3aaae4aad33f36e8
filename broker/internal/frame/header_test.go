package frame

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParseHeader(t *testing.T) {
	tests := []struct {
		name  string
		bytes []byte
		want  Header
	}{
		{"length 0 takes one byte", x("C000"), Header{Type: TypePingreq, Size: 2}},
		{"length 127 takes one byte", x("307F"), Header{Type: TypePublish, Remaining: 127, Size: 2}},
		{"length 128 takes two bytes", x("308001"), Header{Type: TypePublish, Remaining: 128, Size: 3}},
		{"length 16383 takes two bytes", x("30FF7F"), Header{Type: TypePublish, Remaining: 16383, Size: 3}},
		{"length 16384 takes three bytes", x("30808001"), Header{Type: TypePublish, Remaining: 16384, Size: 4}},
		{"length 2097151 takes three bytes", x("30FFFF7F"), Header{Type: TypePublish, Remaining: 2097151, Size: 4}},
		{"length 2097152 takes four bytes", x("3080808001"), Header{Type: TypePublish, Remaining: 2097152, Size: 5}},
		{"length 268435455 is the largest", x("30FFFFFF7F"), Header{Type: TypePublish, Remaining: 268435455, Size: 5}},
		{"an overlong length is read, and judged when the level is known", x("C08000"), Header{Type: TypePingreq, Size: 3}},
		{"flags are the low four bits", x("3B00"), Header{Type: TypePublish, Flags: 0b1011, Size: 2}},
		{"bytes of the body are left alone", x("4002FFFF"), Header{Type: TypePuback, Remaining: 2, Size: 2}},
		{"type 15 is AUTH", x("F000"), Header{Type: TypeAuth, Size: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, n, err := ParseHeader(tt.bytes)
			if err != nil || got != tt.want || n != tt.want.Size {
				t.Errorf("ParseHeader(% X) = %+v, %d, %v, want %+v", tt.bytes, got, n, err, tt.want)
			}
			for i := range n {
				if _, got, err := ParseHeader(tt.bytes[:i]); !errors.Is(err, ErrIncomplete) || got != 0 {
					t.Errorf("ParseHeader(% X) = %d, %v, want ErrIncomplete", tt.bytes[:i], got, err)
				}
			}
		})
	}
	for _, b := range []string{"00", "0F"} {
		_, _, err := ParseHeader(x(b))
		if v, isViolation := errors.AsType[*Violation](err); !isViolation || v.Code != protocol {
			t.Errorf("ParseHeader(%s) = %v, want a protocol error: no packet begins so", b, err)
		}
	}
	for _, b := range []string{"3080808080", "30FFFFFFFF", "308080808001", "10FFFFFF80"} {
		_, _, err := ParseHeader(x(b))
		if v, isViolation := errors.AsType[*Violation](err); !isViolation || v.Code != malformed {
			t.Errorf("ParseHeader(%s) = %v, want malformed: a fifth byte of length", b, err)
		}
	}
}

func TestHeaderAppendIsTheInverseOfParse(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455} {
		want := Header{Type: TypePublish, Flags: 0b0101, Remaining: n}
		b := want.Append(nil)
		got, size, err := ParseHeader(b)
		want.Size = len(b)
		if err != nil || got != want || size != len(b) || got.overlong() {
			t.Errorf("ParseHeader(% X) = %+v, %v, want %+v", b, got, err, want)
		}
	}
}

func TestHeaderTable(t *testing.T) {
	rows := []row{
		// Order ([MQTT-3.1.0-1] and -2 are in connect_test.go), direction, type.
		{"CONNACK is not a client's", 4, packet(0x20, x("0000")), protocol, "section 2.2.1"},
		{"CONNACK is not a client's", 5, packet(0x20, x("000000")), protocol, "section 2.1.2"},
		{"SUBACK is not a client's", 4, packet(0x90, id(1), x("00")), protocol, "section 2.2.1"},
		{"SUBACK is not a client's", 5, packet(0x90, id(1), x("0000")), protocol, "section 2.1.2"},
		{"UNSUBACK is not a client's", 4, packet(0xB0, id(1)), protocol, "section 2.2.1"},
		{"UNSUBACK is not a client's", 5, packet(0xB0, id(1), x("0000")), protocol, "section 2.1.2"},
		{"PINGRESP is not a client's", 4, packet(0xD0), protocol, "section 2.2.1"},
		{"PINGRESP is not a client's", 5, packet(0xD0), protocol, "section 2.1.2"},
		{"type 0 is reserved", 4, packet(0x00), protocol, "section 2.1.2"},
		{"type 0 is reserved", 5, packet(0x00), protocol, "section 2.1.2"},
		{"type 0 with flags is reserved", 5, packet(0x0A), protocol, "section 2.1.2"},
		{"type 15 is reserved before level 5", 3, packet(0xF0), protocol, "section 2.2.1"},
		{"type 15 is reserved before level 5", 4, packet(0xF0, x("1800")), protocol, "section 2.2.1"},
		{"the direction is looked at before the flags", 4, packet(0x91, id(1), x("00")), protocol, "section 2.2.1"},
		{"the direction is looked at before the flags", 5, packet(0x91, id(1), x("00")), protocol, "section 2.1.2"},

		// Flags (section 2.1.3).
		{"PINGREQ with flag 1", 4, packet(0xC1), malformed, "MQTT-2.2.2-2"},
		{"PINGREQ with flag 1", 5, packet(0xC1), malformed, "MQTT-2.1.3-1"},
		{"PINGREQ with flag 2", 5, packet(0xC2), malformed, "MQTT-2.1.3-1"},
		{"PINGREQ with flag 4", 5, packet(0xC4), malformed, "MQTT-2.1.3-1"},
		{"PINGREQ with flag 8", 5, packet(0xC8), malformed, "MQTT-2.1.3-1"},
		{"PINGREQ with unused flags", 3, packet(0xCF), ok, "MQTT 3.1 section 3.12"},
		{"PUBACK with flag 1", 4, packet(0x41, id(1)), malformed, "MQTT-2.2.2-2"},
		{"PUBACK with the flags of PUBREL", 5, packet(0x42, id(1)), malformed, "MQTT-2.1.3-1"},
		{"PUBACK with unused flags", 3, packet(0x4F, id(1)), ok, "MQTT 3.1 section 3.4"},
		{"PUBREC with flag 8", 4, packet(0x58, id(1)), malformed, "MQTT-2.2.2-2"},
		{"PUBREC with the flags of PUBREL", 5, packet(0x52, id(1)), malformed, "MQTT-2.1.3-1"},
		{"PUBREL without its flags", 4, packet(0x60, id(1)), malformed, "MQTT-3.6.1-1"},
		{"PUBREL without its flags", 5, packet(0x60, id(1)), malformed, "MQTT-3.6.1-1"},
		{"PUBREL without its QoS", 3, packet(0x60, id(1)), malformed, "MQTT-3.6.1-1"},
		{"PUBREL with DUP", 3, packet(0x6A, id(1)), ok, "MQTT 3.1 section 3.6"},
		{"PUBREL with DUP", 4, packet(0x6A, id(1)), malformed, "MQTT-3.6.1-1"},
		{"PUBREL with DUP", 5, packet(0x6A, id(1)), malformed, "MQTT-3.6.1-1"},
		{"PUBREL with QoS 2", 3, packet(0x64, id(1)), malformed, "MQTT-3.6.1-1"},
		{"PUBREL with one flag too many", 5, packet(0x63, id(1)), malformed, "MQTT-3.6.1-1"},
		{"PUBCOMP with flag 2", 4, packet(0x72, id(1)), malformed, "MQTT-2.2.2-2"},
		{"PUBCOMP with flag 2", 5, packet(0x72, id(1)), malformed, "MQTT-2.1.3-1"},
		{"SUBSCRIBE without its flags", 3, packet(0x80, id(1), s("a"), x("00")), malformed, "MQTT-3.8.1-1"},
		{"SUBSCRIBE without its flags", 4, packet(0x80, id(1), s("a"), x("00")), malformed, "MQTT-3.8.1-1"},
		{"SUBSCRIBE without its flags", 5, packet(0x80, id(1), none, s("a"), x("00")), malformed, "MQTT-3.8.1-1"},
		{"SUBSCRIBE with DUP", 3, packet(0x8A, id(1), s("a"), x("00")), ok, "MQTT 3.1 section 3.8"},
		{"SUBSCRIBE with DUP", 4, packet(0x8A, id(1), s("a"), x("00")), malformed, "MQTT-3.8.1-1"},
		{"SUBSCRIBE with all flags", 5, packet(0x8F, id(1), none, s("a"), x("00")), malformed, "MQTT-3.8.1-1"},
		{"UNSUBSCRIBE without its flags", 4, packet(0xA0, id(1), s("a")), malformed, "MQTT-3.10.1-1"},
		{"UNSUBSCRIBE without its flags", 5, packet(0xA0, id(1), none, s("a")), malformed, "MQTT-3.10.1-1"},
		{"UNSUBSCRIBE with DUP", 3, packet(0xAA, id(1), s("a")), ok, "MQTT 3.1 section 3.10"},
		{"UNSUBSCRIBE with DUP", 4, packet(0xAA, id(1), s("a")), malformed, "MQTT-3.10.1-1"},
		{"DISCONNECT with flag 1", 4, packet(0xE1), malformed, "MQTT-3.14.1-1"},
		{"DISCONNECT with flag 8", 5, packet(0xE8), malformed, "MQTT-3.14.1-1"},
		{"DISCONNECT with unused flags", 3, packet(0xE1), ok, "MQTT 3.1 section 3.14"},

		// Remaining Length (sections 2.1.4 and 1.5.5).
		{"PINGREQ", 3, packet(0xC0), ok, "section 3.12"},
		{"PINGREQ", 4, packet(0xC0), ok, "section 3.12"},
		{"PINGREQ", 5, packet(0xC0), ok, "section 3.12"},
		{"PINGREQ with a byte behind", 4, packet(0xC0, x("00")), malformed, "MQTT-4.8.0-1"},
		{"PINGREQ with a byte behind", 5, packet(0xC0, x("00")), malformed, "MQTT-4.13.1-1"},
		{"length in two bytes where one does", 4, x("C08000"), ok, "section 2.2.3"},
		{"length in two bytes where one does", 5, x("C08000"), malformed, "MQTT-1.5.5-1"},
		{"length in four bytes where one does", 3, x("C080808000"), ok, "MQTT 3.1 section 2.1"},
		{"length in four bytes where one does", 5, x("C080808000"), malformed, "MQTT-1.5.5-1"},
		{"length in three bytes where two do", 5, append(x("30808100"), make([]byte, 128)...), malformed, "MQTT-1.5.5-1"},
		{"length in five bytes", 4, x("C08080808000"), malformed, "section 1.5.5"},
		{"a packet of the largest size", 4, packet(0x30, s("t"), make([]byte, 256<<10-7)), ok, "section 3.3"},
		{"a packet one byte too large", 4, packet(0x30, s("t"), make([]byte, 256<<10-6)), tooLarge, "MQTT-4.8.0-1"},
		{"a packet one byte too large", 5, packet(0x30, s("t"), none, make([]byte, 256<<10-7)), tooLarge, "MQTT-3.2.2-15"},
		{"a header that promises 256 MiB", 4, x("30FFFFFF7F"), tooLarge, "MQTT-4.8.0-1"},
		{"a SUBSCRIBE that promises 256 MiB", 5, x("82FFFFFF7F"), tooLarge, "MQTT-3.2.2-15"},
		{"a PUBACK that promises 200 bytes", 4, x("40C801"), malformed, "MQTT-4.8.0-1"},
	}
	check(t, rows)
}

// TestBeforeLogin is about the limit for strangers: it holds before anything is
// read or reserved, and until the CONNECT has been answered.
func TestBeforeLogin(t *testing.T) {
	fill := strings.Repeat("x", 4096)
	fit := connect311(0x02, s(fill[:4096-3-12]))
	if len(fit) != 4096 {
		t.Fatalf("the largest CONNECT has %d bytes, want 4096", len(fit))
	}
	checkConnect(t, []row{
		{"CONNECT of the largest size", 4, fit, ok, ""},
		{"CONNECT one byte larger", 4, connect311(0x02, s(fill[:4096-2-12])), tooLarge, "MQTT-3.2.2-15"},
		{"a header that promises 256 MiB", 4, x("10FFFFFF7F"), tooLarge, "MQTT-3.2.2-15"},
	})
	publish := packet(0x30, s("t"), raw(fill))
	c := NewChecker(Config{})
	if v := verdict(t, c, connect311(0x02, s("id"))); v != nil {
		t.Fatal(v)
	}
	if v := verdict(t, c, publish); v == nil || v.Code != tooLarge {
		t.Errorf("a large PUBLISH before CONNACK: got %v, want 0x95", v)
	}
	if v := verdict(t, c, packet(0x30, s("t"), raw("small"))); v != nil {
		t.Errorf("a small PUBLISH before CONNACK (section 3.1.4): %v", v)
	}
	c.Accept()
	if v := verdict(t, c, publish); v != nil {
		t.Errorf("a large PUBLISH after CONNACK: %v", v)
	}
}

func TestAcceptWithoutConnectChangesNothing(t *testing.T) {
	c := NewChecker(Config{})
	c.Accept()
	if v := verdict(t, c, connect311(0x02, s(strings.Repeat("x", 5000)))); v == nil || v.Code != tooLarge {
		t.Errorf("got %v, want 0x95", v)
	}
}

func TestBodyOfAnotherLengthIsRefused(t *testing.T) {
	c := signedIn(t, Config{}, Level311)
	for _, body := range [][]byte{nil, s("topic"), append(s("topi"), "payload"...)} {
		if err := c.Check(Header{Type: TypePublish, Remaining: 5}, body); err == nil {
			t.Errorf("a body of %d bytes passed with a header that says 5", len(body))
		}
	}
}

func TestTypesThatNoHeaderHasAreRefused(t *testing.T) {
	for _, typ := range []Type{0, 16, 255} {
		if signedIn(t, Config{}, Level5).CheckHeader(Header{Type: typ}) == nil {
			t.Errorf("type %d passed", typ)
		}
	}
}

func TestTypeNames(t *testing.T) {
	if got := TypeUnsubscribe.String(); got != "UNSUBSCRIBE" {
		t.Errorf("got %s", got)
	}
	if got := Type(16).String(); got != "type 16" {
		t.Errorf("got %s", got)
	}
	if !bytes.Equal(Header{Type: TypePingreq}.Append(nil), x("C000")) {
		t.Error("PINGREQ is not C0 00")
	}
}
