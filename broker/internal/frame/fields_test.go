package frame

import (
	"bytes"
	"slices"
	"testing"
)

func TestFields(t *testing.T) {
	for _, tt := range []struct {
		name   string
		packet []byte
		id     uint16
		topic  string
		reason byte
	}{
		{"PUBLISH of QoS 0", packet(0x30, s("a/b"), raw("xy")), 0, "a/b", 0},
		{"PUBLISH without a payload", packet(0x30, s("a/b")), 0, "a/b", 0},
		{"PUBLISH of QoS 1", packet(0x32, s("a/b"), id(7), raw("xy")), 7, "a/b", 0},
		{"PUBLISH of QoS 2 with properties", packet(0x3D, s("a"), id(65535), props(prop8(1, 1)), raw("xy")), 65535, "a", 0},
		{"PUBLISH by topic alias", packet(0x30, s(""), props(prop16(0x23, 1))), 0, "", 0},
		{"PUBACK", packet(0x40, id(258)), 258, "", 0},
		{"PUBACK that refuses", packet(0x40, id(258), x("97")), 258, "", 0x97},
		{"PUBREC with properties", packet(0x50, id(3), x("87"), none), 3, "", 0x87},
		{"PUBREL", packet(0x62, id(4), x("92")), 4, "", 0x92},
		{"PUBCOMP", packet(0x70, id(5)), 5, "", 0},
		{"SUBSCRIBE", packet(0x82, id(6), none, s("a"), x("00")), 6, "", 0},
		{"SUBACK", packet(0x90, id(6), x("0087")), 6, "", 0},
		{"UNSUBSCRIBE", packet(0xA2, id(8), s("a")), 8, "", 0},
		{"UNSUBACK", packet(0xB0, id(8)), 8, "", 0},
		{"PINGREQ", packet(0xC0), 0, "", 0},
		{"CONNECT", connect311(0x02, s("id")), 0, "", 0},
		{"DISCONNECT", packet(0xE0), 0, "", 0},
		{"DISCONNECT with will", packet(0xE0, x("04")), 0, "", 0x04},
		{"AUTH", packet(0xF0, x("18"), none), 0, "", 0x18},
		{"PUBLISH cut off within its topic", packet(0x32, x("0009"), raw("abc")), 0, "", 0},
		{"PUBLISH cut off before its identifier", packet(0x32, s("a"), x("00")), 0, "a", 0},
		{"PUBLISH of nothing", packet(0x32), 0, "", 0},
		{"PUBACK cut off", packet(0x40, x("01")), 0, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, n, err := ParseHeader(tt.packet)
			if err != nil {
				t.Fatal(err)
			}
			body := tt.packet[n:]
			if got := PacketID(h, body); got != tt.id {
				t.Errorf("PacketID = %d, want %d", got, tt.id)
			}
			if got := Topic(h, body); string(got) != tt.topic {
				t.Errorf("Topic = %q, want %q", got, tt.topic)
			}
			if got := ReasonCode(h, body); got != tt.reason {
				t.Errorf("ReasonCode = 0x%02X, want 0x%02X", got, tt.reason)
			}
			renamed := slices.Clone(body)
			SetPacketID(h, renamed, 0xABCD)
			want := uint16(0)
			if tt.id != 0 {
				want = 0xABCD
			}
			if got := PacketID(h, renamed); got != want {
				t.Errorf("PacketID = %#X after SetPacketID, want %#X", got, want)
			}
			if SetPacketID(h, renamed, tt.id); !bytes.Equal(renamed, body) {
				t.Errorf("SetPacketID has changed more than the identifier: % X, want % X", renamed, body)
			}
		})
	}
}

func TestHeaderFlags(t *testing.T) {
	h := Header{Type: TypePublish, Flags: 0b1101}
	if h.QoS() != 2 || !h.Dup() || !h.Retain() {
		t.Errorf("QoS %d, DUP %v, RETAIN %v, want 2, true, true", h.QoS(), h.Dup(), h.Retain())
	}
	h.Flags = 0b0010
	if h.QoS() != 1 || h.Dup() || h.Retain() {
		t.Errorf("QoS %d, DUP %v, RETAIN %v, want 1, false, false", h.QoS(), h.Dup(), h.Retain())
	}
}
