package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mqttwarden/broker/mqtttest"
)

// secure has the program listen with a certificate of its own authority.
var secure = []string{"--mqtts-addr", "127.0.0.1:0", "--https-addr", "127.0.0.1:0"}

// authority returns what a device knows of the program's authority, and a place
// for the device's own key and certificate.
func (p *program) authority() pki {
	p.tb.Helper()
	k := pki{p.tb, p.tb.TempDir()}
	a, err := p.send("GET", "/pki/ca.pem", "")
	if err != nil || a.status != http.StatusOK {
		p.tb.Fatalf("the authority's chain: %d %s, %v", a.status, a.body, err)
	}
	k.write("ca.crt", a.body)
	issuer, root := pem.Decode([]byte(a.body))
	if issuer == nil || len(root) == 0 {
		p.tb.Fatalf("no chain in %s", a.body)
	}
	k.write("issuer.crt", string(pem.EncodeToMemory(issuer)))
	k.write("root.crt", string(root))
	return k
}

func (k pki) write(name, text string) {
	k.tb.Helper()
	if err := os.WriteFile(k.path(name), []byte(text), 0o600); err != nil {
		k.tb.Fatal(err)
	}
}

func (k pki) read(name string) string {
	k.tb.Helper()
	b, err := os.ReadFile(k.path(name))
	if err != nil {
		k.tb.Fatal(err)
	}
	return string(b)
}

// request makes name.key, and a certificate request for a user of that name.
func (k pki) request(name string) (csr string) {
	k.tb.Helper()
	k.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN="+name, "-keyout", k.path(name+".key"), "-out", k.path(name+".csr"))
	return k.read(name + ".csr")
}

// client returns an HTTPS client that shows the certificate of a device.
func (k pki) client(name string) *http.Client {
	k.tb.Helper()
	cert, err := tls.LoadX509KeyPair(k.path(name+".crt"), k.path(name+".key"))
	if err != nil {
		k.tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(k.read("ca.crt")))
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{cert},
	}}
	k.tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// tries connects with a certificate alone and returns the reason code.
func (k pki) tries(p *program, name string) byte {
	k.tb.Helper()
	cl := k.dial(p, 5, name)
	code := cl.Connect(mqtttest.Connect{ClientID: "tries-" + name}).ReasonCode
	if code == success {
		cl.Disconnect()
	}
	return code
}

// says wants openssl to print a text, whether or not it fails then.
func (k pki) says(want string, args ...string) {
	k.tb.Helper()
	out, _ := exec.CommandContext(k.tb.Context(), "openssl", args...).CombinedOutput() // #nosec G204 -- ours
	if !strings.Contains(string(out), want) {
		k.tb.Errorf("openssl %v says\n%s\nwant %q", args, out, want)
	}
}

func TestRevokedCertificateEndsItsSession(t *testing.T) {
	t.Parallel()
	p := launch(t, secure...)
	k := p.authority()
	for _, name := range []string{"stolen", "other"} {
		k.enrol(p, name, object{"initialPermissions": []object{writes("a/#")}})
	}
	var issued struct {
		Certificates []struct{ SerialNumber string }
	}
	p.must(http.StatusOK, "GET", "/certificates/issued?username%5Beq%5D=stolen", nil).decode(t, &issued)
	if len(issued.Certificates) != 1 {
		t.Fatalf("%d certificates were issued to it, want 1", len(issued.Certificates))
	}
	stolen, other := k.dial(p, 5, "stolen"), k.dial(p, 5, "other")
	stolen.MustConnect(mqtttest.Connect{ClientID: "stolen"})
	other.MustConnect(mqtttest.Connect{ClientID: "other"})

	p.must(http.StatusOK, "POST", "/certificates/issued/"+issued.Certificates[0].SerialNumber+"/revoke", object{"reason": "keyCompromise"})
	wantCode(t, "DISCONNECT", stolen.ExpectEnd(), administrative)
	wantCode(t, "CONNECT with it", k.tries(p, "stolen"), notAuthorized)
	wantCode(t, "the other session's publish", other.Publish("a/1", "", 1, false)&^0x10, success)
	wantCode(t, "CONNECT with the other", k.tries(p, "other"), success)

	crl, err := p.send("GET", "/pki/crl", "")
	if err != nil || crl.status != http.StatusOK {
		t.Fatalf("the CRL: %d %s, %v", crl.status, crl.body, err)
	}
	k.write("crl.der", crl.body)
	k.openssl("crl", "-inform", "DER", "-in", k.path("crl.der"), "-out", k.path("crl.pem"))
	for name, want := range map[string]string{"stolen": "certificate revoked", "other": ": OK"} {
		k.says(want, "verify", "-crl_check", "-CRLfile", k.path("crl.pem"), "-CAfile", k.path("root.crt"),
			"-untrusted", k.path("issuer.crt"), k.path(name+".crt"))
	}
	for name, want := range map[string]string{"stolen": ".crt: revoked", "other": ".crt: good"} {
		said := k.openssl("ocsp", "-url", "http://"+p.urls["http"]+"/pki/ocsp", "-CAfile", k.path("ca.crt"),
			"-issuer", k.path("issuer.crt"), "-cert", k.path(name+".crt"))
		if !strings.Contains(said, want) || !strings.Contains(said, "Response verify OK") {
			t.Errorf("about %s, OCSP says\n%s\nwant %q, and that it verifies", name, said, want)
		}
	}
}

func TestCommandLineRevokesWhileTheProgramServes(t *testing.T) {
	t.Parallel()
	p := launch(t, secure...)
	k := p.authority()
	k.enrol(p, "stolen", nil)
	session := k.dial(p, 5, "stolen")
	session.MustConnect(mqtttest.Connect{ClientID: "stolen"})
	if _, log, err := attempt(t, nil, "", "ca", "revoke", k.fingerprint("stolen"), "--data-dir", p.dir); err != nil {
		t.Fatalf("ca revoke: %v\n%s", err, log)
	}
	wantCode(t, "DISCONNECT", session.ExpectEnd(), administrative)
	wantCode(t, "CONNECT with it", k.tries(p, "stolen"), notAuthorized)
	list, log, err := attempt(t, nil, "", "ca", "list", "--all", "--username", "stolen", "--data-dir", p.dir)
	if err != nil || !strings.Contains(list, "revoked") {
		t.Errorf("ca list: %v\n%s%s\nwant it to be revoked", err, list, log)
	}
}

func TestRenewedCertificateAndTheOldOneOverlap(t *testing.T) {
	t.Parallel()
	p := launch(t, secure...)
	k := p.authority()
	k.enrol(p, "gateway-7", object{"initialPermissions": []object{writes("a/#")}})
	session := k.dial(p, 5, "gateway-7")
	session.MustConnect(mqtttest.Connect{ClientID: "session"})
	old := pki{t, t.TempDir()}
	for _, name := range []string{"ca.crt", "gateway-7.crt", "gateway-7.key"} {
		old.write(name, k.read(name))
	}

	body, err := json.Marshal(object{"csr": k.request("gateway-7")})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.urls["https"]+"/api/client-registry/renew", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=10")
	res, err := old.client("gateway-7").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated || res.Header.Get("Preference-Applied") == "" {
		t.Fatalf("renewal: %d %s %v, %v", res.StatusCode, text, res.Header, err)
	}
	k.write("gateway-7.crt", answer{body: string(text)}.field(p, "certificate"))
	if old.fingerprint("gateway-7") == k.fingerprint("gateway-7") {
		t.Fatal("it got the certificate that it had")
	}
	wantCode(t, "CONNECT with the new one", k.tries(p, "gateway-7"), success)
	wantCode(t, "CONNECT with the old one", old.tries(p, "gateway-7"), success)
	wantCode(t, "publish of the session that rests on the old one", session.Publish("a/1", "", 1, false)&^0x10, success)
}

func TestUploadedAuthorityIsTrustedUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	k := newPKI(t)
	p := launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.path("server.crt"), "--tls-key", k.path("server.key"))
	p.userWith("robot", object{"grantTypes": []object{{"method": "certificate"}}, "initialPermissions": []object{writes("a/#")}})
	k.issue("robot", "/CN=robot")
	wantCode(t, "before it is trusted", k.tries(p, "robot"), notAuthorized)

	a, err := p.send("POST", "/api/certificates", k.read("ca.crt"), "Content-Type", "application/x-pem-file",
		"Authorization", "Bearer "+p.token, "Prefer", "wait=10")
	if err != nil || a.status != http.StatusCreated || a.header.Get("Preference-Applied") == "" {
		t.Fatalf("upload: %d %s %v, %v", a.status, a.body, a.header, err)
	}
	robot := k.dial(p, 5, "robot")
	robot.MustConnect(mqtttest.Connect{ClientID: "robot"})
	wantCode(t, "publish", robot.Publish("a/1", "", 1, false)&^0x10, success)

	p.must(http.StatusOK, "DELETE", "/certificates?id="+a.field(p, "id"), nil)
	wantCode(t, "DISCONNECT", robot.ExpectEnd(), administrative)
	wantCode(t, "once it is deleted", k.tries(p, "robot"), notAuthorized)
}

func TestPasswordAndOurCertificateAreBothRequired(t *testing.T) {
	t.Parallel()
	p := launch(t, secure...)
	k := p.authority()
	id := k.enrol(p, "careful", nil)
	k.enrol(p, "another", nil)
	wantCode(t, "while the certificate is enough", k.tries(p, "careful"), success)
	p.must(http.StatusOK, "PUT", "/users/"+id, object{"password": secretOf("careful"), "grantTypes": []object{
		{"method": "certificate", "isRequired": true}, {"method": "password", "isRequired": true},
	}})
	both := as("careful", "c")
	for _, tt := range []struct {
		name    string
		cert    string
		connect mqtttest.Connect
		want    byte
	}{
		{"the certificate alone", "careful", mqtttest.Connect{ClientID: "c"}, notAuthorized},
		{"the certificate and the name", "careful", mqtttest.Connect{ClientID: "c", Username: "careful"}, notAuthorized},
		{"the password alone", "", both, notAuthorized},
		{"the password and another's certificate", "another", both, notAuthorized},
		{"the certificate and a wrong password", "careful", mqtttest.Connect{ClientID: "c", Username: "careful", Password: "a wrong one"}, badCredentials},
		{"both", "careful", both, success},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := pki{t, k.dir} // so that the connection ends with this test
			wantCode(t, "CONNACK", k.dial(p, 5, tt.cert).Connect(tt.connect).ReasonCode, tt.want)
		})
	}
}
