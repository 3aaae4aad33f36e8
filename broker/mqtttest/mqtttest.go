// Package mqtttest is an MQTT client for tests: it sends what it is told, right
// or wrong, and shows what comes back as it stands on the wire. It speaks MQTT
// 3.1.1 and 5 and does nothing by itself.
package mqtttest

import (
	"bufio"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Patience is how long a client waits for a packet that should come.
const Patience = 30 * time.Second

// Client is one connection. Its methods end the test when something does not
// come, or something else does; they are for the goroutine of the test.
type Client struct {
	net.Conn
	Version byte       // 3 for MQTT 3.1, 4 for 3.1.1, 5 for 5
	TB      testing.TB // the test that it belongs to
	r       *bufio.Reader
	lastID  uint16
	early   []packets.Packet // messages that came before the answer to what was asked
}

// Dial connects by TCP, without a CONNECT. The connection is closed when the
// test ends.
func Dial(tb testing.TB, addr string, version byte) *Client {
	tb.Helper()
	conn, err := new(net.Dialer).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return New(tb, conn, version)
}

// New returns a client on a connection, which is closed when the test ends.
func New(tb testing.TB, conn net.Conn, version byte) *Client {
	tb.Cleanup(func() { _ = conn.Close() })
	return &Client{Conn: conn, Version: version, TB: tb, r: bufio.NewReader(conn)}
}

// Connect is what a CONNECT says.
type Connect struct {
	ClientID   string
	Username   string // empty: none
	Password   string // empty: none
	Resume     bool   // go on with the session (clean start 0)
	Expiry     uint32 // of the session in seconds; MQTT 5 only
	KeepAlive  uint16 // seconds
	Will       *Will
	Properties packets.Properties // further ones; MQTT 5 only
}

// Will is the will of a CONNECT.
type Will struct {
	Topic, Payload string
	QoS            byte
	Retain         bool
	Properties     packets.Properties // MQTT 5 only
}

// Packet returns the CONNECT of c.
func (c Connect) Packet(version byte) packets.Packet {
	pk := packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Connect},
		ProtocolVersion: version,
		Properties:      c.Properties,
		Connect: packets.ConnectParams{
			ProtocolName:     protocolName(version),
			Clean:            !c.Resume,
			Keepalive:        c.KeepAlive,
			ClientIdentifier: c.ClientID,
			UsernameFlag:     c.Username != "",
			Username:         []byte(c.Username),
			PasswordFlag:     c.Password != "",
			Password:         []byte(c.Password),
		},
	}
	if c.Expiry > 0 {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = c.Expiry, true
	}
	if w := c.Will; w != nil {
		pk.Connect.WillFlag = true
		pk.Connect.WillTopic, pk.Connect.WillPayload = w.Topic, []byte(w.Payload)
		pk.Connect.WillQos, pk.Connect.WillRetain = w.QoS, w.Retain
		pk.Connect.WillProperties = w.Properties
	}
	return pk
}

func protocolName(version byte) []byte {
	if version == 3 {
		return []byte("MQIsdp") // MQTT 3.1
	}
	return []byte("MQTT")
}

// Connect sends a CONNECT and returns the CONNACK, whatever it says.
func (c *Client) Connect(o Connect) packets.Packet {
	c.TB.Helper()
	c.Send(o.Packet(c.Version))
	return c.Expect(packets.Connack)
}

// MustConnect connects and ends the test if that is refused.
func (c *Client) MustConnect(o Connect) packets.Packet {
	c.TB.Helper()
	ack := c.Connect(o)
	if ack.ReasonCode != 0 {
		c.TB.Fatalf("%s: CONNACK %#02x, want 0", o.ClientID, ack.ReasonCode)
	}
	return ack
}

// Send sends a packet.
func (c *Client) Send(pk packets.Packet) {
	c.TB.Helper()
	pk.ProtocolVersion = c.Version
	c.SendBytes(Encode(pk))
}

// SendBytes sends what is no packet, or half of one.
func (c *Client) SendBytes(b []byte) {
	c.TB.Helper()
	_ = c.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := c.Write(b); err != nil {
		c.TB.Fatalf("send: %v", err)
	}
}

// Raw sends bytes as they are written: hex digits, blanks, and 'text.
func (c *Client) Raw(parts ...string) {
	c.TB.Helper()
	var out []byte
	for _, p := range parts {
		if text, ok := strings.CutPrefix(p, "'"); ok {
			out = append(out, text...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(p, " ", ""))
		if err != nil {
			c.TB.Fatal(err)
		}
		out = append(out, b...)
	}
	c.SendBytes(out)
}

// Hears reads as many bytes as are wanted and ends the test unless they are these,
// in hex digits with blanks.
func (c *Client) Hears(want string) {
	c.TB.Helper()
	want = strings.ReplaceAll(want, " ", "")
	_ = c.SetReadDeadline(time.Now().Add(Patience))
	got := make([]byte, len(want)/2)
	n, err := io.ReadFull(c, got)
	if err != nil || hex.EncodeToString(got) != want {
		c.TB.Fatalf("got %x (%v), want %s", got[:n], err, want)
	}
}

// Read reads what comes next, packet or not.
func (c *Client) Read(p []byte) (int, error) { return c.r.Read(p) }

// Publish publishes and returns the reason code of the acknowledgement, 0 at QoS 0
// and in place of 0x10, which is success too: nobody subscribes. At QoS 2 it finishes
// the exchange.
func (c *Client) Publish(topic, payload string, qos byte, retain bool) byte {
	c.TB.Helper()
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos, Retain: retain},
		TopicName:   topic,
		Payload:     []byte(payload),
	}
	if qos > 0 {
		pk.PacketID = c.NextID()
	}
	c.Send(pk)
	switch qos {
	case 1:
		if code := c.answer(packets.Puback).ReasonCode; code != packets.CodeNoMatchingSubscribers.Code {
			return code
		}
		return 0
	case 2:
		ack := c.answer(packets.Pubrec)
		if ack.ReasonCode >= packets.ErrUnspecifiedError.Code {
			return ack.ReasonCode
		}
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: pk.PacketID})
		c.answer(packets.Pubcomp)
		return ack.ReasonCode
	default:
		return 0
	}
}

// answer returns the next packet but messages, which must be of that type. A
// client that subscribes to what it publishes may get its message before the
// acknowledgement; such messages are next after this.
func (c *Client) answer(kind byte) packets.Packet {
	c.TB.Helper()
	for {
		pk, err := c.read()
		if err == nil && pk.FixedHeader.Type == packets.Publish {
			c.early = append(c.early, pk)
			continue
		}
		return c.must(kind, pk, err)
	}
}

// Subscribe subscribes to a filter and returns the code that SUBACK has for it.
func (c *Client) Subscribe(filter string, qos byte) byte {
	c.TB.Helper()
	c.Send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1},
		PacketID:    c.NextID(),
		Filters:     packets.Subscriptions{{Filter: filter, Qos: qos}},
	})
	return c.Expect(packets.Suback).ReasonCodes[0]
}

// MustSubscribe subscribes and ends the test if that is refused.
func (c *Client) MustSubscribe(filter string, qos byte) {
	c.TB.Helper()
	if code := c.Subscribe(filter, qos); code > 2 {
		c.TB.Fatalf("SUBSCRIBE %s: %#02x", filter, code)
	}
}

// Disconnect says goodbye and closes.
func (c *Client) Disconnect() {
	c.TB.Helper()
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	_ = c.Close()
}

// Message returns the next message and acknowledges it as its QoS asks. Nothing
// else may come before it.
func (c *Client) Message() packets.Packet {
	c.TB.Helper()
	pk := c.Expect(packets.Publish)
	switch pk.FixedHeader.Qos {
	case 1:
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
	case 2:
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: pk.PacketID})
		c.Expect(packets.Pubrel)
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: pk.PacketID})
	}
	return pk
}

// ExpectMessage ends the test unless the next message has that topic.
func (c *Client) ExpectMessage(topic string) packets.Packet {
	c.TB.Helper()
	pk := c.Message()
	if pk.TopicName != topic {
		c.TB.Fatalf("message on %s, want %s", pk.TopicName, topic)
	}
	return pk
}

// Ping waits for the broker to have dealt with everything sent so far. Nothing
// but the PINGRESP may come.
func (c *Client) Ping() {
	c.TB.Helper()
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	c.Expect(packets.Pingresp)
}

// Expect returns the next packet, which must be of that type.
func (c *Client) Expect(kind byte) packets.Packet {
	c.TB.Helper()
	pk, err := c.Next()
	return c.must(kind, pk, err)
}

// must ends the test unless what was read is a packet of that type.
func (c *Client) must(kind byte, pk packets.Packet, err error) packets.Packet {
	c.TB.Helper()
	if err != nil {
		c.TB.Fatalf("waiting for %s: %v", packets.PacketNames[kind], err)
	}
	if pk.FixedHeader.Type != kind {
		c.TB.Fatalf("got %s (topic %q, code %#02x), want %s", packets.PacketNames[pk.FixedHeader.Type],
			pk.TopicName, pk.ReasonCode, packets.PacketNames[kind])
	}
	return pk
}

// ExpectEnd waits for the broker to close, does the same, and returns the code of
// the DISCONNECT before that, 0 if there was none. Nothing else may come; MQTT 3
// knows no DISCONNECT from a server.
func (c *Client) ExpectEnd() (code byte) {
	c.TB.Helper()
	defer c.Close()
	pk, err := c.Next()
	if err == nil && pk.FixedHeader.Type == packets.Disconnect && c.Version >= 5 {
		code = pk.ReasonCode
		_, err = c.Next()
	}
	if err == nil {
		c.TB.Fatalf("got %s (topic %q), want the end", packets.PacketNames[pk.FixedHeader.Type], pk.TopicName)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		c.TB.Fatal("still connected")
	}
	return code
}

// UntilEnd waits for the broker to close, whatever comes before, and does the same.
// It returns the code of the last packet, which is that of a DISCONNECT if there
// was one; 0 if nothing came.
func (c *Client) UntilEnd() (code byte) {
	c.TB.Helper()
	defer c.Close()
	for {
		pk, err := c.Next()
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			c.TB.Fatal("still connected")
		}
		if err != nil {
			return code
		}
		if c.Version < 5 && pk.FixedHeader.Type == packets.Disconnect {
			c.TB.Error("DISCONNECT to a client of MQTT 3")
		}
		code = pk.ReasonCode
	}
}

// Next returns the next packet, or an error when none comes in time.
func (c *Client) Next() (packets.Packet, error) {
	if len(c.early) > 0 {
		pk := c.early[0]
		c.early = c.early[1:]
		return pk, nil
	}
	return c.read()
}

func (c *Client) read() (packets.Packet, error) {
	_ = c.SetReadDeadline(time.Now().Add(Patience))
	pk := packets.Packet{ProtocolVersion: c.Version}
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
	return pk, decode(&pk, body)
}

// NextID returns a packet identifier that was not used lately.
func (c *Client) NextID() uint16 {
	// Far from those the broker counts up from 1: mochi keeps both kinds in one
	// table (v2.7.9).
	c.lastID++
	return 30_000 + c.lastID%30_000
}
