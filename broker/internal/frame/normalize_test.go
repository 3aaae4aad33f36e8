package frame

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseConnect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		packet []byte
		want   Connect
	}{
		{"the least at level 3", connect31(0x00, s("id")), Connect{
			Version: 3, KeepAlive: 60, ClientID: raw("id"), ReceiveMaximum: math.MaxUint16, ProblemInfo: true,
		}},
		{"the least at level 5", connect5(0x00, none, s("")), Connect{
			Version: 5, KeepAlive: 60, ReceiveMaximum: math.MaxUint16, ProblemInfo: true,
		}},
		{"everything at level 4", connect311(0xF6, s("id"), s("will"), s("gone"), s("bob"), s("secret")), Connect{
			Version: 4, CleanStart: true, KeepAlive: 60, ClientID: raw("id"), HasUsername: true, HasPassword: true, Username: raw("bob"),
			HasWill: true, Will: Will{Topic: raw("will"), Payload: raw("gone"), QoS: 2, Retain: true},
			ReceiveMaximum: math.MaxUint16, ProblemInfo: true,
		}},
		{"everything at level 5", connect5(0xCE, props(prop32(0x11, 9), prop16(0x21, 8), prop32(0x27, 7), prop16(0x22, 6), prop8(0x17, 0), propText(0x15, "SCRAM-SHA-256")),
			s("id"), props(prop32(0x18, 5)), s("will"), s("gone"), s("bob"), s("secret")), Connect{
			Version: 5, CleanStart: true, KeepAlive: 60, ClientID: raw("id"), HasUsername: true, HasPassword: true, Username: raw("bob"),
			HasWill: true, Will: Will{Topic: raw("will"), Payload: raw("gone"), QoS: 1, Delay: 5},
			SessionExpiry: 9, ReceiveMaximum: 8, MaximumPacketSize: 7, TopicAliasMaximum: 6, HasAuthMethod: true, AuthMethod: raw("SCRAM-SHA-256"),
		}},
		{"a level 3 packet without the user name it promises", connect31(0xC2, s("id")), Connect{
			Version: 3, CleanStart: true, KeepAlive: 60, ClientID: raw("id"), ReceiveMaximum: math.MaxUint16, ProblemInfo: true,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseConnect(tt.packet[2:])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Connect{}), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
	got, err := ParseConnect(connect5(0x03, none, s("id"))[2:])
	if v, isViolation := errors.AsType[*Violation](err); !isViolation || v.Clause != "MQTT-3.1.2-3" || got.Version != Level5 || got.ClientID != nil {
		t.Errorf("got %+v, %v, want level 5 and nothing else", got, err)
	}
}

func TestNormalize(t *testing.T) {
	for _, tt := range []struct {
		name      string
		version   byte
		sent, got []byte
	}{
		{"the short DISCONNECT gets a property length", 5, packet(0xE0, x("04")), packet(0xE0, x("0400"))},
		{"the shortest does not", 5, packet(0xE0), packet(0xE0)},
		{"the long one stays", 5, packet(0xE0, x("0400")), packet(0xE0, x("0400"))},
		{"so does one with properties", 5, packet(0xE0, x("00"), props(prop32(0x11, 5))), packet(0xE0, x("00"), props(prop32(0x11, 5)))},
		{"PUBLISH keeps its flags", 5, packet(0x3D, s("t"), id(1), none), packet(0x3D, s("t"), id(1), none)},
		{"DUP is taken from SUBSCRIBE", 3, packet(0x8A, id(1), s("a"), x("00")), packet(0x82, id(1), s("a"), x("00"))},
		{"DUP is taken from PUBREL", 3, packet(0x6A, id(1)), packet(0x62, id(1))},
		{"unused flags are taken from PINGREQ", 3, packet(0xCF), packet(0xC0)},
		{"PUBREL keeps its flags", 5, packet(0x62, id(1)), packet(0x62, id(1))},
		{"an overlong length is made short", 4, x("C0808000"), x("C000")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := signedIn(t, Config{}, tt.version)
			got, changed := normalized(t, c, tt.sent)
			if !bytes.Equal(got, tt.got) || changed == bytes.Equal(tt.sent, tt.got) {
				t.Errorf("got % X, changed %v, want % X", got, changed, tt.got)
			}
		})
	}
	for _, tt := range []struct {
		name      string
		sent, got []byte
	}{
		{"a level 4 CONNECT stays", connect311(0xC2, s("id"), s("u"), s("p")), connect311(0xC2, s("id"), s("u"), s("p"))},
		{"the reserved flag is cleared", connect31(0x03, s("id")), connect31(0x02, s("id"))},
		{"the will flags without a will are cleared", connect31(0x3A, s("id")), connect31(0x02, s("id"))},
		{"the flag of a missing user name is cleared", connect31(0x82, s("id")), connect31(0x02, s("id"))},
		{"the flag of a missing password is cleared", connect31(0xC2, s("id"), s("u")), connect31(0x82, s("id"), s("u"))},
		{"both are cleared", connect31(0xC2, s("id")), connect31(0x02, s("id"))},
		{"the bit of bridges is taken out of level 4", packet(0x10, s("MQTT"), x("8402"), u16(9), s("id")), packet(0x10, s("MQTT"), x("0402"), u16(9), s("id"))},
		{"and out of level 3", packet(0x10, s("MQIsdp"), x("8303"), u16(9), s("id")), packet(0x10, s("MQIsdp"), x("0302"), u16(9), s("id"))},
		{"header flags are cleared", append([]byte{0x1F}, connect31(0x02, s("id"))[1:]...), connect31(0x02, s("id"))},
		{"a level 3 CONNECT with a will stays", connect31(0x36, s("id"), s("t"), s("")), connect31(0x36, s("id"), s("t"), s(""))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := slices.Clone(tt.sent)
			got, changed := normalized(t, NewChecker(Config{}), sent)
			if !bytes.Equal(got, tt.got) || changed == bytes.Equal(tt.sent, tt.got) {
				t.Errorf("got % X, changed %v, want % X", got, changed, tt.got)
			}
			if !bytes.Equal(sent, tt.sent) {
				t.Error("the packet itself was changed")
			}
			c := NewChecker(Config{})
			if v := verdict(t, c, sent); v != nil {
				t.Fatal(v)
			}
			h, n, _ := ParseHeader(sent)
			_, body, _ := c.Normalize(h, sent[n:])
			if same, stays := &body[0] == &sent[n], bytes.Equal(tt.sent[n:], tt.got[n:]); same != stays {
				t.Errorf("copied: %v, want %v", !same, !stays)
			}
		})
	}
}

// normalized passes a packet through the Checker and Normalize, and returns
// whether that says to have changed it.
func normalized(t testing.TB, c *Checker, packet []byte) ([]byte, bool) {
	t.Helper()
	if v := verdict(t, c, packet); v != nil {
		t.Fatal(v)
	}
	h, n, err := ParseHeader(packet)
	if err != nil {
		t.Fatal(err)
	}
	h, body, changed := c.Normalize(h, packet[n:])
	if h.Remaining != len(body) {
		t.Errorf("the header says %d bytes, the body has %d", h.Remaining, len(body))
	}
	return append(h.Append(nil), body...), changed
}

func TestPad(t *testing.T) {
	will, password, both := Padding{WillPayload: true}, Padding{Password: true}, Padding{WillPayload: true, Password: true}
	retained := Padding{WillRetain: true}
	properties := props(prop32(0x11, 1))
	for _, tt := range []struct {
		name      string
		sent, got []byte
		want      Padding
	}{
		{"an empty will at level 3", connect31(0x06, s("id"), s("t"), s("")), connect31(0x06, s("id"), s("t"), s("\x00")), will},
		{"an empty will at level 4", connect311(0x06, s("id"), s("t"), s("")), connect311(0x06, s("id"), s("t"), s("\x00")), will},
		{"an empty will before a user name", connect311(0x86, s("id"), s("t"), s(""), s("u")), connect311(0x86, s("id"), s("t"), s("\x00"), s("u")), will},
		{
			"an empty will before a password", connect311(0xC6, s("id"), s("t"), s(""), s("u"), s("p")),
			connect311(0xC6, s("id"), s("t"), s("\x00"), s("u"), s("p")), will,
		},
		{
			"an empty will at level 5", connect5(0x06, properties, s("id"), props(prop8(1, 1)), s("t"), s("")),
			connect5(0x06, properties, s("id"), props(prop8(1, 1)), s("t"), s("\x00")), will,
		},
		{"an empty password at level 3", connect31(0xC2, s("id"), s("u"), s("")), connect31(0xC2, s("id"), s("u"), s("\x00")), password},
		{"an empty password at level 4", connect311(0xC2, s("id"), s("u"), s("")), connect311(0xC2, s("id"), s("u"), s("\x00")), password},
		{"an empty password behind an empty user name", connect311(0xC2, s("id"), s(""), s("")), connect311(0xC2, s("id"), s(""), s("\x00")), password},
		{"an empty password without a user name", connect5(0x42, properties, s("id"), s("")), connect5(0x42, properties, s("id"), s("\x00")), password},
		{
			"an empty password behind a will", connect5(0xC6, none, s("id"), none, s("t"), s("p"), s("u"), s("")),
			connect5(0xC6, none, s("id"), none, s("t"), s("p"), s("u"), s("\x00")), password,
		},
		{
			"both at level 4", connect311(0xC6, s("id"), s("t"), s(""), s("u"), s("")),
			connect311(0xC6, s("id"), s("t"), s("\x00"), s("u"), s("\x00")), both,
		},
		{
			"both at level 5", connect5(0x46, properties, s("id"), none, s("t"), s(""), s("")),
			connect5(0x46, properties, s("id"), none, s("t"), s("\x00"), s("\x00")), both,
		},
		{
			"a length that takes another byte", connect311(0xC2, s("id"), s(strings.Repeat("u", 109)), s("")),
			connect311(0xC2, s("id"), s(strings.Repeat("u", 109)), s("\x00")), password,
		},
		{"a retained will at level 3", connect31(0x26, s("id"), s("t"), s("p")), connect31(0x06, s("id"), s("t"), s("p")), retained},
		{"a retained will at level 5", connect5(0x2E, properties, s("id"), none, s("t"), s("p")), connect5(0x0E, properties, s("id"), none, s("t"), s("p")), retained},
		{
			"a retained will and both empty", connect311(0xE6, s("id"), s("t"), s(""), s("u"), s("")),
			connect311(0xC6, s("id"), s("t"), s("\x00"), s("u"), s("\x00")),
			Padding{true, true, true},
		},
		{"neither is empty", connect311(0xC6, s("id"), s("t"), s("p"), s("u"), s("\x00")), connect311(0xC6, s("id"), s("t"), s("p"), s("u"), s("\x00")), Padding{}},
		{"there is neither", connect311(0x82, s("id"), s("")), connect311(0x82, s("id"), s("")), Padding{}},
		{"the password is missing, as level 3 allows", connect31(0xC2, s("id"), s("u")), connect31(0xC2, s("id"), s("u")), Padding{}},
		{"no CONNECT", packet(0x30, s("t"), s("")), packet(0x30, s("t"), s("")), Padding{}},
		{"a CONNECT that is refused", connect311(0x07, s("id"), s("t"), s("")), connect311(0x07, s("id"), s("t"), s("")), Padding{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := slices.Clone(tt.sent)
			h, n, err := ParseHeader(sent)
			if err != nil {
				t.Fatal(err)
			}
			h, body, did := pad(h, sent[n:])
			if got := append(h.Append(nil), body...); did != tt.want || !bytes.Equal(got, tt.got) {
				t.Errorf("got % X, %+v, want % X, %+v", got, did, tt.got, tt.want)
			}
			if !bytes.Equal(sent, tt.sent) {
				t.Error("the packet itself was changed")
			}
		})
	}
}

// pad pads what is a CONNECT that may pass.
func pad(h Header, body []byte) (Header, []byte, Padding) {
	view, err := ParseConnect(body)
	if h.Type != TypeConnect || err != nil {
		return h, body, Padding{}
	}
	return Pad(h, body, &view)
}
