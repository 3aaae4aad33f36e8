package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
	"mqttwarden/registry/logtest"
)

// patience is how long a test waits for what should come.
const patience = 10 * time.Second

// open is a hook that lets everybody in and allows everything, but for what a
// test puts in its fields.
type open struct {
	mqtt.HookBase
	connect func(*mqtt.Client, packets.Packet) error
	acl     func(cl *mqtt.Client, topic string, write bool) bool
	publish func(*mqtt.Client, packets.Packet) (packets.Packet, error)
	more    map[byte]func(string) // further events, with the client ID
}

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

func (h *open) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	if h.connect == nil {
		return nil
	}
	return h.connect(cl, pk)
}

func (h *open) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (h *open) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	return h.acl == nil || h.acl(cl, topic, write)
}

func (h *open) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	return h.publish(cl, pk)
}

func (h *open) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	h.more[mqtt.OnSessionEstablish](cl.ID)
}

func (h *open) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	h.more[mqtt.OnSessionEstablished](cl.ID)
}

func (h *open) OnDisconnect(cl *mqtt.Client, _ error, _ bool) { h.more[mqtt.OnDisconnect](cl.ID) }

func (h *open) OnWill(cl *mqtt.Client, w mqtt.Will) (mqtt.Will, error) {
	h.more[mqtt.OnWill](cl.ID)
	return w, nil
}

// started is a broker that serves a hook until the test ends.
type started struct {
	*broker.Broker
	log *logtest.Buffer
}

// start starts a broker with one plain listener, "mqtt". change may alter its
// settings.
func start(tb testing.TB, hook mqtt.Hook, change func(*broker.Config)) *started {
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
	if err := b.Start(hook); err != nil {
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

// client is a client that does what it is told.
type client struct {
	net.Conn
	tb      testing.TB
	version byte
	r       *bufio.Reader
}

func dial(tb testing.TB, b *started, version byte) *client {
	tb.Helper()
	conn, err := net.Dial("tcp", b.Addr("mqtt").String())
	if err != nil {
		tb.Fatal(err)
	}
	return over(tb, conn, version)
}

func over(tb testing.TB, conn net.Conn, version byte) *client {
	tb.Cleanup(func() { conn.Close() })
	return &client{Conn: conn, tb: tb, version: version, r: bufio.NewReader(conn)}
}

// connect connects and returns the code of the CONNACK.
func (c *client) connect(id string, change func(*packets.Packet)) byte {
	c.tb.Helper()
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: id},
	}
	if change != nil {
		change(&pk)
	}
	c.send(pk)
	return c.expect(packets.Connack).ReasonCode
}

func (c *client) send(pk packets.Packet) {
	c.tb.Helper()
	if _, err := c.Write(encode(c.version, pk)); err != nil {
		c.tb.Fatal(err)
	}
}

// encode returns a packet as a client of that version sends it. One that can't be
// encoded is a fault of the test.
func encode(version byte, pk packets.Packet) []byte {
	pk.ProtocolVersion = version
	var buf bytes.Buffer
	var err error
	switch pk.FixedHeader.Type {
	case packets.Connect:
		err = pk.ConnectEncode(&buf)
	case packets.Publish:
		err = pk.PublishEncode(&buf)
	case packets.Puback:
		err = pk.PubackEncode(&buf)
	case packets.Pubrec:
		err = pk.PubrecEncode(&buf)
	case packets.Pubrel:
		err = pk.PubrelEncode(&buf)
	case packets.Pubcomp:
		err = pk.PubcompEncode(&buf)
	case packets.Subscribe:
		err = pk.SubscribeEncode(&buf)
	case packets.Unsubscribe:
		err = pk.UnsubscribeEncode(&buf)
	case packets.Pingreq:
		err = pk.PingreqEncode(&buf)
	case packets.Disconnect:
		err = pk.DisconnectEncode(&buf)
	case packets.Auth:
		err = pk.AuthEncode(&buf)
	default:
		err = fmt.Errorf("no such packet here: %d", pk.FixedHeader.Type)
	}
	if err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func (c *client) publish(topic string, qos byte) {
	c.tb.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, TopicName: topic, Payload: []byte("x")}
	if qos > 0 {
		pk.PacketID = 1000
	}
	c.send(pk)
}

// subscribe subscribes and returns the code of the SUBACK.
func (c *client) subscribe(filter string, qos byte) byte {
	c.tb.Helper()
	c.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 2000,
		Filters: packets.Subscriptions{{Filter: filter, Qos: qos}},
	})
	return c.expect(packets.Suback).ReasonCodes[0]
}

// ping waits until the broker has dealt with everything sent so far. Nothing but
// the PINGRESP may come.
func (c *client) ping() {
	c.tb.Helper()
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	c.expect(packets.Pingresp)
}

func (c *client) expect(kind byte) packets.Packet {
	c.tb.Helper()
	pk, err := c.next()
	if err != nil {
		c.tb.Fatalf("waiting for %s: %v", packets.PacketNames[kind], err)
	}
	if pk.FixedHeader.Type != kind {
		c.tb.Fatalf("got %s, want %s", packets.PacketNames[pk.FixedHeader.Type], packets.PacketNames[kind])
	}
	return pk
}

// expectEnd waits for the broker to close and returns the code of the DISCONNECT
// before that, 0 if there was none. MQTT 3 knows no DISCONNECT from a server.
func (c *client) expectEnd() (code byte) {
	c.tb.Helper()
	for {
		pk, err := c.next()
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			c.tb.Fatal("still connected")
		}
		if err != nil {
			return code
		}
		if c.version < 5 && pk.FixedHeader.Type == packets.Disconnect {
			c.tb.Error("DISCONNECT to a client of MQTT 3")
		}
		code = pk.ReasonCode
	}
}

func (c *client) next() (packets.Packet, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	pk := packets.Packet{ProtocolVersion: c.version}
	b, err := c.r.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(b); err != nil {
		return pk, err
	}
	n, _, err := packets.DecodeLength(c.r)
	if err != nil {
		return pk, err
	}
	pk.FixedHeader.Remaining = n
	body := make([]byte, n)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return pk, err
	}
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	case packets.Puback:
		err = pk.PubackDecode(body)
	case packets.Pubrec:
		err = pk.PubrecDecode(body)
	case packets.Pubrel:
		err = pk.PubrelDecode(body)
	case packets.Pubcomp:
		err = pk.PubcompDecode(body)
	case packets.Suback:
		err = pk.SubackDecode(body)
	case packets.Unsuback:
		err = pk.UnsubackDecode(body)
	case packets.Disconnect:
		if c.version >= 5 {
			err = pk.DisconnectDecode(body)
		}
	}
	return pk, err
}
