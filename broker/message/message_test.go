package message_test

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/message"
)

// full is a PUBLISH of which no field that counts is zero: a zero comes back even
// if it is forgotten.
func full() packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 2, Retain: true},
		TopicName:   "t", Payload: []byte("p"), ProtocolVersion: 5, Origin: "from", Created: 8, Expiry: 9,
		Properties: packets.Properties{
			ContentType: "c", ResponseTopic: "r", CorrelationData: []byte{1}, PayloadFormat: 1, PayloadFormatFlag: true,
			MessageExpiryInterval: 60, SubscriptionIdentifier: []int{3, 4},
			User: []packets.UserProperty{{Key: "k", Val: "v"}},
		},
	}
}

func TestAPacketComesBackAsItWas(t *testing.T) {
	for name, pk := range map[string]packets.Packet{
		"all that there is": full(),
		"MQTT 3": {
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: 4, TopicName: "t", Created: 8,
		},
		"an expiry and nothing else": {
			FixedHeader: packets.FixedHeader{Type: packets.Publish}, ProtocolVersion: 5, TopicName: "t", Created: 8, Expiry: 68,
			Properties: packets.Properties{MessageExpiryInterval: 60},
		},
	} {
		m := message.FromPacket(&pk)
		if diff := cmp.Diff(pk, m.Packet()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// No field of a message is one that FromPacket does not know.
func TestNoFieldIsZero(t *testing.T) {
	pk := full()
	m := message.FromPacket(&pk)
	m.User = "u" // which no packet tells
	for _, v := range []reflect.Value{reflect.ValueOf(m), reflect.ValueOf(*m.Properties)} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%s is zero", v.Type().Field(i).Name)
			}
		}
	}
}

func TestAMessageWithoutPropertiesHasNone(t *testing.T) {
	m := message.FromPacket(&packets.Packet{TopicName: "t", ProtocolVersion: 5, Properties: packets.Properties{MessageExpiryInterval: 60}})
	if m.Properties != nil {
		t.Errorf("%+v", m.Properties)
	}
}

func TestACloneSharesNothing(t *testing.T) {
	pk := full()
	m := message.FromPacket(&pk)
	c := m.Clone()
	if diff := cmp.Diff(&m, c); diff != "" {
		t.Error(diff)
	}
	if unsafe.StringData(m.Topic) == unsafe.StringData(c.Topic) {
		t.Error("the topic is shared")
	}
	m.Payload[0], m.Properties.CorrelationData[0], m.Properties.SubscriptionIDs[0] = 'x', 'x', 99
	m.Properties.User[0].Key = "x"
	again := full()
	want := message.FromPacket(&again)
	if diff := cmp.Diff(&want, c); diff != "" {
		t.Error(diff)
	}
}

func TestSize(t *testing.T) {
	pk := full()
	m := message.FromPacket(&pk)
	if got := m.Size(); got != 1+1+1+1+1+32+2 {
		t.Errorf("%d bytes", got)
	}
	m.Properties = nil
	if got := m.Size(); got != 2 {
		t.Errorf("%d bytes without properties, want 2", got)
	}
}

func TestExpired(t *testing.T) {
	for _, tt := range []struct {
		expires, now int64
		want         bool
	}{{0, 1 << 40, false}, {10, 9, false}, {10, 10, true}, {10, 11, true}} {
		if got := (&message.Message{Expires: tt.expires}).Expired(tt.now); got != tt.want {
			t.Errorf("expires at %d, asked at %d: %t, want %t", tt.expires, tt.now, got, tt.want)
		}
	}
}
