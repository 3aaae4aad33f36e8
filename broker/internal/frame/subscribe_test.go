package frame

import (
	"slices"
	"strings"
	"testing"
)

func TestSubscribeTable(t *testing.T) {
	s4 := func(parts ...[]byte) []byte { return packet(0x82, append([][]byte{id(1)}, parts...)...) }
	s5 := func(parts ...[]byte) []byte { return packet(0x82, append([][]byte{id(1), none}, parts...)...) }
	withProps := func(parts ...[]byte) []byte { return packet(0x82, id(1), props(parts...), s("t"), x("00")) }
	check(t, []row{
		{"one filter", 3, s4(s("t"), x("01")), ok, ""},
		{"one filter", 4, s4(s("t"), x("01")), ok, ""},
		{"one filter", 5, s5(s("t"), x("01")), ok, ""},
		{"three filters", 4, s4(s("a"), x("00"), s("b"), x("01"), s("c"), x("02")), ok, "section 3.8.3"},
		{"three filters", 5, s5(s("a"), x("00"), s("b"), x("2D"), s("#"), x("1A")), ok, "section 3.8.3"},
		{"the same filter twice", 4, s4(s("a"), x("00"), s("a"), x("01")), ok, "section 3.8.4"},
		{"identifier 65535", 4, packet(0x82, id(65535), s("a"), x("00")), ok, ""},
		{"identifier 0", 3, packet(0x82, id(0), s("a"), x("00")), protocol, "MQTT-2.3.1-1"},
		{"identifier 0", 4, packet(0x82, id(0), s("a"), x("00")), protocol, "MQTT-2.3.1-1"},
		{"identifier 0", 5, packet(0x82, id(0), none, s("a"), x("00")), protocol, "MQTT-2.2.1-3"},
		{"an empty packet", 4, packet(0x82), malformed, "MQTT-4.8.0-1"},
		{"an empty packet", 5, packet(0x82), malformed, "MQTT-4.13.1-1"},
		{"no filter", 3, s4(), protocol, "MQTT-3.8.3-3"},
		{"no filter", 4, s4(), protocol, "MQTT-3.8.3-3"},
		{"no filter", 5, s5(), protocol, "MQTT-3.8.3-2"},
		{"no property length", 5, s4(), malformed, "MQTT-4.13.1-1"},
		{"a filter without its QoS", 4, s4(s("t")), malformed, "MQTT-4.8.0-1"},
		{"a filter without its options", 5, s5(s("t")), malformed, "MQTT-4.13.1-1"},
		{"a second filter without its options", 5, s5(s("t"), x("00"), s("u")), malformed, "MQTT-4.13.1-1"},
		{"a filter cut off", 4, s4(x("000574")), malformed, "MQTT-4.8.0-1"},
		{"a filter cut off within its length", 5, s5(s("t"), x("00"), x("00")), malformed, "MQTT-4.13.1-1"},
		{"1024 filters", 4, s4(many(1024, slices.Concat(s("t"), x("00")))...), ok, "Config.MaxFilters"},
		{"1025 filters", 4, s4(many(1025, slices.Concat(s("t"), x("00")))...), quota, "MQTT-4.8.0-1"},
		{"1025 filters", 5, s5(many(1025, slices.Concat(s("t"), x("00")))...), quota, "section 4.13.2"},

		// Options (section 3.8.3.1).
		{"QoS 2", 4, s4(s("t"), x("02")), ok, "MQTT-3.8.3-4"},
		{"QoS 3", 3, s4(s("t"), x("03")), malformed, "MQTT-3.8.3-4"},
		{"QoS 3", 4, s4(s("t"), x("03")), malformed, "MQTT-3.8.3-4"},
		{"QoS 3", 5, s5(s("t"), x("03")), protocol, "section 3.8.3.1"},
		{"reserved bit 2", 4, s4(s("t"), x("04")), malformed, "MQTT-3.8.3-4"},
		{"reserved bit 3", 4, s4(s("t"), x("09")), malformed, "MQTT-3.8.3-4"},
		{"reserved bit 7", 4, s4(s("t"), x("80")), malformed, "MQTT-3.8.3-4"},
		{"reserved bit 7", 3, s4(s("t"), x("80")), malformed, "MQTT-3.8.3-4"},
		{"reserved bit 6", 5, s5(s("t"), x("40")), malformed, "MQTT-3.8.3-5"},
		{"reserved bit 7", 5, s5(s("t"), x("80")), malformed, "MQTT-3.8.3-5"},
		{"a reserved bit in the second filter", 5, s5(s("t"), x("00"), s("u"), x("40")), malformed, "MQTT-3.8.3-5"},
		{"No Local", 5, s5(s("t"), x("04")), ok, "section 3.8.3.1"},
		{"Retain As Published", 5, s5(s("t"), x("08")), ok, "section 3.8.3.1"},
		{"Retain Handling 1", 5, s5(s("t"), x("10")), ok, "section 3.8.3.1"},
		{"Retain Handling 2", 5, s5(s("t"), x("20")), ok, "section 3.8.3.1"},
		{"Retain Handling 3", 5, s5(s("t"), x("30")), protocol, "section 3.8.3.1"},
		{"all options that go together", 5, s5(s("t"), x("2E")), ok, "section 3.8.3.1"},
		{"No Local on a shared subscription", 5, s5(s("$share/g/t"), x("04")), protocol, "MQTT-3.8.3-4"},
		{"No Local on a shared subscription in capitals", 5, s5(s("$SHARE/g/t"), x("04")), protocol, "MQTT-3.8.3-4"},
		{"No Local beside a shared subscription", 5, s5(s("$share/g/t"), x("00"), s("t"), x("04")), ok, "MQTT-3.8.3-4"},

		// Properties (section 3.8.2.1).
		{"a subscription identifier of 1", 5, withProps(x("0B01")), ok, "section 3.8.2.1.2"},
		{"the largest subscription identifier", 5, withProps(x("0BFFFFFF7F")), ok, "section 3.8.2.1.2"},
		{"a subscription identifier of 0", 5, withProps(x("0B00")), protocol, "section 3.8.2.1.2"},
		{"a subscription identifier of five bytes", 5, withProps(x("0BFFFFFFFF01")), malformed, "section 1.5.5"},
		{"an overlong subscription identifier", 5, withProps(x("0B8100")), malformed, "MQTT-1.5.5-1"},
		{"an overlong subscription identifier of 0", 5, withProps(x("0B8000")), malformed, "MQTT-1.5.5-1"},
		{"a subscription identifier cut off", 5, withProps(x("0B80")), malformed, "MQTT-4.13.1-1"},
		{"subscription identifier twice", 5, withProps(x("0B010B01")), protocol, "section 3.8.2.1.2"},
		{"user properties", 5, withProps(userProp("a", "b"), userProp("a", "b")), ok, "section 3.8.2.1.3"},
		{"a user property that is not UTF-8", 5, withProps(userProp("a", "\xFF")), malformed, "MQTT-1.5.4-1"},
		{"a reason string", 5, withProps(propText(0x1F, "a")), protocol, "section 2.2.2.2"},
		{"a topic alias", 5, withProps(prop16(0x23, 1)), protocol, "section 2.2.2.2"},
		{"Shared Subscription Available", 5, withProps(x("2A01")), protocol, "section 2.2.2.2"},
		{"Shared Subscription Available without its value", 5, withProps(x("2A")), malformed, "MQTT-4.13.1-1"},
		{"an unknown property", 5, withProps(x("2B01")), malformed, "section 2.2.2.2"},
		{"a property length larger than the packet", 5, packet(0x82, id(1), x("7F"), s("t"), x("00")), malformed, "MQTT-4.13.1-1"},
		{"properties and no filter", 5, packet(0x82, id(1), props(x("0B01"))), protocol, "MQTT-3.8.3-2"},
	})
}

func TestUnsubscribeTable(t *testing.T) {
	check(t, []row{
		{"one filter", 3, packet(0xA2, id(1), s("t")), ok, ""},
		{"one filter", 4, packet(0xA2, id(1), s("t")), ok, ""},
		{"one filter", 5, packet(0xA2, id(1), none, s("t")), ok, ""},
		{"three filters", 4, packet(0xA2, id(1), s("a"), s("+/b"), s("#")), ok, ""},
		{"three filters", 5, packet(0xA2, id(1), none, s("a"), s("$share/g/b"), s("#")), ok, ""},
		{"identifier 0", 4, packet(0xA2, id(0), s("t")), protocol, "MQTT-2.3.1-1"},
		{"identifier 0", 5, packet(0xA2, id(0), none, s("t")), protocol, "MQTT-2.2.1-3"},
		{"an empty packet", 4, packet(0xA2), malformed, "MQTT-4.8.0-1"},
		{"an empty packet", 5, packet(0xA2), malformed, "MQTT-4.13.1-1"},
		{"no filter", 3, packet(0xA2, id(1)), protocol, "MQTT-3.10.3-2"},
		{"no filter", 4, packet(0xA2, id(1)), protocol, "MQTT-3.10.3-2"},
		{"no filter", 5, packet(0xA2, id(1), none), protocol, "MQTT-3.10.3-2"},
		{"no property length", 5, packet(0xA2, id(1)), malformed, "MQTT-4.13.1-1"},
		{"a filter cut off", 4, packet(0xA2, id(1), x("000574")), malformed, "MQTT-4.8.0-1"},
		{"a byte behind", 4, packet(0xA2, id(1), s("t"), x("00")), malformed, "MQTT-4.8.0-1"},
		{"a byte behind", 5, packet(0xA2, id(1), none, s("t"), x("00")), malformed, "MQTT-4.13.1-1"},
		{"the body of a SUBSCRIBE", 4, packet(0xA2, id(1), s("t"), x("01")), malformed, "MQTT-4.8.0-1"},
		{"user properties", 5, packet(0xA2, id(1), props(userProp("a", "b")), s("t")), ok, "section 3.10.2.1.2"},
		{"a subscription identifier", 5, packet(0xA2, id(1), props(x("0B01")), s("t")), protocol, "section 2.2.2.2"},
		{"a reason string", 5, packet(0xA2, id(1), props(propText(0x1F, "a")), s("t")), protocol, "section 2.2.2.2"},
		{"properties and no filter", 5, packet(0xA2, id(1), props(userProp("a", "b"))), protocol, "MQTT-3.10.3-2"},
		{"1025 filters", 4, packet(0xA2, append([][]byte{id(1)}, many(1025, s("t"))...)...), quota, "MQTT-4.8.0-1"},
	})
}

// TestFilterSyntax is sections 4.7 and 4.8.2, in SUBSCRIBE and UNSUBSCRIBE at
// every level.
func TestFilterSyntax(t *testing.T) {
	// A level 3 or 4 client is told the clause of 3.1.1, which counts from one.
	v311 := strings.NewReplacer("MQTT-4.7.1-2", "MQTT-4.7.1-3", "MQTT-4.7.1-1", "MQTT-4.7.1-2",
		"MQTT-1.5.4", "MQTT-1.5.3")
	for _, tt := range []struct {
		name, filter string
		want         byte
		clause       string
	}{
		{"one level", "a", ok, ""},
		{"three levels", "a/b/c", ok, ""},
		{"a slash", "/", ok, ""},
		{"empty levels", "//a//", ok, ""},
		{"a space", " ", ok, ""},
		{"# alone", "#", ok, "MQTT-4.7.1-1"},
		{"# as the last level", "a/b/#", ok, ""},
		{"# after a slash", "/#", ok, ""},
		{"# after an empty level", "a//#", ok, ""},
		{"# behind a word", "a#", malformed, "MQTT-4.7.1-1"},
		{"# behind a word, deeper", "a/b#", malformed, "MQTT-4.7.1-1"},
		{"# with a slash behind", "#/", malformed, "MQTT-4.7.1-1"},
		{"# in the middle", "a/#/b", malformed, "MQTT-4.7.1-1"},
		{"# twice", "##", malformed, "MQTT-4.7.1-1"},
		{"# before a word", "#a", malformed, "MQTT-4.7.1-1"},
		{"+ alone", "+", ok, "MQTT-4.7.1-2"},
		{"+ first", "+/a", ok, ""},
		{"+ in the middle", "a/+/b", ok, ""},
		{"+ last", "a/+", ok, ""},
		{"+ three times and #", "+/+/+/#", ok, ""},
		{"+ between empty levels", "/+/", ok, ""},
		{"+ behind a word", "a+", malformed, "MQTT-4.7.1-2"},
		{"+ behind a word, then a level", "a+/b", malformed, "MQTT-4.7.1-2"},
		{"+ before a word", "+a", malformed, "MQTT-4.7.1-2"},
		{"+ twice", "++", malformed, "MQTT-4.7.1-2"},
		{"+ before #", "+#", malformed, "MQTT-4.7.1-2"},
		{"+ within a word", "a/b+c/d", malformed, "MQTT-4.7.1-2"},
		{"$SYS", "$SYS/#", ok, "section 4.7.2"},
		{"nothing", "", malformed, "MQTT-4.7.3-1"},
		{"U+0000", "a\x00", malformed, "MQTT-1.5.4-2"},
		{"bad UTF-8", "a\xC0\xAF", malformed, "MQTT-1.5.4-1"},
		{"a surrogate", "\xED\xA0\x80", malformed, "MQTT-1.5.4-1"},
		{"the largest size", strings.Repeat("x", 65535), ok, "MQTT-4.7.3-3"},

		{"shared", "$share/g/a", ok, "MQTT-4.8.2-1"},
		{"shared with wildcards", "$share/g/+/a/#", ok, ""},
		{"shared #", "$share/g/#", ok, ""},
		{"shared with an empty first level", "$share/g//a", ok, ""},
		{"shared slash", "$share/g//", ok, ""},
		{"shared below $SYS", "$share/g/$SYS/#", ok, ""},
		{"shared in capitals", "$SHARE/g/a", ok, ""},
		{"shared in mixed case", "$Share/g/a", ok, ""},
		{"a share name of other letters", "$share/日本/a", ok, ""},
		{"$share alone is an ordinary filter", "$share", ok, "MQTT-4.8.2-1"},
		{"$shared is an ordinary filter", "$shared/", ok, "MQTT-4.8.2-1"},
		{"share is an ordinary filter", "share//a", ok, "MQTT-4.8.2-1"},
		{"no share name", "$share/", malformed, "MQTT-4.8.2-1"},
		{"an empty share name", "$share//a", malformed, "MQTT-4.8.2-1"},
		{"an empty share name in capitals", "$SHARE//a", malformed, "MQTT-4.8.2-1"},
		{"an empty share name with a long s", "$ſhare//a", malformed, "MQTT-4.8.2-1"},
		{"nothing behind the share name", "$share/g", malformed, "MQTT-4.8.2-2"},
		{"nothing behind the share name in capitals", "$SHARE/g", malformed, "MQTT-4.8.2-2"},
		{"a slash behind the share name", "$share/g/", malformed, "MQTT-4.8.2-2"},
		{"a share name of #", "$share/#", malformed, "MQTT-4.8.2-2"},
		{"a share name of +", "$share/+/a", malformed, "MQTT-4.8.2-2"},
		{"a share name with +", "$share/g+/a", malformed, "MQTT-4.8.2-2"},
		{"a share name with #", "$share/#g/a", malformed, "MQTT-4.8.2-2"},
		{"shared with # in the middle", "$share/g/#/a", malformed, "MQTT-4.7.1-1"},
		{"shared with + in a word", "$share/g/a+", malformed, "MQTT-4.7.1-2"},
	} {
		var rows []row
		for _, version := range []byte{Level31, Level311, Level5} {
			properties, clause := none, tt.clause
			if version != Level5 {
				properties, clause = nil, v311.Replace(tt.clause)
			}
			rows = append(rows,
				row{"SUBSCRIBE " + tt.name, version, packet(0x82, id(1), properties, s(tt.filter), x("01")), tt.want, clause},
				row{"UNSUBSCRIBE " + tt.name, version, packet(0xA2, id(1), properties, s(tt.filter)), tt.want, clause})
		}
		check(t, rows)
	}
}
