package frame

import (
	"fmt"
	"slices"
	"testing"
)

func TestDisconnectTable(t *testing.T) {
	d5 := func(code byte, parts ...[]byte) []byte { return packet(0xE0, []byte{code}, props(parts...)) }
	check(t, []row{
		{"DISCONNECT", 3, packet(0xE0), ok, ""},
		{"DISCONNECT", 4, packet(0xE0), ok, ""},
		{"in its shortest form", 5, packet(0xE0), ok, "section 3.14.2.1"},
		{"with a reason code", 5, packet(0xE0, x("00")), ok, "section 3.14.2.2.1"},
		{"with will, in the short form", 5, packet(0xE0, x("04")), ok, "section 3.14.2.2.1"},
		{"with will, in the long form", 5, packet(0xE0, x("0400")), ok, "section 3.14.2"},
		{"all its properties", 5, d5(0x04, prop32(0x11, 9), propText(0x1F, "bye"), userProp("a", "b"), userProp("a", "b")), ok, "section 3.14.2.2"},
		{"a reason code", 3, packet(0xE0, x("00")), malformed, "MQTT-4.8.0-1"},
		{"a reason code", 4, packet(0xE0, x("00")), malformed, "MQTT-4.8.0-1"},
		{"two bytes", 4, packet(0xE0, x("0000")), malformed, "MQTT-4.8.0-1"},
		{"session expiry 0", 5, d5(0x00, prop32(0x11, 0)), ok, "section 3.14.2.2.2"},
		{"session expiry never", 5, d5(0x00, prop32(0x11, 0xFFFFFFFF)), ok, "section 3.14.2.2.2"},
		{"session expiry twice", 5, d5(0x00, prop32(0x11, 1), prop32(0x11, 1)), protocol, "section 3.1.2.11.2"},
		{"session expiry cut off", 5, d5(0x00, x("110000")), malformed, "MQTT-4.13.1-1"},
		{"reason string twice", 5, d5(0x00, propText(0x1F, "a"), propText(0x1F, "a")), protocol, "section 3.4.2.2.2"},
		{"a reason string that is not UTF-8", 5, d5(0x80, propText(0x1F, "\xFF")), malformed, "MQTT-1.5.4-1"},
		{"a server reference", 5, d5(0x00, propText(0x1C, "other")), protocol, "section 3.14.2.2.5"},
		{"a topic alias", 5, d5(0x00, prop16(0x23, 1)), protocol, "section 2.2.2.2"},
		{"a will delay", 5, d5(0x04, prop32(0x18, 1)), protocol, "section 2.2.2.2"},
		{"a byte behind the properties", 5, packet(0xE0, x("0000"), x("00")), malformed, "MQTT-4.13.1-1"},
		{"a property length too large", 5, packet(0xE0, x("0005")), malformed, "MQTT-4.13.1-1"},
		{"an overlong property length", 5, packet(0xE0, x("008000")), malformed, "MQTT-1.5.5-1"},
	})

	var codes []row
	for code := range 256 {
		r := row{fmt.Sprintf("reason code 0x%02X", code), 5, packet(0xE0, []byte{byte(code)}), protocol, "MQTT-3.14.2-1"}
		if slices.Contains(x("0004808182839093949596979899"), byte(code)) { // table 3-13, "Client"
			r.want = ok
		}
		codes = append(codes, r)
	}
	check(t, codes)
}

func TestNothingFollowsDisconnect(t *testing.T) {
	left := func(t *testing.T, version byte) *Checker {
		c := signedIn(t, Config{}, version)
		if v := verdict(t, c, packet(0xE0)); v != nil {
			t.Fatal(v)
		}
		return c
	}
	checkAfter(t, []row{
		{"PINGREQ", 3, packet(0xC0), protocol, "MQTT-3.14.4-2"},
		{"PUBLISH", 4, packet(0x30, s("t")), protocol, "MQTT-3.14.4-2"},
		{"PUBLISH", 5, packet(0x30, s("t"), none), protocol, "MQTT-3.14.4-1"},
		{"PUBACK", 5, packet(0x40, id(1)), protocol, "MQTT-3.14.4-1"},
		{"a second DISCONNECT", 5, packet(0xE0), protocol, "MQTT-3.14.4-1"},
		{"CONNECT", 4, connect311(0x02, s("id")), protocol, "MQTT-3.1.0-2"},
		{"a PUBLISH of QoS 3", 5, packet(0x36, s("t"), id(1), none), protocol, "MQTT-3.14.4-1"},
		{"a PINGREQ with flag 1", 5, packet(0xC1), protocol, "MQTT-3.14.4-1"},
	}, left)
	c := signedIn(t, Config{}, Level5)
	if verdict(t, c, packet(0xE0, x("05"))) == nil {
		t.Fatal("accepted")
	}
	if c.disconnected {
		t.Error("a DISCONNECT that is refused counts")
	}
}

func TestDisconnectSessionExpiry(t *testing.T) {
	never := func(t *testing.T, _ byte) *Checker { return after(t, Config{}, connect5(0x02, none, s("id"))) }
	zero := func(t *testing.T, _ byte) *Checker {
		return after(t, Config{}, connect5(0x02, props(prop32(0x11, 0)), s("id")))
	}
	rows := []row{
		{"it stays 0", 5, packet(0xE0, x("00"), props(prop32(0x11, 0))), ok, "section 3.14.2.2.2"},
		{"it becomes 1", 5, packet(0xE0, x("00"), props(prop32(0x11, 1))), protocol, "section 3.14.2.2.2"},
		{"it becomes never", 5, packet(0xE0, x("04"), props(prop32(0x11, 0xFFFFFFFF))), protocol, "section 3.14.2.2.2"},
		{"it is not mentioned", 5, packet(0xE0, x("00"), none), ok, ""},
	}
	t.Run("absent in CONNECT", func(t *testing.T) { checkAfter(t, rows, never) })
	t.Run("0 in CONNECT", func(t *testing.T) { checkAfter(t, rows, zero) })
}

func TestAuthTable(t *testing.T) {
	method := propText(0x15, "SCRAM-SHA-256")
	connect := connect5(0x02, props(method, propText(0x16, "n,,n=u,r=x")), s("id"))
	auth := func(code byte, parts ...[]byte) []byte { return packet(0xF0, []byte{code}, props(parts...)) }

	t.Run("without a method in CONNECT", func(t *testing.T) {
		check(t, []row{
			{"AUTH", 5, auth(0x18, method), protocol, "MQTT-4.12.0-7"},
			{"AUTH to sign in again", 5, auth(0x19, method), protocol, "MQTT-4.12.0-7"},
			{"an empty AUTH", 5, packet(0xF0), protocol, "MQTT-4.12.0-7"},
		})
	})

	signingIn := func(t *testing.T, _ byte) *Checker {
		c := NewChecker(Config{})
		if v := verdict(t, c, connect); v != nil {
			t.Fatal(v)
		}
		return c
	}
	t.Run("while signing in", func(t *testing.T) {
		checkAfter(t, []row{
			{"the next message", 5, auth(0x18, method, propText(0x16, "c=biws")), ok, "MQTT-4.12.0-3"},
			{"all its properties", 5, auth(0x18, method, propText(0x16, "c=biws"), propText(0x1F, "why"), userProp("a", "b"), userProp("a", "b")), ok, "section 3.15.2.2"},
			{"no data", 5, auth(0x18, method), ok, "section 3.15.2.2.3"},
			{"empty data", 5, auth(0x18, method, propText(0x16, "")), ok, "section 3.15.2.2.3"},
			{"DISCONNECT", 5, packet(0xE0), ok, "MQTT-3.1.2-30"},
			{"DISCONNECT with a reason", 5, packet(0xE0, x("80")), ok, "MQTT-3.1.2-30"},
			{"PUBLISH", 5, packet(0x30, s("t"), none), protocol, "MQTT-3.1.2-30"},
			{"SUBSCRIBE", 5, packet(0x82, id(1), none, s("t"), x("00")), protocol, "MQTT-3.1.2-30"},
			{"UNSUBSCRIBE", 5, packet(0xA2, id(1), none, s("t")), protocol, "MQTT-3.1.2-30"},
			{"PINGREQ", 5, packet(0xC0), protocol, "MQTT-3.1.2-30"},
			{"PUBACK", 5, packet(0x40, id(1)), protocol, "MQTT-3.1.2-30"},
			{"PUBREL", 5, packet(0x62, id(1)), protocol, "MQTT-3.1.2-30"},
			{"a second CONNECT", 5, connect, protocol, "MQTT-3.1.0-2"},
			{"to sign in again", 5, auth(0x19, method), protocol, "MQTT-4.12.0-3"},
			{"success, which is not the client's to say", 5, auth(0x00, method), protocol, "MQTT-3.15.2-1"},
			{"a reason code of CONNACK", 5, auth(0x87, method), protocol, "MQTT-3.15.2-1"},
			{"an empty AUTH", 5, packet(0xF0), malformed, "MQTT-4.13.1-1"},
			{"a reason code alone", 5, packet(0xF0, x("18")), malformed, "MQTT-4.13.1-1"},
			{"no method", 5, auth(0x18), protocol, "section 3.15.2.2.2"},
			{"data without a method", 5, auth(0x18, propText(0x16, "x")), protocol, "section 3.15.2.2.2"},
			{"another method", 5, auth(0x18, propText(0x15, "SCRAM-SHA-1")), protocol, "MQTT-4.12.0-5"},
			{"the method in lower case", 5, auth(0x18, propText(0x15, "scram-sha-256")), protocol, "MQTT-4.12.0-5"},
			{"an empty method", 5, auth(0x18, propText(0x15, "")), protocol, "MQTT-4.12.0-5"},
			{"a method that is not UTF-8", 5, auth(0x18, propText(0x15, "\xFF")), malformed, "MQTT-1.5.4-1"},
			{"method twice", 5, auth(0x18, method, method), protocol, "section 3.1.2.11.9"},
			{"data twice", 5, auth(0x18, method, propText(0x16, "x"), propText(0x16, "x")), protocol, "section 3.1.2.11.10"},
			{"reason string twice", 5, auth(0x18, method, propText(0x1F, "x"), propText(0x1F, "x")), protocol, "section 3.4.2.2.2"},
			{"a session expiry", 5, auth(0x18, method, prop32(0x11, 1)), protocol, "section 2.2.2.2"},
			{"a byte behind the properties", 5, packet(0xF0, x("18"), props(method), x("00")), malformed, "MQTT-4.13.1-1"},
			{"a property length too large", 5, packet(0xF0, x("187F"), method), malformed, "MQTT-4.13.1-1"},
			{"flag 1, as some clients have it", 5, packet(0xF1, x("18"), props(method)), malformed, "MQTT-3.15.1-1"},
			{"more than a stranger may send", 5, auth(0x18, method, propText(0x16, string(make([]byte, 4096)))), tooLarge, "MQTT-3.2.2-15"},
		}, signingIn)
	})

	t.Run("signed in", func(t *testing.T) {
		checkAfter(t, []row{
			{"to sign in again", 5, auth(0x19, method, propText(0x16, "n,,n=u,r=y")), ok, "MQTT-4.12.1-1"},
			{"the next message", 5, auth(0x18, method, propText(0x16, "c=biws")), ok, "MQTT-4.12.0-3"},
			{"PUBLISH", 5, packet(0x30, s("t"), none), ok, ""},
			{"by another method", 5, auth(0x19, propText(0x15, "PLAIN")), protocol, "MQTT-4.12.0-5"},
			{"by no method", 5, auth(0x19), protocol, "section 3.15.2.2.2"},
			{"success", 5, auth(0x00, method), protocol, "MQTT-3.15.2-1"},
			{"an empty AUTH", 5, packet(0xF0), malformed, "MQTT-4.13.1-1"},
		}, func(t *testing.T, version byte) *Checker {
			c := signingIn(t, version)
			c.Accept()
			return c
		})
	})
}
