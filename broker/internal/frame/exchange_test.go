package frame

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// step is a line of a conversation and what comes of it.
type step struct {
	line string
	want string
}

// session is a session of a client and its connections, one after the other.
type session struct {
	version              byte
	clientMax, serverMax uint16
	e                    *Exchange
	resume               func(now, earlier *Exchange)
}

// newSession returns a session whose first connection is open.
func newSession(version byte, clientMax, serverMax uint16) *session {
	return &session{version, clientMax, serverMax, NewExchange(version, clientMax, serverMax), (*Exchange).Resume}
}

// say does what a line says, and returns what comes of it:
//
//	> PUBLISH2 7           from the client, handed on as 1007
//	> PUBLISH2 7 as 9      from the client, handed on as 9
//	> PUBREC 7 0x92
//	! PUBLISH2 7 0x97      from the client, and refused
//	< PUBREC 1007          from the broker
//	next                   which message has room
//	settle                 the broker has dealt with all that came
//	resume                 the connection ends, and another begins
func (s *session) say(t testing.TB, line string) string {
	t.Helper()
	fields := strings.Fields(line)
	switch fields[0] {
	case "next":
		id, again, ok := s.e.Next()
		switch {
		case !ok:
			return "none"
		case again:
			return fmt.Sprintf("%d again", id)
		}
		return strconv.Itoa(int(id))
	case "settle":
		s.e.Settle()
		return ""
	case "resume":
		earlier := s.e
		s.e = NewExchange(s.version, s.clientMax, s.serverMax)
		s.resume(s.e, earlier)
		return ""
	}
	as := uint16(0)
	if n := len(fields) - 2; fields[n] == "as" {
		parsed, err := strconv.ParseUint(fields[n+1], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		as, fields = uint16(parsed), fields[:n]
	}
	h, body, code := exchangePacket(t, s.version, fields[1:])
	if as == 0 {
		as = PacketID(h, body) + 1000
	}
	switch fields[0] {
	case ">":
		return s.e.FromClient(h, body, as).String()
	case "!":
		return s.e.Refuse(h, body, code).String()
	default:
		return s.e.FromServer(h, body).String()
	}
}

// talk says lines in turn, and stops at one that does not come out as it should.
func (s *session) talk(t *testing.T, steps []step) {
	t.Helper()
	for i, step := range steps {
		if got := s.say(t, step.line); got != step.want {
			t.Fatalf("step %d, %s: got %s, want %s", i+1, step.line, got, step.want)
		}
	}
}

// exchangePacket makes a packet from its name, identifier and reason code.
// PUBLISH1 is one of QoS 1. It has no place for a code, which is returned.
func exchangePacket(t testing.TB, version byte, fields []string) (h Header, body []byte, code byte) {
	t.Helper()
	var numbers []uint64
	for _, field := range fields[1:] {
		n, err := strconv.ParseUint(field, 0, 16)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	if len(numbers) > 1 {
		code = byte(numbers[1])
	}
	switch name := fields[0]; name {
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
				t.Fatalf("what is %q?", fields)
			}
		}
		h.Flags = h.Type.flags()
		if len(numbers) > 0 {
			body = id(uint16(numbers[0]))
		}
		if len(numbers) > 1 {
			body = append(body, code)
		}
	}
	h.Remaining = len(body)
	return h, body, code
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
	if v.ID != 0 {
		text += fmt.Sprintf(" as %d", v.ID)
	}
	if v.First {
		text += ", first"
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
			{"< CONNACK", "pass"},
			{"> DISCONNECT", "pass"},
			{"next", "none"},
		}},
		{"QoS 1 to the client", 4, []step{{"< PUBLISH1 1", "pass, first"}, {"> PUBACK 1", "pass, freed"}, {"> PUBACK 1", "drop"}}},
		{"QoS 2 to the client", 4, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"}, {"> PUBCOMP 1", "drop"},
		}},
		{"QoS 1 to a client that refuses it", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"> PUBACK 1 0x87", "pass, freed"}}},
		{"QoS 2 to a client that refuses it", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1 0x87", "pass, freed"}, {"> PUBCOMP 1", "drop"},
		}},
		{"QoS 2 to a client that has lost it", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1 0x92", "pass, freed"},
		}},
		{"the same identifier for one message after the other", 5, []step{
			{"< PUBLISH1 1", "pass, first"}, {"> PUBACK 1", "pass, freed"}, {"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1 0x80", "pass, freed"}, {"< PUBLISH1 1", "pass, first"},
		}},
		{"QoS 1 from the client", 4, []step{
			{"> PUBLISH1 1", "pass as 1001"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}, {"> PUBLISH1 1", "pass as 1001"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"},
		}},
		{"QoS 1 from the client that nobody gets", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"< PUBACK 1001 0x10", "replace PUBACK 1 0x10"}}},
		{"QoS 1 from the client that is refused", 5, []step{
			{"> PUBLISH1 1", "pass as 1001"}, {"< PUBACK 1001 0x87", "replace PUBACK 1 0x87"}, {"> PUBLISH1 1", "pass as 1001"},
		}},
		// The broker is done with it when the client only begins to release it.
		{"QoS 2 from the client", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"},
			{"< PUBREC 1001", "replace PUBREC 1 0x00"},
			{"< PUBCOMP 1001", "drop"},
			{"> PUBREL 1", "answer PUBCOMP 1 0x00"},
			{"> PUBLISH2 1", "pass as 1001"},
		}},
		{"QoS 2 from the client", 3, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"< PUBCOMP 1001", "drop"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"QoS 2 from the client that nobody gets", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001 0x10", "replace PUBREC 1 0x10"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"QoS 2 from the client that is refused", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"},
			{"< PUBREC 1001 0x87", "replace PUBREC 1 0x87"},
			{"< PUBCOMP 1001 0x92", "drop"},
			{"> PUBREL 1", "answer PUBCOMP 1 0x92"},
		}},
		{"QoS 2 from the client, twice as the same", 5, []step{
			{"> PUBLISH2 1 as 9", "pass as 9"}, {"< PUBREC 9", "replace PUBREC 1 0x00"}, {"> PUBLISH2 2 as 9", "pass as 9"}, {"< PUBREC 9", "replace PUBREC 2 0x00"},
		}},

		// Requests that are no messages.
		{"SUBSCRIBE", 5, []step{{"> SUBSCRIBE 1", "pass as 1001"}, {"< SUBACK 1001", "pass as 1"}}},
		{"SUBSCRIBE", 3, []step{{"> SUBSCRIBE 65535 as 1", "pass as 1"}, {"< SUBACK 1", "pass as 65535"}}},
		{"UNSUBSCRIBE", 5, []step{{"> UNSUBSCRIBE 1", "pass as 1001"}, {"< UNSUBACK 1001", "pass as 1"}}},
		{"UNSUBSCRIBE", 4, []step{{"> UNSUBSCRIBE 1", "pass as 1001"}, {"< UNSUBACK 1001", "pass as 1"}}},
		{"SUBSCRIBE with the identifier of a message from the client", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"},
			{"< PUBREC 1001", "replace PUBREC 1 0x00"},
			{"> SUBSCRIBE 1 as 9", "pass as 9"},
			{"< SUBACK 9", "pass as 1"},
			{"> UNSUBSCRIBE 1 as 9", "pass as 9"},
			{"< UNSUBACK 9", "pass as 1"},
			{"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"SUBSCRIBE that the broker answers after retained messages", 5, []step{
			{"> SUBSCRIBE 1", "pass as 1001"}, {"< PUBLISH1 1", "pass, first"}, {"< SUBACK 1001", "pass as 1"}, {"> PUBACK 1", "pass, freed"},
		}},
		{"SUBSCRIBE again and again", 4, []step{
			{"> SUBSCRIBE 1 as 8", "pass as 8"}, {"< SUBACK 8", "pass as 1"}, {"> SUBSCRIBE 1 as 9", "pass as 9"}, {"< SUBACK 9", "pass as 1"},
		}},

		// The identifiers of one direction are those of the other in disguise.
		{"a message goes to the broker with another one's identifier", 5, []step{
			{"> PUBLISH2 7 as 8", "pass as 8"},
			{"< PUBREC 8", "replace PUBREC 7 0x00"},
			{"> PUBLISH2 8 as 7", "pass as 7"},
			{"< PUBREC 7", "replace PUBREC 8 0x00"},
			{"> PUBREL 7", "answer PUBCOMP 7 0x00"},
			{"> PUBLISH2 8 as 9", "answer PUBREC 8 0x00"},
			{"> PUBREL 8", "answer PUBCOMP 8 0x00"},
		}},
		{"a message goes to the client while another with its identifier is asked about", 5, []step{
			{"> PUBLISH1 7 as 8", "pass as 8"}, {"< PUBLISH1 7", "pass, first"}, {"< PUBACK 8", "replace PUBACK 7 0x00"}, {"> PUBACK 7", "pass, freed"},
		}},
		{"PUBLISH with the identifier that another is handed on with", 5, []step{
			{"< PUBLISH1 7", "pass, first"}, {"> PUBLISH1 8 as 9", "pass as 9"}, {"< PUBACK 9", "replace PUBACK 8 0x00"}, {"< PUBLISH1 9", "pass, first"}, {"> PUBACK 9", "pass, freed"}, {"> PUBACK 7", "pass, freed"},
		}},

		// Acknowledgements of the wrong kind.
		{"PUBREC for QoS 1", 4, []step{{"< PUBLISH1 1", "pass, first"}, {"> PUBREC 1", "close 0x82 MQTT-4.3.2-2"}}},
		{"PUBREC for QoS 1", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"> PUBREC 1", "close 0x82 MQTT-4.3.2-4"}}},
		{"PUBREC that refuses QoS 1", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"> PUBREC 1 0x87", "close 0x82 MQTT-4.3.2-4"}}},
		{"PUBCOMP for QoS 1", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"> PUBCOMP 1", "close 0x82 MQTT-4.3.2-4"}}},
		{"PUBACK for QoS 2", 4, []step{{"< PUBLISH2 1", "pass, first"}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-2"}}},
		{"PUBACK for QoS 2", 5, []step{{"< PUBLISH2 1", "pass, first"}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-8"}}},
		{"PUBCOMP where PUBREC is due", 5, []step{{"< PUBLISH2 1", "pass, first"}, {"> PUBCOMP 1", "close 0x82 MQTT-4.3.3-8"}}},
		{"PUBCOMP before PUBREL", 5, []step{{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"> PUBCOMP 1", "close 0x82 MQTT-4.3.3-4"}}},
		{"PUBACK before PUBREL", 3, []step{{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-1"}}},
		{"PUBACK where PUBCOMP is due", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-11"},
		}},
		{"PUBACK where PUBCOMP is due", 4, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-2"},
		}},
		{"PUBREC again before PUBREL", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"> PUBREC 1", "drop"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"},
		}},
		{"PUBREC again after PUBREL", 4, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBREC 1", "answer PUBREL 1 0x00"}, {"> PUBCOMP 1", "pass, freed"},
		}},
		{"PUBREC with a refusal before PUBREL", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"> PUBREC 1 0x80", "close 0x82 MQTT-4.3.3-4"},
		}},
		{"PUBREC with a refusal after PUBREL", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBREC 1 0x80", "close 0x82 MQTT-4.3.3-11"},
		}},
		{"PUBREC with the least refusal", 5, []step{{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1 0x80", "pass, freed"}}},
		{"PUBREC with what is no refusal", 5, []step{{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1 0x10", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"}}},
		{"PUBREL for QoS 1", 4, []step{{"> PUBLISH1 1", "pass as 1001"}, {"> PUBREL 1", "close 0x82 MQTT-4.3.3-1"}}},
		{"PUBREL before PUBREC", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"> PUBREL 1", "close 0x82 MQTT-4.3.3-4"}}},

		// Acknowledgements of nothing.
		{"PUBACK of nothing", 5, []step{{"> PUBACK 9", "drop"}}},
		{"PUBACK of nothing", 3, []step{{"> PUBACK 9", "drop"}}},
		{"PUBCOMP of nothing", 5, []step{{"> PUBCOMP 9", "drop"}}},
		{"PUBREC of nothing", 5, []step{{"> PUBREC 9", "answer PUBREL 9 0x92"}, {"> PUBCOMP 9 0x92", "drop"}}},
		{"PUBREC of nothing", 4, []step{{"> PUBREC 9", "answer PUBREL 9 0x92"}, {"> PUBCOMP 9", "drop"}}},
		{"PUBREC of nothing that refuses it", 5, []step{{"> PUBREC 9 0x80", "drop"}}},
		{"PUBREC of a message that was refused", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1 0x87", "pass, freed"}, {"> PUBREC 1 0x87", "drop"}, {"> PUBREC 1", "answer PUBREL 1 0x92"},
		}},
		{"PUBREL of nothing", 5, []step{{"> PUBREL 9", "answer PUBCOMP 9 0x92"}}},
		{"PUBREL of nothing", 3, []step{{"> PUBREL 9", "answer PUBCOMP 9 0x92"}}},
		{"PUBREL again", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"},
		}},
		{"PUBACK of a message that went the other way", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"> PUBACK 1", "drop"}, {"> PUBACK 1001", "drop"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}}},
		{"PUBCOMP of a message that went the other way", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"> PUBCOMP 1", "drop"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"PUBREC of a message that went the other way", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"},
			{"< PUBREC 1001", "replace PUBREC 1 0x00"},
			{"> PUBREC 1", "answer PUBREL 1 0x92"},
			{"> PUBCOMP 1 0x92", "drop"},
			{"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"PUBREL of a message that went the other way", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"}, {"> PUBACK 1", "pass, freed"}}},
		{"PUBREL of a message that went the other way", 4, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"},
		}},

		// Identifiers in use.
		{"QoS 2 again after PUBREC", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"},
			{"< PUBREC 1001", "replace PUBREC 1 0x00"},
			{"> PUBLISH2 1", "answer PUBREC 1 0x00"},
			{"> PUBLISH2 1", "answer PUBREC 1 0x00"},
			{"> PUBREL 1", "answer PUBCOMP 1 0x00"},
			{"> PUBLISH2 1", "pass as 1001"},
		}},
		{"QoS 2 again after PUBREC", 3, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"> PUBLISH2 1", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"QoS 2 again after a refusal", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001 0x87", "replace PUBREC 1 0x87"}, {"> PUBLISH2 1", "pass as 1001"}}},
		{"QoS 2 again after the least refusal", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001 0x80", "replace PUBREC 1 0x80"}, {"> PUBLISH1 1", "pass as 1001"}}},
		{"QoS 1 with the identifier of QoS 2", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"> PUBLISH1 1", "answer PUBACK 1 0x91"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"QoS 1 with the identifier of QoS 2", 4, []step{{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"> PUBLISH1 1", "close 0x82 MQTT-2.3.1-2"}}},

		// Before the broker has answered.
		{"QoS 1 again before PUBACK", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"> PUBLISH1 1", "drop"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}}},
		{"QoS 1 again before PUBACK", 3, []step{{"> PUBLISH1 1", "pass as 1001"}, {"> PUBLISH1 1", "drop"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}, {"> PUBLISH1 1", "pass as 1001"}}},
		{"QoS 2 again before PUBREC", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"> PUBLISH2 1", "drop"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}}},
		{"QoS 2 again before PUBREC", 4, []step{{"> PUBLISH2 1", "pass as 1001"}, {"> PUBLISH2 1", "drop"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}}},
		{"QoS 2 with the identifier of QoS 1", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"> PUBLISH2 1", "answer PUBREC 1 0x91"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}}},
		{"QoS 2 with the identifier of QoS 1", 3, []step{{"> PUBLISH1 1", "pass as 1001"}, {"> PUBLISH2 1", "close 0x82 MQTT-2.3.1-2"}}},
		{"it is not to see it when it comes again", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"! PUBLISH1 1 0x97", "drop"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}}},
		{"all that is asked is answered in turn", 5, []step{
			{"> PUBLISH1 4", "pass as 1004"},
			{"> SUBSCRIBE 3", "pass as 1003"},
			{"> PUBLISH2 2", "pass as 1002"},
			{"> UNSUBSCRIBE 3 as 9", "pass as 9"},
			{"< PUBACK 1004 0x10", "replace PUBACK 4 0x10"},
			{"< SUBACK 1003", "pass as 3"},
			{"< PUBREC 1002", "replace PUBREC 2 0x00"},
			{"< PUBCOMP 1002", "drop"},
			{"< UNSUBACK 9", "pass as 3"},
			{"> PUBREL 2", "answer PUBCOMP 2 0x00"},
		}},
		{"what it shall not see is answered first", 5, []step{
			{"> PUBLISH1 1", "pass as 1001"}, {"! PUBLISH1 2 0x97", "answer PUBACK 2 0x97"}, {"! PUBLISH2 3 0x97", "answer PUBREC 3 0x97"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"},
		}},

		// The broker has dealt with a message, and its answer is not out yet.
		{"PUBREC after all is done", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"settle", ""}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"settle", ""}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}, {"settle", ""}}},
		{"a refusal after all is done", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"settle", ""}, {"< PUBREC 1001 0x87", "replace PUBREC 1 0x87"}, {"settle", ""}, {"> PUBLISH2 1", "pass as 1001"}}},
		{"PUBACK after all is done", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"settle", ""}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}, {"settle", ""}}},
		{"SUBACK after all is done", 5, []step{{"> SUBSCRIBE 1", "pass as 1001"}, {"settle", ""}, {"< SUBACK 1001", "pass as 1"}, {"settle", ""}}},
		{"PUBREL before a PUBREC that is on its way", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"settle", ""}, {"> PUBREL 1", "close 0x82 MQTT-4.3.3-4"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}}},
		{"PUBREL before a PUBREC that is on its way", 4, []step{{"> PUBLISH2 1", "pass as 1001"}, {"settle", ""}, {"> PUBREL 1", "close 0x82 MQTT-4.3.3-1"}, {"settle", ""}}},
		{"QoS 2 again before a PUBREC that is on its way", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"settle", ""}, {"> PUBLISH2 1", "drop"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}}},

		// A broker that leaves a request without an answer.
		{"the next PUBLISH is answered, the first is not", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"> PUBLISH1 2", "pass as 1002"}, {"< PUBACK 1002", "replace PUBACK 2 0x00"}, {"< PUBACK 1001", "drop"}}},
		{"SUBSCRIBE after a PUBLISH without an answer", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"> SUBSCRIBE 2", "pass as 1002"}, {"< SUBACK 1002", "pass as 2"}, {"< PUBREC 1001", "drop"}}},
		{"PUBLISH after a SUBSCRIBE without an answer", 5, []step{{"> SUBSCRIBE 2", "pass as 1002"}, {"> PUBLISH1 1", "pass as 1001"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}, {"< SUBACK 1002", "drop"}}},
		{"SUBSCRIBE after an UNSUBSCRIBE without an answer", 4, []step{{"> UNSUBSCRIBE 2 as 9", "pass as 9"}, {"> SUBSCRIBE 3 as 9", "pass as 9"}, {"< SUBACK 9", "pass as 3"}, {"< UNSUBACK 9", "drop"}}},

		// Answers to nothing, which mochi has from an earlier connection.
		{"PUBACK that answers nothing", 5, []step{{"< PUBACK 1", "drop"}, {"> PUBLISH1 1", "pass as 1001"}}},
		{"PUBREC that answers nothing", 5, []step{{"< PUBREC 1", "drop"}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"}}},
		{"PUBREC that answers nothing and refuses it", 5, []step{{"< PUBREC 1 0x91", "drop"}, {"> PUBLISH1 1", "pass as 1001"}}},
		{"PUBCOMP that answers nothing", 4, []step{{"< PUBCOMP 1", "drop"}}},
		{"PUBACK of something else", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"< PUBACK 1", "drop"}, {"< PUBACK 1002", "drop"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}}},
		{"PUBREC of a SUBSCRIBE", 5, []step{{"> SUBSCRIBE 1", "pass as 1001"}, {"< PUBREC 1001", "drop"}, {"< PUBACK 1001", "drop"}, {"< SUBACK 1001", "pass as 1"}}},
		{"SUBACK that answers nothing", 5, []step{{"< SUBACK 1", "drop"}}},
		{"UNSUBACK that answers nothing", 4, []step{{"< UNSUBACK 1", "drop"}}},
		{"SUBACK of an UNSUBSCRIBE", 4, []step{{"> UNSUBSCRIBE 1", "pass as 1001"}, {"< SUBACK 1001", "drop"}, {"< UNSUBACK 1001", "pass as 1"}}},
		{"SUBACK again", 4, []step{{"> SUBSCRIBE 1", "pass as 1001"}, {"< SUBACK 1001", "pass as 1"}, {"< SUBACK 1001", "drop"}}},
		{"PUBACK again", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}, {"< PUBACK 1001", "drop"}}},
		{"PUBREC again", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"< PUBREC 1001 0x91", "drop"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}}},
		{"PUBCOMP before PUBREC", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"< PUBCOMP 1001", "drop"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}}},

		{"QoS 1 sent again by the broker", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"< PUBLISH1 1", "pass"}, {"> PUBACK 1", "pass, freed"}, {"> PUBACK 1", "drop"}}},
		{"QoS 2 sent again by the broker after PUBREC", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"},
		}},
		{"PUBREL sent again by the broker", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"}, {"> PUBCOMP 1", "drop"},
		}},

		// What mochi says amiss.
		{"QoS 2 refused by PUBACK", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"< PUBACK 1001 0x87", "replace PUBREC 1 0x87"}, {"> PUBLISH1 1", "pass as 1001"}}},
		{"QoS 2 accepted by PUBACK", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"< PUBACK 1001", "replace PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}}},
		{"QoS 1 refused by PUBREC", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"< PUBREC 1001 0x91", "replace PUBACK 1 0x91"}, {"> PUBLISH2 1", "pass as 1001"}}},
		{"DISCONNECT before level 5", 3, []step{{"< DISCONNECT", "drop"}}},
		{"DISCONNECT before level 5", 4, []step{{"< DISCONNECT", "drop"}}},
		{"AUTH before level 5", 4, []step{{"< AUTH", "drop"}}},
		{"DISCONNECT", 5, []step{{"< DISCONNECT", "pass"}, {"< AUTH", "pass"}}},

		// What the broker shall not see.
		{"QoS 0 is refused", 3, []step{{"! PUBLISH0", "drop"}}},
		{"QoS 0 is refused", 5, []step{{"! PUBLISH0", "drop"}}},
		{"QoS 1 is refused", 3, []step{{"! PUBLISH1 1 0x97", "answer PUBACK 1 0x97"}, {"> PUBLISH1 1", "pass as 1001"}}},
		{"QoS 1 is refused", 4, []step{{"! PUBLISH1 1 0x97", "answer PUBACK 1 0x97"}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"}}},
		{"QoS 1 is refused", 5, []step{{"! PUBLISH1 1 0x97", "answer PUBACK 1 0x97"}, {"> PUBLISH2 1", "pass as 1001"}}},
		{"QoS 2 is refused", 3, []step{
			{"! PUBLISH2 1 0x97", "answer PUBREC 1 0x00"}, {"! PUBLISH2 1 0x97", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}, {"> PUBLISH2 1", "pass as 1001"},
		}},
		{"QoS 2 is refused", 4, []step{{"! PUBLISH2 1 0x97", "answer PUBREC 1 0x00"}, {"> PUBLISH2 1", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}}},
		{"QoS 2 is refused", 5, []step{{"! PUBLISH2 1 0x97", "answer PUBREC 1 0x97"}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"}, {"> PUBLISH2 1", "pass as 1001"}}},
		{"QoS 2 is refused that has arrived before", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"! PUBLISH2 1 0x97", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"QoS 1 is refused with the identifier of QoS 2", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"! PUBLISH1 1 0x97", "answer PUBACK 1 0x91"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"QoS 1 is refused with the identifier of QoS 2", 4, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"! PUBLISH1 1 0x97", "close 0x82 MQTT-2.3.1-2"},
		}},
		{"the broker answers what it has not seen", 4, []step{
			{"! PUBLISH2 1 0x97", "answer PUBREC 1 0x00"}, {"< PUBREC 1", "drop"}, {"< PUBACK 1", "drop"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		}},
		{"it is refused with the identifier of a message to the client", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"! PUBLISH2 1 0x97", "answer PUBREC 1 0x97"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"},
		}},
	} {
		t.Run(fmt.Sprintf("v%d %s", tt.version, tt.name), func(t *testing.T) {
			newSession(tt.version, 10, 10).talk(t, tt.steps)
		})
	}
}

// TestOneIdentifierInBothDirections tells every tale of a message to the client
// in turn with every tale of a request of the client that has its identifier,
// in every order: neither ever knows of the other.
func TestOneIdentifierInBothDirections(t *testing.T) {
	toClient := [][]step{
		{{"< PUBLISH1 7", "pass, first"}, {"> PUBACK 7", "pass, freed"}, {"> PUBACK 7", "drop"}},
		{{"< PUBLISH2 7", "pass, first"}, {"> PUBREC 7", "pass"}, {"< PUBREL 7", "pass"}, {"> PUBCOMP 7", "pass, freed"}},
		{{"< PUBLISH2 7", "pass, first"}, {"> PUBREC 7", "pass"}, {"> PUBREC 7", "drop"}, {"< PUBREL 7", "pass"}, {"> PUBREC 7", "answer PUBREL 7 0x00"}, {"> PUBCOMP 7", "pass, freed"}},
		{{"< PUBLISH2 7", "pass, first"}, {"> PUBREC 7 0x87", "pass, freed"}, {"> PUBREC 7", "answer PUBREL 7 0x92"}},
		{{"< PUBREL 7", "pass"}, {"> PUBCOMP 7", "pass"}, {"> PUBCOMP 7", "drop"}},
		{{"> PUBACK 7", "drop"}, {"> PUBREC 7", "answer PUBREL 7 0x92"}, {"> PUBCOMP 7 0x92", "drop"}},
	}
	fromClient := [][]step{
		{{"> PUBLISH1 7", "pass as 1007"}, {"< PUBACK 1007", "replace PUBACK 7 0x00"}, {"> PUBLISH1 7", "pass as 1007"}, {"< PUBACK 1007", "replace PUBACK 7 0x00"}},
		{{"> PUBLISH2 7", "pass as 1007"}, {"< PUBREC 1007", "replace PUBREC 7 0x00"}, {"< PUBCOMP 1007", "drop"}, {"> PUBREL 7", "answer PUBCOMP 7 0x00"}},
		{{"> PUBLISH2 7", "pass as 1007"}, {"< PUBREC 1007", "replace PUBREC 7 0x00"}, {"> PUBLISH2 7", "answer PUBREC 7 0x00"}, {"> PUBREL 7", "answer PUBCOMP 7 0x00"}, {"> PUBREL 7", "answer PUBCOMP 7 0x92"}},
		{{"> PUBLISH2 7", "pass as 1007"}, {"< PUBREC 1007 0x87", "replace PUBREC 7 0x87"}, {"> PUBREL 7", "answer PUBCOMP 7 0x92"}},
		{{"> PUBLISH2 7", "pass as 1007"}, {"< PUBACK 1007 0x87", "replace PUBREC 7 0x87"}, {"> PUBLISH1 7", "pass as 1007"}, {"< PUBACK 1007", "replace PUBACK 7 0x00"}},
		{{"! PUBLISH2 7 0x97", "answer PUBREC 7 0x97"}, {"! PUBLISH1 7 0x97", "answer PUBACK 7 0x97"}},
		{{"> SUBSCRIBE 7", "pass as 1007"}, {"< SUBACK 1007", "pass as 7"}, {"> UNSUBSCRIBE 7", "pass as 1007"}, {"< UNSUBACK 1007", "pass as 7"}},
		{{"< PUBACK 7", "drop"}, {"< PUBREC 7", "drop"}, {"< PUBCOMP 7", "drop"}, {"> PUBREL 7", "answer PUBCOMP 7 0x92"}},
	}
	told := 0
	for _, a := range toClient {
		for _, b := range fromClient {
			interleave(nil, a, b, func(steps []step) {
				told++
				newSession(Level5, 10, 10).talk(t, steps)
			})
		}
	}
	if told < 1000 {
		t.Errorf("only %d orders were tried", told)
	}
}

// interleave calls yield with every order of the steps of a and b that keeps
// each of the two in its own.
func interleave(head, a, b []step, yield func([]step)) {
	head = slices.Clip(head)
	switch {
	case len(a) == 0:
		yield(append(head, b...))
	case len(b) == 0:
		yield(append(head, a...))
	default:
		interleave(append(head, a[0]), a[1:], b, yield)
		interleave(append(head, b[0]), a, b[1:], yield)
	}
}

// TestResumedSession is about what outlives a connection: what the client has not
// released, and what it has not acknowledged (section 4.4). Whether a session was
// kept in memory or written down makes no difference.
func TestResumedSession(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version byte
		steps   []step
	}{
		{"a session that is new", 5, []step{
			{"> PUBREL 1", "answer PUBCOMP 1 0x92"}, {"resume", ""}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"}, {"> PUBREC 1", "answer PUBREL 1 0x92"}, {"< PUBLISH1 1", "pass, first"},
		}},

		// From the client.
		{"QoS 2 that waits for its release", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"resume", ""}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"},
		}},
		{"QoS 2 whose PUBREC was lost is not delivered twice", 4, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"resume", ""}, {"> PUBLISH2 1", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}, {"> PUBLISH2 1", "pass as 1001"},
		}},
		{"QoS 2 over three connections", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"resume", ""}, {"> PUBLISH2 1", "answer PUBREC 1 0x00"}, {"resume", ""}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}, {"resume", ""}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"},
		}},
		{"QoS 2 that is released", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}, {"resume", ""}, {"> PUBREL 1", "answer PUBCOMP 1 0x92"}, {"> PUBLISH2 1", "pass as 1001"},
		}},
		{"QoS 2 that was refused", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001 0x87", "replace PUBREC 1 0x87"}, {"resume", ""}, {"> PUBLISH2 1", "pass as 1001"},
		}},
		{"QoS 2 that the broker has not answered comes as new", 5, []step{{"> PUBLISH2 1", "pass as 1001"}, {"resume", ""}, {"< PUBREC 1001", "drop"}, {"> PUBLISH2 1", "pass as 1001"}, {"< PUBREC 1001", "replace PUBREC 1 0x00"}}},
		{"QoS 2 that the broker has dealt with, and the answer is lost", 5, []step{
			{"> PUBLISH2 1", "pass as 1001"}, {"settle", ""}, {"resume", ""}, {"> PUBLISH2 1", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}, {"> PUBLISH2 1", "pass as 1001"},
		}},
		{"two of QoS 2 that the broker has dealt with, and the answers are lost", 4, []step{
			{"> PUBLISH2 2", "pass as 1002"},
			{"settle", ""},
			{"> PUBLISH2 1", "pass as 1001"},
			{"settle", ""},
			{"> PUBLISH2 3", "pass as 1003"},
			{"resume", ""},
			{"> PUBLISH2 2", "answer PUBREC 2 0x00"},
			{"> PUBLISH2 1", "answer PUBREC 1 0x00"},
			{"> PUBLISH2 3", "pass as 1003"},
			{"< PUBREC 1003", "replace PUBREC 3 0x00"},
			{"> PUBREL 2", "answer PUBCOMP 2 0x00"},
		}},
		{"QoS 1 that the broker has dealt with, and the answer is lost", 5, []step{{"> PUBLISH1 1", "pass as 1001"}, {"settle", ""}, {"resume", ""}, {"> PUBLISH1 1", "pass as 1001"}}},
		{"QoS 1 that the broker has not answered comes as new", 4, []step{{"> PUBLISH1 1", "pass as 1001"}, {"resume", ""}, {"< PUBACK 1001", "drop"}, {"> PUBLISH1 1", "pass as 1001"}, {"< PUBACK 1001", "replace PUBACK 1 0x00"}}},
		{"QoS 2 that the broker was not shown", 4, []step{{"! PUBLISH2 1 0x97", "answer PUBREC 1 0x00"}, {"resume", ""}, {"> PUBLISH2 1", "answer PUBREC 1 0x00"}, {"> PUBREL 1", "answer PUBCOMP 1 0x00"}}},
		{"a SUBSCRIBE without an answer is forgotten", 5, []step{{"> SUBSCRIBE 1 as 9", "pass as 9"}, {"resume", ""}, {"> UNSUBSCRIBE 1 as 9", "pass as 9"}, {"< UNSUBACK 9", "pass as 1"}}},

		// To the client.
		{"QoS 1 is sent again", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"resume", ""}, {"< PUBLISH1 1", "pass"}, {"> PUBACK 1", "pass, freed"}, {"> PUBACK 1", "drop"}}},
		{"QoS 1 is sent again and again", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"resume", ""}, {"< PUBLISH1 1", "pass"}, {"resume", ""}, {"< PUBLISH1 1", "pass"}, {"> PUBACK 1", "pass, freed"}}},
		{"QoS 1 beside a new message", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"resume", ""}, {"< PUBLISH1 1", "pass"}, {"< PUBLISH1 2", "pass, first"}}},
		{"QoS 1 whose PUBACK comes early", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"resume", ""}, {"> PUBACK 1", "pass"}, {"< PUBLISH1 1", "pass, first"}}},
		{"QoS 1 that is acknowledged", 5, []step{{"< PUBLISH1 1", "pass, first"}, {"> PUBACK 1", "pass, freed"}, {"resume", ""}, {"> PUBACK 1", "drop"}, {"< PUBLISH1 1", "pass, first"}}},
		{"QoS 2 before PUBREC", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"resume", ""}, {"< PUBLISH2 1", "pass"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass, freed"},
		}},
		{"QoS 2 whose PUBREC comes early", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"resume", ""}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass"},
		}},
		{"QoS 2 whose refusal comes early", 5, []step{{"< PUBLISH2 1", "pass, first"}, {"resume", ""}, {"> PUBREC 1 0x80", "pass"}, {"> PUBREC 1", "answer PUBREL 1 0x92"}}},
		{"QoS 2 between PUBREC and PUBREL", 5, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"resume", ""}, {"> PUBREC 1", "drop"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass"}, {"> PUBCOMP 1", "drop"},
		}},
		{"QoS 2 after PUBREL", 4, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"resume", ""}, {"< PUBREL 1", "pass"}, {"> PUBREC 1", "answer PUBREL 1 0x00"}, {"> PUBCOMP 1", "pass"},
		}},
		{"QoS 2 whose PUBCOMP comes early", 4, []step{
			{"< PUBLISH2 1", "pass, first"}, {"> PUBREC 1", "pass"}, {"< PUBREL 1", "pass"}, {"resume", ""}, {"> PUBCOMP 1", "pass"}, {"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass"},
		}},
		{"the wrong acknowledgement is wrong on the next connection, too", 5, []step{{"< PUBLISH2 1", "pass, first"}, {"resume", ""}, {"> PUBACK 1", "close 0x82 MQTT-4.3.3-8"}}},
		{"the wrong acknowledgement is wrong on the next connection, too", 4, []step{{"< PUBLISH1 1", "pass, first"}, {"resume", ""}, {"> PUBREC 1", "close 0x82 MQTT-4.3.2-2"}}},
		{"both directions with one identifier", 5, []step{
			{"< PUBLISH2 1", "pass, first"},
			{"> PUBLISH2 1", "pass as 1001"},
			{"< PUBREC 1001", "replace PUBREC 1 0x00"},
			{"resume", ""},
			{"< PUBLISH2 1", "pass"},
			{"> PUBREL 1", "answer PUBCOMP 1 0x00"},
			{"> PUBREC 1", "pass"},
			{"< PUBREL 1", "pass"},
			{"> PUBCOMP 1", "pass, freed"},
		}},

		// What the broker has and this Exchange was not told.
		{"PUBREL of a message from long ago", 5, []step{{"< PUBREL 1", "pass"}, {"> PUBCOMP 1", "pass"}, {"> PUBCOMP 1", "drop"}}},
		{"PUBREL that has lost its message", 5, []step{{"< PUBREL 1 0x92", "pass"}, {"> PUBCOMP 1", "drop"}}},
		{"PUBREL, then a PUBLISH with its identifier", 5, []step{
			{"< PUBREL 1", "pass"}, {"< PUBLISH1 1", "pass"}, {"> PUBACK 1", "pass, freed"}, {"> PUBACK 1", "drop"},
		}},
	} {
		t.Run(fmt.Sprintf("v%d %s", tt.version, tt.name), func(t *testing.T) {
			newSession(tt.version, 10, 10).talk(t, tt.steps)
		})
		t.Run(fmt.Sprintf("v%d %s, written down", tt.version, tt.name), func(t *testing.T) {
			s := newSession(tt.version, 10, 10)
			s.resume = func(now, earlier *Exchange) { now.Restore(earlier.Open()) }
			s.talk(t, tt.steps)
		})
	}
}

// TestRestore is for what somebody else has written down: mochi's store knows the
// messages, and how far they were.
func TestRestore(t *testing.T) {
	s := newSession(Level5, 2, 2)
	s.e.Restore([]uint16{7, 3, 7, 9}, []Sent{SentPublish(5, 1), SentPublish(4, 2), SentPubrel(3), SentPublish(5, 2), SentPubrel(3)})
	s.talk(t, []step{
		// None of it counts.
		{"> PUBLISH2 1", "pass as 1001"},
		{"< PUBREC 1001", "replace PUBREC 1 0x00"},
		{"> PUBLISH2 2", "pass as 1002"},
		{"< PUBREC 1002", "replace PUBREC 2 0x00"},
		{"> PUBLISH2 7", "answer PUBREC 7 0x00"},
		{"> PUBREL 7", "answer PUBCOMP 7 0x00"},
		{"> PUBREL 7", "answer PUBCOMP 7 0x92"},
		{"> PUBREL 3", "answer PUBCOMP 3 0x00"},
		{"> PUBREL 9", "answer PUBCOMP 9 0x00"},
		{"> PUBLISH2 9", "close 0x93 MQTT-3.3.4-7"},

		{"< PUBREL 3", "pass"},
		{"< PUBLISH2 4", "pass"},
		{"< PUBLISH1 5", "pass"},
		{"< PUBLISH1 6", "hold"},
		{"> PUBCOMP 3", "pass"},
		{"next", "none"},
		{"> PUBACK 5", "pass, freed"}, // the first word on it stands
		{"next", "6"},
		{"< PUBLISH1 6", "pass, first"},
		{"> PUBREC 4", "pass"},
		{"< PUBREL 4", "pass"},
		{"> PUBCOMP 4", "pass, freed"},
		{"> PUBACK 6", "pass, freed"},
	})
	if received, sent := s.e.Open(); !slices.Equal(received, []uint16{1, 2}) || len(sent) > 0 {
		t.Errorf("open are %v and %v, want 1 and 2 from the client", received, sent)
	}
}

func TestOpen(t *testing.T) {
	s := newSession(Level5, 10, 10)
	if received, sent := s.e.Open(); received != nil || sent != nil {
		t.Errorf("a new connection has %v and %v open", received, sent)
	}
	for _, line := range []string{
		"> PUBLISH2 9", "< PUBREC 1009", // received
		"> PUBLISH2 2", "< PUBREC 1002", // received
		"> PUBLISH2 3", "< PUBREC 1003", "> PUBREL 3", // released
		"> PUBLISH2 4", "< PUBREC 1004 0x87", // refused
		"> PUBLISH1 5", "< PUBACK 1005", // done
		"> PUBLISH1 6", "> PUBLISH2 7", // not answered
		"< PUBLISH1 8", "< PUBLISH2 5", // sent
		"< PUBLISH2 6", "> PUBREC 6", "< PUBREL 6", // and released
		"< PUBLISH1 1", "> PUBACK 1", // done
	} {
		s.say(t, line)
	}
	received, sent := s.e.Open()
	if want := []uint16{2, 9}; !slices.Equal(received, want) {
		t.Errorf("received %v, want %v", received, want)
	}
	if want := []Sent{SentPublish(5, 2), SentPubrel(6), SentPublish(8, 1)}; !slices.Equal(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
}

// TestClientReceiveMaximum is [MQTT-3.3.4-9]: messages wait, nothing else does.
func TestClientReceiveMaximum(t *testing.T) {
	for _, version := range []byte{Level31, Level311, Level5} {
		newSession(version, 2, 10).talk(t, []step{
			{"< PUBLISH1 1", "pass, first"},
			{"< PUBLISH2 2", "pass, first"},
			{"< PUBLISH1 3", "hold"},
			{"next", "none"},
			{"< PUBLISH0", "pass"},
			{"< PUBLISH1 1", "pass"}, // sent again: it counts once
			{"> SUBSCRIBE 1", "pass as 1001"},
			{"< SUBACK 1001", "pass as 1"},
			{"> PUBREC 2", "pass"}, // the exchange goes on
			{"< PUBLISH1 4", "hold"},
			{"< PUBREL 2", "pass"},
			{"< PUBREL 8", "pass"}, // of an earlier connection: it does not count
			{"> PUBCOMP 8", "pass"},
			{"> PUBACK 3", "drop"}, // it has not been sent
			{"< PUBLISH1 3", "hold"},
			{"next", "none"},
			{"> PUBCOMP 2", "pass, freed"},
			{"next", "3"},
			{"< PUBLISH1 3", "pass, first"},
			{"next", "none"},
			{"> PUBACK 1", "pass, freed"},
			{"next", "4"},
			{"< PUBLISH1 4", "pass, first"},
			{"next", "none"},
			{"> PUBACK 3", "pass, freed"},
			{"next", "none"},
			{"< PUBREL 5", "pass"},
			{"< PUBLISH2 5", "pass"}, // counts from now on
			{"< PUBLISH2 6", "hold"},
			{"> PUBACK 4", "pass, freed"},
			{"next", "6"},
		})
	}
}

// TestServerReceiveMaximum is [MQTT-3.3.4-7].
func TestServerReceiveMaximum(t *testing.T) {
	for _, version := range []byte{Level31, Level311, Level5} {
		over := "close 0x93 " + map[byte]string{Level31: "MQTT-4.8.0-1", Level311: "MQTT-4.8.0-1", Level5: "MQTT-3.3.4-7"}[version]
		newSession(version, 10, 2).talk(t, []step{
			{"> PUBLISH2 1", "pass as 1001"},
			{"< PUBREC 1001", "replace PUBREC 1 0x00"},
			{"< PUBCOMP 1001", "drop"}, // does not free it: the client has not released it
			{"> PUBLISH1 2", "pass as 1002"},
			{"> PUBLISH1 2", "drop"},                 // sent again: it counts once
			{"> PUBLISH2 1", "answer PUBREC 1 0x00"}, // the same
			{"> PUBLISH0", "pass"},
			{"> SUBSCRIBE 3", "pass as 1003"}, // other requests do not count
			{"> UNSUBSCRIBE 3 as 9", "pass as 9"},
			{"> PUBLISH2 3", over},
			{"< PUBACK 1002", "replace PUBACK 2 0x00"},
			{"< SUBACK 1003", "pass as 3"},
			{"< UNSUBACK 9", "pass as 3"},
			{"> PUBLISH1 2", "pass as 1002"},
			{"! PUBLISH1 3 0x97", over},
			{"> PUBREL 1", "answer PUBCOMP 1 0x00"},
			{"< PUBACK 1002", "replace PUBACK 2 0x00"},
			{"> PUBLISH2 3", "pass as 1003"},
			{"< PUBREC 1003", "replace PUBREC 3 0x00"},
			{"> PUBREL 3", "answer PUBCOMP 3 0x00"},
			{"> PUBLISH1 4", "pass as 1004"},
			{"< PUBREC 9", "drop"},
			{"< PUBACK 1004", "replace PUBACK 4 0x00"},
			{"! PUBLISH1 5 0x97", "answer PUBACK 5 0x97"}, // does not count any more
			{"> PUBLISH1 4", "pass as 1004"},
			{"< PUBACK 1004", "replace PUBACK 4 0x00"},
		})
	}
	newSession(Level311, 10, 2).talk(t, []step{
		{"! PUBLISH2 1 0x97", "answer PUBREC 1 0x00"}, // counts until it is released
		{"! PUBLISH2 2 0x97", "answer PUBREC 2 0x00"},
		{"! PUBLISH2 3 0x97", "close 0x93 MQTT-4.8.0-1"},
		{"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		{"> PUBLISH1 3", "pass as 1003"},
	})
}

// TestQuotasBeginAnew is section 4.9: what an earlier connection left open counts
// neither in one direction nor in the other until it is sent again.
func TestQuotasBeginAnew(t *testing.T) {
	newSession(Level5, 1, 1).talk(t, []step{
		{"< PUBLISH1 1", "pass, first"},
		{"< PUBLISH2 2", "hold"},
		{"> PUBLISH2 1", "pass as 1001"},
		{"< PUBREC 1001", "replace PUBREC 1 0x00"},
		{"> PUBLISH2 2", "close 0x93 MQTT-3.3.4-7"},
		{"resume", ""},
		{"next", "none"}, // what was held the broker sends again by itself
		{"> PUBLISH2 2", "pass as 1002"},
		{"< PUBREC 1002", "replace PUBREC 2 0x00"},
		{"> PUBREL 1", "answer PUBCOMP 1 0x00"},
		{"> PUBLISH2 3", "close 0x93 MQTT-3.3.4-7"},
		{"< PUBLISH1 1", "pass"},
		{"< PUBLISH2 2", "hold"},
		{"> PUBACK 1", "pass, freed"},
		{"next", "2"},
		{"< PUBLISH2 2", "pass, first"}, // it was never sent before
		{"resume", ""},
		{"> PUBREL 2", "answer PUBCOMP 2 0x00"},
		{"< PUBLISH1 3", "pass, first"},
		{"< PUBLISH2 2", "hold"},
		{"> PUBACK 3", "pass, freed"},
		{"next", "2 again"}, // now it was
		{"< PUBLISH2 2", "pass"},
		{"resume", ""},
		{"< PUBLISH1 4", "pass, first"},
		{"< PUBLISH2 2", "hold"},
		{"> PUBREC 2", "pass"}, // while it waits, the client answers the earlier one
		{"< PUBREL 2", "pass"},
		{"> PUBCOMP 2", "pass"},
		{"> PUBACK 4", "pass, freed"},
		{"next", "2"}, // which the broker has no more
		{"next", "none"},
	})
}

// TestNoMessageOvertakesAnother is [MQTT-4.6.0-6]: while one waits, all that come
// after it do.
func TestNoMessageOvertakesAnother(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"there is room, and one waits", []step{
			{"> PUBACK 1", "pass, freed"},
			{"< PUBLISH1 5", "hold"},
			{"next", "3"},
			{"< PUBLISH1 3", "pass, first"},
			{"next", "none"},
			{"> PUBACK 2", "pass, freed"},
			{"next", "4"},
			{"< PUBLISH1 6", "hold"},
			{"< PUBLISH2 4", "pass, first"},
			{"> PUBACK 3", "pass, freed"},
			{"next", "5"},
		}},
		{"two are released at once", []step{
			{"> PUBACK 1", "pass, freed"},
			{"> PUBACK 2", "pass, freed"},
			{"next", "3"},
			{"< PUBLISH1 3", "pass, first"},
			{"next", "4"},
			{"< PUBLISH2 4", "pass, first"},
			{"next", "none"},
		}},
		{"the last one is about to be sent", []step{
			{"> PUBACK 1", "pass, freed"},
			{"next", "3"},
			{"< PUBLISH1 3", "pass, first"},
			{"> PUBACK 2", "pass, freed"},
			{"> PUBACK 3", "pass, freed"},
			{"next", "4"},
			{"< PUBLISH1 5", "hold"}, // although nothing but 4 is before it, and there is room for two
			{"< PUBLISH2 4", "pass, first"},
			{"next", "5"},
			{"< PUBLISH1 5", "pass, first"},
			{"next", "none"},
			{"< PUBLISH1 6", "hold"},
		}},
		{"a QoS 0 message need not wait", []step{{"< PUBLISH0", "pass"}}},
		{"the broker has lost one that waits", []step{
			{"> PUBACK 1", "pass, freed"},
			{"next", "3"},
			{"next", "4"},
			{"< PUBLISH2 4", "pass, first"},
			{"next", "none"},
		}},
		{"the broker has lost all that wait", []step{
			{"> PUBACK 1", "pass, freed"},
			{"next", "3"},
			{"next", "4"},
			{"next", "none"},
			{"< PUBLISH1 5", "pass, first"},
			{"< PUBLISH1 6", "hold"},
		}},
		{"the identifier of a lost one comes back and has no right of way", []step{
			{"> PUBACK 1", "pass, freed"},
			{"next", "3"},
			{"next", "4"},
			{"next", "none"},
			{"< PUBLISH1 5", "pass, first"},
			{"< PUBLISH1 6", "hold"},
			{"> PUBACK 5", "pass, freed"},
			{"< PUBLISH1 4", "hold"},
			{"next", "6"},
			{"< PUBLISH1 6", "pass, first"},
			{"> PUBACK 2", "pass, freed"},
			{"next", "4"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession(Level5, 2, 10)
			s.talk(t, []step{
				{"< PUBLISH1 1", "pass, first"}, {"< PUBLISH1 2", "pass, first"}, {"< PUBLISH1 3", "hold"}, {"< PUBLISH2 4", "hold"},
			})
			s.talk(t, tt.steps)
		})
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
		e.FromClient(ack(TypePubrec), packetID, 0)
		e.FromClient(ack(TypeSubscribe), packetID, uint16(n))
		publish := append(s("t"), packetID...)
		e.FromServer(Header{Type: TypePublish, Flags: 0b0100, Remaining: 5}, publish)
		e.FromClient(Header{Type: TypePublish, Flags: 0b0100, Remaining: 5}, publish, uint16(n))
		e.Refuse(Header{Type: TypePublish, Flags: 0b0100, Remaining: 5}, publish, codeQuotaExceeded)
		e.FromServer(ack(TypePubrec), packetID)
	}
	if len(e.out.list) != 100+spare || len(e.in.list) != 100 {
		t.Errorf("%d messages to the client and %d from it are remembered, want %d and 100", len(e.out.list), len(e.in.list), 100+spare)
	}
	for n := 1; n <= 65535; n++ {
		e.FromServer(Header{Type: TypePublish, Flags: 0b0100, Remaining: 5}, append(s("t"), id(uint16(n))...))
	}
	if len(e.held) > 65535-100 {
		t.Errorf("%d messages wait, some twice", len(e.held))
	}

	e = NewExchange(Level311, 10, 10)
	for n := 1; n <= 65535; n++ {
		v := e.FromClient(ack(TypeSubscribe), id(uint16(n)), uint16(n))
		if n <= 10+spare && v.Action != Pass || n > 10+spare && v.Action != Close {
			t.Fatalf("SUBSCRIBE %d without an answer: %v", n, v)
		}
	}

	const burst = 1000
	busy := newSession(Level311, burst, burst)
	for n := 1; n <= 2*burst; n++ {
		busy.say(t, fmt.Sprintf("< PUBLISH1 %d", n))
	}
	for n := 1; n <= 2*burst; n++ {
		busy.say(t, fmt.Sprintf("> PUBACK %d", n))
		if next := busy.say(t, "next"); next != "none" {
			busy.say(t, "< PUBLISH1 "+next)
		}
	}
	if e := busy.e; cap(e.out.list) != 0 || e.out.counted != 0 || cap(e.held) != 0 {
		t.Errorf("an idle exchange keeps %d entries and %d that waited, and counts %d", cap(e.out.list), cap(e.held), e.out.counted)
	}
}

func TestExchangeSurvivesAnyBody(t *testing.T) {
	for first := range 256 {
		for n := range 5 {
			h := Header{Type: Type(first >> 4), Flags: byte(first & 15), Remaining: n}
			for _, b := range [][]byte{make([]byte, n), x("FFFFFFFF")[:min(n, 4)]} {
				NewExchange(Level5, 1, 1).FromClient(h, b, 1)
				NewExchange(Level5, 1, 1).FromServer(h, b)
				if h.Type == TypePublish {
					NewExchange(Level311, 1, 1).Refuse(h, b, codeQuotaExceeded)
				}
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
	h, body, _ := exchangePacket(t, Level5, []string{"PUBLISH2", "1"})
	e.FromServer(h, body)
	h, body, _ = exchangePacket(t, Level5, []string{"PUBACK", "1"})
	err := error(e.FromClient(h, body, 0).Violation)
	if got, want := err.Error(), "PUBACK for a message that awaits something else (0x82, MQTT-4.3.3-8)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, isViolation := errors.AsType[*Violation](fmt.Errorf("client x: %w", err)); !isViolation {
		t.Error("a wrapped violation is not found")
	}
}
