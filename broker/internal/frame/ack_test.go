package frame

import (
	"fmt"
	"slices"
	"testing"
)

func TestAckTable(t *testing.T) {
	check(t, []row{
		{"PUBACK", 3, packet(0x40, id(1)), ok, ""},
		{"PUBACK", 4, packet(0x40, id(1)), ok, ""},
		{"PUBACK in its short form", 5, packet(0x40, id(1)), ok, "section 3.4.2.1"},
		{"PUBACK with a reason code", 5, packet(0x40, id(1), x("00")), ok, "section 3.4.2.2.1"},
		{"PUBACK with a property length", 5, packet(0x40, id(1), x("80"), none), ok, "section 3.4.2"},
		{"PUBACK with properties", 5, packet(0x40, id(65535), x("97"), props(propText(0x1F, "full"), userProp("a", "b"), userProp("a", "b"))), ok, "section 3.4.2.2"},
		{"PUBREC", 4, packet(0x50, id(1)), ok, ""},
		{"PUBREC in its short form", 5, packet(0x50, id(1)), ok, "section 3.5.2.1"},
		{"PUBREC with properties", 5, packet(0x50, id(1), x("00"), props(propText(0x1F, ""), userProp("a", "b"))), ok, "section 3.5.2.2"},
		{"PUBREL", 4, packet(0x62, id(1)), ok, ""},
		{"PUBREL in its short form", 5, packet(0x62, id(1)), ok, "section 3.6.2.1"},
		{"PUBREL with properties", 5, packet(0x62, id(1), x("92"), props(propText(0x1F, "lost"))), ok, "section 3.6.2.2"},
		{"PUBCOMP", 4, packet(0x70, id(1)), ok, ""},
		{"PUBCOMP in its short form", 5, packet(0x70, id(1)), ok, "section 3.7.2.1"},
		{"PUBCOMP with properties", 5, packet(0x70, id(1), x("92"), props(userProp("a", "b"))), ok, "section 3.7.2.2"},

		{"an empty PUBACK", 4, packet(0x40), malformed, "MQTT-4.8.0-1"},
		{"an empty PUBACK", 5, packet(0x40), malformed, "MQTT-4.13.1-1"},
		{"PUBACK of one byte", 3, packet(0x40, x("00")), malformed, "MQTT-4.8.0-1"},
		{"PUBACK of one byte", 5, packet(0x40, x("00")), malformed, "MQTT-4.13.1-1"},
		{"PUBACK of three bytes", 3, packet(0x40, id(1), x("00")), malformed, "MQTT-4.8.0-1"},
		{"PUBACK of three bytes", 4, packet(0x40, id(1), x("00")), malformed, "MQTT-4.8.0-1"},
		{"PUBREC of three bytes", 4, packet(0x50, id(1), x("00")), malformed, "MQTT-4.8.0-1"},
		{"PUBREL of three bytes", 4, packet(0x62, id(1), x("00")), malformed, "MQTT-4.8.0-1"},
		{"PUBCOMP of three bytes", 4, packet(0x70, id(1), x("00")), malformed, "MQTT-4.8.0-1"},
		{"an empty PUBREC", 4, packet(0x50), malformed, "MQTT-4.8.0-1"},
		{"an empty PUBREL", 5, packet(0x62), malformed, "MQTT-4.13.1-1"},
		{"an empty PUBCOMP", 5, packet(0x70), malformed, "MQTT-4.13.1-1"},
		{"PUBACK for identifier 0", 3, packet(0x40, id(0)), protocol, "MQTT-2.3.1-6"},
		{"PUBACK for identifier 0", 4, packet(0x40, id(0)), protocol, "MQTT-2.3.1-6"},
		{"PUBACK for identifier 0", 5, packet(0x40, id(0)), protocol, "MQTT-2.2.1-5"},
		{"PUBREC for identifier 0", 5, packet(0x50, id(0)), protocol, "MQTT-2.2.1-5"},
		{"PUBREL for identifier 0", 4, packet(0x62, id(0)), protocol, "MQTT-2.3.1-6"},
		{"PUBREL for identifier 0", 5, packet(0x62, id(0)), protocol, "MQTT-2.2.1-5"},
		{"PUBCOMP for identifier 0", 5, packet(0x70, id(0)), protocol, "MQTT-2.2.1-5"},

		{"PUBACK with reason string twice", 5, packet(0x40, id(1), x("00"), props(propText(0x1F, "a"), propText(0x1F, "b"))), protocol, "section 3.4.2.2.2"},
		{"PUBACK with a reason string that is not UTF-8", 5, packet(0x40, id(1), x("00"), props(propText(0x1F, "\xFF"))), malformed, "MQTT-1.5.4-1"},
		{"PUBACK with a reason string cut off", 5, packet(0x40, id(1), x("00"), props(x("1F0005"))), malformed, "MQTT-4.13.1-1"},
		{"PUBACK with a session expiry", 5, packet(0x40, id(1), x("00"), props(prop32(0x11, 1))), protocol, "section 2.2.2.2"},
		{"PUBACK with a message expiry", 5, packet(0x40, id(1), x("00"), props(prop32(0x02, 1))), protocol, "section 2.2.2.2"},
		{"PUBREC with a topic alias", 5, packet(0x50, id(1), x("00"), props(prop16(0x23, 1))), protocol, "section 2.2.2.2"},
		{"PUBREL with an authentication method", 5, packet(0x62, id(1), x("00"), props(propText(0x15, "a"))), protocol, "section 2.2.2.2"},
		{"PUBCOMP with a server reference", 5, packet(0x70, id(1), x("00"), props(propText(0x1C, "a"))), protocol, "section 2.2.2.2"},
		{"PUBACK with a byte behind its properties", 5, packet(0x40, id(1), x("00"), none, x("00")), malformed, "MQTT-4.13.1-1"},
		{"PUBREL with a byte behind its properties", 5, packet(0x62, id(1), x("00"), props(userProp("", "")), x("26")), malformed, "MQTT-4.13.1-1"},
		{"PUBACK with a property length too large", 5, packet(0x40, id(1), x("00"), x("05")), malformed, "MQTT-4.13.1-1"},
		{"PUBACK with an overlong property length", 5, packet(0x40, id(1), x("00"), x("8000")), malformed, "MQTT-1.5.5-1"},
		{"PUBACK with more user properties than allowed", 5, packet(0x40, id(1), x("00"), props(many(257, userProp("", ""))...)), quota, "section 4.13.2"},
	})
}

// TestAckReasonCodes tries all 256 codes: a client may send those of the tables
// in sections 3.4.2.1, 3.5.2.1, 3.6.2.1 and 3.7.2.1.
func TestAckReasonCodes(t *testing.T) {
	published := []byte{0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
	released := []byte{0x00, 0x92}
	for _, tt := range []struct {
		first  byte
		name   string
		codes  []byte
		clause string
	}{
		{0x40, "PUBACK", published, "MQTT-3.4.2-1"},
		{0x50, "PUBREC", published, "MQTT-3.5.2-1"},
		{0x62, "PUBREL", released, "MQTT-3.6.2-1"},
		{0x70, "PUBCOMP", released, "MQTT-3.7.2-1"},
	} {
		var rows []row
		for code := range 256 {
			r := row{fmt.Sprintf("%s with reason code 0x%02X", tt.name, code), 5, packet(tt.first, id(1), []byte{byte(code)}), protocol, tt.clause}
			if slices.Contains(tt.codes, byte(code)) {
				r.want = ok
			}
			rows = append(rows, r)
		}
		check(t, rows)
	}
}
