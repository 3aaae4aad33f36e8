package main

import (
	"crypto/tls"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mqttwarden/broker/mqtttest"
)

// pki makes certificates as an operator would: with openssl.
type pki struct {
	tb  testing.TB
	dir string
}

func newPKI(tb testing.TB) pki {
	tb.Helper()
	k := pki{tb, tb.TempDir()}
	k.make("ca", "/CN=test CA", "-addext", "basicConstraints=critical,CA:true")
	k.make("server", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-CA", k.path("ca.crt"), "-CAkey", k.path("ca.key"))
	return k
}

func (k pki) path(name string) string { return filepath.Join(k.dir, name) }

func (k pki) openssl(args ...string) string {
	k.tb.Helper()
	out, err := exec.CommandContext(k.tb.Context(), "openssl", args...).CombinedOutput() // #nosec G204 -- ours
	if err != nil {
		k.tb.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// make makes name.crt and name.key, signed by themselves unless args say otherwise.
func (k pki) make(name, subject string, args ...string) {
	k.tb.Helper()
	k.openssl(append([]string{
		"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", subject, "-keyout", k.path(name + ".key"), "-out", k.path(name + ".crt"),
	}, args...)...)
}

// issue makes a certificate that the CA has signed.
func (k pki) issue(name, subject string) {
	k.tb.Helper()
	k.make(name, subject, "-addext", "basicConstraints=critical,CA:false", "-CA", k.path("ca.crt"), "-CAkey", k.path("ca.key"))
}

// fingerprint is what openssl prints: upper case with colons.
func (k pki) fingerprint(name string) string {
	k.tb.Helper()
	_, sum, ok := strings.Cut(k.openssl("x509", "-in", k.path(name+".crt"), "-noout", "-fingerprint", "-sha256"), "=")
	if !ok {
		k.tb.Fatal("openssl prints no fingerprint")
	}
	return strings.TrimSpace(sum)
}

// dial connects over TLS and shows a certificate, if name is not empty.
func (k pki) dial(p *program, version byte, name string) *mqtttest.Client {
	k.tb.Helper()
	conn, err := (&tls.Dialer{Config: k.config(name)}).DialContext(k.tb.Context(), "tcp", p.urls["mqtts"])
	if err != nil {
		k.tb.Fatal(err)
	}
	return mqtttest.New(k.tb, conn, version)
}

func TestCertificatesSignIn(t *testing.T) {
	k := newPKI(t)
	p := launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.path("server.crt"), "--tls-key", k.path("server.key"), "--tls-client-ca", k.path("ca.crt"))
	certificate := []object{{"method": "certificate"}}
	p.userWith("named", object{"grantTypes": certificate, "initialPermissions": []object{both("n/#")}})
	pinned := p.userWith("pinned", object{"grantTypes": certificate})
	p.userWith("by-password", object{"grantTypes": []object{{"method": "password"}}})
	twice := p.userWith("twice", object{"grantTypes": []object{
		{"method": "certificate", "isRequired": true}, {"method": "password", "isRequired": true},
	}})
	k.issue("named", "/CN=named")
	k.issue("pinned-by-ca", "/CN=pinned")
	k.issue("by-password", "/CN=by-password")
	k.issue("stranger", "/CN=nobody-knows")
	k.make("pinned", "/CN=any name")
	k.make("twice", "/CN=twice")
	k.make("forged", "/CN=named")
	p.must(http.StatusCreated, "POST", "/users/"+pinned+"/certificates", object{"fingerprint": k.fingerprint("pinned")})
	p.must(http.StatusCreated, "POST", "/users/"+twice+"/certificates", object{"fingerprint": strings.ToLower(strings.ReplaceAll(k.fingerprint("twice"), ":", ""))})

	nobody := mqtttest.Connect{ClientID: "c"}
	for _, tt := range []struct {
		name    string
		cert    string
		connect mqtttest.Connect
		v5, v3  byte
	}{
		{"a trusted certificate signs in by its common name", "named", nobody, success, 0},
		{"naming the user besides", "named", mqtttest.Connect{ClientID: "c", Username: "named"}, success, 0},
		{"a registered one that signed itself signs in", "pinned", nobody, success, 0},
		{"a user with a registered one has no other", "pinned-by-ca", nobody, notAuthorized, 5},
		{"one that signed itself is worth nothing by its name", "forged", nobody, notAuthorized, 5},
		{"nor with the user named besides", "forged", mqtttest.Connect{ClientID: "c", Username: "named"}, notAuthorized, 5},
		{"a trusted one of nobody", "stranger", nobody, notAuthorized, 5},
		{"a user without that grant type", "by-password", nobody, notAuthorized, 5},
		{"that user with the password", "by-password", as("by-password", "c"), success, 0},
		{"another user's name", "pinned", mqtttest.Connect{ClientID: "c", Username: "named"}, notAuthorized, 5},
		{"no certificate and no password", "", nobody, badCredentials, 4},
		{"one of two that are required", "twice", nobody, notAuthorized, 5},
		{"the other of them", "", as("twice", "c"), notAuthorized, 5},
		{"both of them", "twice", as("twice", "c"), success, 0},
		{"both, and the password is wrong", "twice", mqtttest.Connect{ClientID: "c", Username: "twice", Password: "wrong"}, badCredentials, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for version, want := range map[byte]byte{5: tt.v5, 4: tt.v3} {
				k := pki{t, k.dir}             // so that the connection ends with this test
				tt.connect.ClientID = t.Name() // nobody else's
				tt.connect.ClientID = strings.ReplaceAll(tt.connect.ClientID, "/", "-")
				wantCode(t, "CONNACK", k.dial(p, version, tt.cert).Connect(tt.connect).ReasonCode, want)
			}
		})
	}
}

func TestRemovedCertificateEndsItsSession(t *testing.T) {
	k := newPKI(t)
	p := launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.path("server.crt"), "--tls-key", k.path("server.key"))
	for _, name := range []string{"one", "other"} {
		k.make(name, "/CN="+name)
	}
	id := p.userWith("gw1", object{"initialPermissions": []object{both("a/#")}, "certificates": []object{
		{"fingerprint": k.fingerprint("one")}, {"fingerprint": k.fingerprint("other")},
	}, "grantTypes": []object{{"method": "certificate"}}})
	ops := p.connect(mqtttest.Connect{ClientID: "ops", Username: "admin", Password: adminPassword})
	ops.MustSubscribe("#", 1)
	one, other := k.dial(p, 5, "one"), k.dial(p, 5, "other")
	one.MustConnect(mqtttest.Connect{ClientID: "one", Will: &mqtttest.Will{Topic: "a/will", Payload: "gone"}})
	other.MustConnect(mqtttest.Connect{ClientID: "other"})

	p.must(http.StatusOK, "DELETE", "/users/"+id+"/certificates", object{"fingerprint": k.fingerprint("one")})
	wantCode(t, "DISCONNECT", one.ExpectEnd(), administrative)
	wantCode(t, "CONNECT with it", k.dial(p, 5, "one").Connect(mqtttest.Connect{ClientID: "one"}).ReasonCode, notAuthorized)
	wantCode(t, "the other session's publish", other.Publish("a/1", "", 1, false), success)
	ops.ExpectMessage("a/1") // and no will before it
}
