package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// bareCommand makes this program the bare broker.
const bareCommand = "bare"

// startBare starts bare mochi: this very program once more.
func startBare(ctx context.Context, env ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return launch(ctx, []string{"mqtt"}, env, self, bareCommand)
}

// serveBare is mochi as one gets it, with the hook that allows everything, until
// in ends. What decides about memory and about how much a client may leave
// unread is set as in our broker: it is not the price of knowing the clients.
func serveBare(in io.Reader, out, errOut io.Writer) error {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumPacketSize = 256 << 10
	caps.MaximumClientWritesPending = 256
	caps.MaximumInflight = 512
	caps.ReceiveMaximum = 256
	caps.TopicAliasMaximum = 0
	caps.MaximumMessageExpiryInterval = 0
	caps.Compatibilities.NoInheritedPropertiesOnAck = true
	srv := mqtt.New(&mqtt.Options{
		Capabilities:           caps,
		Logger:                 slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelError})),
		SysTopicResendInterval: 30,
	})
	if err := srv.AddHook(new(allowAll), nil); err != nil {
		return err
	}
	listener := listeners.NewTCP(listeners.Config{ID: "mqtt", Address: "127.0.0.1:0"})
	if err := srv.AddListener(listener); err != nil {
		return err
	}
	if err := srv.Serve(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "mqtt://%s\n", listener.Address()); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// allowAll is the least that mochi must be given: without a hook that says yes it
// lets nobody in.
type allowAll struct{ mqtt.HookBase }

// ID implements mqtt.Hook.
func (*allowAll) ID() string { return "allow-all" }

// Provides implements mqtt.Hook.
func (*allowAll) Provides(event byte) bool {
	return event == mqtt.OnConnectAuthenticate || event == mqtt.OnACLCheck
}

// OnConnectAuthenticate implements mqtt.Hook.
func (*allowAll) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck implements mqtt.Hook.
func (*allowAll) OnACLCheck(*mqtt.Client, string, bool) bool { return true }
