package rig

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"mqttwarden/broker/mqtttest"
)

// Reason codes of MQTT 5 (section 2.4) that the tests want to see.
const (
	Success         = 0x00
	ProtocolError   = 0x82
	BadClientID     = 0x85
	BadCredentials  = 0x86
	MalformedPacket = 0x81
	NotAuthorized   = 0x87
	Unavailable     = 0x88
	ServerBusy      = 0x89
	ShuttingDown    = 0x8B
	BadAuthMethod   = 0x8C
	TakenOver       = 0x8E
	QuotaExceeded   = 0x97
	Administrative  = 0x98
)

// As is the CONNECT of a user that was made by Program.User.
func As(name, clientID string) mqtttest.Connect {
	return mqtttest.Connect{ClientID: clientID, Username: name, Password: SecretOf(name)}
}

// Dial opens a connection of the client that shows what is on the wire.
func (p *Program) Dial(version byte) *mqtttest.Client {
	p.TB.Helper()
	return mqtttest.Dial(p.TB, p.URLs["mqtt"], version)
}

// Connect connects a user by MQTT 5.
func (p *Program) Connect(c mqtttest.Connect) *mqtttest.Client {
	p.TB.Helper()
	cl := p.Dial(5)
	cl.MustConnect(c)
	return cl
}

// Device is a client as its maker would write it, with a library by others.
type Device struct {
	*paho.Client
	TB   testing.TB
	Got  chan *paho.Publish
	Gone chan byte // reason code of the broker's DISCONNECT
}

// Device connects with paho; the CONNECT is that of the user, changed by change.
// It returns the reason code, too, and no device when that is a refusal.
func (p *Program) Device(name, clientID string, change func(*paho.Connect)) (*Device, byte) {
	p.TB.Helper()
	conn, err := new(net.Dialer).DialContext(p.TB.Context(), "tcp", p.URLs["mqtt"])
	if err != nil {
		p.TB.Fatal(err)
	}
	d := &Device{TB: p.TB, Got: make(chan *paho.Publish, 64), Gone: make(chan byte, 1)}
	d.Client = paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			d.Got <- r.Packet
			return true, nil
		}},
		OnServerDisconnect: func(m *paho.Disconnect) { d.Gone <- m.ReasonCode },
		PacketTimeout:      Patience,
	})
	c := &paho.Connect{
		ClientID: clientID, KeepAlive: 60, CleanStart: true,
		Username: name, UsernameFlag: true, Password: []byte(SecretOf(name)), PasswordFlag: true,
	}
	if change != nil {
		change(c)
	}
	ack, err := d.Connect(p.TB.Context(), c)
	if ack == nil {
		p.TB.Fatalf("CONNECT of %s: %v", name, err)
	}
	if ack.ReasonCode != Success {
		_ = conn.Close()
		return nil, ack.ReasonCode
	}
	p.TB.Cleanup(func() { _ = conn.Close() })
	return d, Success
}

// MustDevice connects a user with paho.
func (p *Program) MustDevice(name, clientID string, change func(*paho.Connect)) *Device {
	p.TB.Helper()
	d, code := p.Device(name, clientID, change)
	if code != Success {
		p.TB.Fatalf("CONNECT of %s: %#02x", name, code)
	}
	return d
}

// Send publishes at QoS 1 and wants a reason code.
func (d *Device) Send(want byte, topic, payload string) {
	d.TB.Helper()
	d.SendPacket(want, &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: 1})
}

// SendPacket publishes and wants a reason code.
func (d *Device) SendPacket(want byte, m *paho.Publish) {
	d.TB.Helper()
	ctx, cancel := context.WithTimeout(d.TB.Context(), Patience)
	defer cancel()
	res, err := d.Publish(ctx, m)
	if res == nil {
		d.TB.Fatalf("PUBLISH %s: %v", m.Topic, err)
	}
	// 0x10 is success, too: there are no subscribers.
	if code := res.ReasonCode; code != want && (want != Success || code != 0x10) {
		d.TB.Errorf("PUBLISH %s: %#02x, want %#02x", m.Topic, code, want)
	}
}

// Listen subscribes at QoS 1 and wants a code: 1, or why not.
func (d *Device) Listen(want byte, filter string) {
	d.TB.Helper()
	ctx, cancel := context.WithTimeout(d.TB.Context(), Patience)
	defer cancel()
	ack, err := d.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1}}})
	if ack == nil {
		d.TB.Fatalf("SUBSCRIBE %s: %v", filter, err)
	}
	if ack.Reasons[0] != want {
		d.TB.Errorf("SUBSCRIBE %s: %#02x, want %#02x", filter, ack.Reasons[0], want)
	}
}

// Hears waits for the next message, which must be this one: so nothing else came
// before it.
func (d *Device) Hears(topic, payload string) *paho.Publish {
	d.TB.Helper()
	select {
	case m := <-d.Got:
		if got, want := m.Topic+" "+string(m.Payload), topic+" "+payload; got != want {
			d.TB.Fatalf("got message %q, want %q", got, want)
		}
		return m
	case <-time.After(Patience):
		d.TB.Fatalf("no message %s", topic)
	}
	return nil
}

// Ends waits for the broker's DISCONNECT and wants its reason code.
func (d *Device) Ends(want byte) {
	d.TB.Helper()
	select {
	case code := <-d.Gone:
		if code != want {
			d.TB.Errorf("disconnected with %#02x, want %#02x", code, want)
		}
	case <-time.After(Patience):
		d.TB.Fatal("still connected")
	}
}

// Expect wants a message of the raw client, and nothing before it.
func Expect(tb testing.TB, cl *mqtttest.Client, topic, payload string) {
	tb.Helper()
	if m := cl.Message(); m.TopicName != topic || string(m.Payload) != payload {
		tb.Fatalf("got message %q, want %q", fmt.Sprint(m.TopicName, " ", string(m.Payload)), topic+" "+payload)
	}
}

// WantCode wants a reason code.
func WantCode(tb testing.TB, what string, got, want byte) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %#02x, want %#02x", what, got, want)
	}
}
