package frame

import (
	"fmt"
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
