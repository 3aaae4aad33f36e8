package broker_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	"mqttwarden/broker/mqtttest"
	"mqttwarden/registry/logtest"
)

// patience is how long a test waits for what should come.
const patience = 10 * time.Second

// open lets everybody in and allows everything, but for what a test puts in its
// fields: as the hook of a broker, and as one of bare mochi. Each client ID is a
// user of its own.
type open struct {
	mqtt.HookBase
	connect func(*mqtt.Client, packets.Packet) error
	acl     func(cl *mqtt.Client, topic string, write bool) bool
	check   func() error                                               // what becomes of Login.Check
	prefix  string                                                     // of a broker's hook only
	publish func(*mqtt.Client, packets.Packet) (packets.Packet, error) // of bare mochi only
	more    map[byte]func(string)                                      // of bare mochi only: further events, with the client ID
}

// login is somebody who was let in.
type login struct {
	h  *open
	cl *mqtt.Client
}

// Connect implements broker.Hook.
func (h *open) Connect(_ context.Context, cl *mqtt.Client, pk packets.Packet) (*login, error) {
	if h.connect != nil {
		if err := h.connect(cl, pk); err != nil {
			return nil, err
		}
	}
	return &login{h, cl}, nil
}

// Recall implements broker.Hook.
func (h *open) Recall(_ context.Context, id, _ string, _ []byte) (*login, error) {
	return &login{h, &mqtt.Client{ID: id}}, nil
}

// User implements broker.Login.
func (l *login) User() string { return "the user of " + l.cl.ID }

// Username implements broker.Login.
func (l *login) Username() string { return l.User() }

// Proof implements broker.Login.
func (l *login) Proof() []byte { return nil }

// MayPublish implements broker.Login.
func (l *login) MayPublish(topic string) (prefix string, ok bool) {
	return l.h.prefix, l.h.acl == nil || l.h.acl(l.cl, strings.Clone(topic), true)
}

// MayRead implements broker.Login.
func (l *login) MayRead(name string) bool { return l.h.acl == nil || l.h.acl(l.cl, name, false) }

// Check implements broker.Login.
func (l *login) Check(context.Context, bool) error {
	if l.h.check == nil {
		return nil
	}
	return l.h.check()
}

// Ends implements broker.Login.
func (l *login) Token() string   { return "" }
func (l *login) Ends() time.Time { return time.Time{} }

// Provides implements mqtt.Hook.
func (h *open) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck:
		return true
	case mqtt.OnPublish:
		return h.publish != nil
	default:
		return h.more[b] != nil
	}
}

// OnConnect implements mqtt.Hook.
func (h *open) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	if h.connect == nil {
		return nil
	}
	return h.connect(cl, pk)
}

// OnConnectAuthenticate implements mqtt.Hook.
func (h *open) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck implements mqtt.Hook.
func (h *open) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	return h.acl == nil || h.acl(cl, topic, write)
}

// OnPublish implements mqtt.Hook.
func (h *open) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	return h.publish(cl, pk)
}

// OnSessionEstablish implements mqtt.Hook.
func (h *open) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	h.more[mqtt.OnSessionEstablish](cl.ID)
}

// OnSessionEstablished implements mqtt.Hook.
func (h *open) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	h.more[mqtt.OnSessionEstablished](cl.ID)
}

// OnDisconnect implements mqtt.Hook.
func (h *open) OnDisconnect(cl *mqtt.Client, _ error, _ bool) { h.more[mqtt.OnDisconnect](cl.ID) }

// OnWill implements mqtt.Hook.
func (h *open) OnWill(cl *mqtt.Client, w mqtt.Will) (mqtt.Will, error) {
	h.more[mqtt.OnWill](cl.ID)
	return w, nil
}

// observer is told of what mochi does, and changes nothing.
type observer struct {
	mqtt.HookBase
	encode       func(packets.Packet)
	onDisconnect func(id string)
}

// ID implements mqtt.Hook.
func (o *observer) ID() string { return "observer" }

// Provides implements mqtt.Hook.
func (o *observer) Provides(event byte) bool {
	return event == mqtt.OnPacketEncode && o.encode != nil || event == mqtt.OnDisconnect && o.onDisconnect != nil
}

// OnPacketEncode implements mqtt.Hook.
func (o *observer) OnPacketEncode(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	o.encode(pk)
	return pk
}

// OnDisconnect implements mqtt.Hook.
func (o *observer) OnDisconnect(cl *mqtt.Client, _ error, _ bool) { o.onDisconnect(cl.ID) }

// started is a broker that serves a hook until the test ends.
type started struct {
	*broker.Broker
	log *logtest.Buffer
}

// start starts a broker with one plain listener, "mqtt". change may alter its
// settings.
func start[L broker.Login](tb testing.TB, hook broker.Hook[L], change func(*broker.Config)) *started {
	tb.Helper()
	cfg := broker.Config{Listeners: []broker.Listener{{Name: "mqtt", Address: "127.0.0.1:0"}}}
	if change != nil {
		change(&cfg)
	}
	log, buf := logtest.New()
	b, err := broker.New(cfg, log)
	if err != nil {
		tb.Fatal(err)
	}
	if err := broker.Start(b, hook); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			tb.Error(err)
		}
	})
	return &started{Broker: b, log: buf}
}

// eventually waits for something that has no event to wait for.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			tb.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// client is a client that does what it is told, and says some of it in short.
type client struct{ *mqtttest.Client }

func dial(tb testing.TB, b *started, version byte) *client {
	tb.Helper()
	return &client{mqtttest.Dial(tb, b.Addr("mqtt").String(), version)}
}

func over(tb testing.TB, conn net.Conn, version byte) *client {
	return &client{mqtttest.New(tb, conn, version)}
}

// connect connects and returns the code of the CONNACK.
func (c *client) connect(id string, change func(*packets.Packet)) byte {
	pk := connectAs(id)
	if change != nil {
		change(&pk)
	}
	c.Send(pk)
	return c.Expect(packets.Connack).ReasonCode
}

// publish sends a message and does not wait for an answer.
func (c *client) publish(topic string, qos byte) {
	pk := message(topic, qos, 0)
	pk.Payload = []byte("x")
	if qos > 0 {
		pk.PacketID = 1000
	}
	c.Send(pk)
}

// encode returns a packet as a client of that version sends it.
func encode(version byte, pk packets.Packet) []byte {
	pk.ProtocolVersion = version
	return mqtttest.Encode(pk)
}

// connectAs is a CONNECT.
func connectAs(id string) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: id},
	}
}

// ack is an acknowledgement.
func ack(kind byte, id uint16) packets.Packet {
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: kind}, PacketID: id}
	if kind == packets.Pubrel {
		pk.FixedHeader.Qos = 1
	}
	return pk
}

// message is a PUBLISH with a packet identifier.
func message(topic string, qos byte, id uint16) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos},
		TopicName:   topic, PacketID: id, Payload: []byte(topic + " " + strconv.Itoa(int(id))),
	}
}
