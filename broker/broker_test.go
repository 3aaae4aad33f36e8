package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	"mqttwarden/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPahoClient(t *testing.T) {
	b := start(t, new(open), nil)
	conn, err := net.Dial("tcp", b.Addr("mqtt").String())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	c := paho.NewClient(paho.ClientConfig{Conn: conn, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) {
			got <- p.Packet.Topic
			return true, nil
		},
	}})
	if _, err := c.Connect(t.Context(), &paho.Connect{ClientID: "c", CleanStart: true, KeepAlive: 30}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "a/#", QoS: 2}}}); err != nil {
		t.Fatal(err)
	}
	for qos := range byte(3) {
		topic := fmt.Sprintf("a/%d", qos)
		if _, err := c.Publish(t.Context(), &paho.Publish{Topic: topic, QoS: qos}); err != nil {
			t.Fatal(err)
		}
		if got := <-got; got != topic {
			t.Errorf("got %s, want %s", got, topic)
		}
	}
	if err := c.Disconnect(&paho.Disconnect{}); err != nil {
		t.Fatal(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	_, err := broker.New(broker.Config{
		Listeners:        []broker.Listener{{Name: "a"}, {Name: "a", TLS: &broker.TLS{}}},
		ConnectTimeout:   -time.Second,
		MaxConnections:   -1,
		MaxSessionExpiry: 31 * 24 * time.Hour,
		MaxInflight:      16_385,
		ReceiveMaximum:   8193,
		MaxSubscriptions: -1,
	}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`listener "a"`, "certificate", "ConnectTimeout", "MaxConnections", "MaxSessionExpiry", "MaxInflight", "ReceiveMaximum", "MaxSubscriptions"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in: %v", want, err)
		}
	}
}

func TestListenersAreClosedWhenOneCannotBeBound(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	_, err = broker.New(broker.Config{Listeners: []broker.Listener{
		{Name: "a", Address: free.Addr().String()}, {Name: "b", Address: taken.Addr().String()},
	}}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "listener b") {
		t.Fatalf("err = %v, want one about listener b", err)
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the first listener was left open: %v", err)
	}
	again.Close()
}

func TestV24ThereIsOneHook(t *testing.T) {
	b := start(t, new(open), nil)
	if err := broker.Start(b.Broker, new(open)); err == nil {
		t.Error("a second hook was installed: of several, any yes counts")
	}
}

func TestV02SilentPeersAreCut(t *testing.T) {
	const timeout = 5 * time.Second
	inBubble(t, new(open), func(cfg *broker.Config) { cfg.ConnectTimeout = timeout }, func(t *testing.T, b *started) {
		for name, first := range map[string][]byte{
			"nothing":          nil,
			"half a CONNECT":   {0x10, 0x20, 0, 4, 'M', 'Q'},
			"a length for now": {0x10, 0x80},
		} {
			c := dialPipe(t, b, 5)
			if len(first) > 0 {
				c.SendBytes(first)
			}
			before := time.Now()
			c.UntilEnd()
			if took := time.Since(before); took != timeout {
				t.Errorf("%s: cut after %v, want %v", name, took, timeout)
			}
		}
		synctest.Wait()
		if got := b.Stats().ConnectTimeouts; got != 3 {
			t.Errorf("%d connections are counted as late, want 3", got)
		}
		c := dialPipe(t, b, 4)
		c.connect("c", nil)
		time.Sleep(2 * timeout) // the deadline must not act on those who are signed in
		c.Ping()
		c.Close()
		synctest.Wait()
		if st := b.Stats(); st.Connections != 0 || st.ConnectTimeouts != 3 {
			t.Errorf("%d connections are left, and %d counted as late, want none and 3: one had signed in", st.Connections, st.ConnectTimeouts)
		}
	})
}

func TestClientsThatDoNotReadAreCut(t *testing.T) {
	inBubble(t, new(open), nil, func(t *testing.T, b *started) {
		stuck := over(t, b.Pipe(broker.Listener{}, local), 5) // without a buffer
		stuck.connect("stuck", nil)
		stuck.Subscribe("a", 0)
		c := dialPipe(t, b, 5)
		c.connect("c", nil)
		c.publish("a", 0)
		c.Ping()
		time.Sleep(10*time.Second - 1) // WriteTimeout
		synctest.Wait()
		if n := b.Stats().WriteTimeouts; n != 0 {
			t.Errorf("%d were cut before the time", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if st := b.Stats(); st.WriteTimeouts != 1 || st.Clients != 1 {
			t.Errorf("%d were cut, %d clients are left; want 1 and 1", st.WriteTimeouts, st.Clients)
		}
		c.Ping()
	})
}

func TestConnectionsAreLimited(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxConnections = 2 })
	one := dial(t, b, 5)
	one.connect("1", nil)
	dial(t, b, 5).connect("2", nil)
	dial(t, b, 5).UntilEnd()
	if st := b.Stats(); st.ConnectionsRefused != 1 || st.Connections != 2 {
		t.Errorf("refused %d, open %d: want 1 and 2", st.ConnectionsRefused, st.Connections)
	}
	one.Close()
	eventually(t, "there is room again", func() bool { return b.Stats().Connections == 1 })
	if code := dial(t, b, 5).connect("3", nil); code != 0 {
		t.Errorf("CONNACK %#02x", code)
	}
}

func TestCapabilities(t *testing.T) {
	b := start(t, new(open), nil)
	sub := dial(t, b, 5)
	sub.connect("sub", nil)
	sub.Subscribe("a", 0)
	c := dial(t, b, 5)
	c.connect("c", nil)
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: 1, TopicName: "a",
		Properties: packets.Properties{User: []packets.UserProperty{{Key: "k", Val: "v"}}},
	}
	c.Send(pk)
	if got := c.Expect(packets.Puback).Properties.User; len(got) != 0 {
		t.Errorf("the PUBACK carries the publisher's properties back: %v", got)
	}
	if got := sub.Expect(packets.Publish).Properties.MessageExpiryInterval; got != 0 {
		t.Errorf("a message without expiry is delivered with one: %d s", got)
	}
	pk.Properties = packets.Properties{TopicAlias: 1, TopicAliasFlag: true}
	c.Send(pk)
	if code := c.UntilEnd(); code != 0x94 {
		t.Errorf("topic alias: DISCONNECT %#02x, want 0x94", code)
	}
}

func TestLargePacketsAreRefused(t *testing.T) {
	b := start(t, new(open), func(cfg *broker.Config) { cfg.MaxPacketSize = 1000 })
	c := dial(t, b, 5)
	c.connect("c", nil)
	if _, err := c.Write([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}); err != nil { // 256 MiB
		t.Fatal(err)
	}
	c.UntilEnd()
}

func TestPanicEndsOneConnection(t *testing.T) {
	b := start(t, &open{acl: func(_ *mqtt.Client, topic string, _ bool) bool {
		if topic == "boom" {
			panic("boom")
		}
		return true
	}}, nil)
	other := dial(t, b, 5)
	other.connect("other", nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.publish("boom", 0)
	c.UntilEnd()
	other.Ping()
	eventually(t, "it is counted and over", func() bool {
		st := b.Stats()
		return st.Panics == 1 && st.Connections == 1 && st.Clients == 1
	})
	if got := strings.Count(b.log.String(), "connection ended by a panic"); got != 1 {
		t.Errorf("%d lines in the log, want 1", got)
	}
}

func TestShutdownTellsClients(t *testing.T) {
	b := start(t, new(open), nil)
	v5, v3, silent := dial(t, b, 5), dial(t, b, 4), dial(t, b, 5)
	v5.connect("5", nil)
	v3.connect("3", nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	before := time.Now()
	done := make(chan error, 1)
	go func() { done <- b.Shutdown(ctx) }()
	if code := v5.UntilEnd(); code != 0x8B {
		t.Errorf("MQTT 5: DISCONNECT %#02x, want 0x8B", code)
	}
	if code := v3.UntilEnd(); code != 0 {
		t.Errorf("MQTT 3 got a DISCONNECT")
	}
	silent.UntilEnd()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(before); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := net.Dial("tcp", b.Addr("mqtt").String()); err == nil {
		t.Error("still listening")
	}
	if err := broker.Start(b.Broker, new(open)); err == nil {
		t.Error("started after Shutdown")
	}
}

func TestShutdownIsBounded(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	b := start(t, &open{acl: func(_ *mqtt.Client, topic string, _ bool) bool {
		if topic == "stuck" {
			close(begun)
			<-release
		}
		return true
	}}, nil)
	c := dial(t, b, 5)
	c.connect("c", nil)
	c.publish("stuck", 0)
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.Shutdown(ctx); err == nil {
		t.Error("no error, though a connection did not end")
	}
	c.UntilEnd()
	eventually(t, "the connection is cut", func() bool {
		_, err := c.Write([]byte{packets.Pingreq << 4, 0})
		return err != nil
	})
	close(release)
}

func TestShutdownWithoutStart(t *testing.T) {
	b, err := broker.New(broker.Config{Listeners: []broker.Listener{{Name: "a", Address: "127.0.0.1:0"}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestV18MochiLogsNoPackets(t *testing.T) {
	b := start(t, new(open), nil)
	if err := b.Observe(new(failingPublish)); err != nil {
		t.Fatal(err)
	}
	c := dial(t, b, 5)
	secret := func(pk *packets.Packet) {
		pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte("alice")
		pk.Connect.PasswordFlag, pk.Connect.Password = true, []byte("hunter2")
	}
	c.connect("c", secret)
	c.publish("hunter2", 0)
	c.Ping()
	pk := connectAs("c")
	secret(&pk)
	c.Send(pk) // a second CONNECT
	c.UntilEnd()
	log := b.log.String()
	if !strings.Contains(log, "publish packet error") {
		t.Errorf("mochi's error is not in the log:\n%s", log)
	}
	for _, s := range []string{"hunter2", "104 117 110 116"} {
		if strings.Contains(log, s) {
			t.Errorf("%q is in the log:\n%s", s, log)
		}
	}
}

// failingPublish has mochi log an error, with the packet.
type failingPublish struct{ mqtt.HookBase }

func (*failingPublish) Provides(event byte) bool { return event == mqtt.OnPublish }

func (*failingPublish) OnPublish(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	return pk, errors.New("to be logged by mochi, with the packet")
}
