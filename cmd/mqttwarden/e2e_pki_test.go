package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"mqttwarden/authhook/mqtttest"
)

// client returns an HTTPS client that shows the certificate of a device.
func (k pki) client(name string) *http.Client {
	k.tb.Helper()
	cert, err := tls.LoadX509KeyPair(k.path(name+".crt"), k.path(name+".key"))
	if err != nil {
		k.tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(k.read("root.crt")))
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

func TestRenewedCertificateAndTheOldOneOverlap(t *testing.T) {
	t.Parallel()
	p := launch(t, secure...)
	k := p.authority()
	k.enrol(p, "gateway-7", nil)
	device := *p // the same program, as the device sees it
	device.client = k.client("gateway-7")
	csr := k.read("gateway-7.csr")
	_ = csr
	_ = device
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
