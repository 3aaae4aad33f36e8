package rig

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mqttwarden/broker/mqtttest"
)

// PKI makes certificates as an operator would: with openssl.
type PKI struct {
	TB  testing.TB
	Dir string
}

// At returns a copy for a test within a test, which ends what it starts.
func (k PKI) At(tb testing.TB) PKI { return PKI{tb, k.Dir} }

// NewPKI makes a CA in a directory of its own, and a certificate of it for a
// server on loopback: ca.crt, ca.key, server.crt and server.key.
func NewPKI(tb testing.TB) PKI {
	tb.Helper()
	k := PKI{tb, tb.TempDir()}
	k.Make("ca", "/CN=test CA", "-addext", "basicConstraints=critical,CA:true")
	k.Make("server", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-CA", k.Path("ca.crt"), "-CAkey", k.Path("ca.key"))
	return k
}

// Path is the path of a file.
func (k PKI) Path(name string) string { return filepath.Join(k.Dir, name) }

// OpenSSL runs openssl and returns what it prints.
func (k PKI) OpenSSL(args ...string) string {
	k.TB.Helper()
	out, err := exec.CommandContext(k.TB.Context(), "openssl", args...).CombinedOutput() // #nosec G204 -- ours
	if err != nil {
		k.TB.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Make makes name.crt and name.key, signed by themselves unless args say otherwise.
func (k PKI) Make(name, subject string, args ...string) {
	k.TB.Helper()
	k.OpenSSL(append([]string{
		"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", subject, "-keyout", k.Path(name + ".key"), "-out", k.Path(name + ".crt"),
	}, args...)...)
}

// Issue makes a certificate that the CA has signed.
func (k PKI) Issue(name, subject string) {
	k.TB.Helper()
	k.Make(name, subject, "-addext", "basicConstraints=critical,CA:false", "-CA", k.Path("ca.crt"), "-CAkey", k.Path("ca.key"))
}

// Fingerprint is what openssl prints: upper case with colons.
func (k PKI) Fingerprint(name string) string {
	k.TB.Helper()
	_, sum, ok := strings.Cut(k.OpenSSL("x509", "-in", k.Path(name+".crt"), "-noout", "-fingerprint", "-sha256"), "=")
	if !ok {
		k.TB.Fatal("openssl prints no fingerprint")
	}
	return strings.TrimSpace(sum)
}

// Dial connects over TLS and shows a certificate, if name is not empty.
func (k PKI) Dial(p *Program, version byte, name string) *mqtttest.Client {
	k.TB.Helper()
	conn, err := (&tls.Dialer{Config: k.Config(name)}).DialContext(k.TB.Context(), "tcp", p.URLs["mqtts"])
	if err != nil {
		k.TB.Fatal(err)
	}
	return mqtttest.New(k.TB, conn, version)
}

// Config returns the settings of a TLS client that shows the certificate of that
// name, if there is one, whatever the broker says which CAs it trusts.
func (k PKI) Config(name string) *tls.Config {
	k.TB.Helper()
	b, err := os.ReadFile(k.Path("ca.crt"))
	if err != nil {
		k.TB.Fatal(err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AppendCertsFromPEM(b)
	if name != "" {
		cert, err := tls.LoadX509KeyPair(k.Path(name+".crt"), k.Path(name+".key"))
		if err != nil {
			k.TB.Fatal(err)
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	return cfg
}

// Secure has the program listen with a certificate of its own authority.
var Secure = []string{"--mqtts-addr", "127.0.0.1:0", "--https-addr", "127.0.0.1:0"}

// Authority returns what a device knows of the program's authority, and a place
// for the device's own key and certificate.
func (p *Program) Authority() PKI {
	p.TB.Helper()
	k := PKI{p.TB, p.TB.TempDir()}
	a, err := p.Send("GET", "/pki/ca.pem", "")
	if err != nil || a.Status != http.StatusOK {
		p.TB.Fatalf("the authority's chain: %d %s, %v", a.Status, a.Body, err)
	}
	k.Write("ca.crt", a.Body)
	issuer, root := pem.Decode([]byte(a.Body))
	if issuer == nil || len(root) == 0 {
		p.TB.Fatalf("no chain in %s", a.Body)
	}
	k.Write("issuer.crt", string(pem.EncodeToMemory(issuer)))
	k.Write("root.crt", string(root))
	return k
}

func (k PKI) Write(name, text string) {
	k.TB.Helper()
	if err := os.WriteFile(k.Path(name), []byte(text), 0o600); err != nil {
		k.TB.Fatal(err)
	}
}

func (k PKI) Read(name string) string {
	k.TB.Helper()
	b, err := os.ReadFile(k.Path(name))
	if err != nil {
		k.TB.Fatal(err)
	}
	return string(b)
}

// Request makes name.key, and a certificate request for a user of that name.
func (k PKI) Request(name string) (csr string) {
	k.TB.Helper()
	k.OpenSSL("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN="+name, "-keyout", k.Path(name+".key"), "-out", k.Path(name+".csr"))
	return k.Read(name + ".csr")
}
