package frame

import (
	"fmt"
	"slices"
	"testing"
)

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
