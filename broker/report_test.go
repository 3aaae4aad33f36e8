package broker_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// Whatever a client brings about again and again is one line, which says who and
// why, and a count.
func TestWhatAClientBringsAboutIsOneLine(t *testing.T) {
	const times = 20
	for _, tt := range []struct {
		name  string
		cause string
		do    func(t *testing.T, d doors)
		line  string // what it begins with
		has   []string
	}{
		{
			"a wrong password", "connect_0x86",
			func(t *testing.T, d doors) {
				c := d.through(t, "mqtt", nil, nil)
				c.connect("bad", func(pk *packets.Packet) {
					pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte("alice")
				})
				c.Close()
			},
			"connect refused",
			[]string{"user=alice", "remote=127.0.0.1", "client=bad", "code=0x86", "reason="},
		},
		{
			"a message of MQTT 3.1.1 that is too large", "packet_0x95",
			func(t *testing.T, d doors) {
				c := over(t, d.socket(t, "mqtt", "", nil), 4)
				c.connect("big", nil)
				_, _ = c.Write([]byte{0x30, 0xff, 0xff, 0x7f})
				c.UntilEnd()
			},
			"packet refused",
			[]string{`user="the user of big"`, "remote=127.0.0.1", "client=big", "packet=PUBLISH", "bytes=2097151", "accepted=1024"},
		},
		{
			"a packet before CONNECT", "packet_0x82",
			func(t *testing.T, d doors) { ended(t, d.socket(t, "mqtt", "", []byte{0xc0, 0})) },
			"packet refused",
			[]string{"remote=127.0.0.1", "packet=PINGREQ", "reason="},
		},
		{
			"messages too fast", "packet_0x96",
			func(t *testing.T, d doors) {
				c := d.through(t, "mqtt", nil, nil)
				c.connect("fast", nil)
				for range 4 {
					c.publish("t", 0)
				}
				c.UntilEnd()
			},
			"packet refused",
			[]string{"client=fast", "remote=127.0.0.1", "faster"},
		},
		{
			"ciphers that the server does not have", "tls_handshake",
			func(t *testing.T, d doors) {
				c := tls.Client(d.socket(t, "mqtts", "", nil), &tls.Config{
					InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, // #nosec G402 -- it is to fail
					CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
				})
				if c.HandshakeContext(t.Context()) == nil {
					t.Error("the handshake succeeds")
				}
			},
			"connection refused",
			[]string{"remote=127.0.0.1", "listener=mqtts", "cipher suite", "offered=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
		},
		{
			"a client that does not know the server's CA", "tls_handshake",
			func(t *testing.T, d doors) {
				c := tls.Client(d.socket(t, "mqtts", "", nil), &tls.Config{ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
				if c.HandshakeContext(t.Context()) == nil {
					t.Error("the handshake succeeds")
				}
			},
			"connection refused",
			[]string{"remote=127.0.0.1", "listener=mqtts", "bad certificate"},
		},
		{
			"MQTT on the port for TLS", "tls_handshake",
			func(t *testing.T, d doors) { ended(t, d.socket(t, "mqtts", "", encode(4, connectAs("c")))) },
			"connection refused",
			[]string{"remote=127.0.0.1", "does not look like a TLS handshake"},
		},
		{
			"no upgrade to WebSocket", "websocket_upgrade",
			func(t *testing.T, d doors) {
				ended(t, d.socket(t, "ws", "", []byte("GET /other HTTP/1.1\r\nHost: x\r\n\r\n")))
			},
			"connection refused",
			[]string{"remote=127.0.0.1", "listener=ws", "/other"},
		},
		{
			"silence", "connect_timeout",
			func(t *testing.T, d doors) { ended(t, d.socket(t, "mqtt", "", nil)) },
			"connection refused",
			[]string{"remote=127.0.0.1", "listener=mqtt"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hook := &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
				if cl.ID == "bad" {
					return packets.ErrBadUsernameOrPassword
				}
				return nil
			}}
			d := openDoors(t, hook, func(cfg *broker.Config) {
				cfg.MaxPacketSize, cfg.PublishRate, cfg.PublishBurst = 1024, 1, 2
				if tt.cause == "connect_timeout" {
					cfg.ConnectTimeout = 20 * time.Millisecond
				}
			})
			for range times {
				tt.do(t, d)
			}
			eventually(t, "all are counted", func() bool { return d.Stats().Incidents[tt.cause] == times })
			var lines []string
			for line := range strings.Lines(d.log.String()) {
				if strings.Contains(line, tt.line) && strings.Contains(line, "level=INFO") {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 {
				t.Fatalf("%d lines, want 1:\n%s", len(lines), d.log)
			}
			for _, want := range append(tt.has, "cause="+tt.cause) {
				if !strings.Contains(lines[0], want) {
					t.Errorf("the line has no %q: %s", want, lines[0])
				}
			}
		})
	}
}

func TestAConnectionThatIsNotTheProxysIsTold(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		cfg.Listeners[0].ProxyProtocol = true
	})
	for range 5 {
		ended(t, d.socket(t, "mqtt", "", nil))
	}
	eventually(t, "all are counted", func() bool { return d.Stats().Incidents["untrusted_proxy"] == 5 })
	if got := d.log.Count("trusted proxies"); got != 1 || d.log.Count("level=WARN") != 1 || d.log.Count("remote=127.0.0.1") != 1 {
		t.Errorf("the log tells it %d times, want once, with the address:\n%s", got, d.log)
	}
}

func TestDevicesThatTakeAClientIDInTurnsAreTold(t *testing.T) {
	d := openDoors(t, new(open), nil)
	for i := range 6 {
		c := over(t, d.socket(t, "mqtt", fmt.Sprint("127.0.0.", 1+i%2), nil), 5)
		if code := c.connect("dev", nil); code != 0 {
			t.Fatalf("CONNACK %#02x", code)
		}
		want := "session taken over"
		if i >= 3 {
			want = "in turns"
		}
		if got := d.log.Count(want); i > 0 && got == 0 {
			t.Errorf("after %d take-overs the log does not say %q:\n%s", i, want, d.log)
		}
	}
	for _, want := range []string{"client=dev", `user="the user of dev"`, "remote=127.0.0.1 cause=takeover_in_turns", "taken_from=127.0.0.2"} {
		if d.log.Count(want) == 0 {
			t.Errorf("the log has no %q:\n%s", want, d.log)
		}
	}
	if got := d.Stats().Incidents; got["takeover"] != 2 || got["takeover_in_turns"] != 3 {
		t.Errorf("counted: %v, want 2 and 3", got)
	}
}

// A probe that connects and leaves is no news.
func TestAProbeIsNotTold(t *testing.T) {
	d := openDoors(t, new(open), nil)
	for _, kind := range kinds {
		c := d.socket(t, kind, "", nil)
		_ = c.(*net.TCPConn).CloseWrite()
		ended(t, c)
	}
	eventually(t, "nothing is left", func() bool { return d.Stats().Connections == 0 })
	if d.log.Count("level=INFO")+d.log.Count("level=WARN") != 0 {
		t.Errorf("the log tells of it:\n%s", d.log)
	}
}
