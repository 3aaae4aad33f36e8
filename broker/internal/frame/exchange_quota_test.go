package frame

import (
	"fmt"
	"testing"
)

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
