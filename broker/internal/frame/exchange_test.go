package frame

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

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
