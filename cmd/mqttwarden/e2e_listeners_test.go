package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"mqttwarden/broker/mqtttest"
)

// web connects by WebSocket; cert is the name of a certificate to show over TLS,
// if any.
func (k pki) web(p *program, scheme, cert string, headers http.Header) (*mqtttest.Client, error) {
	k.tb.Helper()
	transport := new(http.Transport)
	if scheme == "wss" {
		transport.TLSClientConfig = k.config(cert)
	}
	k.tb.Cleanup(transport.CloseIdleConnections)
	ws, resp, err := websocket.Dial(k.tb.Context(), scheme+"://"+p.urls[scheme]+"/mqtt", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: headers, Subprotocols: []string{"mqtt"},
	})
	if err != nil {
		if resp != nil {
			err = errors.New(resp.Status)
		}
		return nil, err
	}
	return mqtttest.New(k.tb, websocket.NetConn(context.Background(), ws, websocket.MessageBinary), 5), nil
}

func (k pki) mustWeb(p *program, scheme, cert string) *mqtttest.Client {
	k.tb.Helper()
	c, err := k.web(p, scheme, cert, nil)
	if err != nil {
		k.tb.Fatal(err)
	}
	return c
}

func TestSignInOverWebSocket(t *testing.T) {
	k := newPKI(t)
	p := launch(t, "--ws-addr", "127.0.0.1:0", "--wss-addr", "127.0.0.1:0", "--tls-cert", k.path("server.crt"), "--tls-key", k.path("server.key"),
		"--tls-client-ca", k.path("ca.crt"), "--ws-origins", "*.example.com")
	p.user("alice", both("#"))
	p.userWith("gw1", object{"grantTypes": []object{{"method": "certificate"}}, "initialPermissions": []object{both("#")}})
	k.issue("gw1", "/CN=gw1")
	ops := p.connect(as("alice", "ops"))
	ops.MustSubscribe("#", 0)
	for _, tt := range []struct {
		name, scheme, cert string
		connect            mqtttest.Connect
		want               byte
	}{
		{"with a password", "ws", "", as("alice", "a"), success},
		{"with a wrong one", "ws", "", mqtttest.Connect{ClientID: "a", Username: "alice", Password: "wrong"}, badCredentials},
		{"with a password over TLS", "wss", "", as("alice", "b"), success},
		{"with a certificate", "wss", "gw1", mqtttest.Connect{ClientID: "c"}, success},
		{"with nothing", "wss", "", mqtttest.Connect{ClientID: "c"}, badCredentials},
	} {
		c := k.mustWeb(p, tt.scheme, tt.cert)
		wantCode(t, tt.name, c.Connect(tt.connect).ReasonCode, tt.want)
		if tt.want == success {
			c.Publish("from/"+tt.connect.ClientID, "", 0, false)
			ops.ExpectMessage("from/" + tt.connect.ClientID)
		}
	}
	for origin, want := range map[string]bool{"https://app.example.com": true, "https://evil.example": false} {
		if _, err := k.web(p, "ws", "", http.Header{"Origin": {origin}}); (err == nil) != want {
			t.Errorf("a page of %s: %v", origin, err)
		}
	}
	p.asAdmin()
	p.reaches("mqttwarden_mqtt_upgrades_refused_total", 1)
}

func TestListenersBehindAProxy(t *testing.T) {
	p := launch(t, "--ws-addr", "127.0.0.1:0", "--proxy-protocol", "mqtt", "--trusted-proxies", "127.0.0.1")
	send := func(from string) *mqtttest.Client {
		nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.urls["mqtt"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte("PROXY TCP4 " + from + " 192.0.2.1 4711 1883\r\n")); err != nil {
			t.Fatal(err)
		}
		return mqtttest.New(t, nc, 5)
	}
	wrong := mqtttest.Connect{ClientID: "c", Username: "admin", Password: "wrong"}
	wantCode(t, "behind a proxy", send("192.0.2.7").Connect(wrong).ReasonCode, badCredentials)
	c, err := pki{tb: t}.web(p, "ws", "", http.Header{"X-Forwarded-For": {"203.0.113.9"}})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "by WebSocket behind a proxy", c.Connect(wrong).ReasonCode, badCredentials)
	for _, from := range []string{"192.0.2.7", "203.0.113.9"} {
		if !strings.Contains(p.log.String(), from) {
			t.Errorf("the log does not name %s:\n%s", from, p.log)
		}
	}
	direct := p.dial(5)
	direct.Send(wrong.Packet(5)) // without the header
	direct.ExpectEnd()
}

func TestSettingsOfListenersAreChecked(t *testing.T) {
	for _, tt := range []struct{ setting, value, want string }{
		{"ws-addr", "nowhere", `ws-addr: "nowhere"`},
		{"ws-paths", "mqtt", `ws-paths: "mqtt": must be a path`},
		{"ws-paths", ",", `ws-paths: ",": must be at least one path`},
		{"ws-origins", "https://app.example.com", `ws-origins: "https://app.example.com": must be a host`},
		{"ws-origins", "[", `ws-origins: "[": must be a host`},
		{"proxy-protocol", "http", `proxy-protocol: "http": must be off, on, or some of mqtt, mqtts, ws, wss`},
		{"proxy-protocol", "on", `proxy-protocol: "on": must be off while trusted-proxies names no network`},
		{"limits-half-open", "0", `limits-half-open: "0": must be a number from 1`},
		{"limits-half-open-per-address", "0", `limits-half-open-per-address: "0": must be a number from 1`},
		{"limits-connections-per-address", "-1", `limits-connections-per-address: "-1": must be a number from 0`},
	} {
		_, _, err := attempt(t, nil, "", append(serveArgs(t.TempDir()), "--"+tt.setting+"="+tt.value)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("--%s %s: %v, want %s", tt.setting, tt.value, err, tt.want)
		}
	}
}

// replace puts the file of one name in place of another, as an operator would.
func (k pki) replace(name, by string) {
	k.tb.Helper()
	b, err := os.ReadFile(k.path(by))
	if err != nil {
		k.tb.Fatal(err)
	}
	if err := os.WriteFile(k.path("next"), b, 0o600); err != nil {
		k.tb.Fatal(err)
	}
	if err := os.Rename(k.path("next"), k.path(name)); err != nil {
		k.tb.Fatal(err)
	}
}

// TestTLSFilesAreReadAgain changes certificate, key and client CAs while a client
// is connected; once the program finds out by itself, once it is told by SIGHUP.
func TestTLSFilesAreReadAgain(t *testing.T) {
	for _, how := range []string{"by itself", "by SIGHUP"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			k := newPKI(t)
			k.issue("gw1", "/CN=gw1")
			k.make("server2", "/CN=second", "-addext", "subjectAltName=IP:127.0.0.1", "-CA", k.path("ca.crt"), "-CAkey", k.path("ca.key"))
			k.make("ca2", "/CN=second CA", "-addext", "basicConstraints=critical,CA:true")
			k.replace("trusted.crt", "ca.crt")
			if err := os.WriteFile(k.path("broken"), []byte("-----BEGIN CERTIFICATE-----\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := spawn(t, usedDir(t), "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.path("server.crt"), "--tls-key", k.path("server.key"), "--tls-client-ca", k.path("trusted.crt"))
			p.userWith("gw1", object{"grantTypes": []object{{"method": "certificate"}}})
			tickets := k.config("gw1")
			tickets.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			connect := func() (*mqtttest.Client, *tls.Conn) {
				nc, err := (&tls.Dialer{Config: tickets}).DialContext(t.Context(), "tcp", p.urls["mqtts"])
				if err != nil {
					t.Fatal(err)
				}
				return mqtttest.New(t, nc, 5), nc.(*tls.Conn)
			}
			tell := func(log string) {
				t.Helper()
				if how == "by SIGHUP" {
					if err := p.process.Signal(syscall.SIGHUP); err != nil {
						t.Fatal(err)
					}
				}
				if !p.log.Await(log, p.done, patience) {
					t.Fatalf("the log does not tell %s:\n%s", log, p.log)
				}
			}
			c, _ := connect()
			c.MustConnect(mqtttest.Connect{ClientID: "c"})

			k.replace("server.crt", "broken")
			tell(`can't be used; what was read before stays in force" setting="tls-cert, tls-key"`)
			if got := k.servedBy(p); got != "localhost" {
				t.Errorf("with a broken file, the certificate is that of %s", got)
			}
			k.replace("server.key", "server2.key")
			k.replace("server.crt", "server2.crt")
			tell(`msg="files were read again" setting="tls-cert, tls-key"`)
			if got := k.servedBy(p); got != "second" {
				t.Errorf("the certificate is that of %s", got)
			}
			c.Ping()

			k.replace("trusted.crt", "broken")
			tell(`can't be used; what was read before stays in force" setting=tls-client-ca`)
			c.Ping()
			k.replace("trusted.crt", "ca2.crt")
			tell(`msg="files were read again" setting=tls-client-ca`)
			wantCode(t, "DISCONNECT", c.ExpectEnd(), administrative)
			again, secure := connect()
			wantCode(t, "CONNECT again", again.Connect(mqtttest.Connect{ClientID: "c"}).ReasonCode, notAuthorized)
			if !secure.ConnectionState().DidResume {
				t.Error("the client did not come back with its ticket")
			}
		})
	}
}

// servedBy returns the name in the certificate that the broker shows.
func (k pki) servedBy(p *program) string {
	k.tb.Helper()
	nc, err := (&tls.Dialer{Config: k.config("")}).DialContext(k.tb.Context(), "tcp", p.urls["mqtts"])
	if err != nil {
		k.tb.Fatal(err)
	}
	defer nc.Close()
	return nc.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

// config returns the settings of a TLS client that shows the certificate of that
// name, if there is one, whatever the broker says which CAs it trusts.
func (k pki) config(name string) *tls.Config {
	k.tb.Helper()
	b, err := os.ReadFile(k.path("ca.crt"))
	if err != nil {
		k.tb.Fatal(err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AppendCertsFromPEM(b)
	if name != "" {
		cert, err := tls.LoadX509KeyPair(k.path(name+".crt"), k.path(name+".key"))
		if err != nil {
			k.tb.Fatal(err)
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	return cfg
}
