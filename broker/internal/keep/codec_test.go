package keep

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mqttwarden/broker/message"
)

// The generators leave no field zero: a zero comes back even if it is dropped.

var (
	text  = rapid.StringN(1, 40, 200)
	blob  = rapid.SliceOfN(rapid.Byte(), 1, 200)
	small = rapid.ByteRange(1, 255)
)

func aMessage(t *rapid.T) message.Message {
	p := message.Properties{
		ContentType:     text.Draw(t, "content type"),
		ResponseTopic:   text.Draw(t, "response topic"),
		CorrelationData: blob.Draw(t, "correlation data"),
		HasFormat:       true,
		Format:          small.Draw(t, "format"),
		SubscriptionIDs: rapid.SliceOfN(rapid.IntRange(1, 1<<28-1), 1, 4).Draw(t, "ids"),
	}
	for range rapid.IntRange(1, 3).Draw(t, "properties") {
		p.User = append(p.User, message.Property{Key: text.Draw(t, "key"), Value: text.Draw(t, "value")})
	}
	return message.Message{
		Topic:          text.Draw(t, "topic"),
		Payload:        blob.Draw(t, "payload"),
		Origin:         text.Draw(t, "origin"),
		User:           text.Draw(t, "user"),
		QoS:            rapid.ByteRange(1, 2).Draw(t, "qos"),
		Retain:         true,
		Version:        small.Draw(t, "version"),
		ExpiryInterval: rapid.Uint32Min(1).Draw(t, "expiry interval"),
		Created:        rapid.Int64Min(1).Draw(t, "created"),
		Expires:        rapid.Int64Min(1).Draw(t, "expires"),
		Properties:     &p,
	}
}

func sessions(t *rapid.T) Session {
	w := aMessage(t)
	return Session{
		Will:     &w,
		WillDue:  time.Unix(0, rapid.Int64Min(1).Draw(t, "will due")),
		ClientID: text.Draw(t, "client"),
		User:     text.Draw(t, "user"),
		Proof:    blob.Draw(t, "owner"),
		Version:  small.Draw(t, "version"),
		Clean:    true,
		Expiry:   rapid.Uint32Min(1).Draw(t, "expiry"),
		Until:    time.Unix(0, rapid.Int64Min(1).Draw(t, "until")),
	}
}

func subscription(t *rapid.T) Subscription {
	return Subscription{
		Filter:            text.Draw(t, "filter"),
		QoS:               small.Draw(t, "qos"),
		RetainHandling:    small.Draw(t, "retain handling"),
		Identifier:        rapid.IntRange(1, 1<<28-1).Draw(t, "identifier"),
		NoLocal:           true,
		RetainAsPublished: true,
	}
}

func aDelivery(t *rapid.T) Delivery {
	return Delivery{
		PacketID: rapid.Uint16Min(1).Draw(t, "packet"),
		Order:    rapid.Uint64Min(1).Draw(t, "order"),
		Stage:    rapid.SampledFrom([]Stage{Queued, Sent}).Draw(t, "stage"),
		Message:  aMessage(t),
	}
}

func TestNoFieldIsLostInTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := content{Retained: []message.Message{aMessage(t)}}
		one := Stored{
			Session: sessions(t), Subscriptions: []Subscription{subscription(t)},
			Deliveries: []Delivery{aDelivery(t)}, Received: []uint16{rapid.Uint16().Draw(t, "received")},
		}
		want.Sessions = []Stored{one}
		wantNoZero(t, reflect.ValueOf(want))

		k := []byte("the key")
		got := content{Retained: []message.Message{{Topic: want.Retained[0].Topic}}}
		opened(t, k, seal(k, format, encodeRetained(&want.Retained[0])), func(b []byte) error { return decodeRetained(&got.Retained[0], b) })
		read := Stored{
			Session:       Session{ClientID: one.ClientID},
			Subscriptions: []Subscription{{Filter: one.Subscriptions[0].Filter}},
			Deliveries:    []Delivery{{PacketID: one.Deliveries[0].PacketID}},
			Received:      one.Received,
		}
		if err := read.read(k, seal(k, sessionFormat, one.encode)); err != nil {
			t.Fatal(err)
		}
		opened(t, k, seal(k, format, one.Subscriptions[0].encode), read.Subscriptions[0].decode)
		opened(t, k, seal(k, format, one.Deliveries[0].encode), read.Deliveries[0].decode)
		got.Sessions = []Stored{read}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func encodeRetained(m *message.Message) func([]byte) []byte {
	return func(b []byte) []byte { return appendRetained(b, m) }
}

func opened(t *rapid.T, k, v []byte, decode func([]byte) error) {
	body, _, err := unseal(k, v, format)
	if err == nil {
		err = decode(body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// wantNoZero fails for a field that is zero: the test would not see it dropped.
func wantNoZero(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			break
		}
		for i := range v.NumField() {
			wantNoZero(t, v.Field(i))
		}
		return
	case reflect.Pointer:
		wantNoZero(t, v.Elem())
		return
	case reflect.Slice:
		for i := range v.Len() {
			if v.Type().Elem().Kind() == reflect.Struct {
				wantNoZero(t, v.Index(i))
			}
		}
	default:
	}
	if v.IsZero() && v.Kind() != reflect.Uint16 {
		t.Fatalf("a field of type %v is zero", v.Type())
	}
}

func TestAValueOfAnotherVersionOrKeyOrADamagedOneIsNotRead(t *testing.T) {
	k := []byte("key")
	good := seal(k, sessionFormat, (&Session{User: "u"}).encode)
	newer := seal(k, sessionFormat+1, (&Session{User: "u"}).encode)
	if _, _, err := unseal(k, newer, sessionFormat); !errors.Is(err, errFormat) {
		t.Errorf("a newer version: %v, want %v", err, errFormat)
	}
	if _, _, err := unseal([]byte("kez"), good, sessionFormat); !errors.Is(err, errCorrupt) {
		t.Errorf("another key: %v, want %v", err, errCorrupt)
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		if _, _, err := unseal(k, bad, sessionFormat); err == nil {
			t.Errorf("byte %d changed, and it was read", i)
		}
		if _, _, err := unseal(k, good[:i], sessionFormat); err == nil {
			t.Errorf("cut to %d bytes, and it was read", i)
		}
	}
}

// FuzzDecode reads bodies of any kind. What is accepted is written as it was
// read; nothing makes it take more memory than a few times the input.
func FuzzDecode(f *testing.F) {
	m := message.Message{
		Topic: "a/b", Payload: []byte("x"), QoS: 1,
		Properties: &message.Properties{SubscriptionIDs: []int{7}, User: []message.Property{{Key: "k", Value: "v"}}},
	}
	f.Add(appendMessage(nil, &m))
	f.Add((&Delivery{Order: 3, Stage: Sent, Message: m}).encode(nil))
	f.Add((&Delivery{Order: 3, Stage: Released}).encode(nil))
	f.Add((&Session{User: "u", Proof: []byte("o"), Until: time.Unix(9, 0)}).encode(nil))
	f.Add((&Subscription{Filter: "f", QoS: 2}).encode(nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		for version := byte(1); version <= sessionFormat; version++ {
			again(t, b, func(k *Session, b []byte) error { return k.decode(b, version) }, nil)
		}
		again(t, b, func(k *Session, b []byte) error { return k.decode(b, sessionFormat) }, (*Session).encode)
		again(t, b, (*Subscription).decode, (*Subscription).encode)
		again(t, b, (*Delivery).decode, (*Delivery).encode)
		again(t, b, decodeRetained, func(m *message.Message, b []byte) []byte { return appendRetained(b, m) })
	})
}

func again[T any](t *testing.T, b []byte, decode func(*T, []byte) error, encode func(*T, []byte) []byte) {
	var first, second T
	if decode(&first, b) != nil || encode == nil {
		return
	}
	if err := decode(&second, encode(&first, nil)); err != nil {
		t.Fatalf("%+v can't be read again: %v", first, err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Fatal(diff)
	}
}
