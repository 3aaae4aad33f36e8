package frame

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// step is one packet on its way, or that the table does not care: "> " is from
// the client, "< " from the broker.
type step struct {
	packet string
	want   string
}

// exchangePacket makes a packet from "> PUBREC 5 0x92"; PUBLISH1 is one of QoS 1.
func exchangePacket(t testing.TB, version byte, text string) (fromClient bool, h Header, body []byte) {
	t.Helper()
	fields := strings.Fields(text)
	name := fields[1]
	var numbers []uint64 // the packet identifier and the reason code
	for _, field := range fields[2:] {
		n, err := strconv.ParseUint(field, 0, 16)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	switch name {
	case "PUBLISH0", "PUBLISH1", "PUBLISH2":
		h = Header{Type: TypePublish, Flags: (name[7] - '0') << 1}
		body = s("t")
		if h.Flags > 0 {
			body = append(body, id(uint16(numbers[0]))...)
		}
		if version == Level5 {
			body = append(body, 0)
		}
	default:
		for h.Type = TypeConnect; h.Type.String() != name; h.Type++ {
			if h.Type > TypeAuth {
				t.Fatalf("what is %q?", text)
			}
		}
		h.Flags = h.Type.flags()
		if len(numbers) > 0 {
			body = id(uint16(numbers[0]))
		}
		if len(numbers) > 1 {
			body = append(body, byte(numbers[1]))
		}
	}
	h.Remaining = len(body)
	return fields[0] == ">", h, body
}

func (v Verdict) String() string {
	text := [...]string{"pass", "drop", "answer", "replace", "hold", "close"}[v.Action]
	switch v.Action {
	case Answer, Replace:
		text += fmt.Sprintf(" %v %d 0x%02X", v.Ack.Type, v.Ack.PacketID, v.Ack.Code)
	case Close:
		text += fmt.Sprintf(" 0x%02X %s", v.Violation.Code, v.Violation.Clause)
	default:
	}
	if v.Freed {
		text += ", freed"
	}
	return text
}

func TestExchange(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version byte
		steps   []step
	}{
		{"QoS 0 is nobody's business", 5, []step{
			{"> PUBLISH0", "pass"},
			{"< PUBLISH0", "pass"},
			{"> PINGREQ", "pass"},
			{"< PINGRESP", "pass"},
			{"> SUBSCRIBE 1", "pass"},
			{"< SUBACK 1", "pass"},
			{"> DISCONNECT", "pass"},
		}},
		{"QoS 1 to the client", 4, []step{{"< PUBLISH1 1", "pass"}, {"> PUBACK 1", "pass, freed"}, {"> PUBACK 1", "drop"}}},
		{"QoS 2 to the client", 4, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"}, {"> PUBCOMP 1", "drop"},
		}},
		{"QoS 2 to a client that refuses it", 5, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1 0x87", "pass, freed"}, {"> PUBCOMP 1", "drop"},
		}},
		{"QoS 2 to a client that has lost it", 5, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1 0x92", "pass, freed"},
		}},
		{"QoS 1 from the client", 4, []step{{"> PUBLISH1 1", "pass"}, {"< PUBACK 1", "pass"}, {"> PUBLISH1 1", "pass"}, {"< PUBACK 1", "pass"}}},
		{"QoS 2 from the client", 5, []step{
			{"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"> PUBREL 1", "pass"}, {"< PUBCOMP 1", "pass"}, {"> PUBLISH2 1", "pass"},
		}},
		// Both directions use one identifier, and mochi has forgotten the message
		// to the client.
		{"PUBACK beside QoS 2", 5, []step{
			{"< PUBLISH1 7", "pass"},
			{"> PUBLISH2 7", "pass"},
			{"< PUBREC 7", "pass"},
			{"> PUBACK 7", "drop, freed"},
			{"> PUBREL 7", "pass"},
			{"< PUBCOMP 7", "pass"},
		}},
		{"PUBACK after QoS 1", 5, []step{
			{"< PUBLISH1 7", "pass"}, {"> PUBLISH1 7", "pass"}, {"< PUBACK 7", "pass"}, {"> PUBACK 7", "pass, freed"},
		}},
		{"QoS 2 beside QoS 2", 5, []step{
			{"< PUBLISH2 7", "pass"},
			{"> PUBLISH2 7", "pass"},
			{"< PUBREC 7", "pass"},
			{"> PUBREC 7", "answer PUBREL 7 0x00"},
			{"> PUBCOMP 7", "drop, freed"},
			{"> PUBREL 7", "pass"},
			{"< PUBCOMP 7", "pass"},
		}},
		{"QoS 2 refused beside QoS 2", 5, []step{
			{"< PUBLISH2 7", "pass"}, {"> PUBLISH2 7", "pass"}, {"< PUBREC 7", "pass"}, {"> PUBREC 7 0x87", "drop, freed"}, {"> PUBREL 7", "pass"},
		}},
		{"QoS 2 comes between PUBREC and PUBCOMP", 4, []step{
			{"< PUBLISH2 7", "pass"},
			{"> PUBREC 7", "pass"},
			{"< PUBREL 7", "pass"},
			{"> PUBLISH2 7", "pass"},
			{"< PUBREC 7", "pass"},
			{"> PUBCOMP 7", "drop, freed"},
			{"> PUBREL 7", "pass"},
			{"< PUBCOMP 7", "pass"},
		}},

		// Acknowledgements of the wrong kind.
		{"PUBREC for QoS 1", 4, []step{{"< PUBLISH1 1", "pass"}, {"> PUBREC 1", "close 0x82 MQTT-4.3.2-2"}}},
		{"PUBREC for QoS 1", 5, []step{{"< PUBLISH1 1", "pass"}, {"> PUBREC 1", "close 0x82 MQTT-4.3.2-4"}}},
		{"PUBCOMP for QoS 1", 5, []step{{"< PUBLISH1 1", "pass"}, {"> PUBCOMP 1", "close 0x82 MQTT-4.3.2-4"}}},
		{"PUBACK for QoS 2", 4, []step{{"< PUBLISH2 1", "pass"}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-2"}}},
		{"PUBACK for QoS 2", 5, []step{{"< PUBLISH2 1", "pass"}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-8"}}},
		{"PUBCOMP where PUBREC is due", 5, []step{{"< PUBLISH2 1", "pass"}, {"> PUBCOMP 1", "close 0x82 MQTT-4.3.3-8"}}},
		{"PUBCOMP before PUBREL", 5, []step{{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"> PUBCOMP 1", "close 0x82 MQTT-4.3.3-4"}}},
		{"PUBACK where PUBCOMP is due", 5, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-11"},
		}},
		{"PUBREC again before PUBREL", 5, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"> PUBREC 1", "drop"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"},
		}},
		{"PUBREC again after PUBREL", 4, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBREC 1", "answer PUBREL 1 0x00"}, {"> PUBCOMP 1", "pass, freed"},
		}},
		{"PUBREC with a refusal after PUBREL", 5, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBREC 1 0x80", "close 0x82 MQTT-4.3.3-11"},
		}},
		{"PUBREL for QoS 1", 4, []step{{"> PUBLISH1 1", "pass"}, {"> PUBREL 1", "close 0x82 MQTT-4.3.3-1"}}},
		{"PUBREL before PUBREC", 5, []step{{"> PUBLISH2 1", "pass"}, {"> PUBREL 1", "close 0x82 MQTT-4.3.3-4"}}},

		// Acknowledgements of nothing.
		{"PUBACK of nothing", 5, []step{{"> PUBACK 9", "drop"}}},
		{"PUBCOMP of nothing", 5, []step{{"> PUBCOMP 9", "drop"}}},
		{"PUBREC of nothing is the broker's to answer", 5, []step{{"> PUBREC 9", "pass"}, {"< PUBREL 9 0x92", "pass"}, {"> PUBCOMP 9 0x92", "drop"}}},
		{"PUBREC of nothing", 4, []step{{"> PUBREC 9", "pass"}, {"< PUBREL 9", "pass"}, {"> PUBCOMP 9", "pass"}, {"> PUBCOMP 9", "drop"}}},
		{"PUBREL of nothing is the broker's to answer", 5, []step{{"> PUBREL 9", "pass"}, {"< PUBCOMP 9 0x92", "pass"}}},
		{"PUBACK that would hit the other direction", 5, []step{{"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"> PUBACK 1", "drop"}}},
		{"PUBCOMP that would hit the other direction", 5, []step{{"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"> PUBCOMP 1", "drop"}}},
		{"PUBREC that would hit the other direction", 5, []step{
			{"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"> PUBREC 1", "answer PUBREL 1 0x92"}, {"> PUBCOMP 1 0x92", "drop"}, {"> PUBREL 1", "pass"},
		}},
		{"PUBREL that would hit the other direction", 5, []step{{"< PUBLISH1 1", "pass"}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"}, {"> PUBACK 1", "pass, freed"}}},

		{"PUBREC with a refusal before PUBREL", 5, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"> PUBREC 1 0x80", "close 0x82 MQTT-4.3.3-4"},
		}},
		{"PUBREC with the least refusal", 5, []step{{"< PUBLISH2 1", "pass"}, {"> PUBREC 1 0x80", "pass, freed"}}},
		{"PUBREC with what is no refusal", 5, []step{{"< PUBLISH2 1", "pass"}, {"> PUBREC 1 0x10", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"}}},

		// Identifiers in use.
		{"QoS 1 again before PUBACK", 4, []step{{"> PUBLISH1 1", "pass"}, {"> PUBLISH1 1", "pass"}, {"< PUBACK 1", "pass"}, {"< PUBACK 1", "pass"}}},
		{"QoS 2 again before PUBREC", 5, []step{
			{"> PUBLISH2 1", "pass"}, {"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"< PUBREC 1 0x91", "replace PUBREC 1 0x00"}, {"> PUBREL 1", "pass"},
		}},
		{"QoS 2 again after PUBREC", 5, []step{
			{"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"> PUBLISH2 1", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "pass"}, {"< PUBCOMP 1", "pass"},
		}},
		{"QoS 2 again after a refusal", 5, []step{{"> PUBLISH2 1", "pass"}, {"< PUBREC 1 0x87", "pass"}, {"> PUBLISH2 1", "pass"}}},
		{"QoS 1 with the identifier of QoS 2", 5, []step{{"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"> PUBLISH1 1", "answer PUBACK 1 0x91"}}},
		{"QoS 1 with the identifier of QoS 2", 4, []step{{"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"> PUBLISH1 1", "close 0x82 MQTT-2.3.1-2"}}},
		{"QoS 2 with the identifier of QoS 1", 5, []step{{"> PUBLISH1 1", "pass"}, {"> PUBLISH2 1", "answer PUBREC 1 0x91"}, {"< PUBACK 1", "pass"}}},
		{"QoS 2 with the identifier of QoS 1", 3, []step{{"> PUBLISH1 1", "pass"}, {"> PUBLISH2 1", "close 0x82 MQTT-2.3.1-2"}}},
		{"PUBREL that says the message is lost", 5, []step{
			{"> PUBLISH2 1", "pass"}, {"< PUBREC 1", "pass"}, {"> PUBREL 1 0x92", "replace PUBREL 1 0x00"}, {"< PUBCOMP 1", "pass"},
		}},

		{"QoS 2 sent again by the broker after PUBREC", 5, []step{
			{"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"},
		}},
		{"QoS 2 refused by the least refusal", 5, []step{{"> PUBLISH2 1", "pass"}, {"< PUBREC 1 0x80", "pass"}, {"> PUBLISH1 1", "pass"}}},
		{"an unknown PUBREC that refuses opens nothing", 5, []step{{"< PUBREC 1 0x80", "pass"}, {"> PUBLISH1 1", "pass"}}},

		// What mochi says amiss.
		{"QoS 2 refused by PUBACK", 5, []step{{"> PUBLISH2 1", "pass"}, {"< PUBACK 1 0x87", "replace PUBREC 1 0x87"}, {"> PUBLISH1 1", "pass"}}},
		{"QoS 2 accepted by PUBACK", 5, []step{{"> PUBLISH2 1", "pass"}, {"< PUBACK 1", "replace PUBREC 1 0x00"}, {"> PUBREL 1", "pass"}}},
		{"QoS 2 that mochi has from before", 5, []step{
			{"> PUBLISH2 1", "pass"}, {"< PUBREC 1 0x91", "replace PUBREC 1 0x00"}, {"> PUBREL 1", "pass"}, {"< PUBCOMP 1", "pass"},
		}},
		{"QoS 1 refused by PUBREC", 5, []step{{"> PUBLISH1 1", "pass"}, {"< PUBREC 1 0x91", "replace PUBACK 1 0x91"}, {"> PUBLISH2 1", "pass"}}},
		{"QoS 1 of a resumed session refused by PUBREC", 5, []step{{"< PUBREC 1 0x91", "replace PUBREC 1 0x00"}}},
		{"DISCONNECT before level 5", 3, []step{{"< DISCONNECT", "drop"}}},
		{"DISCONNECT before level 5", 4, []step{{"< DISCONNECT", "drop"}}},
		{"AUTH before level 5", 4, []step{{"< AUTH", "drop"}}},
		{"DISCONNECT", 5, []step{{"< DISCONNECT", "pass"}, {"< AUTH", "pass"}}},
		{"PUBACK of nothing from the broker", 5, []step{{"< PUBACK 1", "pass"}, {"< PUBCOMP 1", "pass"}, {"< PUBREC 1 0x87", "pass"}}},

		// Sessions that were resumed (section 4.9: the quota begins anew).
		{"PUBREL of an earlier connection", 5, []step{{"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass"}}},
		{"PUBREL, then a PUBLISH with its identifier", 5, []step{
			{"< PUBREL 1", "pass"}, {"< PUBLISH1 1", "pass"}, {"> PUBACK 1", "pass, freed"}, {"> PUBACK 1", "drop"},
		}},
		{"PUBREC of an earlier connection", 5, []step{{"< PUBREC 1", "pass"}, {"> PUBREL 1", "pass"}, {"< PUBCOMP 1", "pass"}}},
		{"PUBLISH of an earlier connection, sent by both", 5, []step{
			{"< PUBREC 1", "pass"}, {"> PUBLISH2 1", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "pass"}, {"< PUBCOMP 1", "pass"},
		}},
	} {
		t.Run(fmt.Sprintf("v%d %s", tt.version, tt.name), func(t *testing.T) {
			e := NewExchange(tt.version, 10, 10)
			for i, s := range tt.steps {
				if got := walk(t, e, tt.version, s.packet); got.String() != s.want {
					t.Fatalf("step %d, %s: got %v, want %s", i+1, s.packet, got, s.want)
				}
			}
		})
	}
}

func walk(t testing.TB, e *Exchange, version byte, packet string) Verdict {
	t.Helper()
	fromClient, h, body := exchangePacket(t, version, packet)
	if fromClient {
		return e.FromClient(h, body)
	}
	return e.FromServer(h, body)
}

// TestClientReceiveMaximum is [MQTT-3.3.4-9]: messages wait, nothing else does.
func TestClientReceiveMaximum(t *testing.T) {
	e := NewExchange(Level5, 2, 10)
	for _, s := range []step{
		{"< PUBLISH1 1", "pass"},
		{"< PUBLISH2 2", "pass"},
		{"< PUBLISH1 3", "hold"},
		{"< PUBLISH0", "pass"},
		{"< PUBLISH1 1", "pass"}, // sent again: it counts once
		{"> PUBREC 2", "pass"},   // the exchange goes on
		{"< PUBLISH1 3", "hold"},
		{"< PUBREL 2", "pass"},
		{"< PUBREL 8", "pass"}, // of an earlier connection: it does not count
		{"> PUBCOMP 8", "pass"},
		{"> PUBACK 3", "drop"}, // it has not been sent
		{"< PUBLISH1 3", "hold"},
		{"> PUBCOMP 2", "pass, freed"},
		{"< PUBLISH1 3", "pass"},
		{"< PUBLISH1 4", "hold"},
		{"> PUBACK 1", "pass, freed"},
		{"< PUBREL 5", "pass"},
		{"< PUBLISH2 5", "pass"}, // counts from now on
		{"< PUBLISH2 6", "hold"},
	} {
		if got := walk(t, e, Level5, s.packet); got.String() != s.want {
			t.Fatalf("%s: got %v, want %s", s.packet, got, s.want)
		}
	}
}

// TestServerReceiveMaximum is [MQTT-3.3.4-7].
func TestServerReceiveMaximum(t *testing.T) {
	for _, version := range []byte{Level311, Level5} {
		e := NewExchange(version, 10, 2)
		clause := map[byte]string{Level311: "MQTT-4.8.0-1", Level5: "MQTT-3.3.4-7"}[version]
		for _, s := range []step{
			{"> PUBLISH2 1", "pass"},
			{"> PUBLISH1 2", "pass"},
			{"> PUBLISH2 1", "pass"}, // sent again: it counts once
			{"> PUBLISH0", "pass"},
			{"< PUBACK 2", "pass"},
			{"< PUBREC 1", "pass"},
			{"> PUBLISH2 3", "pass"},
			{"> PUBREL 1", "pass"},
			{"< PUBCOMP 1", "pass"},
			{"> PUBLISH1 4", "pass"},
			{"< PUBREC 9", "pass"}, // of an earlier connection: it does not count
			{"< PUBACK 4", "pass"},
			{"> PUBLISH1 4", "pass"},
			{"> PUBLISH1 5", "close 0x93 " + clause},
		} {
			if got := walk(t, e, version, s.packet); got.String() != s.want {
				t.Fatalf("v%d %s: got %v, want %s", version, s.packet, got, s.want)
			}
		}
	}
}

// TestExchangeIsBounded: whatever is sent, no more is remembered than may be
// outstanding, and a burst is forgotten.
func TestExchangeIsBounded(t *testing.T) {
	e := NewExchange(Level311, 100, 100)
	ack := func(t Type) Header { return Header{Type: t, Flags: t.flags(), Remaining: 2} }
	for n := 1; n <= 65535; n++ {
		packetID := id(uint16(n))
		e.FromServer(ack(TypePubrel), packetID)
		e.FromServer(ack(TypePubrec), packetID)
		e.FromClient(ack(TypePubrec), packetID)
		e.FromServer(Header{Type: TypePublish, Flags: 0b0100, Remaining: 5}, append(s("t"), packetID...))
	}
	if len(e.out.list) != 100+spare || len(e.in.list) != 100+spare {
		t.Errorf("%d messages to the client and %d from it are remembered, want %d", len(e.out.list), len(e.in.list), 100+spare)
	}
	e = NewExchange(Level311, 1000, 1000)
	for n := 1; n <= 1000; n++ {
		walk(t, e, Level311, fmt.Sprintf("< PUBLISH1 %d", n))
	}
	for n := 1; n <= 1000; n++ {
		walk(t, e, Level311, fmt.Sprintf("> PUBACK %d", n))
	}
	if cap(e.out.list) != 0 || e.out.counted != 0 {
		t.Errorf("an idle exchange keeps %d entries and counts %d", cap(e.out.list), e.out.counted)
	}
}

func TestExchangeSurvivesAnyBody(t *testing.T) {
	for first := range 256 {
		for n := range 5 {
			h := Header{Type: Type(first >> 4), Flags: byte(first & 15), Remaining: n}
			for _, b := range [][]byte{make([]byte, n), x("FFFFFFFF")[:min(n, 4)]} {
				NewExchange(Level5, 1, 1).FromClient(h, b)
				NewExchange(Level5, 1, 1).FromServer(h, b)
			}
		}
	}
}

func TestAckAppend(t *testing.T) {
	for _, tt := range []struct {
		ack     Ack
		version byte
		want    string
	}{
		{Ack{TypePuback, 0x0102, 0}, Level5, "40020102"},
		{Ack{TypePuback, 0x0102, 0x91}, Level5, "4003010291"},
		{Ack{TypePuback, 0x0102, 0x91}, Level311, "40020102"},
		{Ack{TypePubrec, 1, 0}, Level5, "50020001"},
		{Ack{TypePubrel, 1, 0x92}, Level5, "6203000192"},
		{Ack{TypePubrel, 1, 0x92}, Level31, "62020001"},
		{Ack{TypePubcomp, 65535, 0}, Level311, "7002FFFF"},
	} {
		b := tt.ack.Append(nil, tt.version)
		if got := fmt.Sprintf("%X", b); got != tt.want {
			t.Errorf("%v at level %d: got %s, want %s", tt.ack, tt.version, got, tt.want)
		}
		if v := verdict(t, signedIn(t, Config{}, tt.version), b); v != nil {
			t.Errorf("%v at level %d: %v", tt.ack, tt.version, v)
		}
	}
}

func TestViolationReads(t *testing.T) {
	e := NewExchange(Level5, 1, 1)
	walk(t, e, Level5, "< PUBLISH2 1")
	err := error(walk(t, e, Level5, "> PUBACK 1").Violation)
	if got, want := err.Error(), "PUBACK for a message that awaits something else (0x82, MQTT-4.3.3-8)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, isViolation := errors.AsType[*Violation](fmt.Errorf("client x: %w", err)); !isViolation {
		t.Error("a wrapped violation is not found")
	}
}
