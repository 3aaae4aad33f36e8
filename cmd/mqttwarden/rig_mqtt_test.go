package main

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
	success         = 0x00
	protocolError   = 0x82
	badClientID     = 0x85
	badCredentials  = 0x86
	malformedPacket = 0x81
	notAuthorized   = 0x87
	unavailable     = 0x88
	serverBusy      = 0x89
	shuttingDown    = 0x8B
	badAuthMethod   = 0x8C
	takenOver       = 0x8E
	quotaExceeded   = 0x97
	administrative  = 0x98
)

// as is the CONNECT of a user that was made by user.
func as(name, clientID string) mqtttest.Connect {
	return mqtttest.Connect{ClientID: clientID, Username: name, Password: secretOf(name)}
}

// dial opens a connection of the client that shows what is on the wire.
func (p *program) dial(version byte) *mqtttest.Client {
	p.tb.Helper()
	return mqtttest.Dial(p.tb, p.urls["mqtt"], version)
}

// connect connects a user by MQTT 5.
func (p *program) connect(c mqtttest.Connect) *mqtttest.Client {
	p.tb.Helper()
	cl := p.dial(5)
	cl.MustConnect(c)
	return cl
}

// device is a client as its maker would write it, with a library by others.
type device struct {
	*paho.Client
	tb   testing.TB
	got  chan *paho.Publish
	gone chan byte // reason code of the broker's DISCONNECT
}

// device connects with paho; the CONNECT is that of the user, changed by change.
// It returns the reason code, too, and no device when that is a refusal.
func (p *program) device(name, clientID string, change func(*paho.Connect)) (*device, byte) {
	p.tb.Helper()
	conn, err := new(net.Dialer).DialContext(p.tb.Context(), "tcp", p.urls["mqtt"])
	if err != nil {
		p.tb.Fatal(err)
	}
	d := &device{tb: p.tb, got: make(chan *paho.Publish, 64), gone: make(chan byte, 1)}
	d.Client = paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			d.got <- r.Packet
			return true, nil
		}},
		OnServerDisconnect: func(m *paho.Disconnect) { d.gone <- m.ReasonCode },
		PacketTimeout:      patience,
	})
	c := &paho.Connect{
		ClientID: clientID, KeepAlive: 60, CleanStart: true,
		Username: name, UsernameFlag: true, Password: []byte(secretOf(name)), PasswordFlag: true,
	}
	if change != nil {
		change(c)
	}
	ack, err := d.Connect(p.tb.Context(), c)
	if ack == nil {
		p.tb.Fatalf("CONNECT of %s: %v", name, err)
	}
	if ack.ReasonCode != success {
		_ = conn.Close()
		return nil, ack.ReasonCode
	}
	p.tb.Cleanup(func() { _ = conn.Close() })
	return d, success
}

// mustDevice connects a user with paho.
func (p *program) mustDevice(name, clientID string, change func(*paho.Connect)) *device {
	p.tb.Helper()
	d, code := p.device(name, clientID, change)
	if code != success {
		p.tb.Fatalf("CONNECT of %s: %#02x", name, code)
	}
	return d
}

// send publishes at QoS 1 and wants a reason code.
func (d *device) send(want byte, topic, payload string) {
	d.tb.Helper()
	d.sendPacket(want, &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: 1})
}

func (d *device) sendPacket(want byte, m *paho.Publish) {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(d.tb.Context(), patience)
	defer cancel()
	res, err := d.Publish(ctx, m)
	if res == nil {
		d.tb.Fatalf("PUBLISH %s: %v", m.Topic, err)
	}
	// 0x10 is success, too: there are no subscribers.
	if code := res.ReasonCode; code != want && (want != success || code != 0x10) {
		d.tb.Errorf("PUBLISH %s: %#02x, want %#02x", m.Topic, code, want)
	}
}

// listen subscribes at QoS 1 and wants a code: 1, or why not.
func (d *device) listen(want byte, filter string) {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(d.tb.Context(), patience)
	defer cancel()
	ack, err := d.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1}}})
	if ack == nil {
		d.tb.Fatalf("SUBSCRIBE %s: %v", filter, err)
	}
	if ack.Reasons[0] != want {
		d.tb.Errorf("SUBSCRIBE %s: %#02x, want %#02x", filter, ack.Reasons[0], want)
	}
}

// hears waits for the next message, which must be this one: so nothing else came
// before it.
func (d *device) hears(topic, payload string) *paho.Publish {
	d.tb.Helper()
	select {
	case m := <-d.got:
		if got, want := m.Topic+" "+string(m.Payload), topic+" "+payload; got != want {
			d.tb.Fatalf("got message %q, want %q", got, want)
		}
		return m
	case <-time.After(patience):
		d.tb.Fatalf("no message %s", topic)
	}
	return nil
}

// ends waits for the broker's DISCONNECT and wants its reason code.
func (d *device) ends(want byte) {
	d.tb.Helper()
	select {
	case code := <-d.gone:
		if code != want {
			d.tb.Errorf("disconnected with %#02x, want %#02x", code, want)
		}
	case <-time.After(patience):
		d.tb.Fatal("still connected")
	}
}

// expect wants a message of the raw client, and nothing before it.
func expect(tb testing.TB, cl *mqtttest.Client, topic, payload string) {
	tb.Helper()
	if m := cl.Message(); m.TopicName != topic || string(m.Payload) != payload {
		tb.Fatalf("got message %q, want %q", fmt.Sprint(m.TopicName, " ", string(m.Payload)), topic+" "+payload)
	}
}

// wantCode wants a reason code.
func wantCode(tb testing.TB, what string, got, want byte) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %#02x, want %#02x", what, got, want)
	}
}
