package servers

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// Clients by others, as they are installed, at every door of the whole program.

// entrances is the program with all four listeners, and a user gw1 who signs in with
// a password at the plain ones and with a certificate at the others.
type entrances struct {
	*rig.Program
	pki rig.PKI
}

func openEntrances(t *testing.T) *entrances {
	t.Helper()
	k := rig.NewPKI(t)
	const free = "127.0.0.1:0"
	d := &entrances{rig.Launch(t, "--mqtts-addr", free, "--ws-addr", free, "--wss-addr", free,
		"--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key"), "--tls-client-ca", k.Path("ca.crt")), k}
	k.Issue("gw1", "/CN=gw1")
	d.UserWith("gw1", rig.Object{
		"grantTypes":         []rig.Object{{"method": "password"}, {"method": "certificate"}},
		"initialPermissions": []rig.Object{rig.Both("t/#")},
	})
	return d
}

// at returns a copy for a test of one door, which ends what it starts.
func (d *entrances) at(t *testing.T) *entrances {
	return &entrances{d.At(t), d.pki.At(t)}
}

func secured(scheme string) bool { return scheme == "mqtts" || scheme == "wss" }

// mosquitto is a client of Debian's mosquitto-clients.
func (d *entrances) mosquitto(tool, scheme, version string, args ...string) *exec.Cmd {
	d.TB.Helper()
	host, port, err := net.SplitHostPort(d.URLs[scheme])
	if err != nil {
		d.TB.Fatal(err)
	}
	all := []string{"-h", host, "-p", port, "-V", version}
	if secured(scheme) {
		all = append(all, "--cafile", d.pki.Path("ca.crt"), "--cert", d.pki.Path("gw1.crt"), "--key", d.pki.Path("gw1.key"))
	} else {
		all = append(all, "-u", "gw1", "-P", rig.SecretOf("gw1"))
	}
	ctx, cancel := context.WithTimeout(d.TB.Context(), rig.Patience)
	d.TB.Cleanup(cancel)
	return exec.CommandContext(ctx, "mosquitto_"+tool, append(all, args...)...) // #nosec G204 -- ours
}

func (d *entrances) mosquittoPub(scheme, version string, args ...string) {
	d.TB.Helper()
	if out, err := d.mosquitto("pub", scheme, version, args...).CombinedOutput(); err != nil {
		d.TB.Fatalf("mosquitto_pub %v: %v\n%s", args, err, out)
	}
}

// lines are those that a program prints.
type lines struct {
	tb   testing.TB
	cmd  *exec.Cmd
	out  chan string
	errs bytes.Buffer
}

func startLines(tb testing.TB, cmd *exec.Cmd) *lines {
	tb.Helper()
	l := &lines{tb: tb, cmd: cmd, out: make(chan string, 64)}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = &l.errs
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer close(l.out)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			l.out <- s.Text()
		}
	}()
	return l
}

// hears wants the next line to be this one.
func (l *lines) hears(want string) {
	l.tb.Helper()
	select {
	case got, ok := <-l.out:
		if !ok {
			err := l.cmd.Wait()
			l.tb.Fatalf("the end instead of %q: %v\n%s", want, err, &l.errs)
		}
		if got != want {
			l.tb.Fatalf("got  %q\nwant %q", got, want)
		}
	case <-time.After(rig.Patience):
		l.tb.Fatalf("nothing instead of %q", want)
	}
}

// ends wants the program to end well.
func (l *lines) ends() {
	l.tb.Helper()
	for got := range l.out {
		l.tb.Errorf("got %q", got)
	}
	if err := l.cmd.Wait(); err != nil {
		l.tb.Errorf("%v\n%s", err, &l.errs)
	}
}

// kill ends the program without a goodbye.
func (l *lines) kill() {
	l.tb.Helper()
	if err := l.cmd.Process.Kill(); err != nil {
		l.tb.Fatal(err)
	}
	for range l.out { // until its end
	}
	_ = l.cmd.Wait()
}

func TestMosquittoClients(t *testing.T) {
	t.Parallel()
	all := openEntrances(t)
	for _, scheme := range []string{"mqtt", "mqtts"} {
		for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
			t.Run(scheme+" "+version, func(t *testing.T) {
				d := all.at(t)
				pub := func(args ...string) { t.Helper(); d.mosquittoPub(scheme, version, args...) }
				format := "%t %q %r %p"
				if version == "mqttv5" {
					format += " %C %R %D %P"
				}
				text := func(topic, flags, payload string) string {
					if version == "mqttv5" {
						payload += "    " // no properties
					}
					return topic + " " + flags + " " + payload
				}
				pub("-t", "t/kept", "-q", "1", "-r", "-m", "kept")
				sub := startLines(t, d.mosquitto("sub", scheme, version, "-i", "sub", "-t", "t/#", "-q", "2", "-F", format))
				sub.hears(text("t/kept", "1 1", "kept")) // so it is subscribed
				for _, qos := range []string{"0", "1", "2"} {
					pub("-t", "t/live", "-q", qos, "-m", "at "+qos)
					sub.hears(text("t/live", qos+" 0", "at "+qos))
				}
				if version == "mqttv5" {
					pub("-t", "t/rich", "-q", "1", "-m", "rich", "-D", "publish", "content-type", "text/plain", "-D", "publish", "response-topic", "t/answer",
						"-D", "publish", "correlation-data", "4711", "-D", "publish", "user-property", "unit", "C", "-D", "publish", "message-expiry-interval", "3600")
					sub.hears("t/rich 1 0 rich text/plain t/answer 4711 unit:C")
				}
				dying := startLines(t, d.mosquitto("sub", scheme, version, "-i", "dying", "-t", "t/kept", "-F", "%p",
					"--will-topic", "t/will", "--will-payload", "gone", "--will-qos", "1"))
				dying.hears("kept")
				dying.kill()
				sub.hears(text("t/will", "1 0", "gone"))
				sub.kill()

				// What comes while a client is away waits for it.
				away := []string{"-i", "away", "-c", "-t", "t/away", "-q", "1"}
				if version == "mqttv5" {
					away = append(away, "-x", "60")
				}
				if out, err := d.mosquitto("sub", scheme, version, append(away, "-E")...).CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				for _, m := range []string{"1", "2", "3"} {
					pub("-t", "t/away", "-q", "1", "-m", m)
				}
				back := startLines(t, d.mosquitto("sub", scheme, version, append(away, "-C", "3", "-F", "%p")...))
				for _, m := range []string{"1", "2", "3"} {
					back.hears(m)
				}
				back.ends()
				pub("-t", "t/kept", "-q", "1", "-r", "-n")
			})
		}
	}
}

func TestMosquittoRequestAndResponse(t *testing.T) {
	t.Parallel()
	all := openEntrances(t)
	for _, scheme := range []string{"mqtt", "mqtts"} {
		for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
			t.Run(scheme+" "+version, func(t *testing.T) {
				d := all.at(t)
				responder := d.MustDevice("gw1", "responder", nil)
				responder.Listen(1, "t/ask")
				rr := startLines(t, d.mosquitto("rr", scheme, version, "-q", "1", "-t", "t/ask", "-e", "t/answer", "-m", "question"))
				m := responder.Hears("t/ask", "question")
				answer := &paho.Publish{Topic: "t/answer", QoS: 1, Payload: []byte("answer")}
				if version == "mqttv5" {
					if got := m.Properties.ResponseTopic; got != "t/answer" {
						t.Errorf("response topic %q", got)
					}
					answer.Properties = &paho.PublishProperties{CorrelationData: m.Properties.CorrelationData}
				}
				responder.SendPacket(rig.Success, answer)
				rr.hears("answer")
				rr.ends()
			})
		}
	}
}

// TestMQTTJS needs what make setup has installed.
func TestMQTTJS(t *testing.T) {
	t.Parallel()
	all := openEntrances(t)
	for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss"} {
		for _, version := range []int{3, 4, 5} {
			t.Run(fmt.Sprint(scheme, " ", version), func(t *testing.T) {
				d := all.at(t)
				var options rig.Object
				if secured(scheme) {
					options = rig.Object{"ca": d.pki.Path("ca.crt"), "cert": d.pki.Path("gw1.crt"), "key": d.pki.Path("gw1.key")}
				} else {
					options = rig.Object{"username": "gw1", "password": rig.SecretOf("gw1")}
				}
				url := scheme + "://" + d.URLs[scheme]
				if strings.HasPrefix(scheme, "ws") {
					url += "/mqtt"
				}
				arg, err := json.Marshal(rig.Object{"url": url, "version": version, "prefix": fmt.Sprint(scheme, version, "-"), "options": options})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*rig.Patience)
				defer cancel()
				js := startLines(t, exec.CommandContext(ctx, "node", "../../../../deploy/test/client.mjs", string(arg))) // #nosec G204 -- ours
				for _, want := range []string{
					"t/kept 1 retained kept", "t/live 0 live at 0", "t/live 1 live at 1", "t/live 2 live at 2",
					fmt.Sprint(len("t/large 1 live ") + 100_000),
				} {
					js.hears(want)
				}
				if version == 5 {
					js.hears(`t/rich 1 live rich contentType=text/plain responseTopic=t/answer correlationData=4711 messageExpiryInterval=3600 userProperties={"unit":"C"}`)
				}
				for _, want := range []string{"t/will 1 live gone", "t/away 1 live 1", "t/away 1 live 2", "t/away 1 live 3"} {
					js.hears(want)
				}
				if version == 5 {
					js.hears(fmt.Sprint("elsewhere code ", rig.NotAuthorized))
				}
				js.hears("done")
				js.ends()
			})
		}
	}
}

// pahoConn connects at a door for paho.
func (d *entrances) pahoConn(scheme string) (net.Conn, error) {
	switch scheme {
	case "mqtt":
		return new(net.Dialer).DialContext(d.TB.Context(), "tcp", d.URLs[scheme])
	case "mqtts":
		conn, err := (&tls.Dialer{Config: d.pki.Config("gw1")}).DialContext(d.TB.Context(), "tcp", d.URLs[scheme])
		return packets.NewThreadSafeConn(conn), err
	}
	transport := new(http.Transport)
	if scheme == "wss" {
		transport.TLSClientConfig = d.pki.Config("gw1")
	}
	d.TB.Cleanup(transport.CloseIdleConnections)
	ws, _, err := websocket.Dial(d.TB.Context(), scheme+"://"+d.URLs[scheme]+"/mqtt", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"mqtt"},
	})
	if err != nil {
		return nil, err
	}
	return packets.NewThreadSafeConn(websocket.NetConn(context.Background(), ws, websocket.MessageBinary)), nil
}

// connectPaho connects with paho; change may alter the CONNECT.
func (d *entrances) connectPaho(scheme, clientID string, change func(*paho.Connect)) (*rig.Device, *paho.Connack) {
	d.TB.Helper()
	conn, err := d.pahoConn(scheme)
	if err != nil {
		d.TB.Fatal(err)
	}
	d.TB.Cleanup(func() { _ = conn.Close() })
	dev := &rig.Device{TB: d.TB, Got: make(chan *paho.Publish, 64), Gone: make(chan byte, 1)}
	dev.Client = paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			dev.Got <- r.Packet
			return true, nil
		}},
		OnServerDisconnect: func(m *paho.Disconnect) { dev.Gone <- m.ReasonCode },
		PacketTimeout:      rig.Patience,
	})
	c := &paho.Connect{ClientID: clientID, KeepAlive: 60, CleanStart: true}
	if !secured(scheme) {
		c.Username, c.UsernameFlag, c.Password, c.PasswordFlag = "gw1", true, []byte(rig.SecretOf("gw1")), true
	}
	if change != nil {
		change(c)
	}
	ack, err := dev.Connect(d.TB.Context(), c)
	if err != nil {
		d.TB.Fatal(err)
	}
	return dev, ack
}

func TestPaho(t *testing.T) {
	t.Parallel()
	all := openEntrances(t)
	for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			d := all.at(t)
			expiry := uint32(60)
			stored := func(c *paho.Connect) {
				c.CleanStart, c.Properties = false, &paho.ConnectProperties{SessionExpiryInterval: &expiry}
			}
			pub, _ := d.connectPaho(scheme, "pub", nil)
			kept := &paho.Publish{Topic: "t/kept", QoS: 1, Retain: true, Payload: []byte("kept")}
			pub.SendPacket(rig.Success, kept)
			sub, _ := d.connectPaho(scheme, "sub", stored)
			sub.Listen(1, "t/#")
			if m := sub.Hears("t/kept", "kept"); !m.Retain {
				t.Error("the retained message is not marked as such")
			}
			life := uint32(3600)
			for qos := range byte(3) {
				pub.SendPacket(rig.Success, &paho.Publish{Topic: "t/live", QoS: qos, Payload: []byte("x"), Properties: &paho.PublishProperties{
					ContentType: "text/plain", ResponseTopic: "t/answer", CorrelationData: []byte("4711"), MessageExpiry: &life,
					User: paho.UserProperties{{Key: "unit", Value: "C"}},
				}})
				m := sub.Hears("t/live", "x")
				if p := m.Properties; m.QoS != min(qos, 1) || p.ContentType != "text/plain" || p.ResponseTopic != "t/answer" ||
					string(p.CorrelationData) != "4711" || p.MessageExpiry == nil || *p.MessageExpiry > life || p.User.Get("unit") != "C" {
					t.Errorf("QoS %d came as %+v with %+v", qos, m, p)
				}
			}
			dying, _ := d.connectPaho(scheme, "dying", func(c *paho.Connect) {
				c.WillMessage = &paho.WillMessage{Topic: "t/will", QoS: 1, Payload: []byte("gone")}
			})
			if err := dying.Disconnect(&paho.Disconnect{ReasonCode: 4}); err != nil { // with will message
				t.Fatal(err)
			}
			sub.Hears("t/will", "gone")

			d.Reaches("mqttwarden_mqtt_inflight_messages", 0) // so that none is sent again
			if err := sub.Disconnect(&paho.Disconnect{}); err != nil {
				t.Fatal(err)
			}
			for _, m := range []string{"1", "2", "3"} {
				pub.Send(rig.Success, "t/away", m)
			}
			back, ack := d.connectPaho(scheme, "sub", stored)
			if !ack.SessionPresent {
				t.Error("the session is gone")
			}
			for _, m := range []string{"1", "2", "3"} {
				back.Hears("t/away", m)
			}
			pub.Send(rig.NotAuthorized, "elsewhere", "x")
			if _, err := back.Unsubscribe(t.Context(), &paho.Unsubscribe{Topics: []string{"t/#"}}); err != nil {
				t.Error(err)
			}
			kept.Payload = nil
			pub.SendPacket(rig.Success, kept)
			for _, dev := range []*rig.Device{pub, back} {
				if err := dev.Disconnect(&paho.Disconnect{}); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
}
