package frame

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestPropertiesOutOfPlace tries each of the 256 property identifiers in each
// place where a client may put properties. Table 2-4 says which belong there;
// those of servers belong nowhere.
func TestPropertiesOutOfPlace(t *testing.T) {
	table := map[byte]struct {
		places string
		value  []byte // one that no limit forbids
	}{
		0x01: {"PUBLISH will", x("01")},
		0x02: {"PUBLISH will", x("00000001")},
		0x03: {"PUBLISH will", s("a")},
		0x08: {"PUBLISH will", s("a")},
		0x09: {"PUBLISH will", s("a")},
		0x0B: {"SUBSCRIBE", x("FFFFFF7F")},
		0x11: {"CONNECT DISCONNECT", x("00000001")},
		0x12: {"", s("a")},
		0x13: {"", x("0001")},
		0x15: {"CONNECT AUTH", s("a")},
		0x16: {"CONNECT AUTH", s("a")},
		0x17: {"CONNECT", x("01")},
		0x18: {"will", x("00000001")},
		0x19: {"CONNECT", x("01")},
		0x1A: {"", s("a")},
		0x1C: {"", s("a")},
		0x1F: {"PUBACK PUBREC PUBREL PUBCOMP DISCONNECT AUTH", s("a")},
		0x21: {"CONNECT", x("0001")},
		0x22: {"CONNECT", x("0001")},
		0x23: {"PUBLISH", x("0001")},
		0x24: {"", x("01")},
		0x25: {"", x("01")},
		0x26: {"CONNECT PUBLISH will PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE UNSUBSCRIBE DISCONNECT AUTH", slices.Concat(s("a"), s("b"))},
		0x27: {"CONNECT", x("00000001")},
		0x28: {"", x("01")},
		0x29: {"", x("01")},
		0x2A: {"", x("01")},
	}
	method := propText(0x15, "m")
	places := []struct {
		name   string
		packet func(properties []byte) []byte
	}{
		{"CONNECT", func(p []byte) []byte { return connect5(0x02, p, s("id")) }},
		{"will", func(p []byte) []byte { return connect5(0x06, none, s("id"), p, s("t"), s("")) }},
		{"PUBLISH", func(p []byte) []byte { return packet(0x30, s("t"), p) }},
		{"PUBACK", func(p []byte) []byte { return packet(0x40, id(1), x("00"), p) }},
		{"PUBREC", func(p []byte) []byte { return packet(0x50, id(1), x("00"), p) }},
		{"PUBREL", func(p []byte) []byte { return packet(0x62, id(1), x("00"), p) }},
		{"PUBCOMP", func(p []byte) []byte { return packet(0x70, id(1), x("00"), p) }},
		{"SUBSCRIBE", func(p []byte) []byte { return packet(0x82, id(1), p, s("t"), x("00")) }},
		{"UNSUBSCRIBE", func(p []byte) []byte { return packet(0xA2, id(1), p, s("t")) }},
		{"DISCONNECT", func(p []byte) []byte { return packet(0xE0, x("00"), p) }},
		{"AUTH", func(p []byte) []byte { return packet(0xF0, x("18"), p) }},
	}
	for _, place := range places {
		var rows []row
		for n := range 256 {
			property := byte(n)
			d, known := table[property]
			whole := slices.Concat([]byte{property}, d.value)
			name := fmt.Sprintf("%s with property 0x%02X", place.name, property)
			switch {
			case !known:
				rows = append(rows, row{name, 5, place.packet(props(whole, x("00"))), malformed, "section 2.2.2.2"})
			case slices.Contains(strings.Fields(d.places), place.name):
				// The tables of the packets have it.
			default:
				clause := "section 2.2.2.2"
				switch {
				case property == 0x0B && place.name == "PUBLISH":
					clause = "MQTT-3.3.4-6"
				case property == 0x1C && place.name == "DISCONNECT":
					clause = "section 3.14.2.2.5"
				}
				rows = append(rows,
					row{name, 5, place.packet(props(whole)), protocol, clause},
					row{name + " twice", 5, place.packet(props(whole, whole)), protocol, clause},
					row{name + " cut off", 5, place.packet(props(whole[:len(whole)-1])), malformed, "MQTT-4.13.1-1"},
					row{name + " without its value", 5, place.packet(props(whole[:1])), malformed, "MQTT-4.13.1-1"})
			}
		}
		checkAfter(t, rows, func(t *testing.T, version byte) *Checker {
			switch place.name {
			case "CONNECT", "will":
				return NewChecker(Config{})
			case "AUTH":
				return after(t, Config{}, connect5(0x02, props(method), s("id")))
			default:
				return signedIn(t, Config{}, version)
			}
		})
	}
}

// TestValuesOutOfPlace: what is not well formed is malformed in the wrong place,
// too; a value that only a limit forbids is not looked at.
func TestValuesOutOfPlace(t *testing.T) {
	p5 := func(properties ...[]byte) []byte { return packet(0x30, s("t"), props(properties...)) }
	puback := func(properties ...[]byte) []byte { return packet(0x40, id(1), x("00"), props(properties...)) }
	check(t, []row{
		{"text that is not UTF-8", 5, p5(propText(0x12, "\xFF")), malformed, "MQTT-1.5.4-1"},
		{"text with U+0000", 5, p5(propText(0x1A, "\x00")), malformed, "MQTT-1.5.4-2"},
		{"an overlong subscription identifier", 5, p5(x("0B8100")), malformed, "MQTT-1.5.5-1"},
		{"a subscription identifier of five bytes", 5, p5(x("0B8080808001")), malformed, "section 1.5.5"},
		{"a subscription identifier of 0", 5, p5(x("0B00")), protocol, "MQTT-3.3.4-6"},
		{"text longer than the properties", 5, packet(0x30, s("t"), x("04"), x("12000261"), raw("b")), malformed, "MQTT-4.13.1-1"},
		{"a maximum QoS of 2", 5, p5(prop8(0x24, 2)), protocol, "section 2.2.2.2"},
		{"a receive maximum of 0", 5, p5(prop16(0x21, 0)), protocol, "section 2.2.2.2"},
		{"a maximum packet size of 0", 5, p5(prop32(0x27, 0)), protocol, "section 2.2.2.2"},
		{"a response topic with a wildcard", 5, puback(propText(0x08, "#")), protocol, "section 2.2.2.2"},
		{"an empty response topic", 5, puback(propText(0x08, "")), protocol, "section 2.2.2.2"},
		{"a payload format of 2", 5, puback(prop8(0x01, 2)), protocol, "section 2.2.2.2"},
		{"behind one that has a place", 5, puback(propText(0x1F, "a"), prop16(0x23, 1)), protocol, "section 2.2.2.2"},
		{"before one that is cut off", 5, puback(prop16(0x23, 1), x("1F0005")), protocol, "section 2.2.2.2"},
		{"behind one that is unknown", 5, puback(x("0400"), prop16(0x23, 1)), malformed, "section 2.2.2.2"},
	})
}
