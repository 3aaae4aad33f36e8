package broker_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

const upgradeHeaders = "Host: broker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

func TestRequestsThatAreNoUpgrade(t *testing.T) {
	d := openDoors(t, new(open), nil)
	const mqttProtocol = "Sec-WebSocket-Protocol: mqtt\r\n"
	for i, tt := range []struct{ name, request, want string }{
		{"an ordinary request", "GET / HTTP/1.1\r\nHost: broker\r\n\r\n", "HTTP/1.1 426 Upgrade Required"},
		{"HTTP/1.0", "GET /mqtt HTTP/1.0\r\n\r\n", "HTTP/1.1 426 Upgrade Required"},
		{"an unknown path", "GET /admin HTTP/1.1\r\n" + upgradeHeaders + mqttProtocol + "\r\n", "HTTP/1.1 404 Not Found"},
		{"another method", "POST /mqtt HTTP/1.1\r\n" + upgradeHeaders + mqttProtocol + "\r\n", "HTTP/1.1 405 Method Not Allowed"},
		{"no subprotocol", "GET /mqtt HTTP/1.1\r\n" + upgradeHeaders + "\r\n", "HTTP/1.1 400 Bad Request"},
		{"another subprotocol", "GET /mqtt HTTP/1.1\r\n" + upgradeHeaders + "Sec-WebSocket-Protocol: chat, mqttx\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		{"an old version", "GET /mqtt HTTP/1.1\r\n" + strings.Replace(upgradeHeaders, "13", "8", 1) + mqttProtocol + "\r\n", "HTTP/1.1 400 Bad Request"},
		{"no key", "GET /mqtt HTTP/1.1\r\nHost: broker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + mqttProtocol + "\r\n", "HTTP/1.1 400 Bad Request"},
		{"another origin", "GET /mqtt HTTP/1.1\r\n" + upgradeHeaders + mqttProtocol + "Origin: https://evil.example\r\n\r\n", "HTTP/1.1 403 Forbidden"},
		{"no HTTP", "\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 404 Not Found"},
		{"a header that is too long", "GET /mqtt HTTP/1.1\r\nCookie: " + strings.Repeat("a", 9000), "HTTP/1.1 431 Request Header Fields Too Large"},
		{"too many headers", "GET /mqtt HTTP/1.1\r\n" + strings.Repeat("a:\r\n", 700), "HTTP/1.1 431 Request Header Fields Too Large"},
	} {
		nc := d.socket(t, "ws", "", nil)
		if got := status(t, nc, tt.request); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if rest := ended(t, nc); strings.Contains(rest, "evil") || len(rest) > 300 {
			t.Errorf("%s: it was told %q", tt.name, rest)
		}
		if got := d.Stats().UpgradesRefused; got != uint64(i)+1 {
			t.Errorf("%s: %d refused, want %d", tt.name, got, i+1)
		}
	}
}

func TestSubprotocol(t *testing.T) {
	d := openDoors(t, new(open), nil)
	for offer, want := range map[string]string{"mqtt": "mqtt", "mqttv3.1": "mqttv3.1", "mqttv3.1,mqtt": "mqtt", "chat,mqtt": "mqtt"} {
		ws, err := d.upgrade(t, d.socket(t, "ws", "", nil), "/mqtt", "Sec-WebSocket-Protocol", offer)
		if err != nil {
			t.Errorf("%s: %v", offer, err)
			continue
		}
		if got := ws.Subprotocol(); got != want {
			t.Errorf("%s: %q was chosen, want %q", offer, got, want)
		}
		_ = ws.CloseNow()
	}
}

func TestPaths(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) {
		cfg.Listeners[3].WebSocket.Paths = []string{"/other"}
		cfg.Listeners[3].TLS = nil
	})
	for _, tt := range []struct {
		kind, path string
		want       bool
	}{
		{"ws", "/mqtt", true},
		{"ws", "/", true},
		{"ws", "/mqtt?token=x", true},
		{"ws", "/mqtt/", false},
		{"ws", "/other", false},
		{"wss", "/other", true},
		{"wss", "/mqtt", false},
		{"wss", "/", false},
	} {
		ws, err := d.upgrade(t, d.socket(t, tt.kind, "", nil), tt.path)
		if err == nil {
			_ = ws.CloseNow()
		}
		if got := err == nil; got != tt.want {
			t.Errorf("%s %s: accepted: %t, want %t", tt.kind, tt.path, got, tt.want)
		}
	}
}

func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patterns []string
		origin   string
		want     bool
	}{
		{"no browser", nil, "", true},
		{"the same host", nil, "https://broker.example", true},
		{"the same host in other letters", nil, "https://Broker.Example", true},
		{"the same host, another port", nil, "http://broker.example:8080", true},
		{"another host", nil, "https://evil.example", false},
		{"a host that begins the same", nil, "https://broker.example.evil.example", false},
		{"a host that ends the same", nil, "https://notbroker.example", false},
		{"the same host as user name", nil, "https://broker.example@evil.example", false},
		{"a page without a host", nil, "null", false},
		{"a file", nil, "file:///home/index.html", false},
		{"what is no URL", nil, "https://%zz", false},
		{"a host that is listed", []string{"app.example"}, "https://app.example", true},
		{"a host that is listed, any port", []string{"app.example"}, "https://app.example:8443", true},
		{"a host that is listed with its port", []string{"app.example:8443"}, "https://app.example:8443", true},
		{"a host that is listed with another port", []string{"app.example:8443"}, "https://app.example", false},
		{"a pattern", []string{"*.example.com"}, "https://a.example.com", true},
		{"a pattern and its own parent", []string{"*.example.com"}, "https://example.com", false},
		{"a pattern in the midst of another host", []string{"*.example.com"}, "https://a.example.com.evil.example", false},
		{"not listed", []string{"app.example"}, "https://evil.example", false},
		{"the same host beside a list", []string{"app.example"}, "https://broker.example", true},
		{"any", []string{"*"}, "https://evil.example", true},
		{"any, without a host", []string{"*"}, "null", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openDoors(t, new(open), func(cfg *broker.Config) { cfg.Listeners[2].WebSocket.Origins = tt.patterns })
			headers := []string{"Host", "broker.example:9001"}
			if tt.origin != "" {
				headers = append(headers, "Origin", tt.origin)
			}
			ws, err := d.upgrade(t, d.socket(t, "ws", "", nil), "/mqtt", headers...)
			if err == nil {
				_ = ws.CloseNow()
			} else if !strings.HasPrefix(err.Error(), "403") {
				t.Fatal(err)
			}
			if got := err == nil; got != tt.want {
				t.Errorf("accepted: %t, want %t", got, tt.want)
			}
		})
	}
}

func TestASecondOriginIsRefused(t *testing.T) {
	d := openDoors(t, new(open), nil)
	_, err := d.upgrade(t, d.socket(t, "ws", "", nil), "/mqtt", "Host", "broker.example", "Origin", "https://broker.example", "Origin", "https://evil.example")
	if err == nil || !strings.HasPrefix(err.Error(), "403") {
		t.Errorf("err = %v, want 403", err)
	}
}

// closes reads until the broker closes the WebSocket, and returns the status
// and what came before.
func closes(tb testing.TB, ws *websocket.Conn) (websocket.StatusCode, []byte) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	var got []byte
	for {
		kind, b, err := ws.Read(ctx)
		if err != nil {
			return websocket.CloseStatus(err), got
		}
		if kind != websocket.MessageBinary {
			tb.Errorf("a message of kind %v [MQTT-6.0.0-1]", kind)
		}
		got = append(got, b...)
	}
}

func TestFramesThatCloseTheWebSocket(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) { cfg.MaxPacketSize = 1000 })
	for _, tt := range []struct {
		name string
		send func(context.Context, *websocket.Conn) error
		want websocket.StatusCode
	}{
		{"text [MQTT-6.0.0-1]", func(ctx context.Context, ws *websocket.Conn) error {
			return ws.Write(ctx, websocket.MessageText, connectPacket("c"))
		}, websocket.StatusUnsupportedData},
		{"text after MQTT", func(ctx context.Context, ws *websocket.Conn) error {
			if err := ws.Write(ctx, websocket.MessageBinary, connectPacket("c")[:5]); err != nil {
				return err
			}
			return ws.Write(ctx, websocket.MessageText, connectPacket("c")[5:])
		}, websocket.StatusUnsupportedData},
		{"a message without end", func(ctx context.Context, ws *websocket.Conn) error {
			w, err := ws.Writer(ctx, websocket.MessageBinary)
			if err != nil {
				return err
			}
			if _, err := w.Write(connectPacket("c")); err != nil {
				return err
			}
			for range 100 {
				_, err = w.Write(bytes.Repeat([]byte{packets.Pingreq << 4, 0}, 50)) // may fail as soon as the broker closes
			}
			_ = err
			return nil
		}, websocket.StatusMessageTooBig},
	} {
		ws := d.web(t)
		if err := tt.send(t.Context(), ws); err != nil {
			t.Fatal(err)
		}
		if got, _ := closes(t, ws); got != tt.want {
			t.Errorf("%s: closed with %v, want %v", tt.name, got, tt.want)
		}
	}
	eventually(t, "nothing is left", func() bool { return d.Stats().Connections == 0 })
}

// connectPacket is a CONNECT of MQTT 5.
func connectPacket(id string) []byte {
	pk := packets.Packet{
		ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: id},
	}
	var b bytes.Buffer
	if err := pk.ConnectEncode(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// TestPacketsMayBeCutAnywhere sends the same bytes in messages and frames of all
// sizes; some hold many packets, some a part of one [MQTT-6.0.0-2].
func TestPacketsMayBeCutAnywhere(t *testing.T) {
	d := openDoors(t, new(open), nil)
	const pings = 50
	all := append(connectPacket("c"), bytes.Repeat([]byte{packets.Pingreq << 4, 0}, pings)...)
	for _, message := range []int{1, 2, 3, 7, 16, len(all)} {
		for _, frame := range []int{1, 5, len(all)} {
			ws := d.web(t)
			for rest := all; len(rest) > 0; rest = rest[min(message, len(rest)):] {
				w, err := ws.Writer(t.Context(), websocket.MessageBinary)
				if err != nil {
					t.Fatal(err)
				}
				for part := rest[:min(message, len(rest))]; len(part) > 0; part = part[min(frame, len(part)):] {
					if _, err := w.Write(part[:min(frame, len(part))]); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			var got int
			for got < pings {
				_, b, err := ws.Read(t.Context())
				if err != nil {
					t.Fatalf("messages of %d, frames of %d: %v", message, frame, err)
				}
				got += bytes.Count(b, []byte{packets.Pingresp << 4, 0})
			}
		}
	}
}

func TestEmptyMessagesAreNoEnd(t *testing.T) {
	d := openDoors(t, new(open), nil)
	ws := d.web(t)
	for _, b := range [][]byte{{}, connectPacket("c"), {}, {}, {packets.Pingreq << 4, 0}} {
		if err := ws.Write(t.Context(), websocket.MessageBinary, b); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []byte{packets.Connack, packets.Pingresp} {
		if _, b, err := ws.Read(t.Context()); err != nil || b[0] != want<<4 {
			t.Fatalf("got % x, %v", b, err)
		}
	}
}

func TestLastWordsAreFollowedByACloseFrame(t *testing.T) {
	d := openDoors(t, new(open), nil)
	ws := d.web(t)
	if err := ws.Write(t.Context(), websocket.MessageBinary, connectPacket("c")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Kick(d.Client("c"), packets.ErrAdministrativeAction)
	code, words := closes(t, ws)
	if want := []byte{packets.Disconnect << 4, 2, 0x98, 0}; code != websocket.StatusNormalClosure || !bytes.Equal(words, want) {
		t.Errorf("closed with %v after % x, want %v after % x", code, words, websocket.StatusNormalClosure, want)
	}
	eventually(t, "it is gone", func() bool { return d.Stats().Connections == 0 })
}

func TestGoodbyesOfAClient(t *testing.T) {
	over := make(chan string, 1)
	d := openDoors(t, new(open), nil)
	if err := d.Observe(&observer{onDisconnect: func(id string) { over <- id }}); err != nil {
		t.Fatal(err)
	}
	for name, leave := range map[string]func(*websocket.Conn) error{
		"DISCONNECT": func(ws *websocket.Conn) error {
			if err := ws.Write(t.Context(), websocket.MessageBinary, []byte{packets.Disconnect << 4, 0}); err != nil {
				return err
			}
			if code, _ := closes(t, ws); code != websocket.StatusNormalClosure {
				t.Errorf("closed with %v", code)
			}
			return nil
		},
		"a close frame":    func(ws *websocket.Conn) error { return ws.Close(websocket.StatusGoingAway, "") },
		"none, just gone ": func(ws *websocket.Conn) error { return ws.CloseNow() },
	} {
		ws := d.web(t)
		if err := ws.Write(t.Context(), websocket.MessageBinary, connectPacket(name)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ws.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := leave(ws); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := <-over; got != name {
			t.Errorf("%s: mochi is through with %q", name, got)
		}
	}
	eventually(t, "nothing is left", func() bool { return d.Stats().Connections == 0 })
}

// A write deadline that has passed while there was nothing to write must not
// meet the answer to a ping.
func TestPingIsAnsweredAfterALongSilence(t *testing.T) {
	inBubble(t, new(open), nil, func(t *testing.T, b *started) {
		d := doors{b, nil}
		ws, err := d.upgrade(t, b.Pipe(broker.Listener{Name: "ws", WebSocket: new(broker.WebSocket)}, local), "/mqtt")
		if err != nil {
			t.Fatal(err)
		}
		if err := ws.Write(t.Context(), websocket.MessageBinary, connectPacket("c")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ws.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // longer than WriteTimeout
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ws.CloseRead(ctx)
		if err := ws.Ping(ctx); err != nil {
			t.Error(err)
		}
		_ = ws.CloseNow()
	})
}

func TestTheStartOfMQTTMayComeWithTheRequest(t *testing.T) {
	d := openDoors(t, new(open), nil)
	connect := connectPacket("c")
	frame := append([]byte{0x82, 0x80 | byte(len(connect)), 0, 0, 0, 0}, connect...) // masked with zeros
	nc := d.socket(t, "ws", "", []byte("GET / HTTP/1.1\r\n"+upgradeHeaders+"Sec-WebSocket-Protocol: mqtt\r\n\r\n"+string(frame)))
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	var got []byte
	for !bytes.Contains(got, []byte{packets.Connack << 4}) {
		b := make([]byte, 1000)
		n, err := nc.Read(b)
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, b[:n]...)
	}
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 101 ")) {
		t.Errorf("got %q", got)
	}
}

func TestFramesOfAClientMustBeMasked(t *testing.T) { // RFC 6455 section 5.1
	d := openDoors(t, new(open), nil)
	connect := connectPacket("c")
	nc := d.socket(t, "ws", "", []byte("GET / HTTP/1.1\r\n"+upgradeHeaders+"Sec-WebSocket-Protocol: mqtt\r\n\r\n\x82"+string([]byte{byte(len(connect))})+string(connect)))
	if got := ended(t, nc); strings.Contains(got, string([]byte{packets.Connack << 4, 0x0})) || !strings.HasPrefix(got, "HTTP/1.1 101 ") {
		t.Errorf("got %q", got)
	}
	if got := d.Stats().BytesReceived; got != 0 {
		t.Errorf("mochi got %d bytes", got)
	}
}
