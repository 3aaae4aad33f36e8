package frame

import (
	"strings"
	"testing"
)

func TestPublishTable(t *testing.T) {
	p4 := func(first byte, parts ...[]byte) []byte { return packet(first, parts...) }
	p5 := func(properties []byte, payload string) []byte {
		return packet(0x30, s("topic"), properties, raw(payload))
	}
	check(t, []row{
		{"QoS 0", 3, p4(0x30, s("topic"), raw("payload")), ok, ""},
		{"QoS 0", 4, p4(0x30, s("topic"), raw("payload")), ok, ""},
		{"QoS 0", 5, p5(none, "payload"), ok, ""},
		{"QoS 0, retained", 4, p4(0x31, s("topic"), raw("payload")), ok, ""},
		{"QoS 1", 4, p4(0x32, s("topic"), id(1), raw("payload")), ok, ""},
		{"QoS 1", 5, packet(0x32, s("topic"), id(1), none, raw("payload")), ok, ""},
		{"QoS 1, sent again", 4, p4(0x3A, s("topic"), id(1)), ok, "MQTT-3.3.1-1"},
		{"QoS 1, sent again, retained", 5, packet(0x3B, s("topic"), id(1), none), ok, "MQTT-3.3.1-1"},
		{"QoS 2", 3, p4(0x34, s("topic"), id(65535), raw("payload")), ok, ""},
		{"QoS 2", 4, p4(0x34, s("topic"), id(65535), raw("payload")), ok, ""},
		{"QoS 2, sent again", 5, packet(0x3C, s("topic"), id(65535), none), ok, ""},
		{"QoS 3", 3, p4(0x36, s("topic"), id(1)), malformed, "MQTT-3.3.1-4"},
		{"QoS 3", 4, p4(0x36, s("topic"), id(1)), malformed, "MQTT-3.3.1-4"},
		{"QoS 3", 5, packet(0x36, s("topic"), id(1), none), malformed, "MQTT-3.3.1-4"},
		{"QoS 3 without an identifier", 5, packet(0x36, s("topic"), none), malformed, "MQTT-3.3.1-4"},
		{"QoS 3, DUP and RETAIN", 5, packet(0x3F, s("topic"), id(1), none), malformed, "MQTT-3.3.1-4"},
		{"DUP with QoS 0", 3, p4(0x38, s("topic")), malformed, "MQTT-3.3.1-2"},
		{"DUP with QoS 0", 4, p4(0x38, s("topic")), malformed, "MQTT-3.3.1-2"},
		{"DUP with QoS 0", 5, packet(0x39, s("topic"), none), malformed, "MQTT-3.3.1-2"},

		{"no payload", 4, p4(0x30, s("topic")), ok, "section 3.3.3"},
		{"no payload", 5, p5(none, ""), ok, "section 3.3.3"},
		{"a payload of any bytes", 4, p4(0x30, s("topic"), x("00FFC080EDA080")), ok, "section 3.3.3"},
		{"an empty packet", 4, p4(0x30), malformed, "MQTT-4.8.0-1"},
		{"an empty packet", 5, packet(0x30), malformed, "MQTT-4.13.1-1"},
		{"it ends within the length of the topic", 4, p4(0x30, x("00")), malformed, "MQTT-4.8.0-1"},
		{"it ends within the topic", 4, p4(0x30, x("000574")), malformed, "MQTT-4.8.0-1"},
		{"the topic says 65535 bytes", 5, packet(0x30, x("FFFF74")), malformed, "MQTT-4.13.1-1"},
		{"no identifier", 4, p4(0x32, s("topic")), malformed, "MQTT-4.8.0-1"},
		{"it ends within the identifier", 4, p4(0x32, s("topic"), x("00")), malformed, "MQTT-4.8.0-1"},
		{"no identifier", 5, packet(0x34, s("topic"), none), malformed, "MQTT-4.13.1-1"},
		{"identifier 0 with QoS 1", 4, p4(0x32, s("topic"), id(0)), protocol, "MQTT-2.3.1-1"},
		{"identifier 0 with QoS 2", 4, p4(0x34, s("topic"), id(0)), protocol, "MQTT-2.3.1-1"},
		{"identifier 0 with QoS 1", 5, packet(0x32, s("topic"), id(0), none), protocol, "MQTT-2.2.1-3"},
		{"no property length", 5, packet(0x30, s("topic")), malformed, "MQTT-4.13.1-1"},

		{"a topic of one character", 4, p4(0x30, s("t")), ok, "MQTT-4.7.3-1"},
		{"a topic that is a slash", 4, p4(0x30, s("/")), ok, "section 4.7.1.1"},
		{"a topic with empty levels", 5, packet(0x30, s("//a//"), none), ok, "section 4.7.1.1"},
		{"a topic with spaces", 5, packet(0x30, s("a topic/b c"), none), ok, "section 4.7.3"},
		{"a topic of the largest size", 4, p4(0x30, s(strings.Repeat("x", 65535))), ok, "MQTT-4.7.3-3"},
		{"a topic beyond the basic plane", 5, packet(0x30, s("A𪛔"), none), ok, "section 1.5.4"},
		{"a topic with a control character", 5, packet(0x30, s("a\x01\x7F"), none), ok, "section 1.5.4"},
		{"a topic below $SYS is left to the hook", 4, p4(0x30, s("$SYS/x")), ok, "section 4.7.2"},
		{"a topic that looks like a shared subscription", 5, packet(0x30, s("$share/g/t"), none), ok, "section 4.8.2"},
		{"an empty topic", 3, p4(0x30, s("")), malformed, "MQTT-4.7.3-1"},
		{"an empty topic", 4, p4(0x30, s(""), raw("payload")), malformed, "MQTT-4.7.3-1"},
		{"an empty topic", 5, packet(0x30, s(""), none), protocol, "section 3.3.2.3.4"},
		{"a topic with +", 3, p4(0x30, s("+")), malformed, "MQTT-3.3.2-2"},
		{"a topic with +", 4, p4(0x30, s("a/+/b")), malformed, "MQTT-3.3.2-2"},
		{"a topic with #", 4, p4(0x30, s("#")), malformed, "MQTT-3.3.2-2"},
		{"a topic with #", 5, packet(0x30, s("a/#"), none), malformed, "MQTT-3.3.2-2"},
		{"a topic with + in a word", 5, packet(0x30, s("a+b"), none), malformed, "MQTT-3.3.2-2"},
		{"a topic with U+0000", 4, p4(0x30, s("to\x00pic")), malformed, "MQTT-1.5.3-2"},
		{"a topic with U+0000", 5, packet(0x30, s("\x00"), none), malformed, "MQTT-1.5.4-2"},
		{"a topic with a surrogate", 4, p4(0x30, s("to\xED\xA0\x80")), malformed, "MQTT-1.5.3-1"},
		{"a topic with a surrogate", 5, packet(0x30, s("to\xED\xBF\xBF"), none), malformed, "MQTT-1.5.4-1"},
		{"a topic with an overlong slash", 4, p4(0x30, s("a\xC0\xAFb")), malformed, "MQTT-1.5.3-1"},

		{"all its properties", 5, p5(props(prop8(0x01, 1), prop32(0x02, 9), propText(0x03, "text/plain"), propText(0x08, "answer"),
			propText(0x09, "\x00\x01"), userProp("k", "v"), userProp("k", "w")), "payload"), ok, "section 3.3.2.3"},
		{"payload format 0", 5, p5(props(prop8(0x01, 0)), "\xFF"), ok, "section 3.3.2.3.2"},
		{"payload format 1", 5, p5(props(prop8(0x01, 1)), "grüß"), ok, "section 3.3.2.3.2"},
		{"payload format 1 with U+0000", 5, p5(props(prop8(0x01, 1)), "a\x00b"), ok, "section 3.3.2.3.2"},
		{"payload format 1 without a payload", 5, p5(props(prop8(0x01, 1)), ""), ok, "section 3.3.2.3.2"},
		{"payload format 1 with another payload", 5, p5(props(prop8(0x01, 1)), "\xFF"), badPayload, "section 3.3.2.3.2"},
		{"payload format 1 with a payload cut off", 5, p5(props(prop8(0x01, 1)), "\xE2\x82"), badPayload, "section 3.3.2.3.2"},
		{"payload format 2", 5, p5(props(prop8(0x01, 2)), ""), protocol, "section 3.3.2.3.2"},
		{"payload format twice", 5, p5(props(prop8(0x01, 0), prop8(0x01, 0)), ""), protocol, "section 3.3.2.3.2"},
		{"payload format without a value", 5, p5(props(x("01")), ""), malformed, "MQTT-4.13.1-1"},
		{"message expiry 0", 5, p5(props(prop32(0x02, 0)), ""), ok, "section 3.3.2.3.3"},
		{"message expiry twice", 5, p5(props(prop32(0x02, 1), prop32(0x02, 1)), ""), protocol, "section 3.3.2.3.3"},
		{"message expiry cut off", 5, p5(props(x("02000000")), ""), malformed, "MQTT-4.13.1-1"},
		{"an empty content type", 5, p5(props(propText(0x03, "")), ""), ok, "section 3.3.2.3.9"},
		{"a content type that is not UTF-8", 5, p5(props(propText(0x03, "\xFF")), ""), malformed, "MQTT-1.5.4-1"},
		{"content type twice", 5, p5(props(propText(0x03, "a"), propText(0x03, "b")), ""), protocol, "section 3.3.2.3.9"},
		{"an empty response topic", 5, p5(props(propText(0x08, "")), ""), malformed, "MQTT-4.7.3-1"},
		{"a response topic with +", 5, p5(props(propText(0x08, "a/+")), ""), malformed, "MQTT-3.3.2-14"},
		{"a response topic with #", 5, p5(props(propText(0x08, "#")), ""), malformed, "MQTT-3.3.2-14"},
		{"a response topic with U+0000", 5, p5(props(propText(0x08, "a\x00")), ""), malformed, "MQTT-1.5.4-2"},
		{"response topic twice", 5, p5(props(propText(0x08, "a"), propText(0x08, "a")), ""), protocol, "section 3.3.2.3.5"},
		{"empty correlation data", 5, p5(props(propText(0x09, "")), ""), ok, "section 3.3.2.3.6"},
		{"correlation data twice", 5, p5(props(propText(0x09, "a"), propText(0x09, "a")), ""), protocol, "section 3.3.2.3.6"},
		{"correlation data cut off", 5, p5(props(x("090002AA")), ""), malformed, "MQTT-4.13.1-1"},
		{"a user property with a bad name", 5, p5(props(userProp("\xFF", "")), ""), malformed, "MQTT-1.5.4-1"},
		{"a user property with U+0000 in its value", 5, p5(props(userProp("", "\x00")), ""), malformed, "MQTT-1.5.4-2"},
		{"a user property cut off", 5, p5(props(x("26000161")), ""), malformed, "MQTT-4.13.1-1"},
		{"256 user properties", 5, p5(props(many(256, userProp("k", ""))...), ""), ok, "Config.MaxUserProperties"},
		{"257 user properties", 5, p5(props(many(257, userProp("k", ""))...), ""), quota, "section 4.13.2"},
		{"a subscription identifier", 5, p5(props(x("0B01")), ""), protocol, "MQTT-3.3.4-6"},
		{"a topic alias of 0", 5, p5(props(prop16(0x23, 0)), ""), badAlias, "MQTT-3.3.2-8"},
		{"a topic alias nobody offered", 5, p5(props(prop16(0x23, 1)), ""), badAlias, "MQTT-3.3.2-9"},
		{"a topic alias nobody offered, without a topic", 5, packet(0x30, s(""), props(prop16(0x23, 1))), badAlias, "MQTT-3.3.2-9"},
		{"a reason string", 5, p5(props(propText(0x1F, "why")), ""), protocol, "section 2.2.2.2"},
		{"a session expiry", 5, p5(props(prop32(0x11, 1)), ""), protocol, "section 2.2.2.2"},
		{"a will delay", 5, p5(props(prop32(0x18, 1)), ""), protocol, "section 2.2.2.2"},
		{"an authentication method", 5, p5(props(propText(0x15, "a")), ""), protocol, "section 2.2.2.2"},
		{"an unknown property", 5, p5(props(x("7E00")), ""), malformed, "section 2.2.2.2"},
		{"a property length larger than the packet", 5, packet(0x30, s("topic"), x("05"), prop8(0x01, 1)), malformed, "MQTT-4.13.1-1"},
		{"a property length that cuts a property", 5, packet(0x30, s("topic"), x("01"), prop8(0x01, 1)), malformed, "MQTT-4.13.1-1"},
		{"an overlong property length", 5, packet(0x30, s("topic"), x("8000")), malformed, "MQTT-1.5.5-1"},
		{"a property length of five bytes", 5, packet(0x30, s("topic"), x("8080808000")), malformed, "section 1.5.5"},
	})
}

func many(n int, part []byte) [][]byte {
	parts := make([][]byte, n)
	for i := range parts {
		parts[i] = part
	}
	return parts
}

// TestTopicAliases walks one connection of a server that offers three aliases.
func TestTopicAliases(t *testing.T) {
	c := signedIn(t, Config{TopicAliasMaximum: 3}, Level5)
	publish := func(topic string, alias uint16) []byte {
		return packet(0x30, s(topic), props(prop16(0x23, alias)))
	}
	for _, tt := range []row{
		{"an alias that stands for nothing", 5, publish("", 3), protocol, "section 3.3.2.3.4"},
		{"an alias is given a topic", 5, publish("a", 3), ok, ""},
		{"and used", 5, publish("", 3), ok, ""},
		{"and given another", 5, publish("b", 3), ok, ""},
		{"its neighbour still stands for nothing", 5, publish("", 2), protocol, "section 3.3.2.3.4"},
		{"one beyond the maximum", 5, publish("a", 4), badAlias, "MQTT-3.3.2-9"},
		{"the largest", 5, publish("a", 65535), badAlias, "MQTT-3.3.2-9"},
		{"zero", 5, publish("a", 0), badAlias, "MQTT-3.3.2-8"},
		{"twice", 5, packet(0x30, s("a"), props(prop16(0x23, 1), prop16(0x23, 1))), protocol, "section 3.3.2.3.4"},
		{"a topic that is refused gives no alias", 5, publish("a/#", 1), malformed, "MQTT-3.3.2-2"},
		{"so that one stands for nothing", 5, publish("", 1), protocol, "section 3.3.2.3.4"},
		{"a payload that is refused gives no alias", 5, packet(0x30, s("a"), props(prop16(0x23, 1), prop8(0x01, 1)), x("FF")), badPayload, "section 3.3.2.3.2"},
		{"so that one still stands for nothing", 5, publish("", 1), protocol, "section 3.3.2.3.4"},
	} {
		got := verdict(t, c, tt.packet)
		if got == nil && tt.want != ok || got != nil && (got.Code != tt.want || got.Clause != tt.clause) {
			t.Errorf("%s: got %v, want 0x%02X %s", tt.name, got, tt.want, tt.clause)
		}
	}
}

func TestLargestTopicAlias(t *testing.T) {
	c := signedIn(t, Config{TopicAliasMaximum: 65535}, Level5)
	for _, topic := range []string{"a", ""} {
		if v := verdict(t, c, packet(0x30, s(topic), props(prop16(0x23, 65535)))); v != nil {
			t.Errorf("topic %q with alias 65535: %v", topic, v)
		}
	}
}

// TestRefuseControls: with the option set, text that SHOULD NOT be sent is not
// taken (section 1.5.4).
func TestRefuseControls(t *testing.T) {
	strict := func(t *testing.T, version byte) *Checker { return signedIn(t, Config{RefuseControls: true}, version) }
	topic := func(topic string) []byte { return packet(0x30, s(topic)) }
	checkAfter(t, []row{
		{"plain text", 4, topic("a b/ü/\u00A0/\uFFFD/😀"), ok, ""},
		{"U+0001", 4, topic("a\x01"), malformed, "section 1.5.3"},
		{"U+001F", 4, topic("a\x1F"), malformed, "section 1.5.3"},
		{"U+007F", 4, topic("a\x7F"), malformed, "section 1.5.3"},
		{"U+009F", 4, topic("a\u009F"), malformed, "section 1.5.3"},
		{"U+FDD0", 4, topic("a\uFDD0"), malformed, "section 1.5.3"},
		{"U+FDEF", 4, topic("a\uFDEF"), malformed, "section 1.5.3"},
		{"U+FFFE", 4, topic("a\uFFFE"), malformed, "section 1.5.3"},
		{"U+FFFF", 4, topic("a\uFFFF"), malformed, "section 1.5.3"},
		{"U+10FFFF", 4, topic("a\U0010FFFF"), malformed, "section 1.5.3"},
		{"U+0001 in a user property", 5, packet(0x30, s("a"), props(userProp("k", "\x01"))), malformed, "section 1.5.4"},
		{"U+0001 in a reason string", 5, packet(0x40, id(1), x("00"), props(propText(0x1F, "\x01"))), malformed, "section 1.5.4"},
		{"U+0001 in a payload that says it is text", 5, packet(0x30, s("a"), props(prop8(0x01, 1)), x("01")), ok, "section 3.3.2.3.2"},
	}, strict)
	connect := func(*testing.T, byte) *Checker { return NewChecker(Config{RefuseControls: true}) }
	checkAfter(t, []row{
		{"U+000A in a client identifier", 4, connect311(0x02, s("a\nb")), malformed, "section 1.5.3"},
		{"U+000A in a client identifier", 5, connect5(0x02, none, s("a\nb")), badID, "section 1.5.4"},
		{"U+000A in a user name", 5, connect5(0x82, none, s("id"), s("a\nb")), malformed, "section 1.5.4"},
		{"U+000A in a password", 5, connect5(0xC2, none, s("id"), s("u"), s("a\nb")), ok, "section 3.1.3.6"},
	}, connect)
}
