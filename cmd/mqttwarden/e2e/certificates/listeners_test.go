package certificates

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// web connects by WebSocket; cert is the name of a certificate to show over TLS,
// if any.
func web(k rig.PKI, p *rig.Program, scheme, cert string, headers http.Header) (*mqtttest.Client, error) {
	k.TB.Helper()
	transport := new(http.Transport)
	if scheme == "wss" {
		transport.TLSClientConfig = k.Config(cert)
	}
	k.TB.Cleanup(transport.CloseIdleConnections)
	ws, resp, err := websocket.Dial(k.TB.Context(), scheme+"://"+p.URLs[scheme]+"/mqtt", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: headers, Subprotocols: []string{"mqtt"},
	})
	if err != nil {
		if resp != nil {
			err = errors.New(resp.Status)
		}
		return nil, err
	}
	return mqtttest.New(k.TB, websocket.NetConn(context.Background(), ws, websocket.MessageBinary), 5), nil
}

func mustWeb(k rig.PKI, p *rig.Program, scheme, cert string) *mqtttest.Client {
	k.TB.Helper()
	c, err := web(k, p, scheme, cert, nil)
	if err != nil {
		k.TB.Fatal(err)
	}
	return c
}

func TestSignInOverWebSocket(t *testing.T) {
	k := rig.NewPKI(t)
	p := rig.Launch(t, "--ws-addr", "127.0.0.1:0", "--wss-addr", "127.0.0.1:0", "--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key"),
		"--tls-client-ca", k.Path("ca.crt"), "--ws-origins", "*.example.com")
	p.User("alice", rig.Both("#"))
	p.UserWith("gw1", rig.Object{"grantTypes": []rig.Object{{"method": "certificate"}}, "initialPermissions": []rig.Object{rig.Both("#")}})
	k.Issue("gw1", "/CN=gw1")
	ops := p.Connect(rig.As("alice", "ops"))
	ops.MustSubscribe("#", 0)
	for _, tt := range []struct {
		name, scheme, cert string
		connect            mqtttest.Connect
		want               byte
	}{
		{"with a password", "ws", "", rig.As("alice", "a"), rig.Success},
		{"with a wrong one", "ws", "", mqtttest.Connect{ClientID: "a", Username: "alice", Password: "wrong"}, rig.BadCredentials},
		{"with a password over TLS", "wss", "", rig.As("alice", "b"), rig.Success},
		{"with a certificate", "wss", "gw1", mqtttest.Connect{ClientID: "c"}, rig.Success},
		{"with nothing", "wss", "", mqtttest.Connect{ClientID: "c"}, rig.BadCredentials},
	} {
		c := mustWeb(k, p, tt.scheme, tt.cert)
		rig.WantCode(t, tt.name, c.Connect(tt.connect).ReasonCode, tt.want)
		if tt.want == rig.Success {
			c.Publish("from/"+tt.connect.ClientID, "", 0, false)
			ops.ExpectMessage("from/" + tt.connect.ClientID)
		}
	}
	for origin, want := range map[string]bool{"https://app.example.com": true, "https://evil.example": false} {
		if _, err := web(k, p, "ws", "", http.Header{"Origin": {origin}}); (err == nil) != want {
			t.Errorf("a page of %s: %v", origin, err)
		}
	}
	p.AsAdmin()
	p.Reaches("mqttwarden_mqtt_upgrades_refused_total", 1)
}

func TestListenersBehindAProxy(t *testing.T) {
	p := rig.Launch(t, "--ws-addr", "127.0.0.1:0", "--proxy-protocol", "mqtt", "--trusted-proxies", "127.0.0.1")
	send := func(from string) *mqtttest.Client {
		nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.URLs["mqtt"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte("PROXY TCP4 " + from + " 192.0.2.1 4711 1883\r\n")); err != nil {
			t.Fatal(err)
		}
		return mqtttest.New(t, nc, 5)
	}
	wrong := mqtttest.Connect{ClientID: "c", Username: "admin", Password: "wrong"}
	rig.WantCode(t, "behind a proxy", send("192.0.2.7").Connect(wrong).ReasonCode, rig.BadCredentials)
	c, err := web(rig.PKI{TB: t}, p, "ws", "", http.Header{"X-Forwarded-For": {"203.0.113.9"}})
	if err != nil {
		t.Fatal(err)
	}
	rig.WantCode(t, "by WebSocket behind a proxy", c.Connect(wrong).ReasonCode, rig.BadCredentials)
	for _, from := range []string{"192.0.2.7", "203.0.113.9"} {
		if !strings.Contains(p.Log.String(), from) {
			t.Errorf("the log does not name %s:\n%s", from, p.Log)
		}
	}
	direct := p.Dial(5)
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
		_, _, err := rig.Attempt(t, nil, "", append(rig.ServeArgs(t.TempDir()), "--"+tt.setting+"="+tt.value)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("--%s %s: %v, want %s", tt.setting, tt.value, err, tt.want)
		}
	}
}

// replace puts the file of one name in place of another, as an operator would.
func replace(k rig.PKI, name, by string) {
	k.TB.Helper()
	b, err := os.ReadFile(k.Path(by))
	if err != nil {
		k.TB.Fatal(err)
	}
	if err := os.WriteFile(k.Path("next"), b, 0o600); err != nil {
		k.TB.Fatal(err)
	}
	if err := os.Rename(k.Path("next"), k.Path(name)); err != nil {
		k.TB.Fatal(err)
	}
}

// TestTLSFilesAreReadAgain changes certificate, key and client CAs while a client
// is connected; once the program finds out by itself, once it is told by SIGHUP.
func TestTLSFilesAreReadAgain(t *testing.T) {
	for _, how := range []string{"by itself", "by SIGHUP"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			k := rig.NewPKI(t)
			k.Issue("gw1", "/CN=gw1")
			k.Make("server2", "/CN=second", "-addext", "subjectAltName=IP:127.0.0.1", "-CA", k.Path("ca.crt"), "-CAkey", k.Path("ca.key"))
			k.Make("ca2", "/CN=second CA", "-addext", "basicConstraints=critical,CA:true")
			replace(k, "trusted.crt", "ca.crt")
			if err := os.WriteFile(k.Path("broken"), []byte("-----BEGIN CERTIFICATE-----\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key"), "--tls-client-ca", k.Path("trusted.crt")}
			start := rig.LaunchQuick
			if how == "by SIGHUP" { // which only a process can be sent
				start = func(tb testing.TB, args ...string) *rig.Program { return rig.Spawn(tb, rig.UsedDir(tb), args...) }
			}
			p := start(t, args...)
			p.UserWith("gw1", rig.Object{"grantTypes": []rig.Object{{"method": "certificate"}}})
			tickets := k.Config("gw1")
			tickets.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			connect := func() (*mqtttest.Client, *tls.Conn) {
				nc, err := (&tls.Dialer{Config: tickets}).DialContext(t.Context(), "tcp", p.URLs["mqtts"])
				if err != nil {
					t.Fatal(err)
				}
				return mqtttest.New(t, nc, 5), nc.(*tls.Conn)
			}
			tell := func(log string) {
				t.Helper()
				if how == "by SIGHUP" {
					if err := p.Process.Signal(syscall.SIGHUP); err != nil {
						t.Fatal(err)
					}
				}
				if !p.Log.Await(log, p.Done, rig.Patience) {
					t.Fatalf("the log does not tell %s:\n%s", log, p.Log)
				}
			}
			c, _ := connect()
			c.MustConnect(mqtttest.Connect{ClientID: "c"})

			replace(k, "server.crt", "broken")
			tell(`can't be used; what was read before stays in force" setting="tls-cert, tls-key"`)
			if got := servedBy(k, p); got != "localhost" {
				t.Errorf("with a broken file, the certificate is that of %s", got)
			}
			replace(k, "server.key", "server2.key")
			replace(k, "server.crt", "server2.crt")
			tell(`msg="files were read again" setting="tls-cert, tls-key"`)
			if got := servedBy(k, p); got != "second" {
				t.Errorf("the certificate is that of %s", got)
			}
			c.Ping()

			replace(k, "trusted.crt", "broken")
			tell(`can't be used; what was read before stays in force" setting=tls-client-ca`)
			c.Ping()
			replace(k, "trusted.crt", "ca2.crt")
			tell(`msg="files were read again" setting=tls-client-ca`)
			rig.WantCode(t, "DISCONNECT", c.ExpectEnd(), rig.Administrative)
			again, secure := connect()
			rig.WantCode(t, "CONNECT again", again.Connect(mqtttest.Connect{ClientID: "c"}).ReasonCode, rig.NotAuthorized)
			if !secure.ConnectionState().DidResume {
				t.Error("the client did not come back with its ticket")
			}
		})
	}
}

// servedBy returns the name in the certificate that the broker shows.
func servedBy(k rig.PKI, p *rig.Program) string {
	k.TB.Helper()
	nc, err := (&tls.Dialer{Config: k.Config("")}).DialContext(k.TB.Context(), "tcp", p.URLs["mqtts"])
	if err != nil {
		k.TB.Fatal(err)
	}
	defer nc.Close()
	return nc.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestOwnCertificateIsOfTheKindThatTheClientKnows (R13): small devices know RSA alone, and
// everybody else goes on with ECDSA, which costs the server a twentieth.
func TestOwnCertificateIsOfTheKindThatTheClientKnows(t *testing.T) {
	p := rig.LaunchQuick(t, rig.Secure...)
	k := p.Authority()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"Tasmota's only cipher", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}, "Peer signature type: RSA-PSS"},
		{"the same, without PSS", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-sigalgs", "RSA+SHA256:ECDSA+SHA256"}, "Peer signature type: RSA"},
		{"RSA signatures alone in TLS 1.3", []string{"-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"}, "Peer signature type: RSA-PSS"},
		{"RSA, and a name that is not ours", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-servername", "other.example"}, "Peer signature type: RSA-PSS"},
		{"ECDSA in TLS 1.2", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}, "Peer signature type: ECDSA"},
		{"both in TLS 1.2", []string{"-tls1_2"}, "Peer signature type: ECDSA"},
		{"both in TLS 1.3", []string{"-tls1_3"}, "Peer signature type: ECDSA"},
	} {
		for _, scheme := range []string{"mqtts", "https"} {
			t.Run(tt.name+" "+scheme, func(t *testing.T) {
				args := append([]string{"s_client", "-connect", p.URLs[scheme], "-CAfile", k.Path("ca.crt"), "-verify_return_error"}, tt.args...)
				says(k.At(t), tt.want, args...)
				says(k.At(t), "Verify return code: 0 (ok)", args...)
			})
		}
	}
	info, err := os.Stat(filepath.Join(p.Dir, "server-rsa.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the RSA key: %v, %v, want mode 0600", info, err)
	}
}
