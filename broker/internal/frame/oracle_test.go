package frame

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// TestMochiCorpus holds the test packets of mochi's own decoder against the
// Checker. Where the two part, the standard decides, and the table says how.
// The Remaining Length of a case is left out: many do not care for theirs.
func TestMochiCorpus(t *testing.T) {
	disagreements := map[byte]string{
		// Packets of a server, which a client must not send.
		packets.TDisconnectTakeover:          "MQTT-3.14.2-1",
		packets.TDisconnectShuttingDown:      "MQTT-3.14.2-1",
		packets.TDisconnectDropProperties:    "section 3.14.2.2.5",
		packets.TAuth:                        "MQTT-3.15.2-1",
		packets.TPublishMqtt5:                "MQTT-3.3.4-6",
		packets.TPublishSubscriberIdentifier: "MQTT-3.3.4-6",
		// A packet that needs another before it.
		packets.TPublishBasicTopicAliasOnly: "section 3.3.2.3.4",
		// Mochi's decoder of headers refuses it, its decoder of bodies does not look.
		packets.TPublishDup: "MQTT-3.3.1-2",
		// Cut where a short form ends, which makes it well formed.
		packets.TDisconnectMalReasonCode: "",
		packets.TPubrecMalReasonCode:     "",
		// Well formed, and refused for what the server is set to.
		packets.TPublishDropOversize: "",
	}
	tried := 0
	for typ, cases := range packets.TPacketData {
		switch Type(typ) {
		case TypeConnack, TypeSuback, TypeUnsuback, TypePingresp:
			continue
		default:
		}
		for _, c := range cases {
			_, n, err := ParseHeader(c.RawBytes)
			if err != nil {
				continue // made for the encoder
			}
			tried++
			t.Run(fmt.Sprintf("%v %s %d", Type(typ), c.Desc, c.Case), func(t *testing.T) {
				refused := c.FailFirst != nil || c.Expect != nil && !errors.Is(c.Expect, packets.CodeSuccess)
				got := verdict(t, corpusChecker(t, Type(typ), c), packet(c.RawBytes[0], c.RawBytes[n:]))
				clause, disagree := disagreements[c.Case]
				switch {
				case disagree && (got != nil) == refused:
					t.Errorf("mochi and we agree now (%v): take it off the list", got)
				case disagree && got != nil && got.Clause != clause:
					t.Errorf("got %v, want %s", got, clause)
				case !disagree && (got != nil) != refused:
					t.Errorf("% X: got %v; mochi: %v, %v", c.RawBytes, got, c.FailFirst, c.Expect)
				}
			})
		}
	}
	if tried < 90 {
		t.Errorf("only %d cases of the corpus were tried", tried)
	}
}

// corpusChecker returns a Checker in the state in which a packet of type typ may
// come.
func corpusChecker(t *testing.T, typ Type, c packets.TPacketCase) *Checker {
	t.Helper()
	version := Level311
	if c.Packet != nil && c.Packet.ProtocolVersion != 0 {
		version = c.Packet.ProtocolVersion
	}
	switch typ {
	case TypeConnect:
		return NewChecker(Config{MaxConnect: 1 << 20})
	case TypeAuth:
		return after(t, Config{}, connect5(0x02, props(propText(0x15, "SHA-1")), s("id")))
	default:
		return signedIn(t, Config{TopicAliasMaximum: 65535}, version)
	}
}

func mochiEncode(p *packets.Packet, b *bytes.Buffer) error {
	p.Mods.AllowResponseInfo = true // or response topics are left out
	switch p.FixedHeader.Type {
	case packets.Connect:
		return p.ConnectEncode(b)
	case packets.Publish:
		return p.PublishEncode(b)
	case packets.Puback:
		return p.PubackEncode(b)
	case packets.Pubrec:
		return p.PubrecEncode(b)
	case packets.Pubrel:
		return p.PubrelEncode(b)
	case packets.Pubcomp:
		return p.PubcompEncode(b)
	case packets.Subscribe:
		return p.SubscribeEncode(b)
	case packets.Unsubscribe:
		return p.UnsubscribeEncode(b)
	case packets.Pingreq:
		return p.PingreqEncode(b)
	case packets.Disconnect:
		return p.DisconnectEncode(b)
	case packets.Auth:
		return p.AuthEncode(b)
	default:
		return fmt.Errorf("type %d is not a client's", p.FixedHeader.Type)
	}
}

// mochiDecode does with a packet what mochi's Client does on its way in, up to
// the point where hooks and sessions come in.
func mochiDecode(version, first byte, body []byte) (p packets.Packet, err error) {
	p.ProtocolVersion = version
	if err := p.FixedHeader.Decode(first); err != nil {
		return p, err
	}
	p.FixedHeader.Remaining = len(body)
	validate := func() packets.Code { return packets.CodeSuccess }
	switch p.FixedHeader.Type {
	case packets.Connect:
		err, validate = p.ConnectDecode(body), p.ConnectValidate
	case packets.Publish:
		err, validate = p.PublishDecode(body), func() packets.Code { return p.PublishValidate(65535) }
	case packets.Puback:
		err = p.PubackDecode(body)
	case packets.Pubrec:
		err = p.PubrecDecode(body)
	case packets.Pubrel:
		err = p.PubrelDecode(body)
	case packets.Pubcomp:
		err = p.PubcompDecode(body)
	case packets.Subscribe:
		err, validate = p.SubscribeDecode(body), p.SubscribeValidate
	case packets.Unsubscribe:
		err, validate = p.UnsubscribeDecode(body), p.UnsubscribeValidate
	case packets.Pingreq:
		err = p.PingreqDecode(body)
	case packets.Disconnect:
		err = p.DisconnectDecode(body)
	case packets.Auth:
		err, validate = p.AuthDecode(body), p.AuthValidate
	default:
		err = fmt.Errorf("type %d is not a client's", p.FixedHeader.Type)
	}
	if err != nil {
		return p, err
	}
	if code := validate(); code != packets.CodeSuccess {
		return p, code
	}
	if !p.ReasonCodeValid() {
		return p, fmt.Errorf("reason code 0x%02X", p.ReasonCode)
	}
	return p, nil
}
