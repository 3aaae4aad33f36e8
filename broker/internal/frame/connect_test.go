package frame

import (
	"strings"
	"testing"
)

func TestConnectFirstAndOnce(t *testing.T) {
	checkConnect(t, []row{
		{"PUBLISH comes first", 4, packet(0x30, s("t")), protocol, "MQTT-3.1.0-1"},
		{"PUBACK comes first", 4, packet(0x40, id(1)), protocol, "MQTT-3.1.0-1"},
		{"PUBREC comes first", 4, packet(0x50, id(1)), protocol, "MQTT-3.1.0-1"},
		{"PUBREL comes first", 4, packet(0x62, id(1)), protocol, "MQTT-3.1.0-1"},
		{"PUBCOMP comes first", 4, packet(0x70, id(1)), protocol, "MQTT-3.1.0-1"},
		{"SUBSCRIBE comes first", 4, packet(0x82, id(1), s("t"), x("00")), protocol, "MQTT-3.1.0-1"},
		{"UNSUBSCRIBE comes first", 4, packet(0xA2, id(1), s("t")), protocol, "MQTT-3.1.0-1"},
		{"PINGREQ comes first", 4, packet(0xC0), protocol, "MQTT-3.1.0-1"},
		{"DISCONNECT comes first", 4, packet(0xE0), protocol, "MQTT-3.1.0-1"},
		{"AUTH comes first", 5, packet(0xF0, x("18"), none), protocol, "MQTT-3.1.0-1"},
		{"CONNACK comes first", 5, packet(0x20, x("000000")), protocol, "section 2.1.2"},
		{"PINGREQ comes first, with flag 1", 4, packet(0xC1), protocol, "MQTT-3.1.0-1"},
		{"PUBREL comes first, without its flags", 4, packet(0x60, id(1)), protocol, "MQTT-3.1.0-1"},
		{"PUBLISH comes first, with QoS 3", 4, packet(0x36, s("t"), id(1)), protocol, "MQTT-3.1.0-1"},
		{"a request of HTTP comes first", 4, x("4745"), protocol, "MQTT-3.1.0-1"},
	})
	check(t, []row{
		{"a second CONNECT", 3, connect31(0x02, s("id")), protocol, "MQTT-3.1.0-2"},
		{"a second CONNECT", 4, connect311(0x02, s("id")), protocol, "MQTT-3.1.0-2"},
		{"a second CONNECT", 5, connect5(0x02, none, s("id")), protocol, "MQTT-3.1.0-2"},
		{"a second CONNECT with flag 1", 5, append([]byte{0x11}, connect5(0x02, none, s("id"))[1:]...), protocol, "MQTT-3.1.0-2"},
	})
}

// TestProgress is what a Checker tells of where its connection is.
func TestProgress(t *testing.T) {
	c := NewChecker(Config{})
	at := func(connected, accepted bool) {
		t.Helper()
		if c.Connected() != connected || c.Accepted() != accepted {
			t.Errorf("connected %v, accepted %v, want %v, %v", c.Connected(), c.Accepted(), connected, accepted)
		}
	}
	c.Accept() // there is nothing to accept
	at(false, false)
	if verdict(t, c, connect311(0x03, s("id"))) == nil {
		t.Fatal("accepted")
	}
	at(false, false)
	if v := verdict(t, c, connect311(0x02, s("id"))); v != nil {
		t.Fatal(v)
	}
	at(true, false)
	c.Accept()
	at(true, true)
}

func TestConnectProtocol(t *testing.T) {
	raw := func(name string, level byte) []byte {
		return packet(0x10, s(name), []byte{level, 0x02}, u16(60), s("id"))
	}
	checkConnect(t, []row{
		{"MQIsdp at level 3", 3, raw("MQIsdp", 3), ok, "MQTT 3.1 section 3.1"},
		{"MQTT at level 4", 4, raw("MQTT", 4), ok, "MQTT-3.1.2-2"},
		{"MQTT at level 5", 5, connect5(0x02, none, s("id")), ok, "MQTT-3.1.2-2"},
		{"MQTT at level 3", 3, raw("MQTT", 3), badVersion, "MQTT-3.1.2-2"},
		{"MQIsdp at level 4", 4, raw("MQIsdp", 4), badVersion, "MQTT-3.1.2-2"},
		{"MQIsdp at level 5", 5, raw("MQIsdp", 5), badVersion, "MQTT-3.1.2-2"},
		{"MQTT at level 0", 0, raw("MQTT", 0), badVersion, "MQTT-3.1.2-2"},
		{"MQTT at level 2", 0, raw("MQTT", 2), badVersion, "MQTT-3.1.2-2"},
		{"MQTT at level 6", 0, raw("MQTT", 6), badVersion, "MQTT-3.1.2-2"},
		{"MQTT at level 255", 0, raw("MQTT", 255), badVersion, "MQTT-3.1.2-2"},
		{"a bridge at level 4", 4, raw("MQTT", 0x84), ok, "Mosquitto"},
		{"a bridge at level 3", 3, raw("MQIsdp", 0x83), ok, "Mosquitto"},
		{"a bridge at level 5, which has options for that", 0, raw("MQTT", 0x85), badVersion, "MQTT-3.1.2-2"},
		{"a bridge at level 2", 0, raw("MQTT", 0x82), badVersion, "MQTT-3.1.2-2"},
		{"a bridge at level 3 under the name of level 4", 0, raw("MQTT", 0x83), badVersion, "MQTT-3.1.2-2"},
		{"a bridge at level 4 under the name of level 3", 0, raw("MQIsdp", 0x84), badVersion, "MQTT-3.1.2-2"},
		{"a protocol of another name", 0, raw("HTTP", 4), badVersion, "MQTT-3.1.2-1"},
		{"a name in lower case", 0, raw("mqtt", 4), badVersion, "MQTT-3.1.2-1"},
		{"a name one letter short", 0, raw("MQT", 4), badVersion, "MQTT-3.1.2-1"},
		{"a name one letter long", 0, raw("MQTTT", 4), badVersion, "MQTT-3.1.2-1"},
		{"an empty name", 0, raw("", 4), badVersion, "MQTT-3.1.2-1"},
		{"a name that is not UTF-8", 0, raw("MQT\xFF", 4), malformed, "MQTT-1.5.4-1"},
		{"an empty CONNECT", 0, packet(0x10), malformed, "MQTT-4.13.1-1"},
		{"it ends within the length of the name", 0, packet(0x10, x("00")), malformed, "MQTT-4.13.1-1"},
		{"it ends within the name", 0, packet(0x10, x("00044D5154")), malformed, "MQTT-4.13.1-1"},
		{"it ends before the level", 0, packet(0x10, s("MQTT")), malformed, "MQTT-4.13.1-1"},
		{"it ends before the flags", 4, packet(0x10, s("MQTT"), x("04")), malformed, "MQTT-4.8.0-1"},
		{"it ends within the keep alive", 4, packet(0x10, s("MQTT"), x("0402"), x("00")), malformed, "MQTT-4.8.0-1"},
		{"it ends before the client identifier", 4, packet(0x10, s("MQTT"), x("0402"), u16(0)), malformed, "MQTT-4.8.0-1"},
		{"it ends before the properties", 5, packet(0x10, s("MQTT"), x("0502"), u16(0)), malformed, "MQTT-4.13.1-1"},
		{"it ends before the client identifier", 5, packet(0x10, s("MQTT"), x("0502"), u16(0), none), malformed, "MQTT-4.13.1-1"},
	})
}

func TestConnectFlags(t *testing.T) {
	will := append(s("will"), s("gone")...)
	checkConnect(t, []row{
		{"header flag 1", 4, append([]byte{0x11}, connect311(0x02, s("id"))[1:]...), malformed, "MQTT-2.2.2-2"},
		{"header flag 2", 5, append([]byte{0x12}, connect5(0x02, none, s("id"))[1:]...), malformed, "MQTT-2.1.3-1"},
		{"header flag 4", 5, append([]byte{0x14}, connect5(0x02, none, s("id"))[1:]...), malformed, "MQTT-2.1.3-1"},
		{"header flags without a meaning", 3, append([]byte{0x1F}, connect31(0x02, s("id"))[1:]...), ok, "MQTT 3.1 section 3.1"},
		{"the reserved flag", 3, connect31(0x03, s("id")), ok, "MQTT 3.1 section 3.1"},
		{"the reserved flag", 4, connect311(0x03, s("id")), malformed, "MQTT-3.1.2-3"},
		{"the reserved flag", 5, connect5(0x03, none, s("id")), malformed, "MQTT-3.1.2-3"},
		{"no clean session", 3, connect31(0x00, s("id")), ok, ""},
		{"no clean session", 4, connect311(0x00, s("id")), ok, ""},
		{"no clean start", 5, connect5(0x00, none, s("id")), ok, ""},
		{"a will QoS without a will", 3, connect31(0x0A, s("id")), ok, "MQTT 3.1 section 3.1"},
		{"a will QoS without a will", 4, connect311(0x0A, s("id")), malformed, "MQTT-3.1.2-13"},
		{"a will QoS without a will", 5, connect5(0x0A, none, s("id")), malformed, "MQTT-3.1.2-11"},
		{"a will QoS of 2 without a will", 4, connect311(0x12, s("id")), malformed, "MQTT-3.1.2-13"},
		{"a will QoS of 3 without a will", 5, connect5(0x1A, none, s("id")), malformed, "MQTT-3.1.2-11"},
		{"will retain without a will", 3, connect31(0x22, s("id")), ok, "MQTT 3.1 section 3.1"},
		{"will retain without a will", 4, connect311(0x22, s("id")), malformed, "MQTT-3.1.2-15"},
		{"will retain without a will", 5, connect5(0x22, none, s("id")), malformed, "MQTT-3.1.2-13"},
		{"a will QoS of 1", 4, connect311(0x0E, s("id"), will), ok, "MQTT-3.1.2-14"},
		{"a will QoS of 2, retained", 4, connect311(0x36, s("id"), will), ok, "MQTT-3.1.2-14"},
		{"a will QoS of 2, retained", 5, connect5(0x36, none, s("id"), none, will), ok, "MQTT-3.1.2-12"},
		{"a will QoS of 3", 3, connect31(0x1E, s("id"), will), malformed, "MQTT-3.1.2-14"},
		{"a will QoS of 3", 4, connect311(0x1E, s("id"), will), malformed, "MQTT-3.1.2-14"},
		{"a will QoS of 3", 5, connect5(0x1E, none, s("id"), none, will), malformed, "MQTT-3.1.2-12"},
		{"user name and password", 3, connect31(0xC2, s("id"), s("u"), s("p")), ok, ""},
		{"user name and password", 4, connect311(0xC2, s("id"), s("u"), s("p")), ok, ""},
		{"user name and password", 5, connect5(0xC2, none, s("id"), s("u"), s("p")), ok, ""},
		{"a password without a user name", 3, connect31(0x42, s("id"), s("p")), malformed, "MQTT-3.1.2-22"},
		{"a password without a user name", 4, connect311(0x42, s("id"), s("p")), malformed, "MQTT-3.1.2-22"},
		{"a password without a user name", 5, connect5(0x42, none, s("id"), s("p")), ok, "section 3.1.2.9"},
		{"everything at once", 4, connect311(0xF6, s("id"), will, s("u"), s("p")), ok, ""},
		{"everything at once", 5, connect5(0xF6, none, s("id"), none, will, s("u"), s("p")), ok, ""},
		{"everything but the password", 4, connect311(0xF6, s("id"), will, s("u")), malformed, "MQTT-4.8.0-1"},
		{"everything but the will", 5, connect5(0xF6, none, s("id"), s("u"), s("p")), malformed, "MQTT-4.13.1-1"},
	})
}

func TestConnectClientID(t *testing.T) {
	checkConnect(t, []row{
		{"23 characters", 3, connect31(0x02, s(strings.Repeat("x", 23))), ok, "MQTT 3.1 section 3.1"},
		{"24 characters", 3, connect31(0x02, s(strings.Repeat("x", 24))), ok, "MQTT 3.1 section 3.1, a SHOULD"},
		{"24 characters", 4, connect311(0x02, s(strings.Repeat("x", 24))), ok, "MQTT-3.1.3-5"},
		{"an empty one with clean session", 3, connect31(0x02, s("")), badID, "MQTT 3.1 section 3.1"},
		{"an empty one with clean session", 4, connect311(0x02, s("")), ok, "MQTT-3.1.3-6"},
		{"an empty one without clean session", 4, connect311(0x00, s("")), badID, "MQTT-3.1.3-8"},
		{"an empty one with clean start", 5, connect5(0x02, none, s("")), ok, "MQTT-3.1.3-6"},
		{"an empty one without clean start", 5, connect5(0x00, none, s("")), ok, "MQTT-3.1.3-6"},
		{"letters of all the world", 5, connect5(0x02, none, s("gerät-日本-😀")), ok, "MQTT-3.1.3-4"},
		{"a byte order mark is a character", 5, connect5(0x02, none, s("\uFEFFid")), ok, "MQTT-1.5.4-3"},
		{"a line feed is left to the hook", 4, connect311(0x02, s("a\nb")), ok, "section 1.5.3"},
		{"U+0000", 4, connect311(0x02, s("a\x00b")), malformed, "MQTT-1.5.3-2"},
		{"U+0000", 5, connect5(0x02, none, s("a\x00b")), badID, "MQTT-1.5.4-2"},
		{"a byte that no UTF-8 has", 4, connect311(0x02, s("a\xFFb")), malformed, "MQTT-1.5.3-1"},
		{"a sequence cut off", 5, connect5(0x02, none, s("a\xE2\x82")), badID, "MQTT-1.5.4-1"},
		{"a continuation byte alone", 5, connect5(0x02, none, s("\x80")), badID, "MQTT-1.5.4-1"},
		{"the surrogate U+D800", 5, connect5(0x02, none, s("\xED\xA0\x80")), badID, "MQTT-1.5.4-1"},
		{"the surrogate U+DFFF", 4, connect311(0x02, s("\xED\xBF\xBF")), malformed, "MQTT-1.5.3-1"},
		{"an overlong slash", 5, connect5(0x02, none, s("\xC0\xAF")), badID, "MQTT-1.5.4-1"},
		{"U+0000 as Java writes it", 3, connect31(0x02, s("\xC0\x80")), malformed, "MQTT-1.5.3-1"},
		{"beyond U+10FFFF", 5, connect5(0x02, none, s("\xF4\x90\x80\x80")), badID, "MQTT-1.5.4-1"},
		{"it is shorter than it says", 4, connect311(0x02, x("0003"), raw("id")), malformed, "MQTT-4.8.0-1"},
		{"it is shorter than it says", 5, connect5(0x02, none, x("0003"), raw("\xFFd")), malformed, "MQTT-4.13.1-1"},
		{"a will topic that is no text is another matter", 5, connect5(0x06, none, s("id"), none, s("a\x00"), s("")), malformed, "MQTT-1.5.4-2"},
		{"so is a property before it", 5, connect5(0x02, props(userProp("\xFF", "")), s("\xFF")), malformed, "MQTT-1.5.4-1"},
		{"a control character", 5, connect5(0x02, none, s("a\nb")), ok, "section 1.5.4"},
		{"it says 65535 bytes", 5, connect5(0x02, none, x("FFFF"), raw("id")), malformed, "MQTT-4.13.1-1"},
		{"a byte behind", 3, connect31(0x02, s("id"), x("00")), malformed, "MQTT-4.8.0-1"},
		{"a byte behind", 4, connect311(0x02, s("id"), x("00")), malformed, "MQTT-4.8.0-1"},
		{"a byte behind", 5, connect5(0x02, none, s("id"), x("00")), malformed, "MQTT-4.13.1-1"},
		{"a user name without its flag", 4, connect311(0x02, s("id"), s("u")), malformed, "MQTT-4.8.0-1"},
		{"a user name without its flag", 5, connect5(0x02, none, s("id"), s("u")), malformed, "MQTT-4.13.1-1"},
	})
}

func TestConnectWill(t *testing.T) {
	w4 := func(topic, payload []byte) []byte { return connect311(0x06, s("id"), topic, payload) }
	w5 := func(properties, topic, payload []byte) []byte {
		return connect5(0x06, none, s("id"), properties, topic, payload)
	}
	checkConnect(t, []row{
		{"a will", 3, connect31(0x06, s("id"), s("will"), s("gone")), ok, "MQTT 3.1 section 3.1"},
		{"a will", 4, w4(s("will"), s("gone")), ok, "MQTT-3.1.2-9"},
		{"a will", 5, w5(none, s("will"), s("gone")), ok, "MQTT-3.1.2-9"},
		{"an empty payload", 4, w4(s("will"), s("")), ok, "section 3.1.3.3"},
		{"an empty payload", 5, w5(none, s("will"), s("")), ok, "section 3.1.3.4"},
		{"a payload of any bytes", 4, w4(s("will"), s("\x00\xFF\xC0")), ok, "section 3.1.3.3"},
		{"a topic with a leading slash", 4, w4(s("/will"), s("")), ok, "section 4.7.1.1"},
		{"a topic below $SYS is left to the hook", 4, w4(s("$SYS/x"), s("")), ok, "section 4.7.2"},
		{"an empty topic", 3, connect31(0x06, s("id"), s(""), s("gone")), malformed, "MQTT-4.7.3-1"},
		{"an empty topic", 4, w4(s(""), s("gone")), malformed, "MQTT-4.7.3-1"},
		{"an empty topic", 5, w5(none, s(""), s("gone")), malformed, "MQTT-4.7.3-1"},
		{"a topic with #", 4, w4(s("a/#"), s("gone")), malformed, "MQTT-3.3.2-2"},
		{"a topic with #", 5, w5(none, s("a/#"), s("gone")), malformed, "MQTT-3.3.2-2"},
		{"a topic with +", 5, w5(none, s("+/a"), s("gone")), malformed, "MQTT-3.3.2-2"},
		{"a topic with U+0000", 4, w4(s("a\x00"), s("gone")), malformed, "MQTT-1.5.3-2"},
		{"a topic that is not UTF-8", 5, w5(none, s("a\xFF"), s("gone")), malformed, "MQTT-1.5.4-1"},
		{"neither topic nor payload", 4, connect311(0x06, s("id")), malformed, "MQTT-4.8.0-1"},
		{"no payload", 4, connect311(0x06, s("id"), s("will")), malformed, "MQTT-4.8.0-1"},
		{"no properties", 5, connect5(0x06, none, s("id")), malformed, "MQTT-4.13.1-1"},
		{"no payload", 5, connect5(0x06, none, s("id"), none, s("will")), malformed, "MQTT-4.13.1-1"},
		{"the payload is shorter than it says", 4, w4(s("will"), x("0005AA")), malformed, "MQTT-4.8.0-1"},
		{"all its properties", 5, w5(props(prop32(0x18, 5), prop8(0x01, 1), prop32(0x02, 9), propText(0x03, "text/plain"),
			propText(0x08, "answer"), propText(0x09, "\x00\x01"), userProp("k", "v"), userProp("k", "v")), s("will"), s("gone")), ok, "section 3.1.3.2"},
		{"delay twice", 5, w5(props(prop32(0x18, 5), prop32(0x18, 5)), s("will"), s("")), protocol, "section 3.1.3.2.2"},
		{"payload format 0", 5, w5(props(prop8(0x01, 0)), s("will"), s("\xFF")), ok, "section 3.1.3.2.3"},
		{"payload format 1 with another payload", 5, w5(props(prop8(0x01, 1)), s("will"), s("\xFF")), badPayload, "section 3.1.3.2.3"},
		{"payload format 2", 5, w5(props(prop8(0x01, 2)), s("will"), s("")), protocol, "section 3.3.2.3.2"},
		{"payload format twice", 5, w5(props(prop8(0x01, 1), prop8(0x01, 1)), s("will"), s("")), protocol, "section 3.3.2.3.2"},
		{"expiry twice", 5, w5(props(prop32(0x02, 1), prop32(0x02, 1)), s("will"), s("")), protocol, "section 3.3.2.3.3"},
		{"content type twice", 5, w5(props(propText(0x03, "a"), propText(0x03, "a")), s("will"), s("")), protocol, "section 3.3.2.3.9"},
		{"response topic with a wildcard", 5, w5(props(propText(0x08, "a/+")), s("will"), s("")), malformed, "MQTT-3.3.2-14"},
		{"response topic twice", 5, w5(props(propText(0x08, "a"), propText(0x08, "a")), s("will"), s("")), protocol, "section 3.3.2.3.5"},
		{"correlation data twice", 5, w5(props(propText(0x09, "a"), propText(0x09, "a")), s("will"), s("")), protocol, "section 3.3.2.3.6"},
		{"a topic alias", 5, w5(props(prop16(0x23, 1)), s("will"), s("")), protocol, "section 2.2.2.2"},
		{"a session expiry", 5, w5(props(prop32(0x11, 1)), s("will"), s("")), protocol, "section 2.2.2.2"},
		{"a property cut off", 5, w5(props(x("18000000")), s("will"), s("")), malformed, "MQTT-4.13.1-1"},
		{"properties longer than the packet", 5, connect5(0x06, none, s("id"), x("40"), s("will"), s("")), malformed, "MQTT-4.13.1-1"},
	})
}

func TestConnectCredentials(t *testing.T) {
	checkConnect(t, []row{
		{"an empty user name", 4, connect311(0x82, s("id"), s("")), ok, "MQTT-3.1.2-19"},
		{"an empty user name", 5, connect5(0x82, none, s("id"), s("")), ok, "MQTT-3.1.2-17"},
		{"an empty password", 4, connect311(0xC2, s("id"), s("u"), s("")), ok, "MQTT-3.1.2-21"},
		{"a password of any bytes", 4, connect311(0xC2, s("id"), s("u"), s("\x00\xFF\xED\xA0\x80")), ok, "section 3.1.3.5"},
		{"a password of any bytes", 5, connect5(0xC2, none, s("id"), s("u"), s("\x00\xFF")), ok, "section 3.1.3.6"},
		{"no user name", 3, connect31(0x82, s("id")), ok, "MQTT 3.1 section 3.1"},
		{"no user name", 4, connect311(0x82, s("id")), malformed, "MQTT-4.8.0-1"},
		{"no user name", 5, connect5(0x82, none, s("id")), malformed, "MQTT-4.13.1-1"},
		{"no password", 3, connect31(0xC2, s("id"), s("u")), ok, "MQTT 3.1 section 3.1"},
		{"no password", 4, connect311(0xC2, s("id"), s("u")), malformed, "MQTT-4.8.0-1"},
		{"no password", 5, connect5(0xC2, none, s("id"), s("u")), malformed, "MQTT-4.13.1-1"},
		{"neither", 3, connect31(0xC2, s("id")), ok, "MQTT 3.1 section 3.1"},
		{"a user name cut off", 3, connect31(0x82, s("id"), x("0002"), raw("u")), malformed, "MQTT-4.8.0-1"},
		{"a user name cut off within its length", 3, connect31(0x82, s("id"), x("00")), malformed, "MQTT-4.8.0-1"},
		{"a user name with U+0000", 4, connect311(0x82, s("id"), s("a\x00")), malformed, "MQTT-1.5.3-2"},
		{"a user name with U+0000", 5, connect5(0x82, none, s("id"), s("a\x00")), malformed, "MQTT-1.5.4-2"},
		{"a user name that is not UTF-8", 4, connect311(0x82, s("id"), s("\xFE")), malformed, "MQTT-1.5.3-1"},
		{"a user name with a surrogate", 5, connect5(0x82, none, s("id"), s("\xED\xA0\x80")), malformed, "MQTT-1.5.4-1"},
		{"a password without its flag", 4, connect311(0x82, s("id"), s("u"), s("p")), malformed, "MQTT-4.8.0-1"},
		{"a password without its flag", 5, connect5(0x82, none, s("id"), s("u"), s("p")), malformed, "MQTT-4.13.1-1"},
		{"a byte behind the password", 5, connect5(0xC2, none, s("id"), s("u"), s("p"), x("00")), malformed, "MQTT-4.13.1-1"},
	})
}

func TestConnectProperties(t *testing.T) {
	c5 := func(parts ...[]byte) []byte { return connect5(0x02, props(parts...), s("id")) }
	checkConnect(t, []row{
		{"all of them", 5, c5(prop32(0x11, 60), prop16(0x21, 10), prop32(0x27, 1000), prop16(0x22, 5), prop8(0x19, 1),
			prop8(0x17, 0), userProp("a", "b"), userProp("a", "b"), propText(0x15, "SCRAM-SHA-256"), propText(0x16, "n,,")), ok, "section 3.1.2.11"},
		{"session expiry 0", 5, c5(prop32(0x11, 0)), ok, "section 3.1.2.11.2"},
		{"session expiry never", 5, c5(prop32(0x11, 0xFFFFFFFF)), ok, "section 3.1.2.11.2"},
		{"session expiry twice", 5, c5(prop32(0x11, 1), prop32(0x11, 1)), protocol, "section 3.1.2.11.2"},
		{"session expiry cut off", 5, c5(x("11000000")), malformed, "MQTT-4.13.1-1"},
		{"receive maximum 1", 5, c5(prop16(0x21, 1)), ok, "section 3.1.2.11.3"},
		{"receive maximum 65535", 5, c5(prop16(0x21, 65535)), ok, "section 3.1.2.11.3"},
		{"receive maximum 0", 5, c5(prop16(0x21, 0)), protocol, "section 3.1.2.11.3"},
		{"receive maximum twice", 5, c5(prop16(0x21, 1), prop16(0x21, 2)), protocol, "section 3.1.2.11.3"},
		{"receive maximum cut off", 5, c5(x("2100")), malformed, "MQTT-4.13.1-1"},
		{"maximum packet size 1", 5, c5(prop32(0x27, 1)), ok, "section 3.1.2.11.4"},
		{"maximum packet size 0", 5, c5(prop32(0x27, 0)), protocol, "section 3.1.2.11.4"},
		{"maximum packet size twice", 5, c5(prop32(0x27, 9), prop32(0x27, 9)), protocol, "section 3.1.2.11.4"},
		{"topic alias maximum 0", 5, c5(prop16(0x22, 0)), ok, "section 3.1.2.11.5"},
		{"topic alias maximum twice", 5, c5(prop16(0x22, 0), prop16(0x22, 0)), protocol, "section 3.1.2.11.5"},
		{"request response information 0", 5, c5(prop8(0x19, 0)), ok, "section 3.1.2.11.6"},
		{"request response information 2", 5, c5(prop8(0x19, 2)), protocol, "section 3.1.2.11.6"},
		{"request response information twice", 5, c5(prop8(0x19, 1), prop8(0x19, 1)), protocol, "section 3.1.2.11.6"},
		{"request problem information 1", 5, c5(prop8(0x17, 1)), ok, "section 3.1.2.11.7"},
		{"request problem information 2", 5, c5(prop8(0x17, 2)), protocol, "section 3.1.2.11.7"},
		{"request problem information 255", 5, c5(prop8(0x17, 255)), protocol, "section 3.1.2.11.7"},
		{"request problem information twice", 5, c5(prop8(0x17, 1), prop8(0x17, 1)), protocol, "section 3.1.2.11.7"},
		{"an empty user property", 5, c5(userProp("", "")), ok, "section 3.1.2.11.8"},
		{"a user property with U+0000 in its name", 5, c5(userProp("a\x00", "")), malformed, "MQTT-1.5.4-2"},
		{"a user property whose value is not UTF-8", 5, c5(userProp("a", "\xFF")), malformed, "MQTT-1.5.4-1"},
		{"a user property without a value", 5, c5(propText(0x26, "a")), malformed, "MQTT-4.13.1-1"},
		{"an authentication method", 5, c5(propText(0x15, "SCRAM-SHA-256")), ok, "section 3.1.2.11.9"},
		{"an empty authentication method", 5, c5(propText(0x15, "")), badMethod, "MQTT-4.12.0-1"},
		{"an authentication method twice", 5, c5(propText(0x15, "a"), propText(0x15, "a")), protocol, "section 3.1.2.11.9"},
		{"an authentication method that is not UTF-8", 5, c5(propText(0x15, "\xFF")), malformed, "MQTT-1.5.4-1"},
		{"authentication data without a method", 5, c5(propText(0x16, "x")), protocol, "section 3.1.2.11.10"},
		{"authentication data before the method", 5, c5(propText(0x16, "x"), propText(0x15, "a")), ok, "section 3.1.2.11.10"},
		{"empty authentication data", 5, c5(propText(0x15, "a"), propText(0x16, "")), ok, "section 3.1.2.11.10"},
		{"authentication data twice", 5, c5(propText(0x15, "a"), propText(0x16, "x"), propText(0x16, "x")), protocol, "section 3.1.2.11.10"},
		{"a property of a will", 5, c5(prop32(0x18, 1)), protocol, "section 2.2.2.2"},
		{"a property of CONNACK", 5, c5(propText(0x12, "id")), protocol, "section 2.2.2.2"},
		{"server keep alive", 5, c5(prop16(0x13, 60)), protocol, "section 2.2.2.2"},
		{"a property of PUBLISH", 5, c5(prop16(0x23, 1)), protocol, "section 2.2.2.2"},
		{"a subscription identifier", 5, c5(x("0B01")), protocol, "section 2.2.2.2"},
		{"a reason string", 5, c5(propText(0x1F, "why")), protocol, "section 2.2.2.2"},
		{"a server reference", 5, c5(propText(0x1C, "other")), protocol, "section 2.2.2.2"},
		{"property 0", 5, c5(x("00")), malformed, "section 2.2.2.2"},
		{"property 0x7F", 5, c5(x("7F00")), malformed, "section 2.2.2.2"},
		{"a property of two bytes", 5, c5(x("910000000000")), malformed, "section 2.2.2.2"},
		{"the property length is larger than the packet", 5, connect5(0x02, x("7F"), s("id")), malformed, "MQTT-4.13.1-1"},
		{"the property length cuts a property", 5, connect5(0x02, x("03"), prop32(0x11, 1), s("id")), malformed, "MQTT-4.13.1-1"},
		{"the property length is overlong", 5, connect5(0x02, x("8000"), s("id")), malformed, "MQTT-1.5.5-1"},
		{"the property length takes five bytes", 5, connect5(0x02, x("8080808001"), s("id")), malformed, "section 1.5.5"},
		{"the property length is cut off", 5, packet(0x10, s("MQTT"), x("0502"), u16(0), x("80")), malformed, "MQTT-4.13.1-1"},
	})
}

func TestConnectOverlongRemainingLength(t *testing.T) {
	long := func(p []byte) []byte { return append([]byte{p[0], p[1] | 0x80, 0x00}, p[2:]...) }
	checkConnect(t, []row{
		{"its length in two bytes where one does", 3, long(connect31(0x02, s("id"))), ok, "MQTT 3.1 section 2.1"},
		{"its length in two bytes where one does", 4, long(connect311(0x02, s("id"))), ok, "section 2.2.3"},
		{"its length in two bytes where one does", 5, long(connect5(0x02, none, s("id"))), malformed, "MQTT-1.5.5-1"},
	})
}

// TestVersionIsKnownWhenConnectFails is what a refusal needs: a level 5 client
// is told in another CONNACK than the others.
func TestVersionIsKnownWhenConnectFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		packet []byte
		want   byte
		named  byte
	}{
		{"level 5, a reserved flag", connect5(0x03, none, s("id")), Level5, 5},
		{"level 5, header flags", append([]byte{0x11}, connect5(0x02, none, s("id"))[1:]...), Level5, 5},
		{"level 4, an empty client identifier", connect311(0x00, s("")), Level311, 4},
		{"level 3, bytes left over", connect31(0x02, s("id"), x("00")), Level31, 3},
		{"an unknown level", packet(0x10, s("MQTT"), x("0602"), u16(0), s("id")), 0, 6},
		{"level 3 under the name of level 4", packet(0x10, s("MQTT"), x("0302"), u16(0), s("id")), 0, 3},
		{"level 4 under the name of level 3", packet(0x10, s("MQIsdp"), x("0402"), u16(0), s("id")), 0, 4},
		{"the level of a bridge", packet(0x10, s("MQTT"), x("8502"), u16(0), s("id")), 0, 0x85},
		{"an unknown protocol", packet(0x10, s("HTTP"), x("0502"), u16(0), s("id")), 0, 0},
		{"a name without a level", packet(0x10, s("MQTT")), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewChecker(Config{})
			if verdict(t, c, tt.packet) == nil {
				t.Fatal("accepted")
			}
			if c.Version() != tt.want || c.Named() != tt.named {
				t.Errorf("version %d, named %d, want %d, %d", c.Version(), c.Named(), tt.want, tt.named)
			}
			c.Accept()
			if verdict(t, c, packet(0xC0)) == nil {
				t.Error("a PINGREQ passed after a CONNECT that did not")
			}
		})
	}
}
