package frame

import "fmt"

// Reason codes of MQTT 5 (section 2.4) that this package gives.
const (
	codeSuccess              byte = 0x00
	codeMalformed            byte = 0x81
	codeProtocolError        byte = 0x82
	codeUnsupportedVersion   byte = 0x84
	codeClientIDNotValid     byte = 0x85
	codeBadAuthMethod        byte = 0x8C
	codePacketIDInUse        byte = 0x91
	codePacketIDNotFound     byte = 0x92
	codeReceiveMaximum       byte = 0x93
	codeTopicAliasInvalid    byte = 0x94
	codePacketTooLarge       byte = 0x95
	codeQuotaExceeded        byte = 0x97
	codePayloadFormatInvalid byte = 0x99
)

// Violation says why a packet was refused. The connection it came on must be
// closed ([MQTT-4.13.1-1]; 3.1.1: [MQTT-4.8.0-1]).
type Violation struct {
	// Code is the reason code of MQTT 5, for CONNACK or DISCONNECT. A client of
	// level 3 or 4 can be told two of them, 0x84 and 0x85, in CONNACK (ReturnCode).
	Code byte
	// Clause is the rule that was broken: "MQTT-3.1.2-3" for a numbered
	// statement, "section 3.14.2.1" for one without a number.
	Clause string
	// Text is for the log. It never holds what the packet held.
	Text string
}

// Error returns the text, the code and the clause.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s (0x%02X, %s)", v.Text, v.Code, v.Clause)
}

// clause names one rule in both standards. v3 is empty for what MQTT 5 brought.
type clause struct{ v5, v3 string }

// violation makes a Violation that cites the standard of the given level; level
// 0, not known yet, cites MQTT 5.
func violation(version, code byte, c clause, text string) *Violation {
	cited := c.v5
	if (version == Level31 || version == Level311) && c.v3 != "" {
		cited = c.v3
	}
	return &Violation{Code: code, Clause: cited, Text: text}
}
