package servers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// mosquittod is Debian's mosquitto, a broker, without a network.
type mosquittod struct {
	t      *testing.T
	socket string
}

// startMosquitto starts a broker with a bridge whose settings are those that are
// given, and else Mosquitto's own.
func startMosquitto(t *testing.T, bridge ...string) mosquittod {
	t.Helper()
	dir := t.TempDir()
	m := mosquittod{t, filepath.Join(dir, "s")}
	conf := filepath.Join(dir, "conf")
	lines := append([]string{"user root", "listener 0 " + m.socket, "allow_anonymous true"}, bridge...)
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/sbin/mosquitto", "-c", conf) // #nosec G204 -- ours
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return m
}

// dial connects a client to the broker, as soon as that is there.
func (m mosquittod) dial(id string) *mqtttest.Client {
	m.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(rig.Patience); ; {
		nc, err := net.Dial("unix", m.socket)
		if err == nil {
			c := mqtttest.New(m.t, nc, 4)
			c.MustConnect(mqtttest.Connect{ClientID: id})
			return c
		}
		select {
		case <-tick.C:
		case <-late:
			m.t.Fatal(err)
		}
	}
}

// comes wants the next message to be this one.
func comes(t *testing.T, c *mqtttest.Client, topic string, retained bool) {
	t.Helper()
	if pk := c.ExpectMessage(topic); pk.FixedHeader.Retain != retained {
		t.Errorf("%s came with retain %t", topic, !retained)
	}
}

// A broker of others passes messages on in both directions, as it is installed: it
// names its level with the bit of bridges, and has a will and a message on $SYS.
func TestMosquittoAsABridge(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t)
	p.User("site", rig.Both("t/#"))
	p.User("plant", rig.Both("t/#"))
	host, port, err := net.SplitHostPort(p.URLs["mqtt"])
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"default", "mqttv31", "mqttv311", "mqttv50"} {
		t.Run(version, func(t *testing.T) {
			in := func(topic string) string { return "t/" + version + "/" + topic }
			p := p.At(t)
			remote := p.Dial(4)
			remote.MustConnect(rig.As("plant", "plant"+version))
			remote.Publish(in("hello"), "x", 1, true)
			bridge := []string{
				"connection site" + version, fmt.Sprintf("address %s:%s", host, port), "topic " + in("#") + " both 2",
				"remote_username site", "remote_password " + rig.SecretOf("site"),
			}
			if version != "default" {
				bridge = append(bridge, "bridge_protocol_version "+version)
			}
			m := startMosquitto(t, bridge...)
			local := m.dial("local")
			local.MustSubscribe(in("#"), 2)
			local.ExpectMessage(in("hello")) // so the bridge is there
			remote.MustSubscribe(in("#"), 2)
			comes(t, remote, in("hello"), true)

			for _, topic := range []string{in("down/1"), in("down/2")} {
				remote.Publish(topic, "x", 1, false)
				comes(t, remote, topic, false)
				comes(t, local, topic, false)
			}
			for _, topic := range []string{in("up/1"), in("up/2")} {
				local.Publish(topic, "x", 1, false)
				comes(t, local, topic, false)
				comes(t, remote, topic, false)
			}
			remote.Publish(in("kept"), "x", 1, true)
			comes(t, remote, in("kept"), false)
			comes(t, local, in("kept"), false) // and nothing that went round before it
			late := m.dial("late")
			late.MustSubscribe(in("kept"), 0)
			comes(t, late, in("kept"), true)

			local.Publish(in("end"), "x", 1, false)
			comes(t, local, in("end"), false)
			comes(t, remote, in("end"), false)
		})
	}
}
