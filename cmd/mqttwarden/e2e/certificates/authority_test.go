package certificates

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// client returns an HTTPS client that shows the certificate of a device.
func client(k rig.PKI, name string) *http.Client {
	k.TB.Helper()
	cert, err := tls.LoadX509KeyPair(k.Path(name+".crt"), k.Path(name+".key"))
	if err != nil {
		k.TB.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(k.Read("ca.crt")))
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{cert},
	}}
	k.TB.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: rig.Patience}
}

// tries connects with a certificate alone and returns the reason code.
func tries(k rig.PKI, p *rig.Program, name string) byte {
	k.TB.Helper()
	cl := k.Dial(p, 5, name)
	code := cl.Connect(mqtttest.Connect{ClientID: "tries-" + name}).ReasonCode
	if code == rig.Success {
		cl.Disconnect()
	}
	return code
}

// says wants openssl to print a text, whether or not it fails then.
func says(k rig.PKI, want string, args ...string) {
	k.TB.Helper()
	out, _ := exec.CommandContext(k.TB.Context(), "openssl", args...).CombinedOutput() // #nosec G204 -- ours
	if !strings.Contains(string(out), want) {
		k.TB.Errorf("openssl %v says\n%s\nwant %q", args, out, want)
	}
}

func TestRevokedCertificateEndsItsSession(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t, rig.Secure...)
	k := p.Authority()
	for _, name := range []string{"stolen", "other"} {
		k.Enrol(p, name, rig.Object{"initialPermissions": []rig.Object{rig.Writes("a/#")}})
	}
	var issued struct {
		Certificates []struct{ SerialNumber string }
	}
	p.Must(http.StatusOK, "GET", "/certificates/issued?username%5Beq%5D=stolen", nil).Decode(t, &issued)
	if len(issued.Certificates) != 1 {
		t.Fatalf("%d certificates were issued to it, want 1", len(issued.Certificates))
	}
	stolen, other := k.Dial(p, 5, "stolen"), k.Dial(p, 5, "other")
	stolen.MustConnect(mqtttest.Connect{ClientID: "stolen"})
	other.MustConnect(mqtttest.Connect{ClientID: "other"})

	p.Must(http.StatusOK, "POST", "/certificates/issued/"+issued.Certificates[0].SerialNumber+"/revoke", rig.Object{"reason": "keyCompromise"})
	rig.WantCode(t, "DISCONNECT", stolen.ExpectEnd(), rig.Administrative)
	rig.WantCode(t, "CONNECT with it", tries(k, p, "stolen"), rig.NotAuthorized)
	rig.WantCode(t, "the other session's publish", other.Publish("a/1", "", 1, false)&^0x10, rig.Success)
	rig.WantCode(t, "CONNECT with the other", tries(k, p, "other"), rig.Success)

	crl, err := p.Send("GET", "/pki/crl", "")
	if err != nil || crl.Status != http.StatusOK {
		t.Fatalf("the CRL: %d %s, %v", crl.Status, crl.Body, err)
	}
	k.Write("crl.der", crl.Body)
	k.OpenSSL("crl", "-inform", "DER", "-in", k.Path("crl.der"), "-out", k.Path("crl.pem"))
	for name, want := range map[string]string{"stolen": "certificate revoked", "other": ": OK"} {
		says(k, want, "verify", "-crl_check", "-CRLfile", k.Path("crl.pem"), "-CAfile", k.Path("root.crt"),
			"-untrusted", k.Path("issuer.crt"), k.Path(name+".crt"))
	}
	for name, want := range map[string]string{"stolen": ".crt: revoked", "other": ".crt: good"} {
		said := k.OpenSSL("ocsp", "-url", "http://"+p.URLs["http"]+"/pki/ocsp", "-CAfile", k.Path("ca.crt"),
			"-issuer", k.Path("issuer.crt"), "-cert", k.Path(name+".crt"))
		if !strings.Contains(said, want) || !strings.Contains(said, "Response verify OK") {
			t.Errorf("about %s, OCSP says\n%s\nwant %q, and that it verifies", name, said, want)
		}
	}
}

func TestCommandLineRevokesWhileTheProgramServes(t *testing.T) {
	t.Parallel()
	p := rig.LaunchQuick(t, rig.Secure...)
	k := p.Authority()
	k.Enrol(p, "stolen", nil)
	session := k.Dial(p, 5, "stolen")
	session.MustConnect(mqtttest.Connect{ClientID: "stolen"})
	if _, log, err := rig.Attempt(t, nil, "", "ca", "revoke", k.Fingerprint("stolen"), "--data-dir", p.Dir); err != nil {
		t.Fatalf("ca revoke: %v\n%s", err, log)
	}
	rig.WantCode(t, "DISCONNECT", session.ExpectEnd(), rig.Administrative)
	rig.WantCode(t, "CONNECT with it", tries(k, p, "stolen"), rig.NotAuthorized)
	list, log, err := rig.Attempt(t, nil, "", "ca", "list", "--all", "--username", "stolen", "--data-dir", p.Dir)
	if err != nil || !strings.Contains(list, "revoked") {
		t.Errorf("ca list: %v\n%s%s\nwant it to be revoked", err, list, log)
	}
}

func TestRenewedCertificateAndTheOldOneOverlap(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t, rig.Secure...)
	k := p.Authority()
	k.Enrol(p, "gateway-7", rig.Object{"initialPermissions": []rig.Object{rig.Writes("a/#")}})
	session := k.Dial(p, 5, "gateway-7")
	session.MustConnect(mqtttest.Connect{ClientID: "session"})
	old := rig.PKI{TB: t, Dir: t.TempDir()}
	for _, name := range []string{"ca.crt", "gateway-7.crt", "gateway-7.key"} {
		old.Write(name, k.Read(name))
	}

	body, err := json.Marshal(rig.Object{"csr": k.Request("gateway-7")})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.URLs["https"]+"/api/client-registry/renew", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=10")
	res, err := client(old, "gateway-7").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated || res.Header.Get("Preference-Applied") == "" {
		t.Fatalf("renewal: %d %s %v, %v", res.StatusCode, text, res.Header, err)
	}
	k.Write("gateway-7.crt", rig.Answer{Body: string(text)}.Field(p, "certificate"))
	if old.Fingerprint("gateway-7") == k.Fingerprint("gateway-7") {
		t.Fatal("it got the certificate that it had")
	}
	rig.WantCode(t, "CONNECT with the new one", tries(k, p, "gateway-7"), rig.Success)
	rig.WantCode(t, "CONNECT with the old one", tries(old, p, "gateway-7"), rig.Success)
	rig.WantCode(t, "publish of the session that rests on the old one", session.Publish("a/1", "", 1, false)&^0x10, rig.Success)
}

func TestUploadedAuthorityIsTrustedUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	k := rig.NewPKI(t)
	p := rig.Launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key"))
	p.UserWith("robot", rig.Object{"grantTypes": []rig.Object{{"method": "certificate"}}, "initialPermissions": []rig.Object{rig.Writes("a/#")}})
	k.Issue("robot", "/CN=robot")
	rig.WantCode(t, "before it is trusted", tries(k, p, "robot"), rig.NotAuthorized)

	a, err := p.Send("POST", "/api/certificates", k.Read("ca.crt"), "Content-Type", "application/x-pem-file",
		"Authorization", "Bearer "+p.Token, "Prefer", "wait=10")
	if err != nil || a.Status != http.StatusCreated || a.Header.Get("Preference-Applied") == "" {
		t.Fatalf("upload: %d %s %v, %v", a.Status, a.Body, a.Header, err)
	}
	robot := k.Dial(p, 5, "robot")
	robot.MustConnect(mqtttest.Connect{ClientID: "robot"})
	rig.WantCode(t, "publish", robot.Publish("a/1", "", 1, false)&^0x10, rig.Success)

	p.Must(http.StatusOK, "DELETE", "/certificates?id="+a.Field(p, "id"), nil)
	rig.WantCode(t, "DISCONNECT", robot.ExpectEnd(), rig.Administrative)
	rig.WantCode(t, "once it is deleted", tries(k, p, "robot"), rig.NotAuthorized)
}

func TestPasswordAndOurCertificateAreBothRequired(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t, rig.Secure...)
	k := p.Authority()
	id := k.Enrol(p, "careful", nil)
	k.Enrol(p, "another", nil)
	rig.WantCode(t, "while the certificate is enough", tries(k, p, "careful"), rig.Success)
	p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"password": rig.SecretOf("careful"), "grantTypes": []rig.Object{
		{"method": "certificate", "isRequired": true}, {"method": "password", "isRequired": true},
	}})
	both := rig.As("careful", "c")
	for _, tt := range []struct {
		name    string
		cert    string
		connect mqtttest.Connect
		want    byte
	}{
		{"the certificate alone", "careful", mqtttest.Connect{ClientID: "c"}, rig.NotAuthorized},
		{"the certificate and the name", "careful", mqtttest.Connect{ClientID: "c", Username: "careful"}, rig.NotAuthorized},
		{"the password alone", "", both, rig.NotAuthorized},
		{"the password and another's certificate", "another", both, rig.NotAuthorized},
		{"the certificate and a wrong password", "careful", mqtttest.Connect{ClientID: "c", Username: "careful", Password: "a wrong one"}, rig.BadCredentials},
		{"both", "careful", both, rig.Success},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := k.At(t) // so that the connection ends with this test
			rig.WantCode(t, "CONNACK", k.Dial(p, 5, tt.cert).Connect(tt.connect).ReasonCode, tt.want)
		})
	}
}
