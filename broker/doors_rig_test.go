package broker_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttwarden/broker"
)

// kinds are the listeners that there are.
var kinds = []string{"mqtt", "mqtts", "ws", "wss"}

// doors is a broker with a listener of each kind.
type doors struct {
	*started
	ca *authority
}

func openDoors[L broker.Login](tb testing.TB, hook broker.Hook[L], change func(*broker.Config)) doors {
	tb.Helper()
	ca := newAuthority(tb)
	cert := ca.server(tb)
	b := start(tb, hook, func(cfg *broker.Config) {
		cfg.Listeners = nil
		for _, kind := range kinds {
			l := broker.Listener{Name: kind, Address: "127.0.0.1:0"}
			if strings.HasSuffix(kind, "s") && kind != "ws" {
				l.TLS = &broker.TLS{Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }}
			}
			if strings.HasPrefix(kind, "w") {
				l.WebSocket = new(broker.WebSocket)
			}
			cfg.Listeners = append(cfg.Listeners, l)
		}
		if change != nil {
			change(cfg)
		}
	})
	return doors{b, ca}
}

// socket connects to a listener, from an address if one is given, and sends what
// should come before anything else.
func (d doors) socket(tb testing.TB, kind, from string, first []byte) net.Conn {
	tb.Helper()
	var dialer net.Dialer
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	nc, err := dialer.DialContext(tb.Context(), "tcp", d.Addr(kind).String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { nc.Close() })
	if _, err := nc.Write(first); err != nil {
		tb.Fatal(err)
	}
	return nc
}

// through connects by nc, or a new socket if there is none, up to where MQTT
// begins.
func (d doors) through(tb testing.TB, kind string, nc net.Conn, cert *tls.Certificate, headers ...string) *client {
	tb.Helper()
	if nc == nil {
		nc = d.socket(tb, kind, "", nil)
	}
	if kind == "mqtts" || kind == "wss" {
		cfg := &tls.Config{RootCAs: d.ca.pool, ServerName: "127.0.0.1"}
		if cert != nil {
			cfg.Certificates = []tls.Certificate{*cert}
		}
		secure := tls.Client(nc, cfg)
		if err := secure.HandshakeContext(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		nc = secure
	}
	if strings.HasPrefix(kind, "w") {
		ws, err := d.upgrade(tb, nc, "/mqtt", headers...)
		if err != nil {
			tb.Fatal(err)
		}
		nc = websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
	}
	return over(tb, nc, 5)
}

// upgrade asks for a WebSocket by nc, with further headers; the subprotocol is
// mqtt if they do not name one.
func (d doors) upgrade(tb testing.TB, nc net.Conn, path string, headers ...string) (*websocket.Conn, error) {
	tb.Helper()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nc, nil }}
	tb.Cleanup(transport.CloseIdleConnections)
	opts := &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{}, Subprotocols: []string{"mqtt"},
	}
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "Host":
			opts.Host = headers[i+1]
		case "Sec-WebSocket-Protocol":
			opts.Subprotocols = strings.Split(headers[i+1], ",")
		default:
			opts.HTTPHeader.Add(headers[i], headers[i+1])
		}
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws://broker"+path, opts)
	if err != nil && resp != nil {
		err = errors.New(resp.Status)
	}
	return ws, err
}

// web connects to the listener ws and returns the WebSocket itself.
func (d doors) web(tb testing.TB) *websocket.Conn {
	tb.Helper()
	ws, err := d.upgrade(tb, d.socket(tb, "ws", "", nil), "/mqtt")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// ended waits for the broker to close nc and returns what came before.
func ended(tb testing.TB, nc net.Conn) string {
	tb.Helper()
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(nc)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		tb.Fatal("still connected")
	}
	return string(b)
}

// status sends a request and returns the status line of the answer.
func status(tb testing.TB, nc net.Conn, request string) string {
	tb.Helper()
	if _, err := io.WriteString(nc, request); err != nil {
		tb.Fatal(err)
	}
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(line)
}
